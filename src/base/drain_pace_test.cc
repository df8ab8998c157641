#include "base/drain_pace.h"

#include <gtest/gtest.h>

namespace multiraft {
namespace {

TEST(DrainPace, NothingDone_ExpectsNothing) { EXPECT_EQ(DrainPace().time_for_ns(1 << 20), 0); }

TEST(DrainPace, SteadyPace_IsFound) {
  DrainPace pace;
  for (int i = 0; i < 5; ++i) pace.done(1'000, 4'000);
  EXPECT_NEAR(static_cast<double>(pace.time_for_ns(500)), 2'000, 1);
}

TEST(DrainPace, ChangeOfPace_IsFollowedWithinAFewPieces) {
  DrainPace pace;
  for (int i = 0; i < 100; ++i) pace.done(1'000, 1'000);
  for (int i = 0; i < 20; ++i) pace.done(1'000, 100'000);
  EXPECT_GT(pace.time_for_ns(1'000), 90'000);
}

}  // namespace
}  // namespace multiraft
