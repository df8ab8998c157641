// Linearizable reads: thesis 6.4.

#include <gtest/gtest.h>

#include "raft/core.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;
using testing::conf_of;
using testing::Group;
using testing::Ids;
using testing::Replica;

Message message_of(MessageType type, uint64_t from, uint64_t to, uint64_t term) {
  Message message;
  message.type = type;
  message.from = ReplicaId(from);
  message.to = ReplicaId(to);
  message.term = Term(term);
  return message;
}

Message heartbeat_answer(const Message& heartbeat) {
  Message answer = message_of(MessageType::kHeartbeatResp, heartbeat.to.value, heartbeat.from.value,
                              heartbeat.term.value);
  answer.read_id = heartbeat.read_id;
  answer.promise_ms = 1'000;
  return answer;
}

void lease_based(Config& config) {
  config.check_quorum = true;
  config.promise_ms = 1'000;
}

// -- The leader.

TEST(ReadIndex64, Leader_OnceAQuorumConfirmsIt_AnswersWithTheCommitIndexOfTheQuestion) {
  Group group(3);
  group.elect(1);
  group.propose(1, "a");
  group[1]->read_index(ReadId(7));
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty());
  const auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  ASSERT_EQ(heartbeats.size(), 2u);
  (void)group[1].receive(heartbeat_answer(heartbeats[0]));
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_EQ(group[1].reads[0].id, ReadId(7));
  EXPECT_EQ(group[1].reads[0].index, LogIndex(2));
  EXPECT_FALSE(group[1].reads[0].failed);
}

// trap 29
TEST(ReadIndex64, SoleIncomingVoter_InAJointConfiguration_AsksTheOutgoingHalf) {
  ConfState conf = conf_of({1});
  conf.voters_outgoing = conf_of({1, 2, 3}).voters;
  Group group(conf);
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 1));
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  Message ack = message_of(MessageType::kAppResp, 2, 1, 1);
  ack.index = group[1]->last_index();
  (void)group[1].receive(ack);
  ASSERT_EQ(group[1]->commit_index(), group[1]->last_index());
  group[1].take_sent();
  group[1]->read_index(ReadId(1));
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty());
  const auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  ASSERT_EQ(heartbeats.size(), 2u);
  (void)group[1].receive(heartbeat_answer(heartbeats[0]));
  EXPECT_EQ(group[1].reads.size(), 1u);
}

// trap 29: a leader that is no voter any more is not the one that the sole voter is.
TEST(ReadIndex64, RemovedLeader_BesideASoleVoter_AsksIt) {
  Group group(2);
  group.elect(1);
  ConfChange change;
  change.changes = {{ConfChangeOp::kRemove, ReplicaId(1)}};
  group.change(1, change);
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  ASSERT_EQ(group[1]->conf_state(), conf_of({2}));
  group.isolate(2);
  group[1]->read_index(ReadId(1));
  group.settle();
  EXPECT_TRUE(group[1].reads.empty());
}

TEST(ReadIndex64, SingleVoter_IsAnsweredAtOnceAlsoWithLearners) {
  Group group(conf_of({1}, {2}));
  group.elect(1);
  group[1]->read_index(ReadId(1));
  group[1].pump();
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_EQ(group[1].reads[0].index, LogIndex(1));
}

// traps 13, 16
TEST(ReadIndex64, Leader_BeforeItsFirstCommit_HoldsReadsUntilThen) {
  Group group(3);
  group.elect(1);
  group.propose(1, "a");
  // Replica 2 takes over. It has the entry, but does not know that it was acknowledged.
  group.isolate(1);
  group[2]->campaign();
  group[2].pump();
  (void)group[2].receive(message_of(MessageType::kVoteResp, 3, 2, 2));
  ASSERT_EQ(group[2]->role(), Role::kLeader);
  group[2]->read_index(ReadId(1));
  group[2].pump();
  for (const Message& heartbeat : group[2].take_sent(MessageType::kHeartbeat)) {
    (void)group[2].receive(heartbeat_answer(heartbeat));
  }
  EXPECT_TRUE(group[2].reads.empty());
  group.tick();
  ASSERT_EQ(group[2].reads.size(), 1u);
  EXPECT_EQ(group[2].reads[0].index, LogIndex(3));
}

