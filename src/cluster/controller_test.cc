#include "cluster/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/messages.h"
#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"
#include "registry/testing/commands.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using namespace registry::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ControllerTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(cluster_.violations(), IsEmpty()); }

  void start(uint64_t id, uint64_t join = 0, uint64_t group = 1) {
    ASSERT_TRUE(cluster_.start(id, StartOptions{join, group}));
  }
  void start_ready(uint64_t id, uint64_t join = 0, uint64_t group = 1) {
    start(id, join, group);
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.ready(id); })) << "node " << id;
  }
  bool settles(uint64_t group, std::vector<uint64_t> voters) {
    return cluster_.run_until([&] { return cluster_.voters(group) == voters; });
  }
  /// Nodes 1..n, all in group 1.
  void cluster_of(uint64_t n) {
    start_ready(1);
    std::vector<uint64_t> all{1};
    for (uint64_t id = 2; id <= n; ++id) {
      start_ready(id, 1);
      all.push_back(id);
      ASSERT_TRUE(settles(1, all));
    }
    cluster_.run_for(env::kSecond);
  }
  uint32_t floor_on_disk(uint64_t id) {
    return state_dir::decode_facts(*cluster_.node(id).env->file_system().read_file("state/node"))
        ->serial_floor;
  }
  state_dir::NodePhase phase_on_disk(uint64_t id) {
    return state_dir::decode_facts(*cluster_.node(id).env->file_system().read_file("state/node"))
        ->phase;
  }
  ReplicaId replica(uint64_t node, uint64_t group) {
    return cluster_.node(node).log.at(GroupId(group)).replica;
  }

  FakeCluster cluster_;
};

// -- Into the cluster.

TEST_F(ControllerTest, EmptyDirectoryWithoutJoin_MakesAClusterWithItsGroup) {
  start_ready(1, 0, 7);
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1));
  EXPECT_THAT(cluster_.voters(7), ElementsAre(1));
  EXPECT_TRUE(cluster_.hosts(1, 7));
  EXPECT_EQ(phase_on_disk(1), state_dir::NodePhase::kMember);
  EXPECT_EQ(cluster_.view(1).cluster(), cluster_.node(1).identity->facts().cluster);
}

TEST_F(ControllerTest, Joiner_BecomesAVoterOfItsGroupByItself) {
  start_ready(1);
  start_ready(2, 1);
  EXPECT_TRUE(settles(1, {1, 2}));
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1));
  EXPECT_THAT(cluster_.learners(0), ElementsAre(2));
  EXPECT_EQ(phase_on_disk(2), state_dir::NodePhase::kMember);
  EXPECT_EQ(floor_on_disk(2), 2u);
}

TEST_F(ControllerTest, GroupZero_GrowsToThreeAndThenFiveVoters) {
  cluster_of(3);
  EXPECT_TRUE(settles(0, {1, 2, 3}));
  start_ready(4, 1);
  cluster_.run_for(2 * env::kSecond);
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1, 2, 3));
  EXPECT_THAT(cluster_.learners(0), ElementsAre(4));
  start_ready(5, 4);
  EXPECT_TRUE(settles(0, {1, 2, 3, 4, 5}));
}

TEST_F(ControllerTest, JoinersFirst_InAnyOrder_FormACluster) {
  start(3, 2);  // Its target joins itself,
  start(2, 1);  // whose target is not there yet.
  cluster_.run_for(5 * env::kSecond);
  EXPECT_FALSE(cluster_.ready(2) || cluster_.ready(3));
  start(1);
  EXPECT_TRUE(settles(1, {1, 2, 3}));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.ready(2) && cluster_.ready(3); }));
}

TEST_F(ControllerTest, JoinThroughAFollower_IsSentToTheLeader) {
  cluster_of(3);
  ASSERT_TRUE(settles(0, {1, 2, 3}));
  cluster_.elect(0, 2);
  start_ready(4, 3);
  EXPECT_TRUE(settles(1, {1, 2, 3, 4}));
}

