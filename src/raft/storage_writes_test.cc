// Asynchronous storage writes and snapshots: what may leave when, and which answers count.

#include <gtest/gtest.h>

#include "raft/core.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;
using testing::conf_of;
using testing::Group;
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

Message append_of(uint64_t from, uint64_t to, uint64_t term, LogPosition previous,
                  std::vector<uint64_t> terms) {
  Message message = message_of(MessageType::kApp, from, to, term);
  message.log_term = previous.term;
  message.index = previous.index;
  for (uint64_t entry_term : terms) {
    previous.index += 1;
    message.entries.push_back({Term(entry_term), previous.index, EntryType::kNormal, {}});
  }
  return message;
}

Message snapshot_of(uint64_t from, uint64_t to, uint64_t term, LogPosition at,
                    const ConfState& conf) {
  Message message = message_of(MessageType::kSnap, from, to, term);
  message.snapshot = std::make_shared<Snapshot>(Snapshot{at.index, at.term, conf});
  return message;
}

const Message* storage_response(const StorageAppend& append) {
  for (const Message& response : append.responses) {
    if (response.type == MessageType::kStorageAppendResp) return &response;
  }
  return nullptr;
}

constexpr LogPosition kStart{};

// -- What leaves when.

// trap 1
TEST(StorageWrites, Acknowledgement_LeavesOnlyWithTheWriteThatHoldsTheEntries) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  EXPECT_TRUE(group[2].take_sent().empty());
  group[2].complete_append();
  EXPECT_EQ(group[2].take_sent(MessageType::kAppResp).size(), 1u);
}

// trap 2: a repeated append brings nothing new, but what it repeats is not durable yet.
TEST(StorageWrites, AcknowledgementOfNothingNew_WaitsBehindTheWriteUnderWay) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  ASSERT_EQ(group[2].appends.size(), 2u);
  EXPECT_TRUE(group[2].appends[1].entries.empty());
  EXPECT_FALSE(group[2].appends[1].must_sync);
  EXPECT_FALSE(group[2].appends[1].responses.empty())
      << "not among the messages that leave at once";
  EXPECT_TRUE(group[2].sent.empty());
}

// trap 3
TEST(StorageWrites, TermAndEntries_AreInOneWrite) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(append_of(1, 2, 5, kStart, {5}));
  ASSERT_EQ(group[2].appends.size(), 1u);
  EXPECT_EQ(group[2].appends[0].hard_state->term, Term(5));
  EXPECT_EQ(group[2].appends[0].entries.size(), 1u);
  EXPECT_TRUE(group[2].appends[0].must_sync);
}

TEST(StorageWrites, CommitAlone_NeedsNoSync) {
  Group group(3);
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  group[2].hold_appends = true;
  Message heartbeat = message_of(MessageType::kHeartbeat, 1, 2, 1);
  heartbeat.commit = LogIndex(1);
  (void)group[2].receive(heartbeat);
  ASSERT_EQ(group[2].appends.size(), 1u);
  EXPECT_FALSE(group[2].appends[0].must_sync);
  EXPECT_EQ(group[2].appends[0].hard_state->commit, LogIndex(1));
}

TEST(StorageWrites, Follower_KeepsAcceptingWhileAWriteIsUnderWay) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  (void)group[2].receive(append_of(1, 2, 1, {Term(1), LogIndex(1)}, {1, 1}));
  ASSERT_EQ(group[2].appends.size(), 2u);
  EXPECT_EQ(group[2].appends[1].entries.size(), 2u) << "each entry is written once";
  EXPECT_EQ(group[2].appends[1].entries[0].index, LogIndex(2));
}

// FORMAT 5.3: applying unstable entries in asynchronous mode.
TEST(StorageWrites, CommittedEntries_AreAppliedOnceTheyAreDurableHere) {
  Group group(3);
  group[2].hold_appends = true;
  Message append = append_of(1, 2, 1, kStart, {1, 1});
  append.commit = LogIndex(2);
  (void)group[2].receive(append);
  EXPECT_EQ(group[2]->commit_index(), LogIndex(2));
  EXPECT_TRUE(group[2].applied.empty());
  group[2].complete_append();
  EXPECT_EQ(group[2].applied.size(), 2u);
}

// -- ABA on the tail.

