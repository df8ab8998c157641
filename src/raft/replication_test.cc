// Log replication and commitment: thesis 3.5, 3.6.2, 10.2.1.

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
using testing::test_config;

Message message_of(MessageType type, uint64_t from, uint64_t to, uint64_t term) {
  Message message;
  message.type = type;
  message.from = ReplicaId(from);
  message.to = ReplicaId(to);
  message.term = Term(term);
  return message;
}

Message append_of(uint64_t from, uint64_t to, uint64_t term, uint64_t previous_term,
                  uint64_t previous_index, std::vector<uint64_t> terms, uint64_t commit = 0) {
  Message message = message_of(MessageType::kApp, from, to, term);
  message.log_term = Term(previous_term);
  message.index = LogIndex(previous_index);
  message.commit = LogIndex(commit);
  for (uint64_t entry_term : terms) {
    ++previous_index;
    message.entries.push_back({Term(entry_term), LogIndex(previous_index), EntryType::kNormal,
                               bytes(std::to_string(previous_index))});
  }
  return message;
}

Message ack_of(uint64_t from, uint64_t to, uint64_t term, uint64_t index) {
  Message message = message_of(MessageType::kAppResp, from, to, term);
  message.index = LogIndex(index);
  return message;
}

Message rejection_of(uint64_t from, uint64_t to, uint64_t term, uint64_t index, uint64_t hint,
                     uint64_t hint_term) {
  Message message = ack_of(from, to, term, index);
  message.reject = true;
  message.reject_hint = LogIndex(hint);
  message.log_term = Term(hint_term);
  return message;
}

MemberProgress member(Replica& leader, uint64_t id) {
  for (const MemberProgress& progress : leader->status().members) {
    if (progress.id == ReplicaId(id)) return progress;
  }
  return {};
}

std::vector<std::string> payloads(const Replica& replica) {
  std::vector<std::string> out;
  for (const Entry& entry : replica.applied) {
    if (!entry.data.empty()) out.emplace_back(entry.data.view());
  }
  return out;
}

/// Replica 1 of 1..n, elected in term 1 by hand, so that nobody else has its first entry yet.
Replica lone_leader(size_t n, const std::function<void(Config&)>& tune = {}) {
  Config config = test_config(1);
  if (tune) tune(config);
  ConfState conf;
  for (uint64_t id = 1; id <= n; ++id) conf.voters.emplace_back(id);
  return Replica(config, conf);
}

void elect(Replica& replica, size_t n) {
  replica->campaign();
  replica.pump();
  for (uint64_t id = 2; id <= n / 2 + 1; ++id) {
    (void)replica.receive(message_of(MessageType::kVoteResp, id, 1, replica->term().value));
  }
  ASSERT_EQ(replica->role(), Role::kLeader);
  replica.take_sent();
}

// -- 3.5 log replication.

TEST(Replication35, Proposal_OnceAMajorityHasIt_IsAppliedEverywhereInOrder) {
  Group group(3);
  group.elect(1);
  for (const char* data : {"a", "b", "c"}) group.propose(1, data);
  const std::vector<std::string> expected = {"a", "b", "c"};
  for (uint64_t id : Ids{1, 2, 3}) EXPECT_EQ(payloads(group[id]), expected);
}

TEST(Replication35, Proposal_AtAFollower_IsForwardedUnlessThatIsOff) {
  Group group(3);
  group.elect(1);
  const auto position = group[2]->propose({bytes("a")});
  ASSERT_TRUE(position.is_ok());
  EXPECT_EQ(position->index, LogIndex());
  group.settle();
  EXPECT_EQ(payloads(group[3]), std::vector<std::string>{"a"});

  Group direct(3, [](Config& config) { config.disable_proposal_forwarding = true; });
  EXPECT_EQ(direct[2]->propose({bytes("a")}).status().code(), StatusCode::kUnavailable);
  direct.elect(1);
  EXPECT_EQ(direct[2]->propose({bytes("a")}).status().code(), StatusCode::kUnavailable);
}

TEST(Replication35, Batch_OfProposals_TakesConsecutivePositions) {
  Group group(3);
  group.elect(1);
  const auto position = group[1]->propose({bytes("a"), bytes("b"), bytes("c")});
  ASSERT_TRUE(position.is_ok());
  EXPECT_EQ(position->index, LogIndex(2));
  EXPECT_EQ(position->term, Term(1));
  group.settle();
  EXPECT_EQ(group[1].entry(4).data.view(), "c");
}

