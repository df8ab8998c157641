#pragma once
// rest::Backend on the node's parts: data goes to the host, the registry's view answers who is
// where, the controller changes the cluster. One instance a worker, on that worker's thread.

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/node_host.h"
#include "kv/kv_engine.h"
#include "meta/controller.h"
#include "rest/backend.h"
#include "server/cold_reads.h"
#include "server/process_watch.h"
#include "server/read_slices.h"

namespace multiraft::server {

/// Shared by the backends of all workers; outlives them.
struct BackendContext {
  NodeId node;
  host::NodeHost* host = nullptr;
  meta::Controller* controller = nullptr;
  kv::KvEngine* engine = nullptr;
  env::Clock* clock = nullptr;
  env::MonotonicTime started;
  size_t http_connections_max = 0;
  const ProcessWatch* watch = nullptr;
  ColdReads* cold_reads = nullptr;
  std::vector<std::unique_ptr<ReadSlices>> read_slices;  ///< One per worker of the host.
  std::atomic<bool> ready{false};                        ///< The controller said so, once.
  std::atomic<bool> draining{false};
};

class NodeBackend final : public rest::Backend {
 public:
  NodeBackend(const BackendContext& context, env::Executor& executor)
      : context_(context), executor_(executor) {}

  NodeId node() const override { return context_.node; }
  void set_budget(std::shared_ptr<rest::MemoryBudget> budget) override {
    budget_ = std::move(budget);
  }
  void write(GroupId group, SharedBytes command,
             Callback<void(rest::Reply<rest::WriteAnswer>)> done) override;
  void read(GroupId group, std::string key, rest::Consistency consistency,
            Callback<void(rest::Reply<rest::ReadAnswer>)> done) override;
  void list_groups(GroupId from, size_t limit,
                   Callback<void(rest::Reply<rest::GroupPage>)> done) override;
  void group_info(GroupId group, Callback<void(rest::Reply<rest::GroupInfo>)> done) override;
  void list_nodes(Callback<void(rest::Reply<std::vector<rest::NodeInfo>>)> done) override;
  void cluster_info(Callback<void(rest::Reply<rest::ClusterInfo>)> done) override;
  void create_group(GroupId group, std::vector<NodeId> nodes,
                    Callback<void(rest::Reply<rest::Done>)> done) override;
  void add_member(GroupId group, NodeId node, bool voter,
                  Callback<void(rest::Reply<rest::GroupInfo>)> done) override;
  void remove_member(GroupId group, NodeId node,
                     Callback<void(rest::Reply<rest::Done>)> done) override;
  std::vector<rest::ReadinessCheck> readiness() override;
  void metrics(Callback<void(std::string)> done) override;

 private:
  using ReadValue = Result<std::optional<kv::KvValue>>;
  using ReadDone = Callback<void(rest::Reply<rest::ReadAnswer>)>;
  // On the thread of the group's worker; `done` comes on this one's.
  void refuse_read(GroupId group, const host::ReadPermit& permit, ReadDone done);
  /// Returns how many bytes were read here.
  size_t serve_read(std::shared_ptr<const kv::KvReader> reader, const rest::Position& position,
                    std::string key, ReadDone done);
  void answer_read(const rest::Position& position, ReadValue value, ReadDone done);
  /// The user groups of a node.
  struct NodeGroups {
    std::set<GroupId> all;
    std::set<GroupId> leaving;  ///< Those that it is to leave.
  };
  using GroupsByNode = std::unordered_map<uint64_t, NodeGroups>;
  /// As of `view`. Costs as much as has changed since it was called last.
  const GroupsByNode& groups_by_node(const std::shared_ptr<const meta::RegistryView>& view);

  /// Who serves a group that has no replica here; asks group 0 before it says "nobody".
  void find_elsewhere(GroupId group, Callback<void(rest::Error)> done);
  /// Likewise, for a group that exists. Asks its members who leads it.
  void refer(GroupId group, Callback<void(rest::Error)> done);
  rest::Error not_here(const meta::GroupRecord& group, NodeId leader);
  rest::Error to_error(GroupId group, const Status& status) const;
  /// A group that has no replica here: with who leads it, where its members know.
  void describe_elsewhere(GroupId group, Callback<void(rest::Reply<rest::GroupInfo>)> done);
  rest::GroupInfo describe(const meta::RegistryView& view, const meta::GroupRecord& group) const;
  void add_status(const meta::RegistryView& view, const host::ReplicaStatus& status,
                  rest::GroupInfo& info) const;

  const BackendContext& context_;
  env::Executor& executor_;
  std::shared_ptr<rest::MemoryBudget> budget_;
  uint64_t redirects_ = 0;
  /// Of groups_by_node_.
  std::shared_ptr<const meta::RegistryView> indexed_view_ =
      std::make_shared<const meta::RegistryView>();
  GroupsByNode groups_by_node_;
};

}  // namespace multiraft::server
