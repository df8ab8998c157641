#include "host/core_log.h"

#include <gtest/gtest.h>

namespace multiraft::host {
namespace {

TEST(LineLimiter, Burst_IsCutAndCounted_AndTimeAllowsMore) {
  LineLimiter limiter;
  env::MonotonicTime now;
  now = now + env::kSecond;
  int64_t taken = 0;
  for (int i = 0; i < 100; ++i) taken += limiter.take(now) ? 1 : 0;
  EXPECT_EQ(taken, LineLimiter::kBurst);
  EXPECT_EQ(limiter.take_suppressed(), 100u - LineLimiter::kBurst);
  EXPECT_EQ(limiter.take_suppressed(), 0u);
  EXPECT_FALSE(limiter.take(now + (LineLimiter::kLineNs - 1)));
  now = now + 2 * LineLimiter::kLineNs;
  EXPECT_TRUE(limiter.take(now));
  EXPECT_TRUE(limiter.take(now));
  EXPECT_FALSE(limiter.take(now));
  now = now + 3600 * env::kSecond;
  taken = 0;
  for (int i = 0; i < 100; ++i) taken += limiter.take(now) ? 1 : 0;
  EXPECT_EQ(taken, LineLimiter::kBurst) << "not what an hour has earned";
}

}  // namespace
}  // namespace multiraft::host
