#pragma once
// A NodeHost whose groups are those of a FakeCluster.

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "cluster/testing/fake_cluster.h"
#include "host/node_host.h"

namespace multiraft::cluster::testing {

class FakeTransport final : public transport::Transport {
 public:
  FakeTransport(FakeCluster& cluster, FakeNode& node, ClusterId id)
      : cluster_(cluster), node_(node), cluster_id_(id) {}

  transport::WorkerTransport& worker(uint32_t) override { MR_UNREACHABLE("not used by meta"); }
  uint16_t port() const override { return 0; }
  void set_node(NodeId node, const transport::NodeLocation& location) override {
    addresses_[node] = location.addresses.front().to_string();
  }
  void forget(NodeId node) override { addresses_.erase(node); }
  void set_cluster(ClusterId cluster) override { cluster_id_ = cluster; }
  void send_snapshot(NodeId, const wire::SnapshotHeader&, std::unique_ptr<transport::ChunkSource>,
                     env::Executor&, Callback<void(Status)>) override {
    MR_UNREACHABLE("not used by meta");
  }
  void call(const transport::Callee& callee, wire::Request request, int64_t timeout_ns,
            env::Executor& executor, Callback<void(Result<wire::Response>)> done) override;
  transport::TransportStats stats() const override { return {}; }
  void stop() override {}

  bool knows(NodeId node) const { return addresses_.contains(node); }
  ClusterId cluster() const { return cluster_id_; }
  /// Carries a request to a node and the answer back.
  void carry(FakeNode* to, wire::Request request, int64_t timeout_ns, env::Executor& executor,
             Callback<void(Result<wire::Response>)> done);
  const std::map<NodeId, std::string>& addresses() const { return addresses_; }

 private:
  FakeCluster& cluster_;
  FakeNode& node_;
  ClusterId cluster_id_;
  std::map<NodeId, std::string> addresses_;
};

class FakeHost final : public host::NodeHost {
 public:
  FakeHost(FakeCluster& cluster, FakeNode& node);

  uint32_t workers() const override { return 1; }
  uint32_t worker_of(GroupId) const override { return 0; }
  env::Executor& executor(uint32_t) override { return *worker_; }
  FakeTransport& transport() override { return transport_; }
  env::BlockingPool& pool() override { MR_UNREACHABLE("not used by meta"); }
  std::vector<std::pair<GroupId, ReplicaId>> recovered() const override { return recovered_; }

  void create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                      env::Executor& reply_on, Callback<void(Status)> done) override;
  void destroy_replica(GroupId group, ReplicaId replica, env::Executor& reply_on,
                       Callback<void(Status)> done) override;
  void write(GroupId group, SharedBytes command, env::Executor& reply_on,
             Callback<void(host::WriteResult)> done) override;
  void read(GroupId group, host::ReadMode mode, Callback<void(host::ReadPermit)> done) override;
  void change_membership(GroupId group, Term term, raft::ConfChange change, env::Executor& reply_on,
                         Callback<void(Status)> done) override;
  void barrier(GroupId group, env::Executor& reply_on, Callback<void(Status)> done) override;
  void transfer_leadership(GroupId group, ReplicaId to) override;
  void status(GroupId group, env::Executor& reply_on,
              Callback<void(Result<host::ReplicaStatus>)> done) override;
  void unapplied_entries(GroupId, env::Executor& reply_on,
                         Callback<void(Result<std::vector<raft::Entry>>)> done) override {
    reply_on.post([done = std::move(done)]() mutable { done(std::vector<raft::Entry>()); });
  }
  void list(env::Executor& reply_on,
            Callback<void(std::vector<host::ReplicaStatus>)> done) override;
  void stats(env::Executor&, Callback<void(host::HostStats)>) override {}
  /// Never started: there is always room.
  const host::DiskGuard& disk() const override { return disk_; }
  std::optional<int64_t> disk_stalled_ns() const override { return std::nullopt; }
  std::optional<int64_t> engine_stalled_ns() const override { return std::nullopt; }
  uint64_t replicas_to_upgrade() const override { return 0; }
  void ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
           env::Executor& reply_on, Callback<void(Result<SharedBytes>)> done) override;
  void drain(int64_t, env::Executor&, Callback<void()>) override {}
  void stop() override {}

  /// Applies to the registry, if it is group 0. On the worker.
  void apply(GroupId group, LogIndex index, const SharedBytes& command);
  void replay(StoredReplica& stored);
  StateMachine* machine() { return machine_.get(); }
  const ApplyResult& last_result() const { return last_result_; }

 private:
  using Retry = Callback<bool()>;  ///< True: done.
  void until(int64_t deadline_ns, std::shared_ptr<Retry> attempt, Task give_up);
  host::ReplicaStatus status_of(GroupId group, const StoredReplica& stored);

  FakeCluster& cluster_;
  FakeNode& node_;
  std::unique_ptr<env::Executor> worker_;
  FakeTransport transport_;
  std::unique_ptr<StateMachine> machine_;
  ApplyResult last_result_;
  std::vector<std::pair<GroupId, ReplicaId>> recovered_;
  host::DiskGuard disk_;
};

}  // namespace multiraft::cluster::testing
