#include "host/disk_stall_detector.h"

#include "base/coverage.h"

namespace multiraft::host {

DiskStallDetector::Change DiskStallDetector::update(std::optional<env::MonotonicTime> oldest,
                                                    env::MonotonicTime now) {
  if (stalled_) {
    const env::MonotonicTime since{since_ns_.load(std::memory_order_relaxed)};
    lasted_ns_ = now - since;
    if (oldest && *oldest == since) return Change::kNone;
    stalled_ = false;
    since_ns_.store(0, std::memory_order_relaxed);
    return Change::kEnded;
  }
  if (!oldest || now - *oldest <= limit_ns_) return Change::kNone;
  MR_COVERAGE("host: the disk stalled");
  stalled_ = true;
  ++count_;
  lasted_ns_ = now - *oldest;
  since_ns_.store(oldest->ns, std::memory_order_relaxed);
  return Change::kBegan;
}

std::optional<env::MonotonicTime> DiskStallDetector::since() const {
  const int64_t ns = since_ns_.load(std::memory_order_relaxed);
  if (ns == 0) return std::nullopt;
  return env::MonotonicTime{ns};
}

}  // namespace multiraft::host
