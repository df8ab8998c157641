#include "cluster/registry_voters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace multiraft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ReplicaId r(uint32_t n) { return ReplicaId::make(NodeId(n), n); }

/// Members of group 0; all live unless said otherwise.
class Members {
 public:
  Members& voters(std::initializer_list<uint32_t> nodes) { return add(nodes, {{}, true, false}); }
  Members& learners(std::initializer_list<uint32_t> nodes) {
    return add(nodes, {{}, false, false});
  }
  Members& leaving(std::initializer_list<uint32_t> nodes) { return add(nodes, {{}, true, true}); }
  Members& dead(std::initializer_list<uint32_t> nodes) {
    dead_.insert(nodes.begin(), nodes.end());
    return *this;
  }
  Members& silent(std::initializer_list<uint32_t> nodes) {
    silent_.insert(nodes.begin(), nodes.end());
    return *this;
  }
  std::vector<uint64_t> chosen_by(uint32_t leader) {
    const auto health = [this](ReplicaId id) {
      const auto node = static_cast<uint32_t>(id.node().value);
      return dead_.contains(node)     ? Health::kDead
             : silent_.contains(node) ? Health::kSilent
                                      : Health::kLive;
    };
    std::vector<uint64_t> nodes;
    for (ReplicaId id : choose_registry_voters(record_, r(leader), health)) {
      nodes.push_back(id.node().value);
    }
    return nodes;
  }

 private:
  Members& add(std::initializer_list<uint32_t> nodes, registry::MemberRecord member) {
    for (uint32_t n : nodes) {
      member.replica = r(n);
      record_.members.push_back(member);
    }
    std::sort(record_.members.begin(), record_.members.end(),
              [](const auto& a, const auto& b) { return a.replica < b.replica; });
    return *this;
  }
  registry::GroupRecord record_;
  std::set<uint32_t> dead_;
  std::set<uint32_t> silent_;
};

TEST(RegistryVoters, Number_FollowsTheNodes) {
  EXPECT_EQ(registry_voters_for(1, 1), 1u);
  EXPECT_EQ(registry_voters_for(2, 2), 1u);
  EXPECT_EQ(registry_voters_for(3, 3), 3u);
  EXPECT_EQ(registry_voters_for(4, 4), 3u);
  EXPECT_EQ(registry_voters_for(5, 5), 5u);
  EXPECT_EQ(registry_voters_for(100, 100), 5u);
}

TEST(RegistryVoters, Number_LeavesOutTheDeadWhereThatToleratesMore) {
  EXPECT_EQ(registry_voters_for(3, 2), 3u);  // One voter would tolerate no more.
  EXPECT_EQ(registry_voters_for(5, 4), 5u);
  EXPECT_EQ(registry_voters_for(5, 3), 3u);
  EXPECT_EQ(registry_voters_for(6, 3), 3u);
}

TEST(RegistryVoters, NothingSpeaksAgainstThoseOfToday_TheyStay) {
  EXPECT_THAT(Members().voters({2, 3, 4}).learners({1}).chosen_by(2), ElementsAre(2, 3, 4));
  EXPECT_THAT(Members().voters({1, 2, 3}).learners({4}).silent({3}).chosen_by(1),
              ElementsAre(1, 2, 3));
  EXPECT_THAT(Members().voters({1, 2, 3}).dead({3}).chosen_by(1), ElementsAre(1, 2, 3));
}

TEST(RegistryVoters, DeadVoter_GivesItsPlaceToALiveLearner) {
  EXPECT_THAT(Members().voters({1, 2, 3}).learners({4}).dead({3}).chosen_by(1),
              ElementsAre(1, 2, 4));
  EXPECT_THAT(Members().voters({1, 2, 3}).learners({4}).dead({3, 4}).chosen_by(1),
              ElementsAre(1, 2, 3));
}

TEST(RegistryVoters, FewerAreNeeded_TheSilentOneGoesAndNotALiveOne) {
  EXPECT_THAT(Members().voters({1, 2, 3, 5}).leaving({4}).silent({1}).chosen_by(2),
              ElementsAre(2, 3, 5));
}

TEST(RegistryVoters, TwoNodesRemain_TheLeaderVotes) {
  EXPECT_THAT(Members().voters({1, 2}).leaving({3}).chosen_by(2), ElementsAre(2));
}

TEST(RegistryVoters, LeaderThatLeaves_IsNotChosen) {
  EXPECT_THAT(Members().leaving({1}).learners({2}).chosen_by(1), ElementsAre(2));
  EXPECT_THAT(Members().leaving({1}).chosen_by(1), IsEmpty());
}

}  // namespace
}  // namespace multiraft::cluster