TEST_F(ControllerTest, Join_IdOfALiveNode_IsRefused) {
  cluster_of(2);
  // The same id on another machine, with another disk.
  FakeNode& two = cluster_.node(2);
  JoinRequest request;
  request.node = NodeId(2);
  request.uuid = {5, 5};
  request.raft_address = "other:1";
  request.api_address = "other:2";
  request.initial_group = GroupId(1);
  request.replaces_lost_disk = true;
  std::optional<JoinAnswer> answer;
  cluster_.node(1).controller->on_request(
      NodeId(2), wire::Request{0, wire::RequestKind::kJoin, {}, encode(request)},
      [&](StatusCode, SharedBytes bytes) { answer = *decode_join_answer(bytes); });
  ASSERT_TRUE(cluster_.run_until([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->kind, JoinAnswer::Kind::kRefused);
  EXPECT_THAT(answer->text, HasSubstr("in use by a live node at " + two.raft_address));
}

TEST_F(ControllerTest, Join_UnknownGroup_IsRefused) {
  start_ready(1);
  start(2, 1, 99);
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(2).refused.has_value(); }));
  EXPECT_THAT(cluster_.node(2).refused->message(), HasSubstr("group 99"));
  EXPECT_EQ(cluster_.view(1).node(NodeId(2)), nullptr);
}

TEST_F(ControllerTest, Join_AnswerLost_IsAskedAgainAndGetsTheSame) {
  start_ready(1);
  // The process ends as soon as it is registered, again and again.
  for (int i = 0; i < 3; ++i) {
    start(2, 1);
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.view(1).node(NodeId(2)) != nullptr; }));
    cluster_.kill(2);
  }
  start_ready(2, 1);
  EXPECT_TRUE(settles(1, {1, 2}));
  EXPECT_EQ(cluster_.view(1).next_serial(), 5u);
}

TEST_F(ControllerTest, KilledAnywhereWhileJoining_JoinsInTheEnd) {
  for (int64_t ms = 1; ms < 60; ms += 2) {
    FakeCluster cluster(static_cast<uint64_t>(ms));
    ASSERT_TRUE(cluster.start(1, StartOptions{}));
    ASSERT_TRUE(cluster.run_until([&] { return cluster.ready(1); }));
    ASSERT_TRUE(cluster.start(2, StartOptions{1}));
    cluster.run_for(ms * env::kMillisecond);
    cluster.kill(2);
    ASSERT_TRUE(cluster.start(2));
    ASSERT_TRUE(cluster.run_until([&] {
      return cluster.ready(2) && cluster.voters(1) == std::vector<uint64_t>{1, 2};
    })) << ms;
    EXPECT_THAT(cluster.violations(), IsEmpty());
  }
}

TEST_F(ControllerTest, FounderKilledAnywhere_FoundsTheSameCluster) {
  for (int64_t us = 0; us < 40'000; us += 1'500) {
    FakeCluster cluster(static_cast<uint64_t>(us + 1));
    ASSERT_TRUE(cluster.start(1, StartOptions{}));
    const ClusterId id = cluster.node(1).identity->facts().cluster;
    cluster.run_for(us * env::kMicrosecond);
    cluster.kill(1);
    ASSERT_TRUE(cluster.start(1));
    ASSERT_TRUE(cluster.run_until([&] { return cluster.ready(1); })) << us;
    EXPECT_EQ(cluster.view(1).cluster(), id);
    EXPECT_THAT(cluster.violations(), IsEmpty());
  }
}

TEST_F(ControllerTest, LogOfGroupZeroGone_IsRefused) {
  start_ready(1);
  cluster_.kill(1);
  cluster_.node(1).log.clear();
  EXPECT_EQ(cluster_.start(1).code(), StatusCode::kCorruption);
}

TEST_F(ControllerTest, BegunToJoinAndStartedWithoutJoin_IsRefused) {
  start_ready(1);
  start(2, 1);
  ASSERT_TRUE(cluster_.run_until([&] {
    return state_dir::decode_facts(*cluster_.node(2).env->file_system().read_file("state/node"))
               ->cluster != ClusterId{};
  }));
  cluster_.kill(2);
  cluster_.node(2).log.clear();
  EXPECT_EQ(cluster_.start(2, StartOptions{0}).code(),
            phase_on_disk(2) == state_dir::NodePhase::kJoining ? StatusCode::kInvalidArgument
                                                               : StatusCode::kCorruption);
}

// -- A wiped disk.

