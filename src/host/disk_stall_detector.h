#pragma once
// Whether the disk under a worker's log hangs (trap 37): a write or a read has been under way for
// an election timeout. Begin and end are told once each. A log that waits for no disk cannot tell,
// and need not: nothing waits for it, and what it has is served from memory.
//
// Lives on the worker's thread; since() may be asked from any.

#include <atomic>
#include <cstdint>
#include <optional>

#include "env/clock.h"

namespace multiraft::host {

class DiskStallDetector {
 public:
  enum class Change : uint8_t { kNone, kBegan, kEnded };

  explicit DiskStallDetector(int64_t limit_ns) : limit_ns_(limit_ns) {}

  /// `oldest`: when the oldest write or read that has not completed was submitted. One that
  /// completes ends the stall, even if the next one hangs again.
  Change update(std::optional<env::MonotonicTime> oldest, env::MonotonicTime now);
  bool stalled() const { return stalled_; }
  uint64_t count() const { return count_; }
  /// How long the present stall, or the last one, lasted up to now, or to its end.
  int64_t lasted_ns() const { return lasted_ns_; }

  /// When the write or read that hangs was submitted. Any thread.
  std::optional<env::MonotonicTime> since() const;

 private:
  const int64_t limit_ns_;
  bool stalled_ = false;
  uint64_t count_ = 0;
  int64_t lasted_ns_ = 0;
  std::atomic<int64_t> since_ns_{0};  ///< 0: no stall.
};

}  // namespace multiraft::host
