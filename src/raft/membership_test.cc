// Membership changes: thesis chapter 4.

#include <gtest/gtest.h>

#include "raft/core.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;
using testing::change_of;
using testing::conf_of;
using testing::Group;
using testing::Ids;
using testing::Replica;

constexpr auto kImplicit = ConfChangeTransition::kJointImplicit;
constexpr auto kExplicit = ConfChangeTransition::kJointExplicit;

ConfChangeSingle add(uint64_t id) { return {ConfChangeOp::kAddVoter, ReplicaId(id)}; }
ConfChangeSingle add_learner(uint64_t id) { return {ConfChangeOp::kAddLearner, ReplicaId(id)}; }
ConfChangeSingle remove(uint64_t id) { return {ConfChangeOp::kRemove, ReplicaId(id)}; }

ConfState joint(std::vector<uint64_t> incoming, std::vector<uint64_t> outgoing, bool auto_leave) {
  ConfState conf = conf_of(std::move(incoming));
  conf.voters_outgoing = conf_of(std::move(outgoing)).voters;
  conf.auto_leave = auto_leave;
  return conf;
}

Message message_of(MessageType type, uint64_t from, uint64_t to, uint64_t term) {
  Message message;
  message.type = type;
  message.from = ReplicaId(from);
  message.to = ReplicaId(to);
  message.term = Term(term);
  return message;
}

// -- 4.1 single-server changes.

TEST(Membership41, AddingAVoter_CatchesItUpFromNothing) {
  Group group(3);
  group.elect(1);
  group.propose(1, "a");
  ASSERT_TRUE(group[1].storage().compact(LogIndex(2)).is_ok());
  (void)group.add_blank();
  group[1].storage().set_snapshot_source([&]() -> Result<std::shared_ptr<const Snapshot>> {
    return std::make_shared<const Snapshot>(
        Snapshot{group[1]->applied_index(), Term(1), group[1]->conf_state()});
  });
  group.change(1, change_of({add(4)}));
  group.tick(2);
  EXPECT_EQ(group[4]->conf_state(), conf_of({1, 2, 3, 4}));
  EXPECT_EQ(group[4]->commit_index(), group[1]->commit_index());
}

TEST(Membership41, Change_WhileAnotherIsUnapplied_IsReplacedByAnEmptyEntry) {
  Group group(3);
  group.elect(1);
  group[1].hold_applies = true;
  ASSERT_TRUE(group[1]->propose_conf_change(change_of({add(4)})).is_ok());
  EXPECT_TRUE(group[1]->pending_conf_change());
  const auto second = group[1]->propose_conf_change(change_of({add(5)}));
  EXPECT_EQ(second.status().code(), StatusCode::kConflict);
  EXPECT_EQ(group[1].entry(3).type, EntryType::kNormal);
  EXPECT_TRUE(group[1].entry(3).data.empty());
  group.settle();
  group[1].hold_applies = false;
  while (!group[1].applies.empty()) group[1].complete_apply();
  group.settle();
  EXPECT_FALSE(group[1]->pending_conf_change());
  EXPECT_EQ(group[1]->conf_state(), conf_of({1, 2, 3, 4}));
  EXPECT_TRUE(group[1]->propose_conf_change(change_of({add(5)})).is_ok());
}

// trap 9; FORMAT 5.3: pending-conf-index not set by a new leader.
TEST(Membership41, NewLeader_UntilItsInheritedTailIsApplied_AllowsNoChange) {
  Group group(3);
  group.elect(1);
  group.isolate(1);
  // A tail that may hold a change: replica 2 has it, nobody knows whether it is committed.
  Message append = message_of(MessageType::kApp, 1, 2, 1);
  append.log_term = Term(1);
  append.index = LogIndex(1);
  append.entries.push_back(
      {Term(1), LogIndex(2), EntryType::kConfChangeV2, encode_conf_change(change_of({add(4)}))});
  (void)group[2].receive(append);
  group[2].take_sent();
  group[2]->campaign();
  group[2].pump();
  (void)group[2].receive(message_of(MessageType::kVoteResp, 3, 2, 2));
  ASSERT_EQ(group[2]->role(), Role::kLeader);
  EXPECT_TRUE(group[2]->pending_conf_change());
  EXPECT_EQ(group[2]->propose_conf_change(change_of({add(5)})).status().code(),
            StatusCode::kConflict);
  group.settle();
  EXPECT_FALSE(group[2]->pending_conf_change());
  EXPECT_EQ(group[2]->conf_state(), conf_of({1, 2, 3, 4}));
}

