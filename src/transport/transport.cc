#include "transport/transport.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <utility>

#include "base/assert.h"
#include "base/mutex.h"
#include "transport/connection/acceptor.h"
#include "transport/context.h"
#include "transport/messages/worker_transport.h"
#include "transport/rpc/rpc_client.h"
#include "transport/rpc/rpc_server.h"
#include "transport/snapshot/snapshot_streams.h"

namespace multiraft::transport {
namespace {

class TransportImpl final : public Transport {
 public:
  TransportImpl(TransportOptions options, env::Environment& env)
      : context_(std::make_shared<Context>(std::move(options), env)) {}
  ~TransportImpl() override { stop(); }

  Status open();

  WorkerTransport& worker(uint32_t index) override { return *workers_[index]; }
  uint16_t port() const override { return port_; }
  void set_node(NodeId node, const NodeLocation& location) override;
  void forget(NodeId node) override;
  void set_cluster(ClusterId cluster) override { context_->set_cluster(cluster); }
  void send_snapshot(NodeId to, const wire::SnapshotHeader& header,
                     std::unique_ptr<ChunkSource> source, env::Executor& executor,
                     Callback<void(Status)> done) override;
  void call(const Callee& callee, wire::Request request, int64_t timeout_ns,
            env::Executor& executor, Callback<void(Result<wire::Response>)> done) override;
  std::vector<wire::BootRecord> boots() const override { return context_->boots.all(); }
  nodes::Contact contact(NodeId node) const override { return context_->contacts.contact(node); }
  TransportStats stats() const override;
  void stop() override;

 private:
  env::Executor& executor(uint32_t index) { return *context_->options.workers[index]; }
  void admit(const wire::Hello& hello, std::unique_ptr<env::Stream> stream);
  bool answer_call(uint32_t worker, NodeId to, wire::Response response);

  const std::shared_ptr<Context> context_;
  std::vector<std::shared_ptr<WorkerTransportImpl>> workers_;
  std::shared_ptr<Acceptor> acceptor_;
  std::shared_ptr<RpcServer> rpc_server_;
  std::shared_ptr<SnapshotStreams> snapshots_;
  uint16_t port_ = 0;

