#pragma once
// Encoder and Decoder for the fields that commands and messages are made of. A type lists its
// fields once, in a function template fields(io, value), and both directions follow it.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "meta/address_book.h"
#include "meta/registry_types.h"

namespace multiraft::meta {

struct FieldEncoder {
  explicit FieldEncoder(ByteWriter& to) : out(to) {}
  ByteWriter& out;

  template <class Tag>
  void operator()(const StrongId<Tag>& id) {
    out.u64(id.value);
  }
  void operator()(const NodeUuid& uuid) {
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
  void operator()(const std::vector<NodeAddress>& addresses) {
    out.u32(static_cast<uint32_t>(addresses.size()));
    for (const NodeAddress& address : addresses) {
      out.u64(address.node.value);
      out.sized(address.raft_address);
      (*this)(address.uuid);
    }
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
  void operator()(NodeUuid& uuid) {
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
  void operator()(std::vector<NodeAddress>& addresses) {
    addresses.resize(count(3 * sizeof(uint64_t) + sizeof(uint32_t)));
    for (NodeAddress& address : addresses) {
      address.node.value = in.u64();
      address.raft_address = in.sized();
      (*this)(address.uuid);
    }
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

}  // namespace multiraft::meta
