#pragma once
// Makes what this node hosts and reaches equal to what the registry says.

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "cluster/node_context.h"
#include "cluster/node_files.h"

namespace multiraft::cluster {

/// Creates and destroys this node's replicas of user groups.
///
/// The serial floor: before a replica is destroyed the floor is raised to its serial, durably, and
/// nothing with a serial up to the floor is ever created. So a replica that existed can never come
/// back empty, whatever old state of the registry a restart begins with (trap 27). That is only
/// right while everything older that is still to be created here exists: creations happen in the
/// order of serials, and a destruction waits for all older creations.
class ReplicaReconciler {
 public:
  /// `changed` is called when a replica was created or destroyed.
  ReplicaReconciler(NodeContext& context, NodeFiles& files, Task changed)
      : context_(context), files_(files), changed_(std::move(changed)) {}

  /// What the log holds.
  void recovered(const std::vector<std::pair<GroupId, ReplicaId>>& replicas);
  /// The registry changed in this group.
  void update(GroupId group, const registry::RegistryView& view);
  /// After the updates of one change of the registry.
  void advance();
  /// Another node says that the replica was removed from its group.
  void removed(GroupId group, ReplicaId replica, const registry::RegistryView& view);

  /// The replica of the group on this node; none: 0.
  ReplicaId hosted(GroupId group) const;
  /// Nothing is left to be created.
  bool settled() const;

 private:
  struct Local {
    ReplicaId hosted;
    ReplicaId wanted;  ///< To be created, perhaps once the hosted one is gone.
    ReplicaId told_removed;
    bool doomed = false;
    bool busy = false;    ///< Being created or destroyed.
    bool failed = false;  ///< That did not work; it is tried again a little later.
  };

  ReplicaId choose(const registry::GroupRecord& record, const registry::RegistryView& view) const;
  void set_wanted(GroupId group, Local& local, ReplicaId wanted);
  void create(GroupId group, Local& local, const registry::RegistryView& view);
  void created(GroupId group, ReplicaId replica, const Status& status);
  void destroy_doomed();
  void destroy(GroupId group);

  NodeContext& context_;
  NodeFiles& files_;
  Task changed_;
  absl::flat_hash_map<GroupId, Local> local_;
  std::map<uint32_t, GroupId> wanted_;  ///< By serial.
  std::map<uint32_t, GroupId> doomed_;
  bool retry_scheduled_ = false;
};

/// Tells the transport where the nodes are, and remembers it for the next start.
class AddressPublisher {
 public:
  AddressPublisher(NodeContext& context, NodeFiles& files) : context_(context), files_(files) {}

  void start();
  /// What another node of the cluster knows, as of its version of the registry. Adds and changes,
  /// never forgets.
  void learn(const std::vector<state_dir::NodeAddress>& nodes);
  void update(const registry::RegistryView& view);
  /// The node itself has said so, just now: it may have moved since it was registered.
  void heard(NodeId node, const std::string& address);
  /// Where each was heard of last.
  const std::map<NodeId, std::string>& others() const { return known_; }
  /// For the answer to a MembersQuery.
  std::vector<state_dir::NodeAddress> all() const;

 private:
  /// What is known beside the address in known_.
  struct Details {
    StateDirId uuid;
    std::string registered;  ///< As the registry said last.
    std::string earlier;     ///< The address before: also tried.
  };

  void set(NodeId node, const std::string& address, const StateDirId& uuid);
  void announce(NodeId node);
  void forget_later(NodeId node);

  NodeContext& context_;
  NodeFiles& files_;
  std::map<NodeId, std::string> known_;
  std::map<NodeId, Details> details_;
};

}  // namespace multiraft::cluster
