#pragma once
// Encoder and Decoder for the fields that commands and messages are made of. A type lists its
// fields once, in a function template fields(io, value), and both directions follow it.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "multiraft/types.h"

namespace multiraft {

struct FieldEncoder {
  explicit FieldEncoder(ByteWriter& to) : out(to) {}
  ByteWriter& out;

  template <class Tag>
  void operator()(const StrongId<Tag>& id) {
    out.u64(id.value);
  }
  void operator()(const StateDirId& uuid) {
    out.u64(uuid.high);
    out.u64(uuid.low);
  }
  void operator()(const std::string& text) { out.sized(text); }
  void operator()(bool flag) { out.u8(flag ? 1 : 0); }
  void operator()(uint32_t number) { out.u32(number); }
  void operator()(const VersionRange& range) {
    out.u32(range.min);
    out.u32(range.max);
  }
  void operator()(const std::vector<NodeId>& ids) { list(ids); }
  void operator()(const std::vector<ReplicaId>& ids) { list(ids); }
  /// A list of values whose type names its fields.
  template <class T>
  void operator()(const std::vector<T>& values) {
    out.u32(static_cast<uint32_t>(values.size()));
    for (const T& value : values) fields(*this, value);
  }

 private:
  template <class Id>
  void list(const std::vector<Id>& ids) {
    out.u32(static_cast<uint32_t>(ids.size()));
    for (Id id : ids) out.u64(id.value);
  }
};

/// Fails the reader on anything malformed. Never reserves more than the bytes at hand can hold.
struct FieldDecoder {
  explicit FieldDecoder(ByteReader& from) : in(from) {}
  ByteReader& in;

  template <class Tag>
  void operator()(StrongId<Tag>& id) {
    id.value = in.u64();
  }
  void operator()(StateDirId& uuid) {
    uuid.high = in.u64();
    uuid.low = in.u64();
  }
  void operator()(std::string& text) { text = in.sized(); }
  void operator()(bool& flag) {
    const uint8_t value = in.u8();
    if (value > 1) in.fail();
    flag = value == 1;
  }
  void operator()(uint32_t& number) { number = in.u32(); }
  void operator()(VersionRange& range) {
    range.min = in.u32();
    range.max = in.u32();
    if (!range.is_valid()) in.fail();
  }
  void operator()(std::vector<NodeId>& ids) { list(ids); }
  void operator()(std::vector<ReplicaId>& ids) { list(ids); }
  template <class T>
  void operator()(std::vector<T>& values) {
    values.resize(count(T::kEncodedBytesMin));
    for (T& value : values) fields(*this, value);
  }

 private:
  uint32_t count(size_t bytes_each) {
    const uint32_t n = in.u32();
    if (n > in.remaining() / bytes_each) in.fail();
    return in.failed() ? 0 : n;
  }
  template <class Id>
  void list(std::vector<Id>& ids) {
    ids.resize(count(sizeof(uint64_t)));
    for (Id& id : ids) id.value = in.u64();
  }
};

}  // namespace multiraft