TEST(Membership41, Change_ThatCouldNotBeApplied_IsRefusedAtOnce) {
  Group group(1);
  group.elect(1);
  EXPECT_EQ(group[1]->propose_conf_change(change_of({remove(1)})).status().code(),
            StatusCode::kConflict);
  EXPECT_EQ(group[1]->propose_conf_change(ConfChange{}).status().code(), StatusCode::kConflict)
      << "there is no joint configuration to leave";
  group.settle();
  EXPECT_EQ(group[1]->conf_state(), conf_of({1}));
}

// FORMAT 5.3: new peer not recently active.
TEST(Membership41, NewMember_CountsAsAliveAndIsProbedAtTheLastEntry) {
  Group group(3);
  group.elect(1);
  group.propose(1, "a");
  group.change(1, change_of({add_learner(4)}));
  const auto members = group[1]->status().members;
  ASSERT_EQ(members.size(), 4u);
  EXPECT_TRUE(members[3].recent_active);
  EXPECT_TRUE(members[3].learner);
  EXPECT_EQ(members[3].next_index, LogIndex(3));
  EXPECT_EQ(members[3].match_index, LogIndex());
}

// -- 4.2.1 learners.

TEST(Membership421, Learner_IsReplicatedToButNotCounted) {
  Group group(conf_of({1, 2, 3}, {4}));
  group.elect(1);
  group.isolate(2);
  group.isolate(3);
  ASSERT_TRUE(group[1]->propose({bytes("a")}).is_ok());
  group.settle();
  EXPECT_EQ(group[4]->last_index(), LogIndex(2));
  EXPECT_EQ(group[1]->commit_index(), LogIndex(1));
}

TEST(Membership421, Promotion_OfALearner_MakesItAVoterWithItsProgress) {
  Group group(conf_of({1, 2, 3}, {4}));
  group.elect(1);
  group.change(1, change_of({add(4)}));
  EXPECT_EQ(group[1]->status().members[3].match_index, group[1]->last_index());
  EXPECT_FALSE(group[1]->status().members[3].learner);
  EXPECT_EQ(group[4]->conf_state(), conf_of({1, 2, 3, 4}));
}

// -- 4.2.2 removing the leader.

// trap 26
TEST(Membership422, Leader_Removed_StepsDownWhereThatIsOn) {
  for (const bool step_down : {true, false}) {
    Group group(3, [&](Config& config) { config.step_down_on_removal = step_down; });
    group.elect(1);
    group.change(1, change_of({remove(1)}));
    EXPECT_EQ(group[1]->role(), step_down ? Role::kFollower : Role::kLeader);
    EXPECT_EQ(group[1]->propose({bytes("a")}).status().code(), StatusCode::kUnavailable);
    group[1].tick(100);
    EXPECT_NE(group[1]->role(), Role::kCandidate);
  }
}

TEST(Membership422, Leader_Demoted_StepsDownToo) {
  Group group(3, [](Config& config) { config.step_down_on_removal = true; });
  group.elect(1);
  group.change(1, change_of({add_learner(1)}));
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->conf_state(), conf_of({2, 3}, {1}));
}

// FORMAT 5.3: removed leader counting itself.
TEST(Membership422, Leader_RemovedButStillLeading_DoesNotCountItself) {
  for (uint64_t silent : Ids{2, 3}) {
    Group group(3);
    group.elect(1);
    group[1].hold_applies = true;
    ASSERT_TRUE(group[1]->propose_conf_change(change_of({remove(1)})).is_ok());
    group.settle();
    ASSERT_TRUE(group[1]->propose({bytes("a")}).is_ok());
    group[1].hold_applies = false;
    while (!group[1].applies.empty()) group[1].complete_apply();
    ASSERT_EQ(group[1]->role(), Role::kLeader);
    group.isolate(silent);
    const LogIndex last = group[1]->last_index();
    group.settle();
    EXPECT_LT(group[1]->commit_index(), last) << "1 and one more are not a majority of 2 and 3";
    group.heal();
    group.tick(2);
    EXPECT_EQ(group[1]->commit_index(), last);
  }
}

// A smaller configuration may have committed more already, and nobody else would say so.
TEST(Membership422, Removal_OfASlowVoter_CommitsWhatTheOthersHave) {
  Group group(2);
  group.elect(1);
  group.isolate(2);
  ASSERT_TRUE(group[1]->propose({bytes("a")}).is_ok());
  group.settle();
  ASSERT_EQ(group[1]->commit_index(), LogIndex(1));
  group[1]->apply_conf_change(change_of({remove(2)}));
  EXPECT_EQ(group[1]->commit_index(), LogIndex(2));
}

