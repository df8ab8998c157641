#pragma once
// Administrative requests in progress: creating a group, removing a member. Each is a command of
// the registry; the work that follows goes on whether somebody waits or not, also after a crash.

#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/node_context.h"

namespace multiraft::cluster {

/// On the controller's executor; answers go to the executor that is given with the request.
class AdminOperations {
 public:
  AdminOperations(NodeContext& context, int64_t timeout_ns)
      : context_(context), timeout_ns_(timeout_ns) {}

  void create_group(GroupId group, std::vector<NodeId> nodes, env::Executor& reply_on,
                    Callback<void(Status)> done);
  void add_member(GroupId group, NodeId node, bool voter, env::Executor& reply_on,
                  Callback<void(Status)> done);
  void remove_member(GroupId group, NodeId node, env::Executor& reply_on,
                     Callback<void(Status)> done);

  void on_registry(const registry::RegistryView& view);
  void on_leader(GroupId group);
  /// This node left the cluster: the removals of its own replicas are complete.
  void on_removed();
  void fail_all(const Status& status);

 private:
  enum class For : uint8_t { kRegistry, kLeader, kRemoval, kAddition };
  struct Waiting {
    uint64_t id = 0;
    For what = For::kRegistry;
    GroupId group;
    ReplicaId member;
    bool seen_leaving = false;  ///< kRemoval.
    env::Executor* reply_on = nullptr;
    Callback<void(Status)> done;
    size_t next_member = 0;
    bool looking = false;
  };

  void watch(Waiting& waiting, const registry::RegistryView& view, std::vector<uint64_t>& done,
             std::vector<uint64_t>& undone);
  void begin(const registry::RegistryCommand& command, GroupId group, For what,
             env::Executor& reply_on, Callback<void(Status)> done);
  void registered(uint64_t id, For what, const Result<registry::RegistryOutcome>& outcome);
  Waiting* find(uint64_t id);
  void finish(uint64_t id, Status status);
  void expire(uint64_t id);
  void look_for_leader(uint64_t id);
  void looked(uint64_t id, bool found);

  NodeContext& context_;
  const int64_t timeout_ns_;
  std::vector<std::unique_ptr<Waiting>> waiting_;
  uint64_t next_id_ = 1;
};

}  // namespace multiraft::cluster