TEST(Replication35, Follower_MissingEntries_RefusesAndIsBroughtUpToDate) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  for (const char* data : {"a", "b", "c"}) group.propose(1, data);
  group.heal();
  group.tick();
  EXPECT_EQ(group[3]->commit_index(), group[1]->commit_index());
  EXPECT_EQ(payloads(group[3]).size(), 3u);
}

/// Figure 7 of the paper: followers with missing, extra and other entries end up with the leader's.
TEST(Replication35, Followers_WithAnyLog_ConvergeToTheLeaders) {
  const std::vector<uint64_t> leader_terms = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
  const std::vector<std::vector<uint64_t>> follower_terms = {{1, 1, 1, 4, 4, 5, 5, 6, 6},
                                                             {1, 1, 1, 4},
                                                             {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
                                                             {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
                                                             {1, 1, 1, 4, 4, 4, 4},
                                                             {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}};
  for (const auto& terms : follower_terms) {
    Group group(3);
    (void)group[1].receive(append_of(3, 1, 7, 0, 0, leader_terms));
    (void)group[2].receive(append_of(3, 2, 7, 0, 0, terms));
    (void)group[3].receive(append_of(1, 3, 7, 0, 0, leader_terms));
    for (uint64_t id : Ids{1, 2, 3}) group[id].take_sent();
    group.elect(1);
    group.tick(2);
    ASSERT_EQ(group[2]->last_index(), group[1]->last_index());
    for (uint64_t index = 1; index <= group[1]->last_index().value; ++index) {
      EXPECT_EQ(group[2].entry(index).term, group[1].entry(index).term) << index;
    }
  }
}

// FORMAT 5.3: ack value for an old or partially overlapping append.
TEST(Replication35, Append_OldOrOverlapping_AcknowledgesExactlyWhatIsKnownToMatch) {
  Group group(3);
  Replica& follower = group[2];
  (void)follower.receive(append_of(1, 2, 1, 0, 0, {1, 1, 1, 1, 1}, 2));
  follower.take_sent();
  const auto ack = [&](Message append) {
    EXPECT_TRUE(follower.receive(std::move(append)).is_ok());
    const auto answers = follower.take_sent(MessageType::kAppResp);
    EXPECT_EQ(answers.size(), 1u);
    EXPECT_FALSE(answers[0].reject);
    return answers[0].index.value;
  };
  EXPECT_EQ(ack(append_of(1, 2, 1, 1, 1, {1})), 2u) << "before the commit index: that";
  EXPECT_EQ(ack(append_of(1, 2, 1, 0, 0, {1, 1, 1})), 2u);
  EXPECT_EQ(ack(append_of(1, 2, 1, 1, 2, {1})), 3u) << "its end, not the log's";
  EXPECT_EQ(ack(append_of(1, 2, 1, 1, 3, {})), 3u);
  EXPECT_EQ(ack(append_of(1, 2, 1, 1, 4, {1, 1, 1})), 7u);
}

// trap 39
TEST(Replication35, Append_DelayedPrefix_DoesNotTakeBackWhatFollows) {
  Group group(3);
  (void)group[2].receive(append_of(1, 2, 1, 0, 0, {1, 1, 1, 1}));
  (void)group[2].receive(append_of(1, 2, 1, 0, 0, {1, 1}));
  EXPECT_EQ(group[2]->last_index(), LogIndex(4));
}

// FORMAT 5.3: commit beyond the last new index of an append.
TEST(Replication35, Append_WithACommitBeyondItsEnd_CommitsOnlyWhatItVouchesFor) {
  Group group(3);
  (void)group[2].receive(append_of(1, 2, 1, 0, 0, {1, 1, 1, 1}));
  (void)group[2].receive(append_of(3, 2, 2, 1, 2, {}, 4));
  EXPECT_EQ(group[2]->commit_index(), LogIndex(2))
      << "entries 3 and 4 may differ from the leader's";
}

TEST(Replication35, Append_ContradictingACommittedEntry_IsRefusedAndChangesNothing) {
  Group group(3);
  (void)group[2].receive(append_of(1, 2, 1, 0, 0, {1, 1}, 2));
  group[2].take_sent();
  // Behind the commit index nothing is looked at; at its end the previous entry must match.
  EXPECT_TRUE(group[2].receive(append_of(3, 2, 2, 0, 0, {2, 2})).is_ok());
  EXPECT_EQ(group[2].entry(1).term, Term(1));
  EXPECT_EQ(group[2].take_sent(MessageType::kAppResp)[0].index, LogIndex(2));
}

// FORMAT 5.3: use of the hint in Replicate.
TEST(Replication35, Rejection_InReplicate_RestartsAtMatchAndNotAtTheHint) {
  Replica leader = lone_leader(3);
  elect(leader, 3);
  (void)leader.receive(ack_of(2, 1, 1, 1));
  ASSERT_TRUE(leader->propose({bytes("a"), bytes("b"), bytes("c")}).is_ok());
  leader.pump();
  (void)leader.receive(ack_of(2, 1, 1, 3));
  ASSERT_TRUE(leader->propose({bytes("d"), bytes("e")}).is_ok());
  leader.pump();
  leader.take_sent();
  (void)leader.receive(rejection_of(2, 1, 1, 5, 1, 1));
  EXPECT_EQ(member(leader, 2).state, ProgressState::kProbe);
  const auto appends = leader.take_sent(MessageType::kApp);
  ASSERT_EQ(appends.size(), 1u);
  EXPECT_EQ(appends[0].index, LogIndex(3));
  EXPECT_EQ(appends[0].entries.size(), 3u);
}

// FORMAT 5.3: stale-reject filter in Probe.
TEST(Replication35, Rejection_OfAnOlderProbe_IsIgnored) {
  Group group(3);
  (void)group[1].receive(append_of(3, 1, 1, 0, 0, {1, 1, 1, 1, 1, 1}));
  group[1].take_sent();
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 2));
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  group[1].take_sent();
  (void)group[1].receive(rejection_of(2, 1, 2, 6, 4, 1));
  EXPECT_EQ(member(group[1], 2).next_index, LogIndex(5));
  group[1].take_sent();
  (void)group[1].receive(rejection_of(2, 1, 2, 6, 1, 1));
  EXPECT_EQ(member(group[1], 2).next_index, LogIndex(5));
  EXPECT_TRUE(group[1].take_sent().empty());
}

