#pragma once
// One rate for all snapshots that leave a node, so that they never take the disks and the network
// from the log.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "env/clock.h"

namespace multiraft::transport {

/// On the snapshot thread. Whoever has something to send waits until free_at(), sends, and says how
/// much it was; streams that wait for the same moment take turns, because each asks again after its
/// chunk.
class SnapshotThrottle {
 public:
  explicit SnapshotThrottle(uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  env::MonotonicTime free_at() const { return free_at_; }

  void spent(size_t bytes, env::MonotonicTime now) {
    if (rate_ == 0) return;
    const double took_ns = 1e9 * static_cast<double>(bytes) / static_cast<double>(rate_);
    // From the time at which it was due, so that waking up late is made up for, but not from long
    // before: after a pause nothing may burst.
    free_at_ = std::max(free_at_, env::MonotonicTime{now.ns - kBurstNs}) +
               static_cast<int64_t>(std::min(took_ns, static_cast<double>(kChunkNsMax)));
  }

 private:
  static constexpr int64_t kBurstNs = env::kSecond / 10;
  /// However slow the rate, a stream must not look dead.
  static constexpr int64_t kChunkNsMax = 10 * env::kSecond;

  const uint64_t rate_;
  env::MonotonicTime free_at_;
};

}  // namespace multiraft::transport
