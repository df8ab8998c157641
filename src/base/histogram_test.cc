#include "base/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

namespace multiraft {
namespace {

TEST(Histogram, Empty_IsAllZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0);
  EXPECT_EQ(histogram.percentile(50), 0u);
}

TEST(Histogram, SmallValues_AreExact) {
  Histogram histogram;
  for (uint64_t v = 1; v <= 100; ++v) histogram.record(v);
  for (int p = 1; p <= 100; ++p) EXPECT_EQ(histogram.percentile(p), static_cast<uint64_t>(p));
  EXPECT_EQ(histogram.percentile(0.001), 1u);
  EXPECT_EQ(histogram.mean(), 50.5);
}

TEST(Histogram, TheWholeRange_IsCounted) {
  Histogram histogram;
  histogram.record(0);
  histogram.record(UINT64_MAX, 2);
  histogram.record(5, 0);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), UINT64_MAX);
  EXPECT_EQ(histogram.percentile(33), 0u);
  EXPECT_EQ(histogram.percentile(34), UINT64_MAX);
}

TEST(Histogram, OneValue_IsReportedExactlyAtEveryPercentile) {
  Histogram histogram;
  histogram.record(1'234'567);
  for (const double p : {0.1, 50.0, 99.99, 100.0}) EXPECT_EQ(histogram.percentile(p), 1'234'567u);
}

rc::Gen<std::vector<uint64_t>> values() {
  // Of all magnitudes, not mostly huge ones.
  return rc::gen::nonEmpty(rc::gen::container<std::vector<uint64_t>>(
      rc::gen::map(rc::gen::pair(rc::gen::arbitrary<uint64_t>(), rc::gen::inRange(0, 64)),
                   [](const std::pair<uint64_t, int>& p) { return p.first >> p.second; })));
}

RC_GTEST_PROP(Histogram, Percentile_IsNeverBelowTheTruth_AndAboveByLessThanItsPrecision, ()) {
  std::vector<uint64_t> sorted = *values();
  Histogram histogram;
  for (const uint64_t v : sorted) histogram.record(v);
  std::sort(sorted.begin(), sorted.end());
  const double percent = *rc::gen::inRange(1, 101);
  const auto rank =
      static_cast<size_t>(std::ceil(static_cast<double>(sorted.size()) * percent / 100));
  const uint64_t truth = sorted[rank - 1];
  const uint64_t reported = histogram.percentile(percent);
  RC_ASSERT(reported >= truth);
  RC_ASSERT(reported - truth <= truth >> Histogram::kPrecisionBits);
  RC_ASSERT(histogram.min() == sorted.front());
  RC_ASSERT(histogram.max() == sorted.back());
}

RC_GTEST_PROP(Histogram, Merge_IsAsIfAllWereRecordedInOne, ()) {
  const std::vector<uint64_t> a = *values();
  const std::vector<uint64_t> b = *values();
  Histogram left;
  Histogram right;
  Histogram both;
  for (const uint64_t v : a) left.record(v);
  for (const uint64_t v : b) right.record(v);
  for (const uint64_t v : a) both.record(v);
  for (const uint64_t v : b) both.record(v);
  left.merge(right);
  left.merge(Histogram());
  RC_ASSERT(left.count() == both.count());
  RC_ASSERT(left.min() == both.min());
  RC_ASSERT(left.max() == both.max());
  for (const double p : {1.0, 50.0, 90.0, 99.0, 100.0}) {
    RC_ASSERT(left.percentile(p) == both.percentile(p));
  }
  left.clear();
  RC_ASSERT(left.count() == 0u);
}

}  // namespace
}  // namespace multiraft
