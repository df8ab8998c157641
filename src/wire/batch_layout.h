#pragma once
// The records of a batch as they lie in memory and on the wire (docs/formats/wire.md). Private to
// the codec.

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "base/bytes.h"
#include "raft/encoding.h"
#include "raft/types.h"

namespace multiraft::wire::layout {

// The first byte of every record.
inline constexpr uint8_t kMessageRecord = 1;
inline constexpr uint8_t kRequestRecord = 2;
inline constexpr uint8_t kResponseRecord = 3;
inline constexpr uint8_t kDurableRecord = 4;

// Flags of a message.
inline constexpr uint8_t kReject = 1;
inline constexpr uint8_t kLeadershipTransfer = 2;
inline constexpr uint8_t kLease = 4;
inline constexpr uint8_t kFlagsMax = kReject | kLeadershipTransfer | kLease;

struct MessageRecord {
  uint8_t record;
  uint8_t type;
  uint8_t flags;
  uint8_t zero;
  uint32_t entries_or_promise_ms;  ///< A HeartbeatResp has a promise instead of entries.
  uint64_t group;
  uint64_t from;
  uint64_t to;
  uint64_t term;
  uint64_t log_term;
  uint64_t index;
  uint64_t commit;
  uint64_t vote;
  uint64_t reject_hint;
  uint64_t read_id;
};
struct EntryHead {
  uint64_t term;
  uint64_t index;
  uint32_t size;
  uint8_t type;
  uint8_t zero[3];
};
struct RequestRecord {
  uint8_t record;
  uint8_t kind;
  uint16_t zero;
  uint32_t size;
  uint64_t id;
  uint64_t group;
};
struct ResponseRecord {
  uint8_t record;
  uint8_t code;
  uint16_t zero;
  uint32_t size;
  uint64_t id;
  uint64_t asker;
};
struct DurableRecord {
  uint8_t record;
  uint8_t zero[7];
  uint64_t sequence;
};
static_assert(sizeof(DurableRecord) == 16 &&
              std::has_unique_object_representations_v<DurableRecord>);
static_assert(sizeof(MessageRecord) == 88 && sizeof(EntryHead) == 24 &&
              sizeof(RequestRecord) == 24 && sizeof(ResponseRecord) == 24);
static_assert(std::has_unique_object_representations_v<MessageRecord> &&
                  std::has_unique_object_representations_v<EntryHead> &&
                  std::has_unique_object_representations_v<RequestRecord> &&
                  std::has_unique_object_representations_v<ResponseRecord>,
              "padding would be uninitialised bytes on the wire");

/// Messages between members: a contiguous range of numbers, apart from the local ones.
inline bool travels(uint8_t type) {
  return type >= static_cast<uint8_t>(raft::MessageType::kProp) &&
         type <= static_cast<uint8_t>(raft::MessageType::kReadIndexResp);
}
static_assert(static_cast<uint8_t>(raft::MessageType::kProp) == 16 &&
              static_cast<uint8_t>(raft::MessageType::kReadIndexResp) == 28);

inline bool may_have_entries(raft::MessageType type) {
  return type == raft::MessageType::kApp || type == raft::MessageType::kProp;
}

inline bool is_entry_type(uint8_t type) {
  return type <= static_cast<uint8_t>(raft::EntryType::kConfChangeV2);
}

inline size_t snapshot_bytes(const raft::ConfState& conf) {
  const size_t ids = conf.voters.size() + conf.voters_outgoing.size() + conf.learners.size() +
                     conf.learners_next.size();
  return 2 * sizeof(uint64_t) + 4 * sizeof(uint16_t) + sizeof(uint8_t) + ids * sizeof(uint64_t);
}

inline std::string encode_snapshot(const raft::Snapshot& snapshot) {
  std::string bytes;
  ByteWriter out(bytes);
  raft::encode(snapshot, out);
  return bytes;
}

}  // namespace multiraft::wire::layout