TEST_F(ControllerTest, WipedNode_ComesBackAsNewReplicas) {  // trap 27
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  const ReplicaId old = replica(3, 2);
  cluster_.wipe(3);
  start_ready(3, 1);
  EXPECT_TRUE(cluster_.run_until([&] {
    const auto& conf = cluster_.group(2).conf;
    return cluster_.voters(2) == std::vector<uint64_t>{1, 2, 3} && conf.voters[2] != old &&
           cluster_.voters(1) == std::vector<uint64_t>{1, 2, 3} &&
           cluster_.voters(0) == std::vector<uint64_t>{1, 2, 3};
  }));
  EXPECT_GE(floor_on_disk(3), old.serial());
  EXPECT_TRUE(cluster_.group(2).left.contains(old));
  cluster_.run_for(3 * env::kSecond);
  EXPECT_TRUE(cluster_.view(1).is_removed(GroupId(2), old));
  EXPECT_EQ(cluster_.node(3).removed, 0);
}

TEST_F(ControllerTest, PredecessorAliveAMomentAgo_IsWaitedForNotRefused) {
  cluster_of(2);
  cluster_.wipe(2);
  start(2, 1);
  cluster_.run_for(5 * env::kSecond);
  EXPECT_FALSE(cluster_.node(2).refused.has_value());
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.ready(2); }));
}

// -- Groups.

TEST_F(ControllerTest, CreateGroup_StartsOnItsNodesWithItsFullMembership) {
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(2, 5, {1, 3}), Status::ok());
  EXPECT_THAT(cluster_.voters(5), ElementsAre(1, 3));
  EXPECT_TRUE(cluster_.group(5).leader);
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.hosts(1, 5) && cluster_.hosts(3, 5); }));
  EXPECT_EQ(cluster_.node(1).log.at(GroupId(5)).mark, cluster_.node(3).log.at(GroupId(5)).mark);
  EXPECT_EQ(cluster_.node(1).log.at(GroupId(5)).mark.index, LogIndex(1));
  EXPECT_FALSE(cluster_.hosts(2, 5));
  EXPECT_EQ(cluster_.create_group(3, 5, {3, 1}), Status::ok());
  EXPECT_EQ(cluster_.create_group(1, 5, {1, 2}).code(), StatusCode::kConflict);
  EXPECT_EQ(cluster_.create_group(1, 6, {1, 9}).code(), StatusCode::kInvalidArgument);
}

TEST_F(ControllerTest, CreateGroup_AtANodeThatIsNoMember_WaitsForItsLeaderToo) {
  cluster_of(3);
  EXPECT_EQ(cluster_.create_group(2, 5, {1}), Status::ok());
  EXPECT_TRUE(cluster_.group(5).leader);
}

TEST_F(ControllerTest, CreateGroup_WithoutALeaderInTime_SaysThatItExists) {
  cluster_of(2);
  cluster_.group(5).elects = false;
  const Status status = cluster_.create_group(1, 5, {1, 2});
  EXPECT_EQ(status.code(), StatusCode::kUnknownOutcome);
  EXPECT_THAT(status.message(), HasSubstr("exists"));
  cluster_.group(5).elects = true;
  EXPECT_EQ(cluster_.create_group(1, 5, {1, 2}), Status::ok());
}

TEST_F(ControllerTest, CreateGroup_MemberAway_IsCreatedThereOnceItIsBack) {
  cluster_of(3);
  cluster_.kill(3);
  ASSERT_EQ(cluster_.create_group(1, 5, {1, 2, 3}), Status::ok());
  ASSERT_TRUE(cluster_.start(3));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.hosts(3, 5); }));
  EXPECT_EQ(cluster_.node(3).log.at(GroupId(5)).mark.index, LogIndex(1));
}

