#pragma once
// How a node finds out that it, or one of its replicas, was removed, and how it notifies others.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cluster/messages.h"
#include "cluster/node_context.h"
#include "cluster/replica_reconciler.h"

namespace multiraft::cluster {

/// What a registry says about a replica. Removed is never wrong, also on an old view.
Verdict verdict_on(const registry::RegistryView& view, GroupId group, ReplicaId replica);

/// Watches whether this node is still part of group 0. A member that was removed hears nothing any
/// more, so it has to ask. On the controller's executor.
class RemovalWatcher {
 public:
  /// `superseded`: group 0 was made again, and this node is to follow it; may come repeatedly.
  /// `removed`: the node is out of the cluster. `replica_removed`: one of its replicas is out of
  /// its group.
  RemovalWatcher(NodeContext& context, const AddressPublisher& addresses,
                 std::function<void(Verdict)> removed,
                 std::function<void(GroupId, ReplicaId)> replica_removed,
                 std::function<void()> superseded)
      : context_(context),
        addresses_(addresses),
        removed_(std::move(removed)),
        replica_removed_(std::move(replica_removed)),
        superseded_(std::move(superseded)) {}

  void start();
  void on_registry(const registry::RegistryView& view);
  /// The configuration of group 0 as applied here, in the order of its changes.
  void on_registry_conf(const raft::ConfState& conf);
  /// Somebody says that this replica of ours was removed from its group. That may be a mistake, or
  /// a lie: the nodes of the cluster are asked.
  void on_notice(GroupId group, ReplicaId replica);

 private:
  void tick();
  bool wants_to_know();
  /// One round of questions, node after node, until enough say the same.
  struct Inquiry {
    GroupId group;
    ReplicaId replica;
    std::vector<std::pair<NodeId, env::Address>> nodes;
    size_t next = 0;
    size_t removed = 0;  ///< Answers, so many.
    size_t member = 0;
    Verdict verdict = Verdict::kUnknown;
  };

  void ask();
  void inquire(GroupId group, ReplicaId replica);
  void next_question(std::shared_ptr<Inquiry> inquiry);
  void answered(std::shared_ptr<Inquiry> inquiry, const Result<wire::Response>& response);
  void end(const Inquiry& inquiry);
  void gone(Verdict verdict);

  NodeContext& context_;
  const AddressPublisher& addresses_;
  const std::function<void(Verdict)> removed_;
  const std::function<void(GroupId, ReplicaId)> replica_removed_;
  const std::function<void()> superseded_;
  env::MonotonicTime leader_seen_;
  bool is_in_conf_ = true;
  bool leaving_ = false;
  bool learner_ = false;
  absl::flat_hash_set<uint64_t> asking_;  ///< About these replicas.
  bool gone_ = false;
  uint64_t ticks_ = 0;
};

/// Tells removed replicas that they are: their messages would otherwise disturb those who stay
/// (trap 11). Rate-limited.
class RemovalNotices {
 public:
  explicit RemovalNotices(NodeContext& context) : context_(context) {}

  /// Any thread. A message of `from` made no sense here; many of these may come.
  void on_stray(GroupId group, NodeId node, ReplicaId from);
  /// On the controller's executor, at the leader of group 0: it has just let these go.
  void on_registry_change(const registry::RegistryView& before,
                          const registry::RegistryView& after);

 private:
  void consider(GroupId group, NodeId node, ReplicaId replica);
  void send(GroupId group, NodeId node, ReplicaId replica);

  NodeContext& context_;
  std::shared_ptr<std::atomic<int>> waiting_ = std::make_shared<std::atomic<int>>(0);
  absl::flat_hash_map<uint64_t, env::MonotonicTime> told_;  ///< By replica.
};

}  // namespace multiraft::cluster