// Logs that differ in a long tail are compared a term at a time, not an entry at a time.
TEST(Replication35, Rejection_OfAFollower_NamesItsLastEntryThatMayMatch) {
  Group group(3);
  (void)group[1].receive(append_of(3, 1, 7, 0, 0, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}));
  group[1].take_sent();
  (void)group[1].receive(append_of(3, 1, 7, 2, 10, {}));
  const auto answers = group[1].take_sent(MessageType::kAppResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject);
  EXPECT_EQ(answers[0].reject_hint, LogIndex(6)) << "entries of term 3 cannot be the leader's";
  EXPECT_EQ(answers[0].log_term, Term(2));
}

TEST(Replication35, Rejection_WithATermHint_SkipsTheEntriesThatCannotMatch) {
  Group group(3);
  (void)group[1].receive(append_of(3, 1, 7, 0, 0, {1, 1, 1, 5, 5, 5, 5}));
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 8));
  ASSERT_EQ(group[1]->role(), Role::kLeader);
  (void)group[1].receive(rejection_of(2, 1, 8, 7, 6, 2));
  EXPECT_EQ(member(group[1], 2).next_index, LogIndex(4)) << "the last entry of at most term 2 is 3";
}

TEST(Replication35, Window_Full_HoldsFurtherAppendsUntilAcknowledged) {
  Replica leader = lone_leader(3, [](Config& config) { config.inflight_messages_max = 2; });
  elect(leader, 3);
  (void)leader.receive(ack_of(2, 1, 1, 1));
  leader.take_sent();
  for (const char* data : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(leader->propose({bytes(data)}).is_ok());
    leader.pump();
  }
  EXPECT_EQ(leader.take_sent(MessageType::kApp).size(), 2u);
  EXPECT_TRUE(member(leader, 2).inflight_full);
  (void)leader.receive(ack_of(2, 1, 1, 2));
  const auto appends = leader.take_sent(MessageType::kApp);
  ASSERT_FALSE(appends.empty());
  EXPECT_EQ(appends[0].index, LogIndex(3));
  EXPECT_EQ(appends[0].entries.size(), 2u) << "what gathered goes out together";
}

TEST(Replication35, Window_FullInBytes_HoldsFurtherAppends) {
  Replica leader = lone_leader(3, [](Config& config) { config.inflight_bytes_max = 100; });
  elect(leader, 3);
  (void)leader.receive(ack_of(2, 1, 1, 1));
  leader.take_sent();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(leader->propose({bytes(std::string(60, 'x'))}).is_ok());
    leader.pump();
  }
  EXPECT_EQ(leader.take_sent(MessageType::kApp).size(), 2u);
}

