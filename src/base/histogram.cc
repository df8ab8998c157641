#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace multiraft {
namespace {

constexpr uint64_t kBucketsPerOctave = uint64_t{1} << Histogram::kPrecisionBits;

}  // namespace

size_t Histogram::bucket_of(uint64_t value) {
  if (value < kBucketsPerOctave) return value;
  // The leading bit names the octave; the kPrecisionBits after it name the bucket.
  const int shift = 63 - std::countl_zero(value) - kPrecisionBits;
  const uint64_t octave = static_cast<uint64_t>(shift) + 1;
  return octave * kBucketsPerOctave + ((value >> shift) - kBucketsPerOctave);
}

uint64_t Histogram::last_value_of(size_t bucket) {
  if (bucket < kBucketsPerOctave) return bucket;
  const uint64_t shift = bucket / kBucketsPerOctave - 1;
  const uint64_t leading = bucket % kBucketsPerOctave + kBucketsPerOctave;
  return (leading << shift) + ((uint64_t{1} << shift) - 1);
}

void Histogram::record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  const size_t bucket = bucket_of(value);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  buckets_[bucket] += times;
  count_ += times;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void Histogram::merge(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

uint64_t Histogram::percentile(double percent) const {
  MR_ASSERT(percent > 0 && percent <= 100);
  if (count_ == 0) return 0;
  const double wanted = std::ceil(static_cast<double>(count_) * percent / 100);
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(last_value_of(i), max_);
  }
  MR_UNREACHABLE("the buckets hold less than was counted");
}

}  // namespace multiraft
