#pragma once
// How fast the receiver of a snapshot takes it. Only the time in which the stream waits for the
// receiver counts, not that in which it waits for its turn under the node's rate.

#include <cstdint>
#include <optional>

#include "base/limits.h"
#include "env/clock.h"

namespace multiraft::transport {

class ReceiverPace {
 public:
  /// So much time spent waiting is judged at once.
  static constexpr int64_t kWindowNs = 30 * env::kSecond;

  /// Whether there is nothing to do but wait for the receiver, from `now` on.
  void waits(bool for_receiver, env::MonotonicTime now) {
    if (since_) waited_ns_ += now - *since_;
    since_.reset();
    if (for_receiver) since_ = now;
  }
  /// It confirmed so many bytes.
  void took(uint64_t bytes) { bytes_ += bytes; }
  /// Once per window: it took less than limits::kSnapshotRateMin over the time that was waited.
  bool too_slow(env::MonotonicTime now) {
    waits(since_.has_value(), now);
    if (waited_ns_ < kWindowNs) return false;
    const double least = static_cast<double>(limits::kSnapshotRateMin) *
                         (static_cast<double>(waited_ns_) / env::kSecond);
    const bool slow = static_cast<double>(bytes_) < least;
    bytes_ = 0;
    waited_ns_ = 0;
    return slow;
  }
  /// Another connection: what the last one did says nothing.
  void reset() { *this = ReceiverPace(); }

 private:
  std::optional<env::MonotonicTime> since_;  ///< Waiting.
  int64_t waited_ns_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace multiraft::transport