// FORMAT 5.3: MsgStorageAppendResp names the last entry of the whole tail.
TEST(StorageWrites, Response_NamesTheEndOfTheTailNotOfTheWrite) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1, 1, 1}));
  const Message* response = storage_response(group[2].appends[0]);
  ASSERT_NE(response, nullptr);
  EXPECT_EQ(response->index, LogIndex(3));
  EXPECT_EQ(response->log_term, Term(1));
  // A later write that holds only a vote confirms the tail, too: should the first answer be
  // ignored because the term has changed, nothing else would.
  Message vote = message_of(MessageType::kVote, 3, 2, 4);
  vote.log_term = Term(9);
  vote.index = LogIndex(9);
  (void)group[2].receive(vote);
  ASSERT_EQ(group[2].appends.size(), 2u);
  EXPECT_TRUE(group[2].appends[1].entries.empty());
  response = storage_response(group[2].appends[1]);
  ASSERT_NE(response, nullptr);
  EXPECT_EQ(response->index, LogIndex(3));
  EXPECT_EQ(response->term, Term(4));
}

/// The tail changes from one entry to another and back to the first while both are being written.
/// The answer to the first write names a position that matches the tail again, yet the entry that
/// is there now is not durable: the second write is going to replace the first.
// FORMAT 5.3: ABA protection.
TEST(StorageWrites, AppendResponse_OfAnEarlierTerm_DoesNotConfirmTheRestoredTail) {
  Group group(5);
  Replica& replica = group[2];
  replica.hold_appends = true;
  (void)replica.receive(append_of(1, 2, 1, kStart, {1}));     // A, term 1
  (void)replica.receive(append_of(3, 2, 2, kStart, {2}));     // B, term 2
  (void)replica.receive(append_of(1, 2, 3, kStart, {1, 3}));  // A again, by the leader of term 3
  ASSERT_EQ(replica.appends.size(), 3u);
  replica.complete_append();
  EXPECT_TRUE(replica.logged(
      "2 [term: 3] ignored entry appends from a MsgStorageAppendResp message with lower term "
      "[term: 1]"));
  EXPECT_EQ(replica->core().log().stable_index(), LogIndex());
  replica.complete_append();
  EXPECT_EQ(replica->core().log().stable_index(), LogIndex()) << "B is on the disk now";
  replica.complete_append();
  EXPECT_EQ(replica->core().log().stable_index(), LogIndex(2));
}

TEST(StorageWrites, AppendResponse_ForAReplacedEntryInTheSameTerm_IsReported) {
  Group group(3);
  Message response = message_of(MessageType::kStorageAppendResp, 0, 2, 1);
  response.from = kLocalAppend;
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1}));
  response.index = LogIndex(1);
  response.log_term = Term(1);
  (void)group[2].receive(response);
  EXPECT_TRUE(group[2].logged("entry at index 1 missing from unstable log; ignoring"));

  group[2].hold_appends = true;
  (void)group[2].receive(append_of(3, 2, 2, kStart, {2}));
  response.term = Term(2);
  (void)group[2].receive(response);
  EXPECT_TRUE(group[2].logged(
      "entry at (index,term)=(1,1) mismatched with entry at (1,2) in unstable log; ignoring"));
}

// -- Snapshots.

TEST(Snapshots, Member_BehindTheCompactedLog_IsSentOneAndGoesOnFromThere) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  for (const char* data : {"a", "b", "c", "d"}) group.propose(1, data);
  ASSERT_TRUE(group[1].storage().compact(LogIndex(4)).is_ok());
  group[1].storage().set_snapshot_source([] {
    return std::make_shared<const Snapshot>(Snapshot{LogIndex(4), Term(1), conf_of({1, 2, 3})});
  });
  group.heal();
  group.tick(3);
  EXPECT_EQ(group[3]->commit_index(), LogIndex(5));
  EXPECT_EQ(group[3].storage().first_index(), LogIndex(5));
  EXPECT_EQ(group[1]->status().members[2].state, ProgressState::kReplicate);
}

// FORMAT 5.3: snapshot sent to an inactive peer.
TEST(Snapshots, Member_NotHeardFrom_IsNotSentOne) {
  Group group(3, [](Config& config) { config.check_quorum = true; });
  group.elect(1);
  group.propose(1, "a");
  group.isolate(3);
  for (const char* data : {"b", "c"}) group.propose(1, data);
  for (int i = 0; i < 20; ++i) {
    group[1].tick();
    group.settle();
  }
  ASSERT_FALSE(group[1]->status().members[2].recent_active);
  ASSERT_TRUE(group[1].storage().compact(LogIndex(4)).is_ok());
  group[1].storage().set_snapshot_source([] {
    return std::make_shared<const Snapshot>(Snapshot{LogIndex(4), Term(1), conf_of({1, 2, 3})});
  });
  group[1]->report_unreachable(ReplicaId(3));
  ASSERT_FALSE(group[1]->status().members[2].paused);
  ASSERT_TRUE(group[1]->propose({bytes("d")}).is_ok());
  group[1].pump();
  EXPECT_TRUE(group[1].take_sent(MessageType::kSnap).empty());
  EXPECT_EQ(group[1]->status().members[2].state, ProgressState::kProbe);
  (void)group[1].receive(message_of(MessageType::kHeartbeatResp, 3, 1, 1));
  EXPECT_EQ(group[1].take_sent(MessageType::kSnap).size(), 1u) << "now it has shown up";
}