TEST(ReadIndex64, SingleVoter_BeforeItsFirstCommit_HoldsReads) {
  Group group(1);
  group[1].hold_appends = true;
  group[1]->campaign();
  group[1].pump();
  group[1].complete_append();
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  group[1]->read_index(ReadId(1));
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty());
  group[1].complete_append();
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_EQ(group[1].reads[0].index, LogIndex(1));
}

// trap 15: answers that were sent before the question confirm nothing.
TEST(ReadIndex64, HeartbeatAnswer_ToAnOlderRound_DoesNotConfirmAYoungerRead) {
  Group group(3);
  group.elect(1);
  group[1].tick();
  const auto old_heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  group[1]->read_index(ReadId(1));
  group[1].pump();
  for (const Message& heartbeat : old_heartbeats) {
    (void)group[1].receive(heartbeat_answer(heartbeat));
    (void)group[1].receive(heartbeat_answer(heartbeat));
  }
  EXPECT_TRUE(group[1].reads.empty());
  // The next beat confirms, too: it is newer than the question.
  group[1].take_sent();
  group[1].tick();
  const auto newer = group[1].take_sent(MessageType::kHeartbeat);
  (void)group[1].receive(heartbeat_answer(newer[0]));
  EXPECT_EQ(group[1].reads.size(), 1u);
}

TEST(ReadIndex64, HeartbeatAnswer_ToARoundThatDoesNotExist_ConfirmsNothing) {
  Group group(3);
  group.elect(1);
  group[1]->read_index(ReadId(1));
  group[1].pump();
  Message answer = message_of(MessageType::kHeartbeatResp, 2, 1, 1);
  answer.read_id = ReadId(1'000'000);
  (void)group[1].receive(answer);
  EXPECT_TRUE(group[1].reads.empty());
}

TEST(ReadIndex64, Reads_AskedBeforeTheHeartbeatsLeave_ShareARound) {
  Group group(3);
  group.elect(1);
  for (uint64_t id = 1; id <= 10; ++id) group[1]->read_index(ReadId(id));
  group[1].pump();
  const auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  ASSERT_EQ(heartbeats.size(), 2u);
  group[1]->read_index(ReadId(11));
  group[1].pump();
  (void)group[1].receive(heartbeat_answer(heartbeats[1]));
  EXPECT_EQ(group[1].reads.size(), 10u) << "the eleventh came after they had left";
}

TEST(ReadIndex64, JointConfiguration_NeedsAQuorumOfBothHalves) {
  ConfState conf = conf_of({1, 2, 3});
  conf.voters_outgoing = conf_of({1, 4, 5}).voters;
  Group group(conf);
  (void)group.add_blank();
  (void)group.add_blank();
  group[1]->campaign();
  group[1].pump();
  for (uint64_t id : Ids{2, 4})
    (void)group[1].receive(message_of(MessageType::kVoteResp, id, 1, 1));
  for (uint64_t id : Ids{2, 4}) {
    Message ack = message_of(MessageType::kAppResp, id, 1, 1);
    ack.index = LogIndex(1);
    (void)group[1].receive(ack);
  }
  ASSERT_EQ(group[1]->commit_index(), LogIndex(1));
  group[1].take_sent();
  group[1]->read_index(ReadId(1));
  group[1].pump();
  const auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  for (const Message& heartbeat : heartbeats) {
    if (heartbeat.to == ReplicaId(2) || heartbeat.to == ReplicaId(3)) {
      (void)group[1].receive(heartbeat_answer(heartbeat));
    }
  }
  EXPECT_TRUE(group[1].reads.empty());
  for (const Message& heartbeat : heartbeats) {
    if (heartbeat.to == ReplicaId(5)) (void)group[1].receive(heartbeat_answer(heartbeat));
  }
  EXPECT_EQ(group[1].reads.size(), 1u);
}