// -- 4.3 joint consensus.

TEST(Membership43, TwoVoters_ReplacedAtOnce_GoThroughAJointConfigurationAndOutOfIt) {
  Group group(3);
  for (int i = 0; i < 2; ++i) (void)group.add_blank();
  group.elect(1);
  ASSERT_TRUE(group[1].storage().compact(LogIndex(1)).is_ok());
  group[1].storage().set_snapshot_source([&]() -> Result<std::shared_ptr<const Snapshot>> {
    return std::make_shared<const Snapshot>(
        Snapshot{group[1]->applied_index(), Term(1), group[1]->conf_state()});
  });
  group.change(1, change_of({add(4), add(5), remove(2), remove(3)}));
  group.tick(3);
  for (uint64_t id : Ids{1, 4, 5}) EXPECT_EQ(group[id]->conf_state(), conf_of({1, 4, 5})) << id;
}

TEST(Membership43, Commit_WhileJoint_NeedsBothHalves) {
  Group group(joint({1, 2, 3}, {1, 4, 5}, false));
  for (int i = 0; i < 2; ++i) (void)group.add_blank();
  group[1]->campaign();
  group[1].pump();
  for (uint64_t id : Ids{2, 4})
    (void)group[1].receive(message_of(MessageType::kVoteResp, id, 1, 1));
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  const auto ack = [&](uint64_t id) {
    Message message = message_of(MessageType::kAppResp, id, 1, 1);
    message.index = LogIndex(1);
    (void)group[1].receive(message);
  };
  ack(2);
  ack(3);
  EXPECT_EQ(group[1]->commit_index(), LogIndex());
  ack(5);
  EXPECT_EQ(group[1]->commit_index(), LogIndex(1));
}

TEST(Membership43, Explicit_StaysJointUntilToldToLeave) {
  Group group(3);
  group.elect(1);
  group.change(1, change_of({remove(3)}, kExplicit));
  EXPECT_EQ(group[1]->conf_state(), joint({1, 2}, {1, 2, 3}, false));
  group.tick(5);
  EXPECT_EQ(group[1]->conf_state(), joint({1, 2}, {1, 2, 3}, false));
  EXPECT_EQ(group[1]->propose_conf_change(change_of({add(4)})).status().code(),
            StatusCode::kConflict);
  group.settle();
  group.change(1, ConfChange{});
  EXPECT_EQ(group[1]->conf_state(), conf_of({1, 2}));
}

TEST(Membership43, DemotedVoter_BecomesALearnerOnlyWhenTheJointConfigurationIsLeft) {
  Group group(3);
  group.elect(1);
  group.change(1, change_of({add_learner(3)}, kExplicit));
  EXPECT_EQ(group[1]->conf_state().learners_next, std::vector<ReplicaId>{ReplicaId(3)});
  EXPECT_FALSE(group[1]->status().members[2].learner);
  group.change(1, ConfChange{});
  EXPECT_EQ(group[1]->conf_state(), conf_of({1, 2}, {3}));
  EXPECT_TRUE(group[1]->status().members[2].learner);
}

// FORMAT 5.3: auto-leave before its index.
TEST(Membership43, AutoLeave_WaitsUntilItsOwnChangeIsReportedApplied) {
  Group group(3);
  group.elect(1);
  group[1].hold_applies = true;
  ASSERT_TRUE(group[1]->propose({bytes("before")}).is_ok());
  group.settle();
  ASSERT_TRUE(group[1]->propose_conf_change(change_of({remove(3)}, kImplicit)).is_ok());
  group.settle();
  ASSERT_EQ(group[1].applies.size(), 2u);
  // The caller applies both before it reports the first: the configuration is joint, but the
  // change counts as applied only with the second report.
  StorageApply first = std::move(group[1].applies[0]);
  StorageApply second = std::move(group[1].applies[1]);
  group[1].applies.clear();
  (void)group[1]->apply_conf_change(
      *decode_conf_change(second.entries[0].type, second.entries[0].data));
  EXPECT_TRUE(group[1]->conf_state().auto_leave);
  (void)group[1].receive(first.responses[0]);
  EXPECT_EQ(group[1]->last_index(), LogIndex(3));
  (void)group[1].receive(second.responses[0]);
  EXPECT_EQ(group[1]->last_index(), LogIndex(4));
  EXPECT_EQ(group[1].entry(4).type, EntryType::kConfChangeV2);
}

