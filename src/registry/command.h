#pragma once
// The commands of the registry, and how they travel in group 0's log (docs/formats/meta.md).

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "registry/types.h"

namespace multiraft::registry {

/// The first command of a cluster: its first node and first group. Only on an empty registry.
struct Bootstrap {
  ClusterId cluster;
  NodeId node;
  StateDirId uuid;
  std::string raft_address;
  std::string api_address;
  GroupId initial_group;
  VersionRange versions = kSupportedVersions;  ///< The cluster begins with its newest.
  friend bool operator==(const Bootstrap&, const Bootstrap&) = default;
};

/// A node enters the cluster and one of its groups. Idempotent for the same uuid. The same id with
/// another uuid is taken for a wiped disk: its old replicas leave, new ones take their places.
struct RegisterNode {
  NodeId node;
  StateDirId uuid;
  /// The registered uuid of this id that the proposer found dead; empty where it saw none. Another
  /// one in the registry means that the proposer judged an older state (kStaleDecision).
  StateDirId replaces;
  std::string raft_address;
  std::string api_address;
  GroupId initial_group;
  VersionRange versions = kSupportedVersions;
  friend bool operator==(const RegisterNode&, const RegisterNode&) = default;
};

struct CreateGroup {
  GroupId group;
  std::vector<NodeId> nodes;  ///< In any order.
  friend bool operator==(const CreateGroup&, const CreateGroup&) = default;
};

/// A node becomes a member of a group. If its removal is under way, that is called off.
struct AddMember {
  GroupId group;
  NodeId node;
  bool voter = true;
  friend bool operator==(const AddMember&, const AddMember&) = default;
};

struct RemoveMember {
  GroupId group;
  NodeId node;
  friend bool operator==(const RemoveMember&, const RemoveMember&) = default;
};

/// The group's leader confirms that its configuration no longer has the replica. If the removal was
/// called off after that, the node gets a new replica: ids do not come back.
struct ReplicaRemoved {
  GroupId group;
  ReplicaId replica;
  friend bool operator==(const ReplicaRemoved&, const ReplicaRemoved&) = default;
};

struct SetRole {
  GroupId group;
  ReplicaId replica;
  bool voter = true;
  friend bool operator==(const SetRole&, const SetRole&) = default;
};

struct UpdateNode {
  NodeId node;
  StateDirId uuid;
  std::string raft_address;
  std::string api_address;
  VersionRange versions = kSupportedVersions;
  friend bool operator==(const UpdateNode&, const UpdateNode&) = default;
};

/// The node leaves all of its groups and then the cluster.
struct MarkNodeLeaving {
  NodeId node;
  friend bool operator==(const MarkNodeLeaving&, const MarkNodeLeaving&) = default;
};

/// Who votes in group 0. Its leader chooses, because it knows who is live (registry_voters.h);
/// every replica checks only that the set makes sense. kStaleDecision where somebody in it is
/// leaving.
struct SetRegistryVoters {
  std::vector<ReplicaId> voters;  ///< Ascending; 1, 3 or 5.
  friend bool operator==(const SetRegistryVoters&, const SetRegistryVoters&) = default;
};

/// The group's leader reports that its configuration has the replica in the role that is wanted.
struct MemberSettled {
  GroupId group;
  ReplicaId replica;
  bool voter = true;
  friend bool operator==(const MemberSettled&, const MemberSettled&) = default;
};

/// The cluster works with a newer version from here on, because every registered node does. Never
/// back. kStaleDecision where a node has been registered meanwhile that does not.
struct RaiseClusterVersion {
  uint32_t version = 0;
  friend bool operator==(const RaiseClusterVersion&, const RaiseClusterVersion&) = default;
};

/// The first command of a group 0 that is made again after the majority of the former one was lost
/// (docs/adr/0017-a-lost-group-zero.md). Only on an empty registry.
struct RestoreRegistry {
  NodeId node;  ///< The survivor that proposes it, as registered.
  StateDirId uuid;
  ReplicaId replica;  ///< Its replica of the new group 0: restored_replica() of the state.
  std::string state;  ///< Of the former registry, as in its snapshots.
  friend bool operator==(const RestoreRegistry&, const RestoreRegistry&) = default;
};

/// The place in this list is the command's number in the log, from 1: append only.
using RegistryCommand =
    std::variant<Bootstrap, RegisterNode, CreateGroup, AddMember, RemoveMember, ReplicaRemoved,
                 SetRole, UpdateNode, MarkNodeLeaving, SetRegistryVoters, MemberSettled,
                 RaiseClusterVersion, RestoreRegistry>;

/// How a command ended; ApplyResult::code. Part of the replicated outcome: values stay.
enum class RegistryCode : uint64_t {
  kOk = 0,
  kInvalid = 1,  ///< The request makes no sense, whatever the state.
  kNotFound = 2,
  kConflict = 3,
  kExhausted = 4,      ///< A limit of base/limits.h.
  kStaleDecision = 5,  ///< The proposer judged an older state of the registry.
};

/// The text of an error, or what a successful command returns.
struct RegistryOutcome {
  RegistryCode code = RegistryCode::kOk;
  std::string text;  ///< What was wrong, for the caller.
  ReplicaId
      replica;  ///< RegisterNode: the node's replica of group 0. Add/RemoveMember: the member.
  uint32_t serial_floor = 0;  ///< RegisterNode.
  bool changed = false;       ///< Not part of the answer.

  Status status() const;
};

/// The lowest version of the cluster in which the command may be proposed. It is refused in older
/// ones by every replica that knows it.
uint32_t version_needed(const RegistryCommand& command);

SharedBytes encode_command(const RegistryCommand& command);
/// kUnsupported where this program does not know its version or number; kCorruption where it is
/// malformed.
Result<RegistryCommand> decode_command(std::string_view bytes);

ApplyResult encode_outcome(const RegistryOutcome& outcome);
/// kInternal where it is malformed, which only another version could cause.
Result<RegistryOutcome> decode_outcome(const ApplyResult& result);

}  // namespace multiraft::registry
