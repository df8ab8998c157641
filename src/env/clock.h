#pragma once
// Time as the rest of the code sees it.

#include <compare>
#include <cstdint>

namespace multiraft::env {

/// Nanoseconds on a clock that never jumps (CLOCK_MONOTONIC).
struct MonotonicTime {
  int64_t ns = 0;
  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend constexpr int64_t operator-(MonotonicTime a, MonotonicTime b) { return a.ns - b.ns; }
  friend constexpr MonotonicTime operator+(MonotonicTime a, int64_t later_ns) {
    return {a.ns + later_ns};
  }
};
inline constexpr int64_t kMicrosecond = 1'000;
inline constexpr int64_t kMillisecond = 1'000'000;
inline constexpr int64_t kSecond = 1'000'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime now() const = 0;
  /// As now(), but time during which the machine was suspended counts too (CLOCK_BOOTTIME). For
  /// leases: others' clocks went on.
  virtual MonotonicTime now_since_boot() const { return now(); }
  /// Nanoseconds since 1970; for log lines and reports, never for decisions.
  virtual int64_t wall_ns() const = 0;
};

}  // namespace multiraft::env