// trap 23: whoever leads next leaves; trap 24: after an entry of its own is committed.
TEST(Membership43, AutoLeave_AfterTheLeaderIsLost_IsDoneByTheNextOne) {
  Group group(3);
  group.elect(1);
  group.lose = [&](const Message& message) {
    return message.from == ReplicaId(1) && !message.entries.empty() &&
           message.entries.back().type == EntryType::kConfChangeV2 &&
           message.entries.back().data.empty();
  };
  ASSERT_TRUE(group[1]->propose_conf_change(change_of({remove(1)}, kImplicit)).is_ok());
  group.settle();
  for (uint64_t id : Ids{2, 3}) {
    ASSERT_EQ(group[id]->conf_state(), joint({2, 3}, {1, 2, 3}, true));
  }
  group.isolate(1);
  group.lose = nullptr;
  group.elect(2);
  for (uint64_t id : Ids{2, 3}) EXPECT_EQ(group[id]->conf_state(), conf_of({2, 3})) << id;
}

// trap 24
TEST(Membership43, AutoLeave_ByANewLeader_WaitsForACommitOfItsOwn) {
  Replica leader(testing::test_config(2), joint({2, 3}, {1, 2, 3}, true));
  Message append = message_of(MessageType::kApp, 1, 2, 1);
  append.entries.push_back({Term(1), LogIndex(1), EntryType::kNormal, bytes("a")});
  append.commit = LogIndex(1);
  leader.hold_applies = true;
  (void)leader.receive(append);
  leader->campaign();
  leader.pump();
  (void)leader.receive(message_of(MessageType::kVoteResp, 3, 2, 2));
  ASSERT_EQ(leader->role(), Role::kLeader);
  leader.hold_applies = false;
  leader.complete_apply();
  EXPECT_EQ(leader->applied_index(), LogIndex(1));
  EXPECT_EQ(leader->last_index(), LogIndex(2)) << "everything inherited is applied, but...";
  Message ack = message_of(MessageType::kAppResp, 3, 2, 2);
  ack.index = LogIndex(2);
  (void)leader.receive(ack);
  EXPECT_EQ(leader->last_index(), LogIndex(3));
  EXPECT_EQ(leader.entry(3).type, EntryType::kConfChangeV2);
}

TEST(Membership43, AutoLeave_RefusedDuringATransfer_IsTriedAgain) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  group[1].hold_applies = true;
  ASSERT_TRUE(group[1]->propose_conf_change(change_of({remove(2)}, kImplicit)).is_ok());
  group.settle();
  ASSERT_EQ(group[1].applies.size(), 1u);
  group[1]->transfer_leadership(ReplicaId(3));
  group[1].hold_applies = false;
  group[1].complete_apply();
  EXPECT_TRUE(group[1]->conf_state().auto_leave);
  EXPECT_EQ(group[1]->last_index(), LogIndex(2)) << "nothing is proposed during the transfer";
  group[1].tick(10);
  ASSERT_EQ(group[1]->status().transfer_target, kNoReplica);
  group.heal();
  group.tick(2);
  EXPECT_EQ(group[1]->conf_state(), conf_of({1, 3}));
}

TEST(Membership43, Validation_Off_AcceptsAnyChange) {
  Group group(3, [](Config& config) { config.disable_conf_change_validation = true; });
  group.elect(1);
  group[1].hold_applies = true;
  ASSERT_TRUE(group[1]->propose_conf_change(change_of({remove(3)}, kExplicit)).is_ok());
  EXPECT_TRUE(group[1]->propose_conf_change(ConfChange{}).is_ok());
  EXPECT_TRUE(group[1]->propose_conf_change(change_of({remove(1), remove(2)})).is_ok());
  group.settle();
  group[1].hold_applies = false;
  while (!group[1].applies.empty()) group[1].complete_apply();
  group.settle();
  EXPECT_EQ(group[1]->conf_state(), conf_of({1, 2})) << "what cannot be applied changes nothing";
}

// trap 11
TEST(Membership, Stranger_WithAResponse_IsRefused) {
  Group group(3);
  group.elect(1);
  for (const MessageType type :
       {MessageType::kAppResp, MessageType::kVoteResp, MessageType::kHeartbeatResp,
        MessageType::kPreVoteResp, MessageType::kReadIndexResp}) {
    EXPECT_EQ(group[1].receive(message_of(type, 9, 1, 5)).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(group[1]->term(), Term(1));
}

}  // namespace
}  // namespace multiraft::raft
