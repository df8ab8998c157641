#include "host/log_retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multiraft::host {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr LogRetentionLimits kLimits{.entries = 800, .bytes = 80'000};

LogTail tail(uint64_t group, uint64_t entries, uint64_t bytes) {
  return {GroupId(group), entries, bytes};
}

TEST(LogRetention, WithinTheLimits_NobodyIsCut) {
  EXPECT_THAT(groups_to_cut(kLimits, {}), IsEmpty());
  EXPECT_THAT(groups_to_cut(kLimits, {tail(1, 400, 40'000), tail(2, 400, 40'000)}), IsEmpty());
}

TEST(LogRetention, TooManyEntries_CutsThoseWithMost_ToBelowTheLimit) {
  // 810 entries; at most 700 are to be left.
  EXPECT_THAT(
      groups_to_cut(kLimits, {tail(1, 50, 0), tail(2, 300, 0), tail(3, 60, 0), tail(4, 400, 0)}),
      ElementsAre(GroupId(4)));
  EXPECT_THAT(groups_to_cut(kLimits, {tail(1, 500, 0), tail(2, 500, 0), tail(3, 500, 0)}),
              ElementsAre(GroupId(1), GroupId(2)));
}

TEST(LogRetention, TooManyBytes_CountTheSameWay) {
  EXPECT_THAT(groups_to_cut(kLimits, {tail(1, 300, 10'000), tail(2, 5, 75'000)}),
              ElementsAre(GroupId(2)));
}

TEST(LogRetention, ManyIdleGroupsWithLittle_AreCutToo) {
  std::vector<LogTail> tails;
  for (uint64_t g = 1; g <= 1000; ++g) tails.push_back(tail(g, 1, 100));
  EXPECT_EQ(groups_to_cut(kLimits, tails).size(), 300u);
}

}  // namespace
}  // namespace multiraft::host
