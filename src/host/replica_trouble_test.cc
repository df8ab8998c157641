// A replica that hears what cannot be, and one that installs a snapshot meanwhile.

#include <gmock/gmock.h>

#include <algorithm>

#include "host/testing/one_group.h"
#include "raft/core.h"

namespace multiraft::host::testing {
namespace {

using raft::MessageType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class GroupTroubleTest : public ReplicaTest {
 protected:
  size_t sent(MessageType type) const {
    return static_cast<size_t>(std::count_if(services_->sent.begin(), services_->sent.end(),
                                             [&](const auto& m) { return m.type == type; }));
  }
  const raft::Message& last_sent(MessageType type) const {
    auto found = std::find_if(services_->sent.rbegin(), services_->sent.rend(),
                              [&](const auto& m) { return m.type == type; });
    EXPECT_NE(found, services_->sent.rend());
    return *found;
  }
  /// A follower of node 2 in term 3 that has received a snapshot and installs it.
  void receive_snapshot() {
    create({1, 2, 3});
    raft::Message message;
    message.type = MessageType::kSnap;
    message.from = replica(2);
    message.to = replica(1);
    message.term = Term(3);
    message.snapshot = std::make_shared<raft::Snapshot>(
        raft::Snapshot{LogIndex(500), Term(3), log().mark().conf_state});
    auto writer = FakeStateMachine(state_).restore(LogIndex(500), Term(3));
    ASSERT_TRUE(group().snapshot_received(std::move(message), std::move(*writer)));
    run();
    ASSERT_EQ(services_->installs.size(), 1u);
    services_->sent.clear();
  }
  void finish_install(const Status& status) {
    FakeServices::Install& install = services_->installs.back();
    if (status) {
      ASSERT_TRUE(install.writer->finish());
    }
    install.writer.reset();
    install.done(group(), status);
    run();
  }
  void heartbeat(uint64_t from, uint64_t term) {
    step(MessageType::kHeartbeat, from, [&](raft::Message& m) { m.term = Term(term); });
  }
  void ask_for_vote(uint64_t from, uint64_t term) {
    pass(2 * options_.election_ns);  // It no longer hears the leader, and may vote.
    step(MessageType::kVote, from, [&](raft::Message& m) {
      m.term = Term(term);
      m.index = LogIndex(600);
      m.log_term = Term(3);
    });
  }
};

TEST_F(GroupTroubleTest, TwoLeadersOfOneTerm_TheReplicaTakesNoFurtherPart_AndSaysSo) {
  create({1}, {2});
  write(5);
  ASSERT_EQ(group().core().role(), raft::Role::kLeader);
  step(MessageType::kApp, 2, [&](raft::Message&) {});
  EXPECT_TRUE(group().stopped());
  EXPECT_NE(group().core().role(), raft::Role::kLeader);
  EXPECT_THAT(services_->warnings,
              Contains(AllOf(HasSubstr("group 7"), HasSubstr("node 2"), HasSubstr("MsgApp"),
                             HasSubstr("two leaders of one term"))));
  EXPECT_EQ(services_->warnings.size(), 1u);
  // From now on nothing of it is heard, and nobody waits for it.
  services_->sent.clear();
  StatusCode written = StatusCode::kOk;
  PendingWrite write;
  write.command = SharedBytes::copy_of("w");
  write.done = [&](WriteResult result) { written = result.status.code(); };
  group().write(std::move(write));
  StatusCode read = StatusCode::kOk;
  group().read(ReadMode::kLinearizable, {raft::ReadMode::kConfirmed, services_->now(),
                                         [&](ReadPermit permit) { read = permit.status.code(); }});
  heartbeat(2, 9);
  pass(5 * options_.election_ns);
  EXPECT_EQ(written, StatusCode::kUnavailable);
  EXPECT_EQ(read, StatusCode::kUnavailable);
  EXPECT_TRUE(services_->sent.empty());
  EXPECT_TRUE(group().idle());
}

TEST_F(GroupTroubleTest, LostLog_ThatTheLeaderKnowsOf_StopsTheReplica) {
  create({1, 2, 3});
  step(MessageType::kHeartbeat, 2, [&](raft::Message& m) {
    m.term = Term(3);
    m.commit = LogIndex(90);
  });
  EXPECT_TRUE(group().stopped());
  ASSERT_EQ(services_->warnings.size(), 1u);
  EXPECT_THAT(services_->warnings[0], HasSubstr("missing from the log"));
}

TEST_F(GroupTroubleTest, Elections_AreLogLinesWithTheirGroup) {
  create({1}, {2});
  EXPECT_THAT(services_->lines, Contains(AllOf(HasSubstr("group 7"), HasSubstr("is leader"))));
}

TEST_F(GroupTroubleTest, Installing_HeartbeatsAreAnswered) {
  receive_snapshot();
  for (int i = 0; i < 10; ++i) heartbeat(2, 3);
  EXPECT_EQ(sent(MessageType::kHeartbeatResp), 10u);
  EXPECT_EQ(sent(MessageType::kAppResp), 0u) << "that would acknowledge the snapshot";
  EXPECT_TRUE(group().core().core().unsent().empty());
  finish_install(Status::ok());
  EXPECT_EQ(last_sent(MessageType::kAppResp).index, LogIndex(500));
}

TEST_F(GroupTroubleTest, Installing_AVoteIsGrantedOnceItIsDurable_AndIsKept) {
  receive_snapshot();
  ask_for_vote(3, 8);
  ASSERT_EQ(sent(MessageType::kVoteResp), 1u);
  EXPECT_FALSE(last_sent(MessageType::kVoteResp).reject);
  // The process ends in the middle of the installation.
  ASSERT_TRUE(restart());
  EXPECT_EQ(group().core().term(), Term(8));
  EXPECT_EQ(group().core().status().hard_state.vote, replica(3));
  EXPECT_EQ(group().core().last_index(), LogIndex(1));
}

TEST_F(GroupTroubleTest, Installing_EntriesBehindTheSnapshotWaitForIt) {
  receive_snapshot();
  ask_for_vote(3, 8);
  step(MessageType::kApp, 3, [&](raft::Message& m) {
    m.term = Term(8);
    m.index = LogIndex(500);
    m.log_term = Term(3);
    m.commit = LogIndex(501);
    m.entries = {{Term(8), LogIndex(501), raft::EntryType::kNormal, {}}};
  });
  heartbeat(3, 9);
  EXPECT_EQ(sent(MessageType::kAppResp), 0u);
  EXPECT_EQ(log().last_index(), LogIndex(1));
  finish_install(Status::ok());
  EXPECT_EQ(log().last_index(), LogIndex(501));
  EXPECT_EQ(last_sent(MessageType::kAppResp).index, LogIndex(501));
  EXPECT_EQ(state_.index, LogIndex(501));
  ASSERT_TRUE(restart());
  EXPECT_EQ(group().core().term(), Term(9)) << "the newest";
  EXPECT_EQ(group().core().last_index(), LogIndex(501));
}

TEST_F(GroupTroubleTest, Installing_WithoutRoomAfterAVote_StartsOverWithTheVote) {
  receive_snapshot();
  ask_for_vote(3, 8);
  finish_install(Status(StatusCode::kNoSpace, "no space left"));
  pass(options_.heartbeat_ns);
  EXPECT_EQ(group().core().term(), Term(8));
  EXPECT_EQ(group().core().last_index(), LogIndex(1));
  heartbeat(3, 8);
  EXPECT_GT(sent(MessageType::kHeartbeatResp), 0u);
}

}  // namespace
}  // namespace multiraft::host::testing
