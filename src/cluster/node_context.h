#pragma once
// What the parts of a node's controller share. Everything here happens on one executor, that of
// group 0's worker.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/prng.h"
#include "host/node_host.h"
#include "registry/command.h"
#include "registry/machine.h"

namespace multiraft::cluster {

struct Timing {
  int64_t heartbeat_ns = 100 * env::kMillisecond;
  int64_t election_ns = 1'000 * env::kMillisecond;
};

using LogSink = std::function<void(raft::LogLevel, std::string_view)>;

class NodeContext {
 public:
  NodeContext(host::NodeHost& node_host, env::Environment& environment,
              const registry::RegistryEngine& engine, NodeId node, StateDirId node_uuid,
              Timing times, LogSink sink)
      : host(node_host),
        executor(node_host.executor(node_host.worker_of(registry::kRegistryGroup))),
        env(environment),
        self(node),
        uuid(node_uuid),
        timing(times),
        random(environment.random_u64()),
        registry_(engine),
        log_(std::move(sink)) {}

  host::NodeHost& host;
  env::Executor& executor;
  env::Environment& env;
  const NodeId self;
  const StateDirId uuid;
  const Timing timing;
  Prng random;

  /// This node's replica of group 0, once it has one.
  ReplicaId registry_replica;
  /// Group 0 as this node sees it.
  raft::SoftState registry_state;

  std::shared_ptr<const registry::RegistryView> view() const { return registry_.view(); }
  bool leads_registry() const { return registry_state.role == raft::Role::kLeader; }
  env::MonotonicTime now() { return env.clock().now(); }
  void log(raft::LogLevel level, std::string_view text) const {
    if (log_) log_(level, text);
  }

  /// Nothing guarded runs any more.
  void stop() { *alive_ = false; }
  bool stopped() const { return !*alive_; }

  /// For callbacks that may come after stop().
  template <class F>
  auto guard(F work) const {
    return [alive = alive_, work = std::move(work)](auto&&... args) mutable {
      if (*alive) work(std::forward<decltype(args)>(args)...);
    };
  }
  /// For callbacks that arrive on another thread, or within the call that they belong to.
  template <class F>
  auto guard_posted(F work) const {
    return [&to = executor, alive = alive_, work = std::move(work)](auto... args) mutable {
      to.post([alive, work = std::move(work), ... args = std::move(args)]() mutable {
        if (*alive) work(std::move(args)...);
      });
    };
  }
  template <class F>
  void after(int64_t delay_ns, F work) {
    executor.run_at(now() + delay_ns, guard(std::move(work)));
  }

  /// Puts a command through group 0, from any of its members. The status of a result is that of the
  /// write, never that of the outcome.
  void propose(const registry::RegistryCommand& command,
               Callback<void(Result<registry::RegistryOutcome>)> done);
  /// `done` runs once the view is as new as any acknowledged command.
  void read_barrier(Callback<void(Status)> done);
  /// Hands an answer to another executor.
  static void reply(env::Executor& reply_on, Callback<void(Status)> done, Status status);

 private:
  const registry::RegistryEngine& registry_;
  const LogSink log_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// Doubling pauses with a random part, so that nodes do not fall into step.
class Backoff {
 public:
  Backoff(int64_t first_ns, int64_t most_ns) : first_ns_(first_ns), most_ns_(most_ns) {}
  void reset() { failures_ = 0; }
  int64_t next(Prng& random) {
    int64_t pause = first_ns_;
    for (int i = 0; i < failures_ && pause < most_ns_; ++i) pause *= 2;
    if (pause > most_ns_) pause = most_ns_;
    ++failures_;
    return pause / 2 + static_cast<int64_t>(random.below(static_cast<uint64_t>(pause / 2 + 1)));
  }

 private:
  int64_t first_ns_;
  int64_t most_ns_;
  int failures_ = 0;
};

}  // namespace multiraft::cluster