TEST_F(ControllerTest, Operations_BeforeTheNodeIsAMember_AreUnavailable) {
  start(2, 1);
  EXPECT_EQ(cluster_.create_group(2, 5, {2}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(cluster_.remove_member(2, 1, 2).code(), StatusCode::kUnavailable);
}

// -- Removal.

TEST_F(ControllerTest, RemoveMember_OfOneOfTwoGroups_DropsOnlyThatReplica) {
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  const ReplicaId gone = replica(3, 1);
  ASSERT_EQ(cluster_.remove_member(2, 1, 3), Status::ok());
  EXPECT_THAT(cluster_.voters(1), ElementsAre(1, 2));
  EXPECT_TRUE(cluster_.run_until([&] { return !cluster_.hosts(3, 1); }));
  EXPECT_TRUE(cluster_.hosts(3, 2));
  EXPECT_GE(floor_on_disk(3), gone.serial());
  cluster_.run_for(5 * env::kSecond);
  EXPECT_EQ(cluster_.node(3).removed, 0);
  EXPECT_EQ(cluster_.remove_member(2, 1, 3).code(), StatusCode::kNotFound);
}

TEST_F(ControllerTest, RemoveMember_OfItsLastGroup_EndsTheNodeForGood) {
  cluster_of(3);
  ASSERT_EQ(cluster_.remove_member(1, 1, 3), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 1; }, 3 * env::kSecond));
  EXPECT_EQ(phase_on_disk(3), state_dir::NodePhase::kRemoved);
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.view(1).node(NodeId(3)) == nullptr; }));
  EXPECT_THAT(cluster_.voters(0), ElementsAre(1));
  // Started again, it says so again and does nothing.
  cluster_.kill(3);
  ASSERT_TRUE(cluster_.start(3));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 2; }));
}

TEST_F(ControllerTest, RemoveMember_AskedOfTheNodeItself_IsAnswered) {
  cluster_of(3);
  EXPECT_EQ(cluster_.remove_member(3, 1, 3), Status::ok());
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 1; }));
}

TEST_F(ControllerTest, RemoveMember_ThatLeads_HandsOverFirst) {  // trap 26
  cluster_of(3);
  cluster_.elect(1, 1);
  ASSERT_EQ(cluster_.remove_member(2, 1, 1), Status::ok());
  EXPECT_THAT(cluster_.voters(1), ElementsAre(2, 3));
  EXPECT_NE(cluster_.group(1).leader.node(), NodeId(1));
  // It led group 0 as well, and leaves it.
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.node(1).removed == 1; }));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.voters(0).size() == 1; }));
}

TEST_F(ControllerTest, RemoveMember_OneOfTwo_LeavesTheOther) {  // trap 26
  cluster_of(2);
  ASSERT_EQ(cluster_.remove_member(2, 1, 1), Status::ok());
  EXPECT_THAT(cluster_.voters(1), ElementsAre(2));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.node(1).removed == 1; }));
  EXPECT_THAT(cluster_.voters(0), ElementsAre(2));
  EXPECT_EQ(cluster_.remove_member(2, 1, 2).code(), StatusCode::kConflict);
}

TEST_F(ControllerTest, RemoveMember_DeadNode_IsRemovedAndTheNodeForgotten) {
  cluster_of(3);
  cluster_.kill(3);
  cluster_.run_for(env::kSecond);
  EXPECT_EQ(cluster_.remove_member(1, 1, 3), Status::ok());
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.view(1).node(NodeId(3)) == nullptr; }));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.view(2).node(NodeId(3)) == nullptr; }));
}

TEST_F(ControllerTest, RemovedWhileAway_LearnsItWhenItIsBack) {  // trap 11
  cluster_of(3);
  ASSERT_TRUE(settles(0, {1, 2, 3}));
  cluster_.kill(3);
  cluster_.run_for(env::kSecond);
  ASSERT_EQ(cluster_.remove_member(1, 1, 3), Status::ok());
  cluster_.run_for(100 * env::kSecond);  // Forgotten by now.
  ASSERT_TRUE(cluster_.start(3));
  EXPECT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 1; }));
}

TEST_F(ControllerTest, RemovedWhilePartitioned_LearnsItWhenHealed) {
  cluster_of(4);
  FakeNode& four = cluster_.node(4);
  four.connected = false;
  ASSERT_EQ(cluster_.remove_member(1, 1, 4), Status::ok());
  cluster_.run_for(20 * env::kSecond);
  EXPECT_EQ(four.removed, 0);
  four.connected = true;
  EXPECT_TRUE(cluster_.run_until([&] { return four.removed == 1; }));
}

