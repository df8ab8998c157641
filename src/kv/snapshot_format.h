#pragma once
// The byte format of snapshots (docs/formats/kv.md), the same for both engines: a begin item, the
// records in key order, an end item. A chunk holds whole items.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "kv/record.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::kv {

inline constexpr uint16_t kSnapshotVersion = 1;

/// CRC-64/XZ, continuing from `seed`.
uint64_t crc64(std::string_view bytes, uint64_t seed = 0);

/// Appends items to chunks and keeps the hash over them.
class SnapshotEncoder {
 public:
  SnapshotEncoder(LogIndex index, Term term) : index_(index), term_(term) {}

  void begin(std::string& chunk) const;
  void record(const Record& record, std::string& chunk);
  void end(std::string& chunk) const;
  /// Over all records so far and the index: what StateMachine::hash() returns at the end.
  uint64_t hash() const;

 private:
  LogIndex index_;
  Term term_;
  uint64_t records_ = 0;
  uint64_t crc_ = 0;
};

/// Checks chunks that come from another node and takes them apart. Nothing in them is believed:
/// sizes, order, indexes, the number of records and their hash must all agree.
class SnapshotDecoder {
 public:
  /// The position at which the snapshot was announced.
  SnapshotDecoder(LogIndex index, Term term) : index_(index), term_(term) {}

  using Sink = std::function<Status(const Record&)>;
  /// Hands every record of the chunk to `sink`. kCorruption names what is wrong. After any error,
  /// all further calls fail with it.
  Status append(std::string_view chunk, const Sink& sink);
  /// Ok once the end item was seen and agreed with the records.
  Status finish() const;

 private:
  enum class State : uint8_t { kBegin, kRecords, kEnded };
  Status decode(std::string_view chunk, const Sink& sink);
  Status begin(ByteReader& in);
  Status record(ByteReader& in, Record& out);
  Status end(ByteReader& in);

  LogIndex index_;
  Term term_;
  State state_ = State::kBegin;
  Status error_;
  std::string last_key_;
  uint64_t records_ = 0;
  uint64_t crc_ = 0;
};

}  // namespace multiraft::kv
