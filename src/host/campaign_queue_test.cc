#include "host/campaign_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "host/succession.h"

namespace multiraft::host {
namespace {

CampaignQueue::Entry entry(uint64_t group) {
  return {GroupId(group), ReplicaId::make(NodeId(1), 1)};
}

// trap 48
TEST(CampaignQueue, ManyGroups_CampaignABoundedNumberAtATime_BusyOnesFirst) {
  CampaignQueue queue(env::kSecond);
  env::MonotonicTime now;
  for (uint64_t group = 1; group <= 1000; ++group) queue.add(entry(group), group > 990);
  std::vector<uint64_t> begun;
  while (auto next = queue.next(now)) begun.push_back(next->group.value);
  ASSERT_EQ(begun.size(), CampaignQueue::kUnderWayMax);
  EXPECT_EQ(begun[0], 991u);
  EXPECT_EQ(begun[10], 1u);
  queue.ended(GroupId(995));
  queue.ended(GroupId(995));
  ASSERT_TRUE(queue.next(now));
  EXPECT_FALSE(queue.next(now));
  // Those that came to nothing do not hold up the rest for ever.
  now = now + env::kSecond + 1;
  size_t more = 0;
  while (queue.next(now)) ++more;
  EXPECT_EQ(more, CampaignQueue::kUnderWayMax);
  EXPECT_FALSE(queue.empty());
}

TEST(Succession, Ranks_AreAnOrderOfTheVoters_TheSameForAll) {
  std::vector<ReplicaId> voters;
  for (uint64_t node = 1; node <= 5; ++node) voters.push_back(ReplicaId::make(NodeId(node), 7));
  std::array<int, 5> first{};
  for (uint64_t group = 1; group <= 1000; ++group) {
    std::set<size_t> ranks;
    for (size_t i = 0; i < voters.size(); ++i) {
      const size_t rank = succession_rank(GroupId(group), voters, voters[i]);
      ranks.insert(rank);
      if (rank == 0) ++first[i];
    }
    ASSERT_EQ(ranks.size(), voters.size());
    ASSERT_EQ(*ranks.rbegin(), voters.size() - 1);
    // Without the first, the second is first and nobody else moves past another.
    for (const ReplicaId gone : voters) {
      const size_t its = succession_rank(GroupId(group), voters, gone);
      for (const ReplicaId other : voters) {
        if (other == gone) continue;
        const size_t before = succession_rank(GroupId(group), voters, other);
        ASSERT_EQ(succession_rank(GroupId(group), voters, other, gone.node()),
                  before > its ? before - 1 : before);
      }
    }
  }
  for (const int groups : first) EXPECT_NEAR(groups, 200, 60) << "one node leads too many";
}

}  // namespace
}  // namespace multiraft::host
