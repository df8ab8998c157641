#pragma once
// The inside of a Controller: its parts, and the order in which they hear of things. On the
// controller's executor.

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/admin_operations.h"
#include "cluster/controller.h"
#include "cluster/join.h"
#include "cluster/leader_hints.h"
#include "cluster/membership_reconciler.h"
#include "cluster/node_context.h"
#include "cluster/node_files.h"
#include "cluster/registry_restore.h"
#include "cluster/removal_watcher.h"
#include "cluster/replica_reconciler.h"
#include "cluster/rollback_guard.h"

namespace multiraft::cluster {

class Controller::ClusterAgent {
 public:
  ClusterAgent(host::NodeHost& host, env::Environment& env, state_dir::NodeIdentity& identity,
               const registry::RegistryEngine& registry, const ControllerOptions& options,
               const ControllerCallbacks& callbacks);

  /// What the node was when its last process ended, against what its logs hold.
  Status check_start() const;
  void start();
  void stop();
  /// After stop(): no thread of the controller runs any more. Blocks; not on the controller's
  /// executor.
  void close_files() {
    files_.close();
    if (restore_) restore_->close();
  }

  NodeContext& context() { return context_; }
  AdminOperations& operations() { return operations_; }
  RemovalNotices& notices() { return notices_; }
  LeaderHints& leader_hints() { return leader_hints_; }

  void leadership(GroupId group, const raft::SoftState& state);
  void conf_state(GroupId group, const raft::ConfState& state);
  /// Any thread, these five.
  void applied();
  void boots_changed();
  void on_state_rollback(const transport::StateRollback& rollback);
  void address_heard(NodeId node, const env::Address& address);
  void unknown_caller(const transport::UnknownCaller& caller);
  void request(NodeId from, const wire::Request& request, JoinServer::Respond respond);

 private:
  void resync();
  void found_cluster();
  void join();
  std::vector<env::Address> join_targets() const;
  void accepted(const JoinAnswer& answer);
  void enter_registry(const JoinAnswer& answer);
  void registry_replica_created(const Status& status);

  void registry_changed();
  void bootstrap();
  void publish_node();
  bool check_version();
  void raise_cluster_version();
  void look_for_others();
  void ask_hint(Task done);
  void ask_known(Task done);
  void ask_for_members(const transport::Callee& callee, Callback<void(const Status&)> done);
  LogIndex registry_version() const;
  void members_known(const Members& members);
  void other_cluster(const std::string& why);
  void called_by_other_cluster(NodeId caller, const std::string& from);
  void check_ready();
  void removed(Verdict verdict);
  void start_restore();
  void follow_new_registry();

  void admin(NodeId from, const AdminRequest& request, JoinServer::Respond respond);

  const ControllerOptions& options_;
  const ControllerCallbacks& callbacks_;
  const std::vector<std::pair<GroupId, ReplicaId>> recovered_;
  const std::string state_dir_;
  const Result<std::optional<RestorePlan>> plan_found_;
  NodeContext context_;
  NodeFiles files_;
  AddressPublisher addresses_;
  ReplicaReconciler replicas_;
  MembershipReconciler keeper_;
  AdminOperations operations_;
  LeaderHints leader_hints_;
  RemovalWatcher departure_;
  RemovalNotices notices_;
  JoinServer join_server_;
  RollbackGuard rollback_guard_;
  std::optional<Joiner> joiner_;
  std::unique_ptr<RegistryRestore> restore_;
  bool following_ = false;  ///< A group 0 that was made again.

  std::shared_ptr<const registry::RegistryView> seen_ =
      std::make_shared<const registry::RegistryView>();
  std::atomic<bool> change_posted_{false};
  std::atomic<bool> lives_posted_{false};
  bool registry_state_known_ = false;
  bool bootstrapping_ = false;
  bool publishing_ = false;
  bool raising_ = false;
  bool unsupported_ = false;
  bool ready_ = false;
  bool other_cluster_ = false;
  bool asking_for_members_ = false;
  Backoff bootstrap_backoff_;
  Backoff publish_backoff_;
  Backoff raise_backoff_;
  std::vector<env::Address> hints_;  ///< Of -join, but for this node itself.
  size_t next_hint_ = 0;
  bool looking_ = false;  ///< For the others.
  bool hints_are_next_ = false;
  NodeId last_asked_;                      ///< Of those that are known.
  std::map<NodeId, std::string> rumours_;  ///< Where others say that a node is.
  Backoff hint_backoff_;
};

}  // namespace multiraft::cluster