TEST_F(ControllerTest, BackWithAnEmptyDisk_IsANewMember) {
  cluster_of(3);
  ASSERT_EQ(cluster_.remove_member(1, 1, 3), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 1; }));
  cluster_.wipe(3);
  start_ready(3, 2);
  EXPECT_TRUE(settles(1, {1, 2, 3}));
}

TEST_F(ControllerTest, FiveNodes_ShrinkToOne) {
  cluster_of(5);
  for (uint64_t id = 1; id <= 4; ++id) {
    ASSERT_EQ(cluster_.remove_member(5, 1, id), Status::ok()) << id;
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(id).removed == 1; })) << id;
  }
  EXPECT_TRUE(settles(0, {5}));
  EXPECT_THAT(cluster_.voters(1), ElementsAre(5));
}

TEST_F(ControllerTest, MemberLeavesAndIsAddedAgain_ComesBackAsANewReplica) {
  cluster_of(2);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2}), Status::ok());
  const ReplicaId old = replica(2, 2);
  ASSERT_EQ(cluster_.remove_member(1, 2, 2), Status::ok());
  ASSERT_EQ(cluster_.propose(1, registry::AddMember{GroupId(2), NodeId(2), true}).code,
            registry::RegistryCode::kOk);
  EXPECT_TRUE(cluster_.run_until([&] {
    return cluster_.hosts(2, 2) && replica(2, 2) != old &&
           cluster_.voters(2) == std::vector<uint64_t>{1, 2};
  }));
  EXPECT_EQ(cluster_.node(2).log.at(GroupId(2)).mark.index, LogIndex(0));
}

// -- Old copies of the registry.

TEST_F(ControllerTest, StaleRegistryOfALeader_NeverAddsBackWhatWasRemoved) {  // trap 27
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  ASSERT_EQ(cluster_.propose(1, registry::AddMember{GroupId(2), NodeId(3), true}).code,
            registry::RegistryCode::kOk);
  cluster_.elect(2, 1);
  cluster_.run_for(env::kSecond);
  // Node 2 falls behind with the registry, so that it still sees node 3 as a wanted member while
  // everybody else removes it.
  cluster_.node(2).receives = false;
  const ReplicaId gone = replica(3, 2);
  ASSERT_EQ(cluster_.remove_member(1, 2, 3), Status::ok());
  cluster_.run_for(env::kSecond);
  ASSERT_NE(cluster_.view(2).group(GroupId(2))->member(gone), nullptr);
  cluster_.elect(2, 2);
  cluster_.run_for(20 * env::kSecond);
  EXPECT_THAT(cluster_.voters(2), ElementsAre(1, 2));
  EXPECT_THAT(cluster_.learners(2), IsEmpty());
  cluster_.node(2).receives = true;
  cluster_.run_for(5 * env::kSecond);
  EXPECT_THAT(cluster_.voters(2), ElementsAre(1, 2));
}

TEST_F(ControllerTest, LeadershipLostBetweenReadAndChange_NothingIsChanged) {  // trap 27
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2}), Status::ok());
  cluster_.elect(2, 1);
  cluster_.run_for(env::kSecond);
  int elections = 0;
  int changes_after_election = 0;
  cluster_.before_read_answer = [&](NodeId node) {
    // Another node leads for a while, and then this one again, in a later term.
    if (node == NodeId(1) && elections == 0) {
      ++elections;
      cluster_.elect(2, 2);
      cluster_.elect(2, 1);
    }
  };
  const Term before = cluster_.group(2).term;
  cluster_.before_change = [&](GroupId group, const raft::ConfChange&) {
    if (group == GroupId(2) && cluster_.group(2).term == before) ++changes_after_election;
  };
  ASSERT_EQ(cluster_.propose(1, registry::AddMember{GroupId(2), NodeId(3), true}).code,
            registry::RegistryCode::kOk);
  EXPECT_TRUE(settles(2, {1, 2, 3}));
  EXPECT_EQ(elections, 1);
  EXPECT_EQ(changes_after_election, 0);
}

