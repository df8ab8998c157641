#pragma once
// How often the engines of a node are asked to flush so that logs can be cut. A flush makes the
// state of all groups durable: however many groups ask, one serves them all, and one per group
// would fill the engine with tiny tables.

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "multiraft/state_machine.h"

namespace multiraft::host {

/// Thread-safe.
class FlushPacer {
 public:
  static constexpr int64_t kIntervalNs = 10 * env::kSecond;
  /// While the disk is low: what is flushed lets the logs go.
  static constexpr int64_t kIntervalLowNs = 2 * env::kSecond;

  /// Whether this request is passed on to the engine.
  bool take(const StateMachineEngine& engine, env::MonotonicTime now, bool disk_low) {
    const std::lock_guard lock(mutex_);
    for (auto& [known, asked] : asked_) {
      if (known != &engine) continue;
      if (now - asked < (disk_low ? kIntervalLowNs : kIntervalNs)) return false;
      asked = now;
      return true;
    }
    asked_.emplace_back(&engine, now);
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<const StateMachineEngine*, env::MonotonicTime>> asked_;
};

}  // namespace multiraft::host
