#pragma once
// CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_REALTIME.

#include <time.h>

#include "env/clock.h"

namespace multiraft::env {

inline int64_t read_clock_ns(clockid_t clock) {
  timespec t;
  ::clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * kSecond + t.tv_nsec;
}

inline MonotonicTime monotonic_now() { return {read_clock_ns(CLOCK_MONOTONIC)}; }

/// Stateless; thread-safe.
class PosixClock final : public Clock {
 public:
  MonotonicTime now() const override { return monotonic_now(); }
  MonotonicTime now_since_boot() const override { return {read_clock_ns(CLOCK_BOOTTIME)}; }
  int64_t wall_ns() const override { return read_clock_ns(CLOCK_REALTIME); }
};

}  // namespace multiraft::env