TEST_F(ControllerTest, RestartWithAnOldRegistry_NeverCreatesADestroyedReplicaAgain) {  // trap 27
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.hosts(3, 2); }));
  cluster_.run_for(env::kSecond);
  const LogIndex old = cluster_.node(3).log.at(registry::kRegistryGroup).applied;
  ASSERT_EQ(cluster_.remove_member(1, 2, 3), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return !cluster_.hosts(3, 2); }));
  cluster_.kill(3);
  // The commit index on disk may be old: the registry comes back as it was before the removal.
  cluster_.node(3).log.at(registry::kRegistryGroup).applied = old;
  cluster_.node(3).receives = false;
  ASSERT_TRUE(cluster_.start(3));
  cluster_.run_for(5 * env::kSecond);
  EXPECT_NE(cluster_.view(3).group(GroupId(2))->member_on(NodeId(3)), nullptr);
  EXPECT_FALSE(cluster_.hosts(3, 2));
}

TEST_F(ControllerTest, NoticeFromAnotherNode_DestroysTheReplicaOnce) {
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.hosts(3, 2); }));
  cluster_.run_for(env::kSecond);
  const ReplicaId gone = replica(3, 2);
  cluster_.node(3).receives = false;
  ASSERT_EQ(cluster_.remove_member(1, 2, 3), Status::ok());
  cluster_.run_for(env::kSecond);
  ASSERT_TRUE(cluster_.hosts(3, 2));  // Its registry does not know yet.
  // It campaigns; node 1 sees a message of a stranger, many times.
  for (int i = 0; i < 1000; ++i) {
    cluster_.node(1).controller->on_stray_message(GroupId(2), NodeId(3), gone, replica(1, 2));
  }
  EXPECT_TRUE(cluster_.run_until([&] { return !cluster_.hosts(3, 2); }));
  EXPECT_GE(floor_on_disk(3), gone.serial());
  cluster_.node(3).receives = true;
  cluster_.run_for(5 * env::kSecond);
  EXPECT_FALSE(cluster_.hosts(3, 2));
}

TEST_F(ControllerTest, StrayMessageOfAMember_IsNoReasonForANotice) {
  cluster_of(2);
  cluster_.node(1).controller->on_stray_message(GroupId(1), NodeId(2), replica(2, 1), {});
  cluster_.node(1).controller->on_stray_message(GroupId(1), NodeId(2),
                                                ReplicaId::make(NodeId(2), 4000), {});
  cluster_.run_for(5 * env::kSecond);
  EXPECT_TRUE(cluster_.hosts(2, 1));
  EXPECT_EQ(cluster_.node(2).removed, 0);
}

// -- Addresses.

TEST_F(ControllerTest, StartedUnderAnotherAddress_RegistersIt) {
  cluster_of(3);
  cluster_.kill(2);
  cluster_.node(2).raft_address = "moved:1";
  cluster_.node(2).api_address = "moved:2";
  ASSERT_TRUE(cluster_.start(2));
  EXPECT_TRUE(cluster_.run_until([&] {
    return cluster_.view(3).node(NodeId(2))->raft_address == "moved:1" &&
           cluster_.view(3).node(NodeId(2))->api_address == "moved:2";
  }));
  cluster_.run_for(env::kSecond);
  EXPECT_EQ(cluster_.node(3).host->transport().addresses().at(NodeId(2)), "moved:1");
}

TEST_F(ControllerTest, StartedWithoutARegistry_StillKnowsWhereTheOthersAre) {
  cluster_of(3);
  cluster_.kill(2);
  // Nothing of group 0 is known to be committed.
  cluster_.node(2).log.at(registry::kRegistryGroup).applied = LogIndex(1);
  cluster_.node(2).receives = false;
  ASSERT_TRUE(cluster_.start(2));
  cluster_.run_for(env::kSecond);
  EXPECT_TRUE(cluster_.view(2).empty());
  EXPECT_EQ(cluster_.node(2).host->transport().addresses().at(NodeId(1)), raft_of(1));
  EXPECT_EQ(cluster_.node(2).host->transport().addresses().at(NodeId(3)), raft_of(3));
}

TEST_F(ControllerTest, NodeThatLeft_IsForgottenByTheTransportInTheEnd) {
  cluster_of(3);
  ASSERT_EQ(cluster_.remove_member(1, 1, 3), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(3).removed == 1; }));
  EXPECT_TRUE(cluster_.node(1).host->transport().knows(NodeId(3)));
  cluster_.run_for(100 * env::kSecond);
  EXPECT_FALSE(cluster_.node(1).host->transport().knows(NodeId(3)));
}

