#pragma once
// What nodes ask each other beside Raft: payloads of requests of kind kJoin and kAdmin and of their
// responses (docs/formats/meta.md). Decoders give kCorruption and never trust a byte.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "registry/types.h"
#include "state_dir/known_nodes.h"

namespace multiraft::cluster {

// -- Joining.

struct JoinRequest {
  ClusterId cluster;  ///< That the node remembers from an earlier answer, or 0.
  NodeId node;
  StateDirId uuid;
  std::string raft_address;
  std::string api_address;
  GroupId initial_group;
  /// The operator says that the disk of the node that is registered under this id is lost for good:
  /// this one takes its place.
  bool replaces_lost_disk = false;
  VersionRange versions = kSupportedVersions;
  friend bool operator==(const JoinRequest&, const JoinRequest&) = default;
};

struct JoinAnswer {
  enum class Kind : uint8_t {
    kAccepted = 1,
    kAskLeader = 2,  ///< At `leader_address`.
    kTryAgain = 3,
    kRefused = 4,  ///< For good; `text` says why.
  };
  Kind kind = Kind::kTryAgain;
  std::string text;
  std::string leader_address;
  // Accepted:
  ClusterId cluster;
  ReplicaId registry_replica;  ///< The node's replica of group 0.
  uint32_t serial_floor = 0;
  std::vector<state_dir::NodeAddress> nodes;
  friend bool operator==(const JoinAnswer&, const JoinAnswer&) = default;
};

SharedBytes encode(const JoinRequest& request);
SharedBytes encode(const JoinAnswer& answer);
Result<JoinRequest> decode_join_request(std::string_view bytes);
Result<JoinAnswer> decode_join_answer(std::string_view bytes);

// -- Administration. The answer to each is named beside it.

/// -> Verdict. Is this replica still a member?
struct MembershipCheck {
  GroupId group;
  ReplicaId replica;
  friend bool operator==(const MembershipCheck&, const MembershipCheck&) = default;
};
/// -> nothing. The receiver's replica may not be a member any more: it had better ask. A hint,
/// which nothing is given up for.
struct RemovedNotice {
  GroupId group;
  ReplicaId replica;
  friend bool operator==(const RemovedNotice&, const RemovedNotice&) = default;
};
/// -> LeaderKnown. Does the receiver's replica of the group know a leader on another node than the
/// one that asks, confirmed by a quorum since the question came?
struct LeaderQuery {
  GroupId group;
  friend bool operator==(const LeaderQuery&, const LeaderQuery&) = default;
};
/// -> StateDirId. Which life of the node is it that answers?
struct IdentityProbe {
  friend bool operator==(const IdentityProbe&, const IdentityProbe&) = default;
};
/// -> Members. Which nodes are in the cluster, and where were they heard of last?
struct MembersQuery {
  friend bool operator==(const MembersQuery&, const MembersQuery&) = default;
};
/// -> NodeId. Who leads the group, as far as the receiver's replica knows? 0: it knows nobody. A
/// hint, for redirects.
struct LeaderHint {
  GroupId group;
  friend bool operator==(const LeaderHint&, const LeaderHint&) = default;
};
/// -> RegistryPosition. How much of group 0 does the receiver have?
struct RegistryQuery {
  friend bool operator==(const RegistryQuery&, const RegistryQuery&) = default;
};
using AdminRequest = std::variant<MembershipCheck, RemovedNotice, LeaderQuery, IdentityProbe,
                                  MembersQuery, LeaderHint, RegistryQuery>;

enum class Verdict : uint8_t {
  kUnknown = 0,
  kMember = 1,
  kRemoved = 2,
  kReplaced = 3,  ///< Removed, because another state directory has taken over the node's id.
  /// Group 0 was made again after its majority was lost; the node has another replica in it.
  kSuperseded = 4,
};

/// What a node knows of the cluster.
struct Members {
  LogIndex version;  ///< Of its registry.
  NodeId self;
  std::vector<state_dir::NodeAddress> nodes;  ///< Itself included.
  friend bool operator==(const Members&, const Members&) = default;
};

/// What a node has of group 0.
struct RegistryPosition {
  uint32_t restorations = 0;  ///< RegistryView::restorations().
  bool leader_known = false;
  Term last_term;  ///< Of the last entry in its log.
  LogIndex last_index;
  friend bool operator==(const RegistryPosition&, const RegistryPosition&) = default;
};

SharedBytes encode(const AdminRequest& request);
Result<AdminRequest> decode_admin_request(std::string_view bytes);

SharedBytes encode(Verdict verdict);
Result<Verdict> decode_verdict(std::string_view bytes);
SharedBytes encode(const Members& members);
Result<Members> decode_members(std::string_view bytes);
SharedBytes encode(const RegistryPosition& position);
Result<RegistryPosition> decode_registry_position(std::string_view bytes);
SharedBytes encode_leader_known(bool known);
Result<bool> decode_leader_known(std::string_view bytes);
SharedBytes encode_leader_hint(NodeId leader);
Result<NodeId> decode_leader_hint(std::string_view bytes);
SharedBytes encode(const StateDirId& uuid);
Result<StateDirId> decode_uuid(std::string_view bytes);

}  // namespace multiraft::cluster
