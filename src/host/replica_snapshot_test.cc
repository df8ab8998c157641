// Snapshots and the cutting of the log, as one replica decides about them.

#include <algorithm>

#include "host/testing/one_group.h"

namespace multiraft::host::testing {
namespace {

using raft::MessageType;

class GroupSnapshotTest : public ReplicaTest {
 protected:
  /// Leads with one voter; node 2 learns and has nothing.
  void lead_a_lagging_learner() {
    create({1}, {2});
    ASSERT_EQ(group().core().role(), raft::Role::kLeader);
    state_.durable = LogIndex(1'000'000);
    write(300);
    ASSERT_GT(log().first_index(), LogIndex(100));
    learner_asks();
  }
  /// The learner says that it has nothing at all.
  void learner_asks() {
    step(MessageType::kHeartbeatResp, 2, [](raft::Message&) {});
    step(MessageType::kAppResp, 2, [&](raft::Message& message) {
      message.reject = true;
      message.index = log().last_index();
    });
  }
  /// One interval after another in which the learner answers heartbeats and takes no snapshot. How
  /// many were sent to it.
  size_t refuse_for(int64_t ns,
                    const Status& failure = {StatusCode::kUnavailable, "the connection broke"}) {
    size_t refused = 0;
    for (; ns > 0; ns -= options_.heartbeat_ns) {
      for (; refused < services_->streams.size(); ++refused) {
        group().snapshot_sent(replica(2), services_->streams[refused].number, failure);
      }
      pass(options_.heartbeat_ns);
      step(MessageType::kHeartbeatResp, 2, [](raft::Message&) {});
    }
    return refused;
  }