// FORMAT 5.3: next after snapshot -> probe.
// FORMAT 5.1: what the member has is enough once the log goes on from there.
TEST(Snapshots, Acknowledgement_BelowThePendingOne_EndsTheWaitIfTheLogReachesThere) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  for (int i = 0; i < 6; ++i) group.propose(1, "a");
  // The last acknowledgement of replica 3 is from the beginning; it starts over, empty.
  group[1]->report_unreachable(ReplicaId(3));
  ASSERT_TRUE(group[1].storage().compact(LogIndex(5)).is_ok());
  group[1].storage().set_snapshot_source([&]() -> Result<std::shared_ptr<const Snapshot>> {
    return std::make_shared<const Snapshot>(
        Snapshot{group[1]->applied_index(), Term(1), group[1]->conf_state()});
  });
  (void)group[1].receive(message_of(MessageType::kHeartbeatResp, 3, 1, 1));
  ASSERT_EQ(group[1]->status().members[2].pending_snapshot, LogIndex(7));
  Message early = message_of(MessageType::kAppResp, 3, 1, 1);
  early.index = LogIndex(4);
  (void)group[1].receive(early);
  EXPECT_EQ(group[1]->status().members[2].state, ProgressState::kSnapshot) << "5 is compacted";
  early.index = LogIndex(6);
  (void)group[1].receive(early);
  EXPECT_EQ(group[1]->status().members[2].state, ProgressState::kReplicate);
}

// FORMAT 5.3: MsgSnapStatus.
TEST(Snapshots, ReportSnapshot_ProbesBehindItOrFromMatchAndWaitsForASignOfLife) {
  for (const bool ok : {true, false}) {
    Group group(3);
    group.elect(1);
    group.propose(1, "a");
    group.isolate(3);
    for (const char* data : {"b", "c"}) group.propose(1, data);
    ASSERT_TRUE(group[1].storage().compact(LogIndex(4)).is_ok());
    group[1].storage().set_snapshot_source([] {
      return std::make_shared<const Snapshot>(Snapshot{LogIndex(4), Term(1), conf_of({1, 2, 3})});
    });
    group[1]->report_unreachable(ReplicaId(3));
    (void)group[1].receive(message_of(MessageType::kHeartbeatResp, 3, 1, 1));
    auto member = group[1]->status().members[2];
    ASSERT_EQ(member.state, ProgressState::kSnapshot);
    ASSERT_EQ(member.pending_snapshot, LogIndex(4));
    group[1]->report_snapshot(ReplicaId(3), ok);
    member = group[1]->status().members[2];
    EXPECT_EQ(member.state, ProgressState::kProbe);
    EXPECT_EQ(member.next_index, ok ? LogIndex(5) : LogIndex(3));
    EXPECT_TRUE(member.paused);
    group[1].take_sent();
    (void)group[1].receive(message_of(MessageType::kHeartbeatResp, 3, 1, 1));
    EXPECT_EQ(group[1].take_sent(ok ? MessageType::kApp : MessageType::kSnap).size(), 1u);
  }
}

// FORMAT 5.3: snapshot with a matching log.
TEST(Snapshots, Receiver_WhoseLogMatches_KeepsItAndOnlyCommits) {
  Group group(3);
  (void)group[2].receive(append_of(1, 2, 1, kStart, {1, 1, 1, 1}));
  group[2].take_sent();
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(3)}, conf_of({1, 2, 3})));
  EXPECT_EQ(group[2]->commit_index(), LogIndex(3));
  EXPECT_EQ(group[2]->last_index(), LogIndex(4)) << "nothing is thrown away";
  EXPECT_EQ(group[2].storage().first_index(), LogIndex(1));
  const auto answers = group[2].take_sent(MessageType::kAppResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].index, LogIndex(3));
}

// FORMAT 5.3: snapshot when not in the configuration.
TEST(Snapshots, Receiver_NotInItsConfiguration_IgnoresIt) {
  Group group(3);
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, conf_of({1, 3})));
  EXPECT_EQ(group[2]->last_index(), LogIndex());
  EXPECT_EQ(group[2]->conf_state(), conf_of({1, 2, 3}));
  ConfState leaving = conf_of({1, 3});
  leaving.voters_outgoing = conf_of({1, 2, 3}).voters;
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, leaving));
  EXPECT_EQ(group[2]->last_index(), LogIndex(9)) << "a voter of the outgoing half is a member";
}

