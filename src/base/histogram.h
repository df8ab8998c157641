#pragma once
// Counts of values in buckets whose width grows with the value: latencies from nanoseconds to hours
// with the same relative precision, in a few kilobytes.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace multiraft {

/// Values below 2^kPrecisionBits are counted exactly. Above, each power of two is divided into
/// 2^kPrecisionBits equal buckets, so that a reported value is too large by less than 1/128 of it.
/// Memory grows with the logarithm of the largest value. Not thread-safe: one for each thread, and
/// merge() to see them as one.
class Histogram {
 public:
  static constexpr int kPrecisionBits = 7;

  void record(uint64_t value, uint64_t times = 1);
  /// Adds what `other` has counted.
  void merge(const Histogram& other);
  void clear() { *this = Histogram(); }

  uint64_t count() const { return count_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }  ///< Exact; 0 when empty.
  uint64_t max() const { return max_; }                    ///< Exact; 0 when empty.
  double mean() const;                                     ///< Exact up to rounding; 0 when empty.
  /// The smallest value such that at least `percent` of what was recorded is not above it, rounded
  /// up to the end of its bucket but never above max(). 0 < percent <= 100; 0 when empty.
  uint64_t percentile(double percent) const;

 private:
  static size_t bucket_of(uint64_t value);
  static uint64_t last_value_of(size_t bucket);

  std::vector<uint64_t> buckets_;  ///< As many as the largest value needs.
  uint64_t count_ = 0;
  uint64_t min_ = UINT64_MAX;
  uint64_t max_ = 0;
  double sum_ = 0;  ///< As a double it cannot overflow.
};

}  // namespace multiraft
