#pragma once
// What the registry knows: nodes, groups and their wanted members.

#include <cstdint>
#include <string>
#include <vector>

#include "base/version_range.h"
#include "multiraft/types.h"

namespace multiraft::registry {

/// Group 0, whose state machine is the registry itself.
inline constexpr GroupId kRegistryGroup{0};

enum class NodeState : uint8_t {
  kMember = 1,
  kLeaving = 2,  ///< Gets no new replicas; gone once its last replica has left its group.
};

struct NodeRecord {
  NodeId id;
  StateDirId uuid;
  NodeState state = NodeState::kMember;
  /// Replicas of this node with a serial up to this belonged to an earlier disk.
  uint32_t serial_floor = 0;
  std::string raft_address;
  std::string api_address;
  VersionRange versions;  ///< That its program works with, as of its last start.
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

/// What a member is to become; the group's own configuration says what it is.
struct MemberRecord {
  ReplicaId replica;
  bool voter = true;
  /// On its way out. The record goes once the group's leader has confirmed that the configuration
  /// is without it; after that the replica id never comes back.
  bool leaving = false;
  /// The group's leader has reported that the configuration has it in this role. Until then nobody
  /// may rely on it.
  bool settled = false;
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

struct GroupRecord {
  GroupId id;
  std::vector<MemberRecord> members;  ///< Replica ids ascend.
  /// The voters that the group was made of, ids ascending; they all start with this configuration.
  std::vector<ReplicaId> founders;

  const MemberRecord* member(ReplicaId replica) const;
  /// The member of that node that is not leaving; null where there is none.
  const MemberRecord* member_on(NodeId node) const;
  bool is_founder(ReplicaId replica) const;
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
};

}  // namespace multiraft::registry