  /// A follower that a leader's snapshot has reached, whose installation waits for the test.
  void receive_snapshot() {
    create({1, 2, 3});
    receive_another(500);
    ASSERT_EQ(services_->installs.size(), 1u);
  }
  void receive_another(uint64_t index) {
    raft::Message message;
    message.type = MessageType::kSnap;
    message.from = replica(2);
    message.to = replica(1);
    message.term = Term(3);
    raft::Snapshot snapshot{LogIndex(index), Term(3), log().mark().conf_state};
    message.snapshot = std::make_shared<raft::Snapshot>(snapshot);
    auto writer = FakeStateMachine(state_).restore(snapshot.index, snapshot.term);
    ASSERT_TRUE(group().snapshot_received(std::move(message), std::move(*writer)));
    run();
  }
  void finish_install(size_t which, const Status& status) {
    FakeServices::Install& install = services_->installs.at(which);
    if (status) {
      ASSERT_TRUE(install.writer->finish());
    }
    install.writer.reset();
    install.done(group(), status);
    run();
  }
  const Status no_space_{StatusCode::kNoSpace, "no space left"};
};

// -- Taking one.

TEST_F(GroupSnapshotTest, Install_WithoutRoom_IsUndone_AndTheReplicaGoesOn) {
  receive_snapshot();
  finish_install(0, no_space_);
  EXPECT_TRUE(services_->failure) << "the node stays up";
  ASSERT_EQ(services_->warnings.size(), 1u);
  EXPECT_NE(services_->warnings[0].find("no room"), std::string::npos);
  EXPECT_NE(services_->warnings[0].find("index 500"), std::string::npos);
  EXPECT_EQ(log().first_index(), LogIndex(2));
  EXPECT_EQ(group().core().commit_index(), LogIndex(1));
  // It never said that it has the snapshot, and takes part with what it has.
  for (const raft::Message& message : services_->sent) {
    EXPECT_FALSE(message.type == MessageType::kAppResp && message.index == LogIndex(500));
  }
  services_->sent.clear();
  step(MessageType::kHeartbeat, 2, [](raft::Message& message) { message.term = Term(3); });
  ASSERT_EQ(services_->sent.size(), 1u);
  EXPECT_EQ(services_->sent[0].type, MessageType::kHeartbeatResp);

  EXPECT_EQ(group().judge_snapshot(Term(3), {LogIndex(600), Term(3), {}}).code(),
            StatusCode::kNoSpace);
  pass(2 * env::kSecond);
  receive_another(600);
  ASSERT_EQ(services_->installs.size(), 2u);
  finish_install(1, Status::ok());
  EXPECT_EQ(services_->installed, 1);
  EXPECT_EQ(log().first_index(), LogIndex(601));
  EXPECT_EQ(services_->sent.back().type, MessageType::kAppResp);
  EXPECT_EQ(services_->sent.back().index, LogIndex(600));
}

TEST_F(GroupSnapshotTest, Install_WithoutRoomAgainAndAgain_IsTriedLessAndLess) {
  receive_snapshot();
  size_t tried = 0;
  for (int seconds = 0; seconds < 600; ++seconds) {
    for (; tried < services_->installs.size(); ++tried) finish_install(tried, no_space_);
    pass(env::kSecond);
    const LogIndex index(501 + tried);
    if (group().judge_snapshot(Term(1'000), {index, Term(3), {}})) receive_another(index.value);
  }
  EXPECT_GE(tried, 10u);
  EXPECT_LE(tried, 26u);
  EXPECT_TRUE(services_->failure);
  // Room: from here on none has to wait.
  pass(31 * env::kSecond);
  receive_another(900);
  finish_install(tried, Status::ok());
  EXPECT_EQ(services_->installed, 1);
  EXPECT_TRUE(group().judge_snapshot(Term(1'000), {LogIndex(950), Term(3), {}}));
}

TEST_F(GroupSnapshotTest, Install_WithoutRoom_WhatWaitsIsAnswered) {
  receive_snapshot();
  int answers = 0;
  PendingRead read;
  read.deadline = services_->now() + 5 * env::kSecond;
  read.done = [&](const ReadPermit& permit) {
    EXPECT_EQ(permit.status.code(), StatusCode::kUnavailable);
    ++answers;
  };
  group().read(ReadMode::kLinearizable, std::move(read));
  finish_install(0, no_space_);
  EXPECT_EQ(answers, 1);
}

TEST_F(GroupSnapshotTest, StateInMemory_InstallWithoutRoom_TheSavedStateIsStillThatOne) {
  state_.in_memory = true;
  create({1, 2, 3});
  receive_another(500);
  finish_install(0, Status::ok());
  pass(env::kSecond);
  receive_another(600);
  finish_install(1, no_space_);
  EXPECT_EQ(state_.index, LogIndex(500));
  EXPECT_EQ(log().first_index(), LogIndex(501));
  EXPECT_TRUE(services_->failure);
}

TEST_F(GroupSnapshotTest, Install_ThatFailsForAnotherReason_EndsTheProcess) {
  receive_snapshot();
  finish_install(0, Status(StatusCode::kIoError, "the disk is gone"));
  EXPECT_EQ(services_->failure.code(), StatusCode::kIoError);
}

TEST_F(GroupSnapshotTest, Restart_BeforeTheStateIsReplaced_IsBackAtTheOldState) {
  receive_snapshot();
  ASSERT_TRUE(restart());
  EXPECT_EQ(log().first_index(), LogIndex(2));
  EXPECT_EQ(state_.index, LogIndex());
  // A leader sends another one; nothing is in the way.
  EXPECT_TRUE(group().judge_snapshot(Term(3), {LogIndex(600), Term(3), {}}));
}

TEST_F(GroupSnapshotTest, Restart_BetweenTheStateAndTheLog_IsCompleted) {
  receive_snapshot();
  ASSERT_TRUE(services_->installs[0].writer->finish());
  services_->installs.clear();
  ASSERT_TRUE(restart());
  EXPECT_EQ(log().first_index(), LogIndex(501));
  EXPECT_EQ(log().mark().index, LogIndex(500));
  EXPECT_EQ(group().core().commit_index(), LogIndex(500));
}

// -- Sending.

TEST_F(GroupSnapshotTest, Member_ThatTakesNone_IsSentFewerAndFewer) {
  lead_a_lagging_learner();
  ASSERT_EQ(services_->streams.size(), 1u);
  const size_t in_a_minute = refuse_for(60 * env::kSecond);
  EXPECT_GE(in_a_minute, 8u);
  EXPECT_LE(in_a_minute, 15u);
  // One that arrives ends it.
  while (services_->streams.size() == in_a_minute) {
    pass(options_.heartbeat_ns);
    step(MessageType::kHeartbeatResp, 2, [](raft::Message&) {});
  }
  group().snapshot_sent(replica(2), services_->streams.back().number, Status::ok());
  services_->streams.clear();
  learner_asks();
  EXPECT_GE(refuse_for(2 * env::kSecond), 3u);
}

TEST_F(GroupSnapshotTest, Member_WithoutRoom_IsGivenTimeFromTheBeginning) {
  lead_a_lagging_learner();
  EXPECT_LE(refuse_for(5 * env::kSecond, no_space_), 3u);
  EXPECT_GE(services_->streams.size(), 2u);
}

TEST_F(GroupSnapshotTest, Outcome_OfADisplacedStream_SaysNothing) {
  lead_a_lagging_learner();
  ASSERT_EQ(services_->streams.size(), 1u);
  group().snapshot_sent(replica(2), services_->streams[0].number + 100, no_space_);
  EXPECT_EQ(refuse_for(0), 0u);
  pass(5 * options_.heartbeat_ns);
  EXPECT_EQ(services_->streams.size(), 1u);
}

// -- The log behind them.

TEST_F(GroupSnapshotTest, SnapshotInFlight_HoldsTheLog_HoweverLongItTakes) {  // trap 43
  lead_a_lagging_learner();
  const LogIndex sent = services_->streams[0].index;
  write(400);
  EXPECT_EQ(log().first_index(), sent + 1);
  pass(2 * options_.catch_up_silence_ns);
  write(200);
  EXPECT_EQ(log().first_index(), sent + 1);
  ASSERT_EQ(services_->streams.size(), 1u) << "it is still on its way";
  // The transport gives up a stream that makes no progress, and the log with it.
  group().snapshot_sent(replica(2), services_->streams[0].number,
                        Status(StatusCode::kUnavailable, "too slow"));
  write(200);
  EXPECT_GT(log().first_index(), sent + 500);
}

TEST_F(GroupSnapshotTest, SnapshotThatArrived_HoldsTheLog_UntilItsMemberHasCaughtUp) {  // trap 43
  lead_a_lagging_learner();
  const LogIndex sent = services_->streams[0].index;
  write(400);
  group().snapshot_sent(replica(2), services_->streams[0].number, Status::ok());
  write(200);
  EXPECT_EQ(log().first_index(), sent + 1) << "otherwise it needs another snapshot at once";
  const auto acknowledge = [&](LogIndex match) {
    step(MessageType::kAppResp, 2, [&](raft::Message& m) { m.index = match; });
  };
  acknowledge(sent + 300);
  write(200);
  EXPECT_GT(log().first_index(), sent + 200);
  EXPECT_LE(log().first_index(), sent + 301);
  acknowledge(log().last_index());
  write(200);
  EXPECT_GT(log().first_index(), sent + 600);
  EXPECT_EQ(services_->streams.size(), 1u);
}

TEST_F(GroupSnapshotTest, SnapshotThatArrived_AndAMemberThatStops_HoldsTheLogOnlyForAWhile) {
  lead_a_lagging_learner();
  const LogIndex sent = services_->streams[0].index;
  group().snapshot_sent(replica(2), services_->streams[0].number, Status::ok());
  write(400);
  EXPECT_EQ(log().first_index(), sent + 1);
  pass(options_.catch_up_silence_ns);
  write(200);
  EXPECT_GT(log().first_index(), sent + 300);
}

TEST_F(GroupSnapshotTest, DiskLow_NoSnapshotHoldsTheLog) {
  lead_a_lagging_learner();
  write(400);
  services_->low = true;
  group().tick();
  EXPECT_EQ(log().first_index(), log().last_index() + 1);
}

TEST_F(GroupSnapshotTest, LargeEntries_AreCutByTheirBytes) {
  create({1});
  state_.durable = LogIndex(1'000'000);
  write(60, 5'000);
  EXPECT_LE(log().bytes(), options_.compaction.bytes);
  EXPECT_GT(log().first_index(), LogIndex(30));
  EXPECT_LT(log().first_index(), log().last_index()) << "a tail is kept";
}

// -- A state in memory.

TEST_F(GroupSnapshotTest, StateThatFindsNoRoom_IsNotSavedInACircle) {
  state_.in_memory = true;
  create({1});
  write(300);
  ASSERT_EQ(services_->saves.size(), 1u);
  group().state_saved(services_->saves[0].index, false);
  EXPECT_EQ(services_->saves.size(), 1u) << "not at once";
  write(50);
  EXPECT_EQ(services_->saves.size(), 1u) << "and not with every write";
  EXPECT_EQ(log().first_index(), LogIndex(2));
  pass(3 * env::kSecond);
  write(1);
  ASSERT_EQ(services_->saves.size(), 2u);
  group().state_saved(services_->saves[1].index, true);
  EXPECT_GT(log().first_index(), LogIndex(300));
  EXPECT_TRUE(services_->failure);
}

TEST_F(GroupSnapshotTest, DiskLow_AStateIsNotSavedWithEveryTick) {
  state_.in_memory = true;
  create({1});
  services_->low = true;
  size_t saved = 0;
  for (int i = 0; i < 50; ++i) {
    write(1);
    pass(options_.heartbeat_ns);
    for (; saved < services_->saves.size(); ++saved) {
      group().state_saved(services_->saves[saved].index, true);
    }
  }
  EXPECT_LE(services_->saves.size(), 4u);
  EXPECT_GE(services_->saves.size(), 2u);
}

}  // namespace
}  // namespace multiraft::host::testing
