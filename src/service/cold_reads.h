#pragma once
// Reads of values that are not in memory, away from the workers.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/task.h"
#include "env/blocking_pool.h"
#include "env/clock.h"
#include "env/executor.h"
#include "kv/kv_engine.h"

namespace multiraft::service {

/// One for the workers of a node. Thread-safe.
///
/// A worker serves what the engine has in memory. Where the disk is needed it hands over the
/// group's reader, after the read was confirmed and applied, so that what is read later is at least
/// as new.
class ColdReads {
 public:
  using Value = Result<std::optional<kv::KvValue>>;
  using Done = Callback<void(Value)>;

  /// Reads that wait; more are refused.
  static constexpr size_t kWaitingMax = 4'096;
  /// Reads at a time: what replicas need before they can apply does not wait behind them.
  static constexpr size_t kAtOnce = 3;

  /// A read without a value after `timeout_ns` is given up. `timer` keeps the time, and is stopped
  /// before this goes, as the pool is.
  ColdReads(env::BlockingPool& pool, env::Clock& clock, env::Executor& timer, int64_t timeout_ns)
      : pool_(pool), clock_(clock), timer_(timer), timeout_ns_(timeout_ns) {}

  /// `done` comes on a thread of the pool, with kUnavailable on the timer's, or with kOverloaded at
  /// once where too many wait. Not at all once the pool was stopped.
  void get(std::shared_ptr<const kv::KvReader> reader, std::string key, Done done);

  /// Since the start.
  uint64_t count() const;

 private:
  struct Read {
    std::shared_ptr<const kv::KvReader> reader;
    std::string key;
    env::MonotonicTime deadline;
    Done done;  ///< Taken by whoever answers.
  };

  void run();
  void watch();
  void give_up_late();

  env::BlockingPool& pool_;
  env::Clock& clock_;
  env::Executor& timer_;
  const int64_t timeout_ns_;
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<Read>> waiting_ MR_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Read>> running_ MR_GUARDED_BY(mutex_);
  size_t tasks_ MR_GUARDED_BY(mutex_) = 0;  ///< On the pool: each runs one read after another.
  bool watching_ MR_GUARDED_BY(mutex_) = false;
  uint64_t count_ MR_GUARDED_BY(mutex_) = 0;
};

}  // namespace multiraft::service