// etcd PR#14633: the whole window is lost.
TEST(Replication35, Window_FullAndLost_IsDiscoveredAfterAHeartbeat) {
  Group group(3, [](Config& config) { config.inflight_messages_max = 2; });
  group.elect(1);
  group.propose(1, "a");
  group.isolate(3);
  for (const char* data : {"b", "c", "d", "e"}) group.propose(1, data);
  group.heal();
  group.tick();
  EXPECT_EQ(payloads(group[3]).size(), 5u);
}

TEST(Replication35, Message_Limited_SplitsWhatIsSentButNeverAnEntry) {
  Group group(3, [](Config& config) { config.message_bytes_max = 1; });
  group.elect(1);
  group.isolate(3);
  for (const char* data : {"a", "b", "c"}) group.propose(1, data);
  group.heal();
  size_t largest = 0;
  group.lose = [&](const Message& message) {
    largest = std::max(largest, message.entries.size());
    return false;
  };
  group.tick();
  EXPECT_EQ(payloads(group[3]).size(), 3u);
  EXPECT_EQ(largest, 1u);
}

TEST(Replication35, Messages_DuplicatedAndReversed_ConvergeAllTheSame) {
  Group group(3);
  group.elect(1);
  std::vector<Message> kept;
  group.lose = [&](const Message& message) {
    kept.push_back(message);
    return message.to == ReplicaId(3);
  };
  for (const char* data : {"a", "b", "c"}) group.propose(1, data);
  group.lose = nullptr;
  for (int round = 0; round < 2; ++round) {
    for (auto message = kept.rbegin(); message != kept.rend(); ++message) {
      (void)group[message->to.value].receive(*message);
    }
  }
  group.settle();
  group.tick(2);
  EXPECT_EQ(payloads(group[3]), payloads(group[1]));
}

TEST(Replication35, UncommittedTail_Full_RefusesUntilSomethingIsApplied) {
  Group group(3, [](Config& config) { config.uncommitted_bytes_max = 10; });
  group.elect(1);
  group.isolate(2);
  group.isolate(3);
  EXPECT_TRUE(group[1]->propose({bytes("0123456789abcdef")}).is_ok())
      << "one that is too large may enter an empty tail";
  EXPECT_EQ(group[1]->propose({bytes("x")}).status().code(), StatusCode::kOverloaded);
  EXPECT_TRUE(group[1]->propose({SharedBytes()}).is_ok()) << "nothing takes no room";
  group.heal();
  group.tick(2);
  EXPECT_TRUE(group[1]->propose({bytes("x")}).is_ok());
}

// -- 3.6.2 committing earlier terms.

/// Figure 3.7 (Figure 8 of the paper).
// trap 5; FORMAT 5.3: committing old-term entries by counting.
TEST(Commit362, EntryOfAnEarlierTerm_OnAMajority_IsNotCommittedByCounting) {
  Replica leader = lone_leader(5);
  // An entry of term 2 that an earlier leader left behind here.
  (void)leader.receive(append_of(5, 1, 2, 0, 0, {1, 2}));
  leader.take_sent();
  leader->campaign();
  leader.pump();
  for (uint64_t id : Ids{2, 3}) (void)leader.receive(message_of(MessageType::kVoteResp, id, 1, 3));
  ASSERT_EQ(leader->role(), Role::kLeader);
  ASSERT_EQ(leader->term(), Term(3));
  for (uint64_t id : Ids{2, 3}) (void)leader.receive(ack_of(id, 1, 3, 2));
  EXPECT_EQ(leader->commit_index(), LogIndex()) << "a leader of term 4 could still replace it";
  for (uint64_t id : Ids{2, 3}) (void)leader.receive(ack_of(id, 1, 3, 3));
  EXPECT_EQ(leader->commit_index(), LogIndex(3)) << "its own entry commits all before it";
}

// trap 6
TEST(Commit362, SingleVoter_CommitsOnlyWhatIsDurable) {
  Group group(1);
  group.elect(1);
  group[1].hold_appends = true;
  ASSERT_TRUE(group[1]->propose({bytes("a")}).is_ok());
  group[1].pump();
  EXPECT_EQ(group[1]->commit_index(), LogIndex(1));
  EXPECT_TRUE(payloads(group[1]).empty());
  group[1].complete_append();
  EXPECT_EQ(group[1]->commit_index(), LogIndex(2));
  EXPECT_EQ(payloads(group[1]).size(), 1u);
}