  Mutex mutex_;
  absl::flat_hash_map<uint64_t, env::Address> addresses_ MR_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<RpcClient>> calls_ MR_GUARDED_BY(mutex_);
  bool stopped_ MR_GUARDED_BY(mutex_) = false;
};

Status TransportImpl::open() {
  const TransportOptions& options = context_->options;
  MR_ASSERT(!options.workers.empty() && options.workers.size() <= UINT16_MAX);
  MR_ASSERT(options.workers.size() == options.receivers.size());
  MR_ASSERT(options.recovered.size() <= wire::kWorkersMax);
  MR_ASSERT(options.identity.node && options.identity.node.value <= limits::kNodeIdMax);
  MR_ASSERT(!options.snapshot_receiver || options.snapshot_executor);
  rpc_server_ = std::make_shared<RpcServer>(context_);
  snapshots_ = std::make_shared<SnapshotStreams>(context_);
  for (uint32_t i = 0; i < context_->workers(); ++i) {
    workers_.push_back(std::make_shared<WorkerTransportImpl>(
        context_, i, [this, i](NodeId to, wire::Response response) {
          return answer_call(i, to, std::move(response));
        }));
  }
  acceptor_ = std::make_shared<Acceptor>(
      context_, [this](const wire::Hello& hello, std::unique_ptr<env::Stream> stream) {
        admit(hello, std::move(stream));
      });
  MR_RETURN_IF_ERROR(acceptor_->listen());
  port_ = acceptor_->port();
  return Status::ok();
}

/// On worker 0.
void TransportImpl::admit(const wire::Hello& hello, std::unique_ptr<env::Stream> stream) {
  switch (hello.kind) {
    case wire::ConnectionKind::kCall:
      rpc_server_->adopt(hello, std::move(stream), acceptor_->book().knows(hello));
      return;
    case wire::ConnectionKind::kSnapshot:
      stream->move_to(*context_->options.snapshot_executor,
                      [desk = snapshots_, hello](std::unique_ptr<env::Stream> moved) {
                        desk->adopt(hello, std::move(moved));
                      });
      return;
    case wire::ConnectionKind::kMessages:
      break;
  }
  // The same group lives on the same worker everywhere if all have the same number of them.
  const uint32_t index = hello.worker % context_->workers();
  if (index == 0) {
    workers_[0]->adopt(hello, std::move(stream));
  } else {
    stream->move_to(executor(index),
                    [worker = workers_[index], hello](std::unique_ptr<env::Stream> moved) {
                      worker->adopt(hello, std::move(moved));
                    });
  }
  for (uint32_t i = 0; i < context_->workers(); ++i) {
    executor(i).post([worker = workers_[i], node = hello.node, incarnation = hello.incarnation] {
      worker->node_is_alive(node, incarnation);
    });
  }
}

bool TransportImpl::answer_call(uint32_t worker, NodeId to, wire::Response response) {
  if (worker == 0) return rpc_server_->answer(to, std::move(response));
  executor(0).post([desk = rpc_server_, to, response = std::move(response)]() mutable {
    desk->answer(to, std::move(response));
  });
  return true;
}

void TransportImpl::set_node(NodeId node, const NodeLocation& location) {
  MR_ASSERT(!location.addresses.empty());
  if (node == context_->self()) return;
  MutexLock lock(mutex_);  // So that all threads see changes in the same order.
  if (stopped_) return;
  addresses_[node.value] = location.addresses.front();
  executor(0).post([acceptor = acceptor_, node, state = location.state] {
    acceptor->book().remember(node, state);
  });
  for (uint32_t i = 0; i < context_->workers(); ++i) {
    // Who sends next on this very thread finds the node; a change of an address ends connections,
    // of which the receiver must not be notified from within its own call.
    if (executor(i).in_executor() && !workers_[i]->knows(node)) {
      workers_[i]->set_addresses(node, location.addresses);
    }
    executor(i).post([worker = workers_[i], node, addresses = location.addresses] {
      worker->set_addresses(node, addresses);
    });
  }
}

void TransportImpl::forget(NodeId node) {
  MutexLock lock(mutex_);
  if (stopped_) return;
  addresses_.erase(node.value);
  context_->boots.forget(node);
  context_->contacts.forget(node);
  executor(0).post([acceptor = acceptor_, node] { acceptor->book().forget(node); });
  for (uint32_t i = 0; i < context_->workers(); ++i) {
    executor(i).post([worker = workers_[i], node] { worker->forget(node); });
  }
}

void TransportImpl::send_snapshot(NodeId to, const wire::SnapshotHeader& header,
                                  std::unique_ptr<ChunkSource> source, env::Executor& executor,
                                  Callback<void(Status)> done) {
  MR_ASSERT(context_->options.snapshot_executor);
  Callback<void(Status)> report = [&executor, done = std::move(done)](Status status) mutable {
    executor.post([done = std::move(done), status = std::move(status)]() mutable {
      done(std::move(status));
    });
  };
  MutexLock lock(mutex_);
  const auto found = addresses_.find(to.value);
  if (stopped_) return report(Status(StatusCode::kCancelled, "this node stops"));
  if (found == addresses_.end()) {
    return report(
        Status(StatusCode::kUnavailable, "the address of node " + to_string(to) + " is not known"));
  }
  context_->options.snapshot_executor->post([desk = snapshots_, to, address = found->second, header,
                                             source = std::move(source),
                                             report = std::move(report)]() mutable {
    desk->send(to, address, header, std::move(source), std::move(report));
  });
}

void TransportImpl::call(const Callee& callee, wire::Request request, int64_t timeout_ns,
                         env::Executor& executor, Callback<void(Result<wire::Response>)> done) {
  auto client =
      std::make_shared<RpcClient>(context_, executor, std::move(request), std::move(done));
  executor.post([client, callee, timeout_ns] { client->start(callee, timeout_ns); });
  MutexLock lock(mutex_);
  std::erase_if(calls_, [](const auto& call) { return call.expired(); });
  calls_.push_back(client);
  if (stopped_) client->cancel();
}

TransportStats TransportImpl::stats() const {
  TransportStats stats;
  for (const Counters& counters : context_->worker_counters) counters.add_to(stats);
  context_->snapshot_counters.add_to(stats);
  return stats;
}

void TransportImpl::stop() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    for (const auto& call : calls_) {
      if (const auto client = call.lock()) client->cancel();
    }
  }
  executor(0).run_and_wait([this] {
    acceptor_->close();
    rpc_server_->close();
  });
  for (uint32_t i = 0; i < context_->workers(); ++i) {
    executor(i).run_and_wait([this, i] { workers_[i]->close(); });
  }
  if (context_->options.snapshot_executor) {
    context_->options.snapshot_executor->run_and_wait([this] { snapshots_->close(); });
  }
}

}  // namespace

bool leads_back(const Status& status) {
  return status.code() == StatusCode::kConflict &&
         status.message().find(kLeadsBack) != std::string::npos;
}

bool is_other_cluster(const Status& status) {
  return status.code() == StatusCode::kConflict &&
         status.message().find(kOtherCluster) != std::string::npos;
}

Result<std::unique_ptr<Transport>> Transport::start(TransportOptions options,
                                                    env::Environment& env) {
  auto transport = std::make_unique<TransportImpl>(std::move(options), env);
  MR_RETURN_IF_ERROR(transport->open());
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace multiraft::transport
