#include "http/server.h"

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::http {

Server::Server(env::Environment& env, std::vector<WorkerParts> parts) {
  for (WorkerParts& part : parts) {
    executors_.push_back(part.executor);
    workers_.push_back(std::make_unique<Worker>(std::move(part.config), *part.executor, env.clock(),
                                                *part.handler, *part.stats));
  }
  workers_running_ = workers_.size();
}

Result<std::unique_ptr<Server>> Server::start(const env::Address& listen, env::Environment& env,
                                              std::vector<WorkerParts> parts) {
  MR_ASSERT(!parts.empty());
  std::unique_ptr<Server> server(new Server(env, std::move(parts)));
  auto listener = env.network().listen(
      *server->executors_.front(), listen,
      [s = server.get()](std::unique_ptr<env::Stream> stream) { s->on_accept(std::move(stream)); });
  if (!listener) {
    server->stopped_ = true;
    return listener.status();
  }
  server->listener_ = std::move(*listener);
  return server;
}

Server::~Server() { stop(0); }

void Server::on_accept(std::unique_ptr<env::Stream> stream) {
  Worker& first = *workers_.front();
  const size_t open = open_.load(std::memory_order_relaxed);
  const size_t open_max = first.limits().connections_max;
  if (open >= open_max + first.limits().probe_connections_max) {
    MR_COVERAGE("connection dropped unanswered");
    first.stats().connections_refused.add();
    return;
  }
  const bool probes_only = open >= open_max;
  ConnectionSlot slot(open_);
  const size_t target = next_worker_++ % workers_.size();
  if (target == 0) return first.adopt(std::move(stream), std::move(slot), probes_only);
  stream->move_to(*executors_[target], [worker = workers_[target].get(), slot = std::move(slot),
                                        probes_only](std::unique_ptr<env::Stream> moved) mutable {
    worker->adopt(std::move(moved), std::move(slot), probes_only);
  });
}

void Server::begin_drain() {
  for (size_t i = 0; i < workers_.size(); ++i) {
    executors_[i]->post([worker = workers_[i].get()] { worker->begin_drain(); });
  }
}

void Server::stop(int64_t grace_ns) {
  if (std::exchange(stopped_, true)) return;
  executors_.front()->post([this, grace_ns] {
    listener_->close();
    // Posted from here, so that connections that were moved before have arrived.
    for (size_t i = 0; i < workers_.size(); ++i) {
      executors_[i]->post([this, grace_ns, worker = workers_[i].get()] {
        worker->stop(grace_ns, [this] { worker_stopped(); });
      });
    }
  });
  MutexLock lock(mutex_);
  while (workers_running_ > 0) changed_.wait(mutex_);
}

void Server::worker_stopped() {
  MutexLock lock(mutex_);
  --workers_running_;
  changed_.notify_one();
}

}  // namespace multiraft::http
