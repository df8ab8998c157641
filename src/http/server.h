#pragma once
// HTTP/1.1 on the executors of the workers: one listening socket, connections in turns.

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "env/env.h"
#include "http/worker.h"
#include "multiraft/status.h"

namespace multiraft::http {

class Server {
 public:
  /// One per worker. Handler and stats outlive the server.
  struct WorkerParts {
    env::Executor* executor = nullptr;
    Handler* handler = nullptr;
    AccessStats* stats = nullptr;
    Worker::Config config;
  };

  /// Binds `listen` before it returns; accepts on the first worker's thread.
  static Result<std::unique_ptr<Server>> start(const env::Address& listen, env::Environment& env,
                                               std::vector<WorkerParts> parts);
  /// Stops, if stop() has not.
  ~Server();

  uint16_t port() const { return listener_->port(); }
  /// Every answer closes its connection from now on. From any thread.
  void begin_drain();
  /// Stops accepting, finishes what is in flight, closes. Waits for it, `grace_ns` at most for
  /// requests under way. Not from a worker's thread; while the executors run. Idempotent.
  void stop(int64_t grace_ns);

 private:
  Server(env::Environment& env, std::vector<WorkerParts> parts);
  void on_accept(std::unique_ptr<env::Stream> stream);
  void worker_stopped();

  std::vector<env::Executor*> executors_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<env::Listener> listener_;  ///< The first worker's.
  std::atomic<size_t> open_{0};
  size_t next_worker_ = 0;
  bool stopped_ = false;

  Mutex mutex_;
  Condition changed_;
  size_t workers_running_ MR_GUARDED_BY(mutex_) = 0;
};

}  // namespace multiraft::http
