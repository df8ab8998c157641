// Group 0 while nodes die, go and come, and members that are added.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"
#include "registry/testing/commands.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using namespace registry::testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GroupZeroTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(cluster_.violations(), IsEmpty()); }

  /// Nodes 1..n, all in group 1.
  static void cluster_of(FakeCluster& cluster, uint64_t n) {
    std::vector<uint64_t> all;
    for (uint64_t id = 1; id <= n; ++id) {
      ASSERT_TRUE(cluster.start(id, StartOptions{id == 1 ? 0u : 1u}));
      all.push_back(id);
      ASSERT_TRUE(cluster.run_until([&] { return cluster.voters(1) == all; }));
    }
    cluster.run_for(env::kSecond);
  }
  void cluster_of(uint64_t n) { cluster_of(cluster_, n); }
  void start_ready(uint64_t id, uint64_t join) {
    ASSERT_TRUE(cluster_.start(id, StartOptions{join}));
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.ready(id); })) << "node " << id;
  }
  bool settles(uint64_t group, std::vector<uint64_t> voters) {
    return cluster_.run_until([&] { return cluster_.voters(group) == voters; });
  }

  FakeCluster cluster_;
};

TEST_F(GroupZeroTest, RemoveMember_OfItsLastGroup_AnswersOnceTheNodeIsOutOfGroupZero) {
  for (uint64_t nodes = 2; nodes <= 5; ++nodes) {
    FakeCluster cluster(nodes);
    cluster_of(cluster, nodes);
    const uint64_t removed = nodes == 2 ? 1 : nodes;
    ASSERT_EQ(cluster.remove_member(2, 1, removed), Status::ok());
    EXPECT_EQ(cluster.voters(0).size(), nodes <= 3 ? 1u : 3u) << nodes;
    const raft::ConfState& conf = cluster.group(0).conf;
    for (const auto* ids : {&conf.voters, &conf.voters_outgoing, &conf.learners}) {
      for (ReplicaId id : *ids) EXPECT_NE(id.node(), NodeId(removed)) << nodes;
    }
  }
}

/// Group 0 goes on as long as a majority of those who voted when it began is there.
TEST_F(GroupZeroTest, RemoveMember_ANodeDiesAtAnyStep_GroupZeroGoesOn) {
  for (uint64_t nodes = 3; nodes <= 6; ++nodes) {
    for (uint64_t leader = 1; leader <= nodes; ++leader) {
      for (const uint64_t dies : {nodes, uint64_t{2}}) {
        for (int64_t ms = 0; ms < 400; ms += nodes == 3 ? 13 : 57) {
          FakeCluster cluster(static_cast<uint64_t>(ms) + 1000 * nodes + leader);
          cluster_of(cluster, nodes);
          const std::vector<uint64_t> voters = cluster.voters(0);
          if (std::count(voters.begin(), voters.end(), leader) == 0) break;
          cluster.elect(0, leader);
          cluster.run_for(100 * env::kMillisecond);
          const uint64_t at = dies == 2 ? 3 : 1;
          cluster.node(at == nodes ? 1 : at)
              .controller->remove_member(GroupId(1), NodeId(nodes), cluster.caller(),
                                         [](const Status&) {});
          cluster.run_for(ms * env::kMillisecond);
          if (cluster.voters(0) == std::vector<uint64_t>{dies}) continue;
          cluster.kill(dies);
          // The group keeps the one that leaves while it is needed for a majority.
          const bool completes = dies == nodes || nodes > 3;
          const bool goes_on = cluster.run_until([&] {
            for (uint64_t id = 1; id <= nodes && completes; ++id) {
              if (cluster.node(id).up && id != nodes && cluster.view(id).node(NodeId(nodes))) {
                return false;
              }
            }
            return cluster.group(0).leader != raft::kNoReplica;
          });
          const raft::ConfState& conf = cluster.group(0).conf;
          // Only a lone voter that died after the joint configuration was entered stops it.
          const bool lone = conf.voters.size() == 1 && conf.voters[0].node() == NodeId(dies);
          EXPECT_TRUE(goes_on || lone) << nodes << " nodes, " << leader << " leads, " << dies
                                       << " dies after " << ms << " ms";
          EXPECT_THAT(cluster.violations(), IsEmpty());
        }
      }
    }
  }
}

TEST_F(GroupZeroTest, DeadVoterOfGroupZero_GivesItsPlaceToALiveLearner) {
  cluster_of(4);
  ASSERT_TRUE(settles(0, {1, 2, 3}));
  cluster_.kill(3);
  EXPECT_TRUE(settles(0, {1, 2, 4}));
  ASSERT_TRUE(cluster_.start(3));
  cluster_.run_for(30 * env::kSecond);
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1, 2, 4));
}

TEST_F(GroupZeroTest, NodeRestarts_GroupZeroKeepsItsVoters) {
  cluster_of(4);
  ASSERT_TRUE(settles(0, {1, 2, 3}));
  cluster_.kill(3);
  cluster_.run_for(5 * env::kSecond);
  ASSERT_TRUE(cluster_.start(3));
  cluster_.run_for(30 * env::kSecond);
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1, 2, 3));
}

TEST_F(GroupZeroTest, HealthyNodeRemovedWhileAVoterIsDead_TheHealthyOnesVote) {
  cluster_of(5);
  cluster_.kill(1);
  ASSERT_EQ(cluster_.remove_member(2, 1, 4), Status::ok());
  EXPECT_TRUE(settles(0, {2, 3, 5}));
}

TEST_F(GroupZeroTest, NodesDieOneAfterTheOtherAndNewOnesJoin_GroupZeroStays) {
  cluster_of(3);
  for (uint64_t round = 0; round < 3; ++round) {
    cluster_.kill(3 - round);
    cluster_.run_for(5 * env::kSecond);
    start_ready(4 + round, round == 2 ? 4 : 1);
    const bool replaced = cluster_.run_until([&] {
      const std::vector<uint64_t> voters = cluster_.voters(0);
      return cluster_.group(0).conf.voters_outgoing.empty() && voters.size() == 3 &&
             std::none_of(voters.begin(), voters.end(),
                          [&](uint64_t id) { return !cluster_.node(id).up; });
    });
    ASSERT_TRUE(replaced) << round;
  }
  EXPECT_THAT(cluster_.voters(0), ElementsAre(4, 5, 6));
  EXPECT_EQ(cluster_.create_group(4, 9, {4, 5, 6}), Status::ok());
}

TEST_F(GroupZeroTest, AddMember_AnswersOnceItVotes) {
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 5, {1, 2}), Status::ok());
  ASSERT_EQ(cluster_.add_member(2, 5, 3), Status::ok());
  EXPECT_THAT(cluster_.voters(5), ElementsAre(1, 2, 3));
  EXPECT_EQ(cluster_.add_member(2, 5, 3), Status::ok());
  EXPECT_EQ(cluster_.add_member(2, 6, 3).code(), StatusCode::kNotFound);
}

TEST_F(GroupZeroTest, AddMember_WhileItsRemovalWaits_CallsItOff) {
  cluster_of(3);
  cluster_.kill(3);
  EXPECT_EQ(cluster_.remove_member(1, 1, 2).code(), StatusCode::kUnknownOutcome);
  ASSERT_EQ(cluster_.add_member(1, 1, 2), Status::ok());
  ASSERT_TRUE(cluster_.start(3));
  cluster_.run_for(10 * env::kSecond);
  EXPECT_THAT(cluster_.voters(1), ElementsAre(1, 2, 3));
  EXPECT_EQ(cluster_.node(2).removed, 0);
}

}  // namespace
}  // namespace multiraft::cluster