// A leader that was paused while others went on (etcd#20418).
TEST(ReadIndex64, DeposedLeader_NeverAnswers) {
  Group group(3);
  group.elect(1);
  group.isolate(1);
  group.elect(2);
  group.propose(2, "new");
  group[1]->read_index(ReadId(1));
  group.settle();
  EXPECT_TRUE(group[1].reads.empty());
  group.heal();
  group.tick(2);
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_TRUE(group[1].reads[0].failed);
}

// -- Followers.

TEST(ReadIndex64, Follower_AsksItsLeader) {
  Group group(3);
  group.elect(1);
  group.propose(1, "a");
  group[3]->read_index(ReadId(9));
  group.settle();
  ASSERT_EQ(group[3].reads.size(), 1u);
  EXPECT_EQ(group[3].reads[0].id, ReadId(9));
  EXPECT_EQ(group[3].reads[0].index, LogIndex(2));
}

TEST(ReadIndex64, Learner_AsksItsLeader) {
  Group group(conf_of({1, 2}, {3}));
  group.elect(1);
  group[3]->read_index(ReadId(1));
  group.settle();
  ASSERT_EQ(group[3].reads.size(), 1u);
  EXPECT_FALSE(group[3].reads[0].failed);
}

// trap 14: every read gets an answer.
TEST(ReadIndex64, Read_WithoutALeader_FailsAtOnce) {
  Group group(3);
  group[1]->read_index(ReadId(1));
  group[1].pump();
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_TRUE(group[1].reads[0].failed);
  group[1]->campaign();
  group[1]->read_index(ReadId(2));
  group[1].pump();
  ASSERT_EQ(group[1].reads.size(), 2u);
  EXPECT_TRUE(group[1].reads[1].failed);
}

TEST(ReadIndex64, Question_ToAReplicaThatDoesNotLead_IsRefused) {
  Group group(3);
  group.elect(1);
  Message question = message_of(MessageType::kReadIndex, 3, 2, 0);
  question.read_id = ReadId(5);
  (void)group[2].receive(question);
  const auto answers = group[2].take_sent(MessageType::kReadIndexResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject);
  EXPECT_EQ(answers[0].read_id, ReadId(5));
}

TEST(ReadIndex64, Leader_LosingLeadership_FailsItsReadsAndRefusesTheOthers) {
  Group group(3);
  group.elect(1);
  group[1]->read_index(ReadId(1));
  Message question = message_of(MessageType::kReadIndex, 3, 1, 0);
  question.read_id = ReadId(2);
  (void)group[1].receive(question);
  group[1].take_sent();
  (void)group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 2));
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_TRUE(group[1].reads[0].failed);
  const auto answers = group[1].take_sent(MessageType::kReadIndexResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject);
  EXPECT_EQ(answers[0].to, ReplicaId(3));
}

TEST(ReadIndex64, Follower_HearingOfAnotherTermOrLosingItsLeader_FailsItsReads) {
  Group group(3);
  for (const bool new_term : {true, false}) {
    group.elect(1);
    group[3].reads.clear();
    group[3]->read_index(ReadId(1));
    group[3].pump();
    EXPECT_TRUE(group[3].reads.empty());
    if (new_term) {
      (void)group[3].receive(message_of(MessageType::kHeartbeat, 2, 3, 9));
    } else {
      group[3]->forget_leader();
      group[3].pump();
    }
    ASSERT_EQ(group[3].reads.size(), 1u);
    EXPECT_TRUE(group[3].reads[0].failed);
    group[3].take_sent();
    (void)group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 9));
  }
}

TEST(ReadIndex64, Read_WhoseMessagesAreLost_FailsAfterAnElectionTimeout) {
  Group group(3);
  group.elect(1);
  group[3]->set_randomized_election_timeout(19);
  group[3]->read_index(ReadId(1));
  group[3].pump();
  group[3].take_sent();
  group[3].tick(9);
  EXPECT_TRUE(group[3].reads.empty());
  group[3].tick();
  ASSERT_EQ(group[3].reads.size(), 1u);
  EXPECT_TRUE(group[3].reads[0].failed);
  // A late answer is not a second one.
  Message answer = message_of(MessageType::kReadIndexResp, 1, 3, 1);
  answer.read_id = ReadId(1);
  answer.index = LogIndex(1);
  (void)group[3].receive(answer);
  EXPECT_EQ(group[3].reads.size(), 1u);

  group.isolate(2);
  group.isolate(3);
  group[1]->read_index(ReadId(4));
  group[1].tick(10);
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_TRUE(group[1].reads[0].failed);
}

