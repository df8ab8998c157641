#pragma once
// The records of a batch as they lie in memory and on the wire (docs/formats/wire.md). Private to
// the codec.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "base/limits.h"
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
  uint32_t size_and_type;  ///< The upper four bits are the type.
  uint32_t checksum;
};
inline constexpr uint32_t kEntrySizeMask = 0x0fff'ffff;
static_assert(limits::kFrameBytesMax <= kEntrySizeMask);
struct RequestRecord {
  uint8_t record;
  uint8_t kind;
  uint16_t zero;
  uint32_t size;
  uint64_t id;
  uint64_t group;
  uint32_t checksum;
  uint32_t zero_too;
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
              sizeof(RequestRecord) == 32 && sizeof(ResponseRecord) == 24);
static_assert(std::has_unique_object_representations_v<MessageRecord> &&
                  std::has_unique_object_representations_v<EntryHead> &&
                  std::has_unique_object_representations_v<RequestRecord> &&
                  std::has_unique_object_representations_v<ResponseRecord>,
              "padding would be uninitialised bytes on the wire");

/// What one member says to another in a batch. A proposal is a Request, which the leader's node
/// admits like any client's; a snapshot has a stream of its own, and is stepped by the host that
/// received it. Neither is accepted here, from whatever peer.
inline bool travels(uint8_t type) {
  switch (static_cast<raft::MessageType>(type)) {
    case raft::MessageType::kApp:
    case raft::MessageType::kAppResp:
    case raft::MessageType::kVote:
    case raft::MessageType::kVoteResp:
    case raft::MessageType::kPreVote:
    case raft::MessageType::kPreVoteResp:
    case raft::MessageType::kHeartbeat:
    case raft::MessageType::kHeartbeatResp:
    case raft::MessageType::kTimeoutNow:
    case raft::MessageType::kReadIndex:
    case raft::MessageType::kReadIndexResp:
      return true;
    case raft::MessageType::kHup:
    case raft::MessageType::kBeat:
    case raft::MessageType::kUnreachable:
    case raft::MessageType::kSnapStatus:
    case raft::MessageType::kCheckQuorum:
    case raft::MessageType::kTransferLeader:
    case raft::MessageType::kForgetLeader:
    case raft::MessageType::kStorageAppend:
    case raft::MessageType::kStorageAppendResp:
    case raft::MessageType::kStorageApply:
    case raft::MessageType::kStorageApplyResp:
    case raft::MessageType::kProp:
    case raft::MessageType::kSnap:
      return false;
  }
  return false;
}
static_assert(static_cast<uint8_t>(raft::MessageType::kApp) == 17 &&
              static_cast<uint8_t>(raft::MessageType::kReadIndexResp) == 28);

inline bool may_have_entries(raft::MessageType type) { return type == raft::MessageType::kApp; }

inline bool is_entry_type(uint8_t type) {
  return type <= static_cast<uint8_t>(raft::EntryType::kConfChangeV2);
}

}  // namespace multiraft::wire::layout
