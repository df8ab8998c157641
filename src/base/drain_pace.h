#pragma once
// How fast work is done, learnt from the last pieces of it.

#include <algorithm>
#include <cstdint>

namespace multiraft {

/// Told of each piece how large it was and how long it took; the last ones count most.
class DrainPace {
 public:
  void done(size_t bytes, int64_t elapsed_ns) {
    bytes_ = bytes_ * kKept + static_cast<double>(bytes);
    elapsed_ns_ = elapsed_ns_ * kKept + static_cast<double>(std::max<int64_t>(elapsed_ns, 1));
  }
  /// How long it will take so many bytes; 0 while nothing was done.
  int64_t time_for_ns(size_t bytes) const {
    if (bytes_ == 0) return 0;
    const double expected_ns = static_cast<double>(bytes) * (elapsed_ns_ / bytes_);
    return static_cast<int64_t>(std::min(expected_ns, 1e18));
  }
  void reset() { *this = {}; }

 private:
  static constexpr double kKept = 0.875;

  double bytes_ = 0;
  double elapsed_ns_ = 0;
};

}  // namespace multiraft