// -- Requests.

TEST_F(ControllerTest, GarbageFromOtherNodes_IsAnsweredWithAnError) {
  cluster_of(1);
  for (wire::RequestKind kind : {wire::RequestKind::kJoin, wire::RequestKind::kAdmin}) {
    for (const char* bytes : {"", "x", "\1", "\1\x63"}) {
      std::optional<StatusCode> code;
      cluster_.node(1).controller->on_request(
          NodeId(2), wire::Request{0, kind, {}, SharedBytes::copy_of(bytes)},
          [&](StatusCode c, SharedBytes) { code = c; });
      ASSERT_TRUE(cluster_.run_until([&] { return code.has_value(); }));
      EXPECT_EQ(*code, StatusCode::kInvalidArgument);
    }
  }
}

TEST_F(ControllerTest, Stop_AnswersWhoWaits) {
  cluster_of(2);
  cluster_.group(5).elects = false;
  std::optional<Status> answer;
  auto executor = cluster_.node(1).env->start_executor("caller");
  cluster_.node(1).controller->create_group(GroupId(5), {NodeId(1)}, *executor,
                                            [&](Status status) { answer = std::move(status); });
  cluster_.run_for(env::kSecond);
  ASSERT_FALSE(answer.has_value());
  cluster_.node(1).controller->stop();
  ASSERT_TRUE(cluster_.run_until([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->code(), StatusCode::kUnknownOutcome);
  EXPECT_EQ(cluster_.create_group(1, 6, {1}).code(), StatusCode::kUnavailable);
}

TEST_F(ControllerTest, NothingToDo_NothingIsAskedOrChanged) {
  cluster_of(3);
  cluster_.run_for(10 * env::kSecond);
  int reads = 0;
  int changes = 0;
  cluster_.before_read_answer = [&](NodeId) { ++reads; };
  cluster_.before_change = [&](GroupId, const raft::ConfChange&) { ++changes; };
  const size_t entries = cluster_.group(0).entries.size();
  cluster_.run_for(60 * env::kSecond);
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(changes, 0);
  EXPECT_EQ(cluster_.group(0).entries.size(), entries);
}

// -- The version of the cluster.

TEST_F(ControllerTest, RollingUpgrade_RaisesTheVersionOnceAllNodesAreNew) {
  cluster_of(3);
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(cluster_.view(1).cluster_version(), 1u);
    cluster_.kill(id);
    cluster_.node(id).versions = {1, 2};
    ASSERT_TRUE(cluster_.start(id));
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.ready(id); }));
    cluster_.run_for(env::kSecond);
  }
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_TRUE(cluster_.run_until([&] { return cluster_.view(id).cluster_version() == 2; }));
  }
  // There is no way back.
  cluster_.run_for(env::kSecond);
  cluster_.kill(2);
  cluster_.node(2).versions = {1, 1};
  const Status refused = cluster_.start(2);
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported);
  EXPECT_THAT(refused.message(), HasSubstr("state/node: the cluster works with version 2"));
  cluster_.node(4).versions = {1, 1};
  start(4, 1);
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(4).refused.has_value(); }));
  EXPECT_THAT(cluster_.node(4).refused->message(), HasSubstr("the cluster works with version 2"));
}

TEST_F(ControllerTest, NodeThatWasAwayDuringARise_EndsWhenItLearnsOfIt) {
  for (uint64_t id = 1; id <= 3; ++id) cluster_.node(id).versions = {1, 2};
  cluster_.node(1).versions = {1, 1};
  cluster_of(3);
  ASSERT_EQ(cluster_.view(3).cluster_version(), 1u);
  cluster_.kill(3);
  cluster_.kill(1);
  cluster_.node(1).versions = {1, 2};
  ASSERT_TRUE(cluster_.start(1));
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.view(2).cluster_version() == 2; }));
  // It was registered as one that supports it; but it comes back with an older program.
  cluster_.node(3).versions = {1, 1};
  ASSERT_TRUE(cluster_.start(3));
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(3).unsupported.has_value(); }));
  EXPECT_THAT(cluster_.node(3).unsupported->message(),
              HasSubstr("start the node with the version of multiraft that the other nodes run"));
}

}  // namespace
}  // namespace multiraft::cluster
