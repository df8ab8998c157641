#pragma once
// Short names for what tests of the registry keep saying.

#include <string>
#include <utility>
#include <vector>

#include "registry/registry.h"

namespace multiraft::registry::testing {

inline constexpr ClusterId kCluster{77};

inline StateDirId uuid_of(uint64_t node, uint64_t life = 1) { return {node, life}; }
inline std::string raft_of(uint64_t node) { return "host:" + std::to_string(8000 + node); }
inline std::string api_of(uint64_t node) { return "host:" + std::to_string(9000 + node); }

inline Bootstrap bootstrap(uint64_t node = 1, uint64_t group = 1) {
  return {kCluster, NodeId(node), uuid_of(node), raft_of(node), api_of(node), GroupId(group)};
}
inline RegisterNode join(uint64_t node, uint64_t group = 1, uint64_t life = 1,
                         StateDirId replaces = {}) {
  return {NodeId(node), uuid_of(node, life), replaces, raft_of(node), api_of(node), GroupId(group)};
}
inline CreateGroup create(uint64_t group, std::vector<uint64_t> nodes) {
  CreateGroup command{GroupId(group), {}};
  for (uint64_t node : nodes) command.nodes.push_back(NodeId(node));
  return command;
}
inline RemoveMember remove(uint64_t group, uint64_t node) { return {GroupId(group), NodeId(node)}; }

/// A registry that numbers its commands.
class Applied {
 public:
  RegistryOutcome operator()(const RegistryCommand& command) {
    return registry.apply(command, LogIndex(++index));
  }
  const RegistryView& view() const { return registry.state(); }
  const GroupRecord& group(uint64_t id) const { return *registry.state().group(GroupId(id)); }
  /// The node's member that is not leaving.
  ReplicaId replica(uint64_t id, uint64_t node) const {
    const MemberRecord* member = group(id).member_on(NodeId(node));
    return member ? member->replica : ReplicaId{};
  }
  /// Nodes whose members are to vote.
  std::vector<uint64_t> voters(uint64_t id) const {
    std::vector<uint64_t> nodes;
    for (const MemberRecord& m : group(id).members) {
      if (m.voter && !m.leaving) nodes.push_back(m.replica.node().value);
    }
    return nodes;
  }
  /// The command that makes these nodes the voters of group 0.
  SetRegistryVoters registry_voters(std::vector<uint64_t> nodes) const {
    SetRegistryVoters command;
    for (uint64_t node : nodes) command.voters.push_back(replica(0, node));
    return command;
  }
  /// As the leaders would: every wanted member is what it is to be.
  void settle_all() {
    for (const GroupRecord* g : registry.share()->groups()) {
      const GroupRecord record = *g;
      for (const MemberRecord& m : record.members) {
        (*this)(MemberSettled{record.id, m.replica, m.voter});
      }
    }
  }
  /// As the leaders would, in one go: everything that is leaving is gone.
  void confirm_all() {
    for (bool found = true; found;) {
      found = false;
      for (const GroupRecord* g : view().groups()) {
        for (const MemberRecord& m : g->members) {
          if (!m.leaving) continue;
          (*this)(ReplicaRemoved{g->id, m.replica});
          found = true;
          break;
        }
        if (found) break;
      }
    }
  }

  Registry registry;
  uint64_t index = 1;
};

}  // namespace multiraft::registry::testing
