#pragma once
// The file `state_dir/peers`: where the other nodes were last reached, and what was known of their
// state directories. After a restart of everything the members of group 0 must find each other
// before any of them has a registry to look into, and must notice if one of them comes with less
// than it had.

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "meta/registry_types.h"
#include "wire/life.h"

namespace multiraft::meta {

struct NodeAddress {
  NodeId node;
  std::string raft_address;  ///< The one heard of last.
  NodeUuid uuid = {};        ///< Of its state directory. Empty: not known.
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

struct AddressBook {
  /// Of the registry that it was taken from; 0: from an answer to a join. A restart replays older
  /// states of the registry, which must not replace what is known since.
  LogIndex version;
  std::vector<NodeAddress> nodes;
  /// As of some moment: logs have grown since. Lives are written down soon after they are heard of.
  std::vector<wire::Life> lives = {};
  friend bool operator==(const AddressBook&, const AddressBook&) = default;
};

std::string encode_addresses(const AddressBook& book);
/// kCorruption; the message says where, not in which file.
Result<AddressBook> decode_addresses(std::string_view bytes);

}  // namespace multiraft::meta
