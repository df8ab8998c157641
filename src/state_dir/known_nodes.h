#pragma once
// The file `state_dir/peers`: where the other nodes were last reached, and what was known of their
// state directories. After a restart of everything the members of group 0 must find each other
// before any of them has a registry to look into, and must notice if one of them comes with less
// than it had.

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "multiraft/status.h"
#include "multiraft/types.h"
#include "wire/boot_record.h"

namespace multiraft::state_dir {

struct NodeAddress {
  NodeId node;
  std::string raft_address;  ///< The one heard of last.
  StateDirId uuid = {};      ///< Of its state directory. Empty: not known.
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;

  static constexpr size_t kEncodedBytesMin = 3 * sizeof(uint64_t) + sizeof(uint32_t);
};
/// For base/field_codec.h.
template <class Io, class Address>
requires std::is_same_v<std::remove_const_t<Address>, NodeAddress>
void fields(Io& io, Address& address) {
  io(address.node);
  io(address.raft_address);
  io(address.uuid);
}

struct KnownNodes {
  /// Of the registry that it was taken from; 0: from an answer to a join. A restart replays older
  /// states of the registry, which must not replace what is known since.
  LogIndex version;
  std::vector<NodeAddress> nodes;
  /// As of some moment: logs have grown since. Lives are written down soon after they are heard of.
  std::vector<wire::BootRecord> boots = {};
  friend bool operator==(const KnownNodes&, const KnownNodes&) = default;
};

std::string encode_known_nodes(const KnownNodes& book);
/// kCorruption; the message says where, not in which file.
Result<KnownNodes> decode_known_nodes(std::string_view bytes);

}  // namespace multiraft::state_dir
