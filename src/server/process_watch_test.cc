#include "server/process_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multiraft::server {
namespace {

using testing::HasSubstr;

TEST(LeaderGauge, ElectionOfAMoment_IsNoReason) {
  LeaderGauge gauge;
  gauge.update(false, 2, 2);
  EXPECT_TRUE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);
  gauge.update(true, 2, 0);
  gauge.update(false, 2, 2);
  EXPECT_TRUE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);
}

TEST(LeaderGauge, RegistryThatStaysWithoutLeader_MakesTheNodeUnready) {
  LeaderGauge gauge;
  gauge.update(false, 0, 0);
  gauge.update(false, 0, 0);
  EXPECT_FALSE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);  // There are none.
  gauge.update(true, 0, 0);
  EXPECT_TRUE(gauge.registry().ok);
}

TEST(LeaderGauge, AllGroupsWithoutLeader_MakeTheNodeUnready_SomeDoNot) {
  LeaderGauge gauge;
  gauge.update(true, 3, 1);
  gauge.update(true, 3, 1);
  EXPECT_TRUE(gauge.groups().ok);
  EXPECT_THAT(gauge.groups().detail, HasSubstr("1 of 3"));
  gauge.update(true, 3, 3);
  gauge.update(true, 3, 3);
  EXPECT_FALSE(gauge.groups().ok);
  EXPECT_TRUE(gauge.registry().ok);
}

TEST(DescriptorAlarm, PassingFourFifths_IsReportedOnce) {
  DescriptorAlarm alarm;
  EXPECT_FALSE(alarm.update(799, 1'000));
  EXPECT_TRUE(alarm.update(800, 1'000));
  EXPECT_FALSE(alarm.update(900, 1'000));
  EXPECT_FALSE(alarm.update(750, 1'000));
  EXPECT_FALSE(alarm.update(800, 1'000));
  EXPECT_FALSE(alarm.update(600, 1'000));
  EXPECT_TRUE(alarm.update(950, 1'000));
}

}  // namespace
}  // namespace multiraft::server
