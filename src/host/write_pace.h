#pragma once
// How long the writes that wait in a group will take, by the pace of those before them.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/drain_pace.h"
#include "base/limits.h"
#include "env/clock.h"

namespace multiraft::host {

class WritePace {
 public:
  /// Less than this is not worth refusing anybody: a single slow write of the disk would do it.
  static constexpr size_t kBacklogBytesMin = 1 * limits::kMiB;

  /// From now on something waits, where nothing waited before or nothing could be done.
  void begin(env::MonotonicTime now) { since_ = now; }
  /// Writes of so many bytes were finished.
  void finished(size_t bytes, env::MonotonicTime now) {
    pace_.done(bytes, now - since_);
    since_ = now;
  }
  /// Whether a queue of `bytes` takes longer than `wait_max_ns`.
  bool is_behind(size_t bytes, int64_t wait_max_ns) const {
    return bytes >= kBacklogBytesMin && pace_.time_for_ns(bytes) > wait_max_ns;
  }

 private:
  DrainPace pace_;
  env::MonotonicTime since_;
};

}  // namespace multiraft::host
