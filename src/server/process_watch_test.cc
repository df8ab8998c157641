#include "server/process_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multiraft::server {
namespace {

using testing::HasSubstr;

TEST(LeaderGauge, ElectionOfAMoment_IsNoReason) {
  service::LeaderGauge gauge;
  gauge.update(false, {.all = 2, .leaderless = 2});
  EXPECT_TRUE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);
  gauge.update(true, {.all = 2, .leaderless = 0});
  gauge.update(false, {.all = 2, .leaderless = 2});
  EXPECT_TRUE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);
}

TEST(LeaderGauge, RegistryThatStaysWithoutLeader_MakesTheNodeUnready) {
  service::LeaderGauge gauge;
  gauge.update(false, {.all = 0, .leaderless = 0});
  gauge.update(false, {.all = 0, .leaderless = 0});
  EXPECT_FALSE(gauge.registry().ok);
  EXPECT_TRUE(gauge.groups().ok);  // There are none.
  gauge.update(true, {.all = 0, .leaderless = 0});
  EXPECT_TRUE(gauge.registry().ok);
}

TEST(LeaderGauge, AllGroupsWithoutLeader_MakeTheNodeUnready_SomeDoNot) {
  service::LeaderGauge gauge;
  gauge.update(true, {.all = 3, .leaderless = 1});
  gauge.update(true, {.all = 3, .leaderless = 1});
  EXPECT_TRUE(gauge.groups().ok);
  EXPECT_THAT(gauge.groups().detail, HasSubstr("1 of 3"));
  gauge.update(true, {.all = 3, .leaderless = 3});
  gauge.update(true, {.all = 3, .leaderless = 3});
  EXPECT_FALSE(gauge.groups().ok);
  EXPECT_TRUE(gauge.registry().ok);
}

TEST(LeaderGauge, MostGroupsWithoutTheirState_MakeTheNodeUnready_AFewDoNot) {
  service::LeaderGauge gauge;
  gauge.update(true, {.all = 10, .unfilled = 6});
  EXPECT_FALSE(gauge.groups().ok);
  EXPECT_THAT(gauge.groups().detail, HasSubstr("6 of 10"));
  gauge.update(true, {.all = 10, .unfilled = 5});
  EXPECT_TRUE(gauge.groups().ok);
  EXPECT_THAT(gauge.groups().detail, HasSubstr("5 of 10"));
  gauge.update(true, {.all = 10});
  EXPECT_TRUE(gauge.groups().ok);
  EXPECT_EQ(gauge.groups().detail, "");
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
