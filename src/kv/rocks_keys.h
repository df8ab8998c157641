#pragma once
// How a group's state lies in the database (docs/formats/kv.md).
//
//   group u64 big-endian | 0        -> version u8, applied index u64, applied term u64
//   group u64 big-endian | 1 | key  -> modified index u64, value
//
// Groups lie one behind the other, each with its position in front of its keys.

#include <rocksdb/slice.h>

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "multiraft/types.h"

namespace multiraft::kv {

inline constexpr size_t kGroupPrefixBytes = 9;
inline constexpr size_t kModifiedIndexBytes = 8;

enum class KeySpace : char { kPosition = 0, kData = 1, kEnd = 2 };

inline rocksdb::Slice to_slice(std::string_view v) { return {v.data(), v.size()}; }
inline std::string_view to_view(const rocksdb::Slice& v) { return {v.data(), v.size()}; }

/// The nine bytes before a key; position and end keys are nothing else.
class GroupPrefix {
 public:
  GroupPrefix(GroupId group, KeySpace space) {
    const uint64_t big_endian = __builtin_bswap64(group.value);
    std::memcpy(bytes_, &big_endian, sizeof big_endian);
    bytes_[sizeof big_endian] = static_cast<char>(space);
  }
  std::string_view view() const { return {bytes_, sizeof bytes_}; }
  rocksdb::Slice slice() const { return {bytes_, sizeof bytes_}; }
  std::string with(std::string_view key) const { return std::string(view()).append(key); }

 private:
  char bytes_[kGroupPrefixBytes];
};

/// The group that a key belongs to; nothing where the key is too short.
inline std::optional<GroupId> group_of_key(std::string_view key) {
  if (key.size() < kGroupPrefixBytes) return std::nullopt;
  uint64_t big_endian = 0;
  std::memcpy(&big_endian, key.data(), sizeof big_endian);
  return GroupId(__builtin_bswap64(big_endian));
}

struct Position {
  LogIndex index;
  Term term;
};

inline constexpr uint8_t kPositionVersion = 1;

inline std::string encode_position(Position position) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(kPositionVersion);
  writer.u64(position.index.value);
  writer.u64(position.term.value);
  return out;
}

inline std::optional<Position> decode_position(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  const Position position{LogIndex(in.u64()), Term(in.u64())};
  if (!in.complete() || version != kPositionVersion) return std::nullopt;
  return position;
}

/// A stored value taken apart; nothing where it is too short.
struct StoredValue {
  LogIndex modified_index;
  std::string_view value;
};
inline std::optional<StoredValue> decode_value(std::string_view stored) {
  ByteReader in(stored);
  const LogIndex modified(in.u64());
  if (in.failed()) return std::nullopt;
  return StoredValue{modified, in.bytes(in.remaining())};
}

}  // namespace multiraft::kv
