#pragma once
// The core's log lines of all replicas of a worker: limited in number, since ten thousand groups
// may have something to say at once.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "env/clock.h"
#include "multiraft/types.h"
#include "raft/raft.h"

namespace multiraft::host {

/// A bucket of lines that fills with time.
class LineLimiter {
 public:
  static constexpr int64_t kBurst = 20;
  static constexpr int64_t kLineNs = 200 * env::kMillisecond;

  /// Whether a line may be written now. If not, it is counted as suppressed.
  bool take(env::MonotonicTime now) {
    const int64_t earned = (now - since_) / kLineNs;
    if (earned > 0) {
      lines_ = std::min(kBurst, lines_ + earned);
      since_ = lines_ == kBurst ? now : since_ + earned * kLineNs;
    }
    if (lines_ == 0) {
      ++suppressed_;
      return false;
    }
    --lines_;
    return true;
  }
  /// How many were suppressed since the last call.
  uint64_t take_suppressed() { return std::exchange(suppressed_, 0); }

 private:
  int64_t lines_ = kBurst;
  env::MonotonicTime since_;
  uint64_t suppressed_ = 0;
};

/// What a replica's core logs to.
template <class Services>
class CoreLogger final : public raft::Logger {
 public:
  CoreLogger(Services& services, GroupId group) : services_(services), group_(group) {}
  bool enabled(raft::LogLevel level) const override {
    return level >= raft::LogLevel::kInfo && services_.takes_line(level);
  }
  void log(raft::LogLevel level, std::string_view line) override {
    services_.log_line(level, "group " + to_string(group_) + ": " + std::string(line));
  }

 private:
  Services& services_;
  const GroupId group_;
};

}  // namespace multiraft::host