TEST(Commit1021, Leader_WithoutItsOwnWrite_IsNotPartOfTheMajority) {
  Replica leader = lone_leader(3);
  elect(leader, 3);
  (void)leader.receive(ack_of(2, 1, 1, 1));
  leader.hold_appends = true;
  ASSERT_TRUE(leader->propose({bytes("a")}).is_ok());
  leader.pump();
  (void)leader.receive(ack_of(2, 1, 1, 2));
  EXPECT_EQ(leader->commit_index(), LogIndex(1)) << "one durable copy of three";
  while (!leader.appends.empty()) leader.complete_append();
  EXPECT_EQ(leader->commit_index(), LogIndex(2));
}

// 10.2.1: the leader's disk may be the slowest.
TEST(Commit1021, Leader_WithoutItsOwnWrite_CommitsByTheOthersAndAppliesLater) {
  Group group(3);
  group.elect(1);
  group[1].hold_appends = true;
  group.propose(1, "a");
  EXPECT_EQ(group[1]->commit_index(), LogIndex(2));
  EXPECT_TRUE(payloads(group[1]).empty())
      << "FORMAT 5.3: nothing is applied before it is durable here";
  group[1].hold_appends = false;
  while (!group[1].appends.empty()) group[1].complete_append();
  EXPECT_EQ(payloads(group[1]).size(), 1u);
}

// -- Limits on what is applied.

// FORMAT 5.3: committed-size pause.
TEST(Apply, Handed_OutInPortionsOfTheLimit_AndNotMoreUntilSomeIsApplied) {
  Group group(1, [](Config& config) { config.committed_bytes_per_ready_max = 60; });
  group[1].hold_applies = true;
  group.elect(1);
  ASSERT_TRUE(group[1]->propose({bytes("a"), bytes("b"), bytes("c"), bytes("d")}).is_ok());
  group[1].pump();
  ASSERT_EQ(group[1].applies.size(), 2u) << "24 bytes of the first entry, then one of 25";
  EXPECT_EQ(group[1].applies[0].entries.size(), 1u);
  EXPECT_EQ(group[1].applies[1].entries.size(), 1u);
  EXPECT_FALSE(group[1]->has_ready());
  group[1].complete_apply();
  EXPECT_EQ(group[1].applies.size(), 2u);
  group[1].hold_applies = false;
  while (!group[1].applies.empty()) group[1].complete_apply();
  EXPECT_EQ(payloads(group[1]).size(), 4u);
}

TEST(Apply, EntryLargerThanTheLimit_IsHandedOutAlone) {
  Group group(1, [](Config& config) { config.committed_bytes_per_ready_max = 1; });
  group.elect(1);
  group.propose(1, std::string(1000, 'x'));
  EXPECT_EQ(payloads(group[1]).size(), 1u);
}

// -- Sick members.

TEST(Members, Unreachable_IsProbedAgain) {
  Replica leader = lone_leader(3);
  elect(leader, 3);
  (void)leader.receive(ack_of(2, 1, 1, 1));
  ASSERT_TRUE(leader->propose({bytes("a")}).is_ok());
  leader.pump();
  EXPECT_EQ(member(leader, 2).next_index, LogIndex(3));
  leader->report_unreachable(ReplicaId(2));
  EXPECT_EQ(member(leader, 2).state, ProgressState::kProbe);
  EXPECT_EQ(member(leader, 2).next_index, LogIndex(2));
  leader->report_unreachable(ReplicaId(9));
}

// trap 27
TEST(Members, Follower_ThatLostItsLog_SaysSo) {
  Group group(3);
  Message heartbeat = message_of(MessageType::kHeartbeat, 1, 2, 1);
  heartbeat.commit = LogIndex(7);
  EXPECT_EQ(group[2].receive(heartbeat).code(), StatusCode::kCorruption);
  EXPECT_EQ(group[2]->commit_index(), LogIndex());
}

// -- Restart.

TEST(Restart, Replica_WithItsLog_GoesOnWhereItWas) {
  Group group(3);
  group.elect(1);
  for (const char* data : {"a", "b"}) group.propose(1, data);
  group[2].restart();
  EXPECT_EQ(group[2]->term(), Term(1));
  EXPECT_EQ(group[2]->commit_index(), LogIndex(3));
  EXPECT_EQ(group[2]->leader(), kNoReplica);
  EXPECT_FALSE(group[2]->has_ready());
  group.propose(1, "c");
  EXPECT_EQ(payloads(group[2]).size(), 3u);
}