TEST(Snapshots, Receiver_OfAnOldOne_SaysWhatIsCommitted) {
  Group group(3);
  Message append = append_of(1, 2, 1, kStart, {1, 1, 1});
  append.commit = LogIndex(3);
  (void)group[2].receive(append);
  group[2].take_sent();
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(2)}, conf_of({1, 2, 3})));
  EXPECT_EQ(group[2].take_sent(MessageType::kAppResp)[0].index, LogIndex(3));
  EXPECT_EQ(group[2]->last_index(), LogIndex(3));

  // Nor does it where the entry itself is no longer in the log.
  ASSERT_TRUE(group[2].storage().compact(LogIndex(3)).is_ok());
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(2)}, conf_of({1, 2, 3})));
  EXPECT_EQ(group[2]->commit_index(), LogIndex(3));
  EXPECT_EQ(group[2]->last_index(), LogIndex(3));
}

TEST(Snapshots, Receiver_AcknowledgesOnceItIsInstalled) {
  Group group(3);
  (void)group[2].receive(message_of(MessageType::kHeartbeat, 1, 2, 1));
  group[2].take_sent();
  group[2].hold_appends = true;
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, conf_of({1, 2, 3})));
  ASSERT_EQ(group[2].appends.size(), 1u);
  EXPECT_TRUE(group[2].appends[0].must_sync);
  EXPECT_TRUE(group[2].sent.empty());
  EXPECT_EQ(group[2]->applied_index(), LogIndex());
  group[2].complete_append();
  EXPECT_EQ(group[2].take_sent(MessageType::kAppResp)[0].index, LogIndex(9));
  EXPECT_EQ(group[2]->applied_index(), LogIndex(9));
}

TEST(Snapshots, ReceivedInAnEarlierTerm_CountAllTheSame) {
  Group group(3);
  group[2].hold_appends = true;
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, conf_of({1, 2, 3})));
  (void)group[2].receive(message_of(MessageType::kHeartbeat, 3, 2, 2));
  group[2].complete_append();
  EXPECT_EQ(group[2]->applied_index(), LogIndex(9)) << "what is committed has no term";
}

TEST(Snapshots, WithEntriesBehindThem_AreOneWriteInThisOrder) {
  Group group(3);
  ASSERT_TRUE(
      group[2]->step(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, conf_of({1, 2, 3}))).is_ok());
  ASSERT_TRUE(group[2]->step(append_of(1, 2, 1, {Term(1), LogIndex(9)}, {1, 1})).is_ok());
  group[2].hold_appends = true;
  group[2].pump();
  ASSERT_EQ(group[2].appends.size(), 1u);
  EXPECT_NE(group[2].appends[0].snapshot, nullptr);
  EXPECT_EQ(group[2].appends[0].entries.size(), 2u);
  group[2].complete_append();
  EXPECT_EQ(group[2]->core().log().stable_index(), LogIndex(11));
  EXPECT_EQ(group[2].storage().last_index(), LogIndex(11));
}

// A change that was handed out before the snapshot came is part of it.
TEST(Snapshots, OvertakingAnUnappliedChange_KeepTheirConfiguration) {
  Group group(3);
  group[2].hold_applies = true;
  Message append = append_of(1, 2, 1, kStart, {1});
  append.entries[0].type = EntryType::kConfChangeV2;
  append.entries[0].data =
      encode_conf_change(testing::change_of({{ConfChangeOp::kAddLearner, ReplicaId(7)}}));
  append.commit = LogIndex(1);
  (void)group[2].receive(append);
  ASSERT_EQ(group[2].applies.size(), 1u);
  group[2].hold_appends = true;
  (void)group[2].receive(snapshot_of(1, 2, 1, {Term(1), LogIndex(9)}, conf_of({1, 2})));
  group[2].complete_apply();
  EXPECT_EQ(group[2]->conf_state(), conf_of({1, 2}));
}

// -- Synchronous storage.

TEST(SynchronousMode, Ready_HoldsEverythingAndAdvanceCountsIt) {
  Config config = test_config(1);
  config.async_storage_writes = false;
  testing::MemoryStorage storage;
  storage.set_conf_state(conf_of({1}));
  Raft raft(config, storage);
  raft.campaign();
  std::vector<Entry> applied;
  while (raft.has_ready()) {
    const Ready ready = raft.ready();
    EXPECT_TRUE(ready.messages.empty());
    if (ready.append) {
      EXPECT_TRUE(ready.append->responses.empty());
      if (ready.append->hard_state) storage.set_hard_state(*ready.append->hard_state);
      storage.append(ready.append->entries);
    }
    if (ready.apply) applied = ready.apply->entries;
    raft.advance();
  }
  EXPECT_EQ(raft.role(), Role::kLeader);
  EXPECT_EQ(raft.applied_index(), LogIndex(1));
  EXPECT_EQ(applied.size(), 1u);
}

}  // namespace
}  // namespace multiraft::raft