TEST(ReadIndex64, Reads_BeyondTheLimit_AreRefused) {
  Group group(3, [](Config& config) { config.pending_reads_max = 2; });
  group.elect(1);
  for (uint64_t id : Ids{1, 3}) {
    for (uint64_t read = 1; read <= 3; ++read) group[id]->read_index(ReadId(read));
    group[id].pump();
    ASSERT_EQ(group[id].reads.size(), 1u);
    EXPECT_TRUE(group[id].reads[0].failed);
    EXPECT_EQ(group[id].reads[0].id, ReadId(3));
  }
}

// traps 18, 19
TEST(ReadIndex64, Reads_DuringATransfer_AreRefused) {
  for (const bool lease : {false, true}) {
    Group group(3, [&](Config& config) {
      if (lease) lease_based(config);
    });
    group.elect(1);
    group.tick(2);
    group.lose = [](const Message& message) { return message.type == MessageType::kTimeoutNow; };
    group[1]->transfer_leadership(ReplicaId(2));
    group[1]->read_index(ReadId(1));
    group.settle();
    ASSERT_EQ(group[1].reads.size(), 1u);
    EXPECT_TRUE(group[1].reads[0].failed);
  }
}

// -- Leases.

TEST(Lease64, Leader_WithALease_AnswersWithoutARound) {
  Group group(3, lease_based);
  group.elect(1);
  group.tick();
  group[1]->read_index(ReadId(1), ReadMode::kLease);
  group[1].pump();
  EXPECT_TRUE(group[1].sent.empty());
  ASSERT_EQ(group[1].reads.size(), 1u);
  EXPECT_FALSE(group[1].reads[0].failed);
}

// trap 17: it starts when the heartbeats were sent and is shorter than the timeout.
TEST(Lease64, Leader_WhoseLeaseRanOut_NeedsARound) {
  Group group(3, lease_based);
  group.elect(1);
  group[1].tick();
  auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  group[1].tick(5);  // The answer takes its time, which does not prolong the lease.
  (void)group[1].receive(heartbeat_answer(heartbeats[0]));
  group[1].tick(3);
  group[1]->read_index(ReadId(1), ReadMode::kLease);
  group[1].pump();
  EXPECT_EQ(group[1].reads.size(), 1u) << "8 ticks after the sending, of 10";
  group[1].tick();
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  group[1]->read_index(ReadId(2), ReadMode::kLease);
  group[1].pump();
  EXPECT_EQ(group[1].reads.size(), 1u);
  heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  (void)group[1].receive(heartbeat_answer(heartbeats.back()));
  EXPECT_EQ(group[1].reads.size(), 2u);
}

// trap 18: TimeoutNow may be delivered long after the transfer was given up, and its target is
// elected in spite of everybody's promise.
TEST(Lease64, Leader_ThatEverSentTimeoutNow_TrustsNoLeaseInThisTerm) {
  Group group(3, lease_based);
  group.elect(1);
  group.lose = [](const Message& message) { return message.type == MessageType::kTimeoutNow; };
  EXPECT_TRUE(group[1]->lease_possible());
  group[1]->transfer_leadership(ReplicaId(2));
  EXPECT_FALSE(group[1]->lease_possible());
  group.tick(12);
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  ASSERT_EQ(group[1]->status().transfer_target, kNoReplica);
  EXPECT_FALSE(group[1]->lease_possible());
  group[1]->read_index(ReadId(1), ReadMode::kLease);
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty()) << "not by a lease";
  group.settle();
  ASSERT_EQ(group[1].reads.size(), 1u) << "but by a round";
  EXPECT_FALSE(group[1].reads[0].failed);
}