// trap 16: the commit index on disk may be older than what the state machine holds.
TEST(Restart, Replica_WhoseStateMachineIsAheadOfTheSavedCommit_TakesItForCommitted) {
  auto storage = std::make_unique<testing::MemoryStorage>();
  storage->set_conf_state(conf_of({1, 2, 3}));
  storage->append(append_of(2, 1, 1, 0, 0, {1, 1, 1}).entries);
  storage->set_hard_state({Term(1), kNoReplica, LogIndex(1)});
  Config config = test_config(1);
  config.applied = LogIndex(2);
  Replica replica(config, std::move(storage));
  EXPECT_EQ(replica->commit_index(), LogIndex(2));
  EXPECT_EQ(replica->applied_index(), LogIndex(2));
  EXPECT_FALSE(replica->has_ready());
}

// etcd#10219
TEST(Restart, CheckStart_ALogThatEndsBeforeItsCommit_IsCorruption) {
  testing::MemoryStorage storage;
  storage.set_conf_state(conf_of({1}));
  storage.set_hard_state({Term(3), ReplicaId(1), LogIndex(9)});
  EXPECT_EQ(Raft::check_start(test_config(1), storage).code(), StatusCode::kCorruption);
  Config lease = test_config(1);
  lease.promise_ms = 1'000;
  EXPECT_EQ(Raft::check_start(lease, storage).code(), StatusCode::kInvalidArgument);
}

TEST(Restart, CheckStart_EntriesOfATermThatWasNeverSaved_IsCorruption) {
  testing::MemoryStorage storage;
  storage.set_conf_state(conf_of({1}));
  storage.append({{Term(4), LogIndex(1), EntryType::kNormal, {}}});
  storage.set_hard_state({Term(3), ReplicaId(1), LogIndex(1)});
  EXPECT_EQ(Raft::check_start(test_config(1), storage).code(), StatusCode::kCorruption);
  storage.set_hard_state({Term(4), ReplicaId(1), LogIndex(1)});
  EXPECT_TRUE(Raft::check_start(test_config(1), storage));
}

// FORMAT 5.1: a heartbeat tells less than the append that was lost, and that is remembered.
TEST(Replication35, Commit_LostWithAnAppend_IsToldWithTheNextAcknowledgement) {
  Group group(3);
  group.elect(1);
  const auto from_or_to_3 = [](const Message& message) {
    return message.from == ReplicaId(3) || message.to == ReplicaId(3);
  };
  group[1].hold_appends = true;
  ASSERT_TRUE(group[1]->propose({bytes("a")}).is_ok());
  group[1].pump();
  const auto appends = group[1].take_sent(MessageType::kApp);
  ASSERT_EQ(appends.size(), 2u);
  group[1].hold_appends = false;
  group[1].complete_append();
  (void)group[1].receive(ack_of(2, 1, 1, 2));
  ASSERT_EQ(group[1]->commit_index(), LogIndex(2));
  group.lose = from_or_to_3;  // The append that told it of the commit is lost.
  group.settle();
  group[1].tick();
  const auto heartbeats = group[1].take_sent(MessageType::kHeartbeat);
  ASSERT_EQ(heartbeats.size(), 2u);
  EXPECT_EQ(heartbeats[1].commit, LogIndex(1)) << "not beyond what it is known to have";
  (void)group[1].receive(ack_of(3, 1, 1, 2));
  const auto told = group[1].take_sent(MessageType::kApp);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].to, ReplicaId(3));
  EXPECT_EQ(told[0].commit, LogIndex(2));
}

// A member that has everything but is being probed: nothing is left to send, and still the probing
// must come to an end.
TEST(Replication35, Probe_OfAMemberWithTheWholeLog_EndsAfterAHeartbeat) {
  Group group(3);
  group.elect(1);
  group[1]->report_unreachable(ReplicaId(2));
  ASSERT_EQ(member(group[1], 2).state, ProgressState::kProbe);
  ASSERT_EQ(member(group[1], 2).match_index, group[1]->last_index());
  group.tick();
  EXPECT_EQ(member(group[1], 2).state, ProgressState::kReplicate);
}

}  // namespace
}  // namespace multiraft::raft
