#pragma once
// Backend on the node's parts: data goes to the host, the registry's view answers who is
// where, the controller changes the cluster. One instance per worker, on that worker's thread.

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/controller.h"
#include "host/node_host.h"
#include "kv/kv_engine.h"
#include "service/cold_reads.h"
#include "service/leader_gauge.h"
#include "service/read_slices.h"
#include "service/service.h"

namespace multiraft::service {

/// Shared by the backends of all workers; outlives them.
struct NodeServiceContext {
  NodeId node;
  host::NodeHost* host = nullptr;
  cluster::Controller* controller = nullptr;
  env::Clock* clock = nullptr;
  env::MonotonicTime started;
  ColdReads* cold_reads = nullptr;
  std::string program_version;
  /// Whether this node's groups have leaders. Any thread.
  std::function<LeaderGauge()> leaders;
  /// Prometheus text. Any thread.
  std::function<std::string(const host::HostStats&)> render_metrics;
  std::vector<std::unique_ptr<ReadSlices>> read_slices;  ///< One per worker of the host.
  std::atomic<bool> ready{false};                        ///< The controller said so, once.
  std::atomic<bool> draining{false};
};

class NodeService final : public Service {
 public:
  NodeService(const NodeServiceContext& context, env::Executor& executor)
      : context_(context), executor_(executor) {}

  NodeId node() const override { return context_.node; }
  void set_budget(std::shared_ptr<MemoryBudget> budget) override { budget_ = std::move(budget); }
  void write(GroupId group, SharedBytes command, Callback<void(Reply<WriteAnswer>)> done) override;
  void read(GroupId group, std::string key, Consistency consistency,
            Callback<void(Reply<ReadAnswer>)> done) override;
  void list_groups(GroupId from, size_t limit, Callback<void(Reply<GroupPage>)> done) override;
  void group_info(GroupId group, Callback<void(Reply<GroupInfo>)> done) override;
  void list_nodes(Callback<void(Reply<std::vector<NodeInfo>>)> done) override;
  void cluster_info(Callback<void(Reply<ClusterInfo>)> done) override;
  void create_group(GroupId group, std::vector<NodeId> nodes,
                    Callback<void(Reply<Done>)> done) override;
  void add_member(GroupId group, NodeId node, bool voter,
                  Callback<void(Reply<GroupInfo>)> done) override;
  void remove_member(GroupId group, NodeId node, Callback<void(Reply<Done>)> done) override;
  std::vector<ReadinessCheck> readiness() override;
  void metrics(Callback<void(std::string)> done) override;

 private:
  using ReadValue = Result<std::optional<kv::KvValue>>;
  using ReadDone = Callback<void(Reply<ReadAnswer>)>;
  // On the thread of the group's worker; `done` comes on this one's.
  void refuse_read(GroupId group, const host::ReadPermit& permit, ReadDone done);
  /// Returns how many bytes were read here.
  size_t serve_read(std::shared_ptr<const kv::KvReader> reader, const Position& position,
                    std::string key, ReadDone done);
  void answer_read(const Position& position, ReadValue value, ReadDone done);
  /// The user groups of a node.
  struct NodeGroups {
    std::set<GroupId> all;
    std::set<GroupId> leaving;  ///< Those that it is to leave.
  };
  using GroupsByNode = std::unordered_map<uint64_t, NodeGroups>;
  /// As of `view`. Costs as much as has changed since it was called last.
  const GroupsByNode& groups_by_node(const std::shared_ptr<const registry::RegistryView>& view);

  /// Who serves a group that has no replica here; asks group 0 before it says "nobody".
  void find_elsewhere(GroupId group, Callback<void(Error)> done);
  /// Likewise, for a group that exists. Asks its members who leads it.
  void refer(GroupId group, Callback<void(Error)> done);
  Error not_here(const registry::GroupRecord& group, NodeId leader);
  Error to_error(GroupId group, const Status& status) const;
  /// A group that has no replica here: with who leads it, where its members know.
  void describe_elsewhere(GroupId group, Callback<void(Reply<GroupInfo>)> done);
  GroupInfo describe(const registry::RegistryView& view, const registry::GroupRecord& group) const;
  void add_status(const registry::RegistryView& view, const host::ReplicaStatus& status,
                  GroupInfo& info) const;

  const NodeServiceContext& context_;
  env::Executor& executor_;
  std::shared_ptr<MemoryBudget> budget_;
  uint64_t redirects_ = 0;
  /// Of groups_by_node_.
  std::shared_ptr<const registry::RegistryView> indexed_view_ =
      std::make_shared<const registry::RegistryView>();
  GroupsByNode groups_by_node_;
};

}  // namespace multiraft::service
