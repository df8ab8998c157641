#pragma once
// One per node: brings the node into the cluster, makes the node's replicas and the configurations
// of the groups it leads follow the registry, and carries out what operators ask for (README.md).
//
// Everything happens on the executor of group 0's worker. The public calls are for any thread.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "host/node_host.h"
#include "registry/machine.h"
#include "state_dir/node_identity.h"

namespace multiraft::cluster {

struct ControllerOptions {
  std::string raft_address;  ///< Under which others reach this node.
  std::string api_address;
  /// Nodes of the cluster to join, tried in turn. A node with state takes them as hints where
  /// others are, in case all have moved.
  std::vector<env::Address> join;
  bool replaces_lost_disk = false;  ///< JoinRequest.
  /// Group 0 has lost the majority of its voters for good: this node makes it again
  /// (registry_restore.h).
  bool force_new_registry = false;
  /// How long a founder waits, before it makes its cluster, for a node of another cluster that
  /// takes it for one of its members: then this is a node that has lost its disk. Negative: never
  /// mind such nodes, also later.
  int64_t founding_wait_ns = 0;
  GroupId initial_group{1};  ///< To make, or to enter.
  VersionRange versions = kSupportedVersions;
  int64_t heartbeat_ns = 100 * env::kMillisecond;
  int64_t election_ns = 1'000 * env::kMillisecond;
  /// create_group and remove_member give up waiting after this.
  int64_t operation_timeout_ns = 20 * env::kSecond;
  /// A voter of group 0 that is silent for that long gives its place to a live learner.
  int64_t registry_voter_patience_ns = 30 * env::kSecond;
};

/// Called on the controller's executor unless it says otherwise. They may not call stop().
struct ControllerCallbacks {
  /// Once: the registry is here and contains this node, and the node's replicas exist.
  std::function<void()> on_ready;
  /// Once: the node is not part of the cluster any more, and its identity says so. Exit status 0.
  std::function<void()> on_removed;
  /// As on_removed, but another state directory has taken over the node's id. Exit status 3.
  std::function<void(const Status&)> on_replaced;
  /// The node is in another cluster than it should be: its -join names members of another one, or
  /// members of another one take it for one of them while it is alone. Exit status 3.
  std::function<void(const Status&)> on_other_cluster;
  /// The cluster works with a version that this program does not support. Exit status 3.
  std::function<void(const Status&)> on_unsupported;
  /// ControllerOptions::force_new_registry is not safe, or not needed. Exit status 3.
  std::function<void(const Status&)> on_force_refused;
  /// The cluster refused to let the node join, for good. Exit status 4.
  std::function<void(const Status&)> on_refused;
  /// Once: the state directory is an older copy, or its disk has lost writes, and the other members
  /// of its groups can do without it: its replicas are to be given up (repair.h). The text is for
  /// people.
  std::function<void(const Status&)> on_state_rollback;
  /// Any thread. The disk failed: exit status 5, or 3 for kCorruption.
  std::function<void(const Status&)> on_fatal;
  /// Any thread.
  std::function<void(NodeId)> on_node_down;
  /// An event worth a log line, as a sentence. Any thread.
  std::function<void(raft::LogLevel, std::string_view)> log;
};

/// Construct, start the NodeHost with it as observer, attach, ..., stop, stop the host, destroy the
/// host, destroy.
class Controller final : public host::HostObserver {
 public:
  /// All outlive it. `registry` is the engine that the host uses for group 0. From attach() to the
  /// end of stop() the identity belongs to the controller.
  Controller(state_dir::NodeIdentity& identity, registry::RegistryEngine& registry,
             env::Environment& env, ControllerOptions options, ControllerCallbacks callbacks);
  ~Controller() override;

  /// Begins to work. An error is a state directory to refuse (exit status 3). Not from a worker.
  Status attach(host::NodeHost& host);
  /// Ends all work; what waits is answered with kUnavailable. Before the host stops. Not from a
  /// worker.
  void stop();

  /// The newest registry that this node has.
  std::shared_ptr<const registry::RegistryView> view() const { return registry_.view(); }

  /// Done once the group exists and has a leader. Idempotent. kInvalidArgument: unknown nodes;
  /// kConflict: exists with other members; kUnavailable: not done; kUnknownOutcome: registered or
  /// not, or without a leader for now.
  void create_group(GroupId group, std::vector<NodeId> nodes, env::Executor& reply_on,
                    Callback<void(Status)> done);
  /// Done once the node has caught up and votes, or learns where `voter` is false. Calls a removal
  /// off that is under way. kNotFound: no such group or node; kConflict: a member in another role.
  void add_member(GroupId group, NodeId node, bool voter, env::Executor& reply_on,
                  Callback<void(Status)> done);
  /// Done once the change is committed in the group, and where it was the node's last one, the node
  /// is out of group 0 too. kNotFound: no such group or member; kConflict:
  /// the last voter; the rest as above. Where it takes longer it goes on by itself.
  void remove_member(GroupId group, NodeId node, env::Executor& reply_on,
                     Callback<void(Status)> done);

  /// The node that leads a group without a replica here, as far as its members know; 0: they do
  /// not, or do not answer soon.
  void find_leader(GroupId group, env::Executor& reply_on, Callback<void(NodeId)> done);

  /// What the transport reports (host::HostOptions). Any thread.
  void on_boots_changed();
  void on_state_rollback(const transport::StateRollback& rollback);
  void on_address(NodeId node, const env::Address& address);
  void on_unknown_caller(const transport::UnknownCaller& caller);

  // -- host::HostObserver
  void on_leadership(GroupId group, const raft::SoftState& state, Term term) override;
  void on_conf_state(GroupId group, const raft::ConfState& state) override;
  void on_applied(GroupId group, LogIndex applied) override;
  void on_stray_message(GroupId group, NodeId from_node, ReplicaId from, ReplicaId to) override;
  void on_request(NodeId from, wire::Request request,
                  Callback<void(StatusCode, SharedBytes)> respond) override;
  void on_node_down(NodeId node) override;
  void on_fatal(const Status& status) override;

 private:
  class ClusterAgent;

  std::vector<std::pair<GroupId, raft::SoftState>> take_leadership();

  state_dir::NodeIdentity& identity_;
  registry::RegistryEngine& registry_;
  env::Environment& env_;
  const ControllerOptions options_;
  const ControllerCallbacks callbacks_;
  std::unique_ptr<ClusterAgent> work_;
  /// What callbacks from other threads see: null before attach() and after stop().
  std::atomic<ClusterAgent*> live_{nullptr};
  Mutex leadership_mutex_;
  /// Changes that the agent has not been notified of yet, oldest first.
  std::vector<std::pair<GroupId, raft::SoftState>> leadership_ MR_GUARDED_BY(leadership_mutex_);
};

}  // namespace multiraft::cluster