// trap 18: the order to campaign is out although the target is no voter any more and the transfer
// was given up within the lease.
TEST(Lease64, Leader_WhoseTransferEndedEarly_TrustsNoLeaseFromBefore) {
  Group group(3, lease_based);
  group.elect(1);
  group.tick();
  group[1].hold_applies = true;
  ConfChange change;
  change.changes = {{ConfChangeOp::kRemove, ReplicaId(3)}};
  ASSERT_TRUE(group[1]->propose_conf_change(change).is_ok());
  group.settle();
  group.lose = [](const Message& message) { return message.type == MessageType::kTimeoutNow; };
  group[1]->transfer_leadership(ReplicaId(3));
  group.settle();
  ASSERT_EQ(group[1]->status().transfer_target, ReplicaId(3));
  group[1].hold_applies = false;
  while (!group[1].applies.empty()) group[1].complete_apply();
  ASSERT_EQ(group[1]->status().transfer_target, kNoReplica);
  group[1]->read_index(ReadId(1), ReadMode::kLease);
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty()) << "not by a lease";
  group.settle();
  EXPECT_EQ(group[1].reads.size(), 1u) << "but by a round";
}

// The mode is the question's, not the group's.
TEST(Lease64, ConfirmedRead_WhileTheLeaseHolds_NeedsARound) {
  Group group(3, lease_based);
  group.elect(1);
  group.tick();
  group[1]->read_index(ReadId(1), ReadMode::kConfirmed);
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty());
  group.settle();
  EXPECT_EQ(group[1].reads.size(), 1u);
}

TEST(Lease64, LeaseRead_WithoutAJudge_NeedsARound) {
  Group group(3);
  group.elect(1);
  group.tick();
  group[1]->read_index(ReadId(1), ReadMode::kLease);
  group[1].pump();
  EXPECT_TRUE(group[1].reads.empty());
  group.settle();
  EXPECT_EQ(group[1].reads.size(), 1u);
}

TEST(Lease64, Follower_AskingForALeaseRead_IsAnsweredWithoutARound) {
  for (const ReadMode mode : {ReadMode::kLease, ReadMode::kConfirmed}) {
    Group group(3, lease_based);
    group.elect(1);
    group.tick();
    group[2]->read_index(ReadId(5), mode);
    group[2].pump();
    const auto question = group[2].take_sent(MessageType::kReadIndex);
    ASSERT_EQ(question.size(), 1u);
    (void)group[1].receive(question[0]);
    const size_t answers = group[1].take_sent(MessageType::kReadIndexResp).size();
    EXPECT_EQ(answers, mode == ReadMode::kLease ? 1u : 0u);
  }
}

// While leases are switched on node by node, some members promise nothing, or less.
TEST(Lease64, Leader_WhoseMembersPromiseTooLittle_NeedsARound) {
  for (const uint32_t promise_ms : {0U, 999U, 1'000U, 1'001U}) {
    Group group(3, lease_based);
    group.elect(1);
    group[1].tick();
    for (const Message& heartbeat : group[1].take_sent(MessageType::kHeartbeat)) {
      Message answer = heartbeat_answer(heartbeat);
      answer.promise_ms = promise_ms;
      (void)group[1].receive(answer);
    }
    group[1]->read_index(ReadId(1), ReadMode::kLease);
    group[1].pump();
    EXPECT_EQ(group[1].reads.size(), promise_ms < 1'000 ? 0u : 1u) << promise_ms;
  }
}

TEST(ReadIndex64, Follower_AnsweredByAMemberThatItDidNotAsk_WaitsOn) {
  Group group(3);
  group.elect(1);
  group[2]->read_index(ReadId(5));
  group[2].pump();
  Message answer = message_of(MessageType::kReadIndexResp, 3, 2, 1);
  answer.read_id = ReadId(5);
  answer.index = LogIndex(1);
  (void)group[2].receive(answer);
  EXPECT_TRUE(group[2].reads.empty());
  answer.from = ReplicaId(1);
  (void)group[2].receive(answer);
  EXPECT_EQ(group[2].reads.size(), 1u);
}

TEST(Lease64, Follower_DoesNotForgetItsLeader) {
  Group group(3, lease_based);
  group.elect(1);
  group[2]->forget_leader();
  EXPECT_EQ(group[2]->leader(), ReplicaId(1));
}

}  // namespace
}  // namespace multiraft::raft
