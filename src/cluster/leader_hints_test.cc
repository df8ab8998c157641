// Who leads a group, asked by a node that has no replica of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using ::testing::IsEmpty;

class LeaderHintsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (uint64_t id = 1; id <= 4; ++id) {
      ASSERT_TRUE(cluster_.start(id, StartOptions{id == 1 ? 0u : 1u}));
      ASSERT_TRUE(cluster_.run_until([&] { return cluster_.ready(id); })) << "node " << id;
    }
    ASSERT_EQ(cluster_.create_group(1, 5, {1, 2, 3}), Status::ok());
    // A heartbeat later than any answer of before.
    cluster_.run_for(env::kSecond);
  }
  void TearDown() override { EXPECT_THAT(cluster_.violations(), IsEmpty()); }

  /// What node 4 hears. 0: nobody knows.
  uint64_t leader_of(uint64_t group) {
    std::optional<NodeId> answer;
    cluster_.node(4).controller->find_leader(GroupId(group), cluster_.caller(),
                                             [&](NodeId leader) { answer = leader; });
    EXPECT_TRUE(cluster_.run_until([&] { return answer.has_value(); }, env::kSecond));
    return answer ? answer->value : 99;
  }

  FakeCluster cluster_;
};

TEST_F(LeaderHintsTest, LeaderElsewhere_IsFound_AndTheNextOneAfterAnElection) {
  for (const uint64_t leader : {2, 3, 1}) {
    cluster_.elect(5, leader);
    cluster_.run_for(200 * env::kMillisecond);
    EXPECT_EQ(leader_of(5), leader);
    EXPECT_EQ(leader_of(5), leader);
  }
}

TEST_F(LeaderHintsTest, LeaderThatDied_IsNotNamed_OnceThereIsAnother) {
  cluster_.elect(5, 2);
  cluster_.run_for(200 * env::kMillisecond);
  EXPECT_EQ(leader_of(5), 2u);
  cluster_.kill(2);
  ASSERT_TRUE(cluster_.run_until([&] {
    const ReplicaId leader = cluster_.group(5).leader;
    return leader != ReplicaId() && leader.node() != NodeId(2);
  }));
  cluster_.run_for(200 * env::kMillisecond);
  const uint64_t leader = leader_of(5);
  EXPECT_EQ(NodeId(leader), cluster_.group(5).leader.node());
}

TEST_F(LeaderHintsTest, NobodyAnswers_IsNobody_Soon) {
  for (uint64_t id = 1; id <= 3; ++id) cluster_.kill(id);
  EXPECT_EQ(leader_of(5), 0u);
  EXPECT_EQ(leader_of(77), 0u);  // No such group.
}

TEST_F(LeaderHintsTest, ManyWhoAskAtOnce_AllGetTheAnswer) {
  cluster_.elect(5, 3);
  cluster_.run_for(200 * env::kMillisecond);
  size_t answers = 0;
  for (int i = 0; i < 50; ++i) {
    cluster_.node(4).controller->find_leader(GroupId(5), cluster_.caller(), [&](NodeId leader) {
      EXPECT_EQ(leader, NodeId(3));
      ++answers;
    });
  }
  EXPECT_TRUE(cluster_.run_until([&] { return answers == 50; }, env::kSecond));
}

}  // namespace
}  // namespace multiraft::cluster
