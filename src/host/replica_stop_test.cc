// A replica whose program is older than a command in its log.

#include <gmock/gmock.h>

#include <algorithm>

#include "host/testing/one_group.h"
#include "raft/entry_checksum.h"

namespace multiraft::host::testing {
namespace {

using raft::MessageType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GroupStopTest : public ReplicaTest {
 protected:
  GroupStopTest() { state_.unknown = "newer"; }

  size_t sent(MessageType type) const {
    return static_cast<size_t>(std::count_if(services_->sent.begin(), services_->sent.end(),
                                             [&](const auto& m) { return m.type == type; }));
  }
  /// From the leader on node 2 in term 3, all of them committed.
  void receive(const std::vector<std::string>& commands) {
    step(MessageType::kApp, 2, [&](raft::Message& m) {
      m.term = Term(3);
      m.index = log().last_index();
      m.log_term = *log().term(m.index);
      for (const std::string& command : commands) {
        raft::Entry entry;
        entry.index = LogIndex(m.index.value + m.entries.size() + 1);
        entry.term = Term(3);
        entry.data = SharedBytes::copy_of(command);
        m.entries.push_back(std::move(entry));
      }
      m.commit = LogIndex(m.index.value + m.entries.size());
    });
  }
  void heartbeat() {
    step(MessageType::kHeartbeat, 2, [&](raft::Message& m) {
      m.term = Term(3);
      m.commit = log().last_index();
    });
  }
  void become_leader() {
    create({1, 2, 3});
    for (int i = 0; i < 100 && sent(MessageType::kPreVote) == 0; ++i) pass(options_.heartbeat_ns);
    step(MessageType::kPreVoteResp, 2, [](raft::Message& m) { m.term = Term(m.term.value + 1); });
    step(MessageType::kVoteResp, 2, [](raft::Message&) {});
    ASSERT_EQ(group().core().role(), raft::Role::kLeader);
    acknowledge();
  }
  /// Node 2 has the whole log.
  void acknowledge() {
    step(MessageType::kAppResp, 2, [&](raft::Message& m) { m.index = log().last_index(); });
  }
  void propose(const std::string& command, StatusCode& outcome) {
    PendingWrite write;
    write.command = SharedBytes::copy_of(command);
    write.checksum = raft::payload_checksum(raft::group_checksum_seed(kGroup), write.command);
    write.deadline = services_->now() + 5 * env::kSecond;
    write.done = [&outcome](WriteResult result) { outcome = result.status.code(); };
    group().write(std::move(write));
  }
  StatusCode read(ReadMode mode) {
    StatusCode code = StatusCode::kOk;
    group().read(mode, {raft::ReadMode::kConfirmed, services_->now(),
                        [&](ReadPermit permit) { code = permit.status.code(); }});
    return code;
  }
};

TEST_F(GroupStopTest, Follower_AtAnUnknownCommand_StopsBeforeItAndSaysWhatToDo) {
  create({1, 2, 3});
  receive({"w", "w", "newer", "w"});
  EXPECT_EQ(state_.index, LogIndex(3));
  EXPECT_TRUE(group().stopped());
  EXPECT_THAT(services_->warnings,
              ElementsAre(AllOf(HasSubstr("group 7"), HasSubstr("before entry 4: what is this?"),
                                HasSubstr("upgrade node 1"))));
  EXPECT_EQ(group().status().stopped, services_->warnings[0]);
  EXPECT_EQ(services_->to_upgrade, 1);
  // It neither votes nor acknowledges, and serves nobody.
  services_->sent.clear();
  receive({"w"});
  heartbeat();
  pass(5 * options_.election_ns);
  EXPECT_TRUE(services_->sent.empty());
  EXPECT_EQ(read(ReadMode::kLinearizable), StatusCode::kUnsupported);
  EXPECT_EQ(read(ReadMode::kLocal), StatusCode::kUnsupported);
  StatusCode written = StatusCode::kOk;
  propose("w", written);
  EXPECT_EQ(written, StatusCode::kUnsupported);
  const raft::Snapshot beyond{LogIndex(50), Term(3), log().mark().conf_state};
  EXPECT_EQ(group().judge_snapshot(Term(3), beyond).code(), StatusCode::kUnsupported);
  EXPECT_EQ(state_.index, LogIndex(3));
  EXPECT_TRUE(group().idle());
}

TEST_F(GroupStopTest, StateInMemory_IsNeverSavedBeyondTheUnknownCommand) {
  state_.in_memory = true;
  create({1, 2, 3});
  std::vector<std::string> commands(150, "w");
  commands.emplace_back("newer");
  commands.resize(400, "w");
  receive(commands);
  ASSERT_TRUE(group().stopped());
  ASSERT_FALSE(services_->saves.empty());
  for (const raft::Snapshot& saved : services_->saves) EXPECT_LE(saved.index, LogIndex(151));
  group().state_saved(services_->saves.back().index, true);
  group().cut_for_room();
  EXPECT_LE(log().first_index(), LogIndex(152)) << "the entries are kept for the newer program";
}

TEST_F(GroupStopTest, Restarted_WithTheSameProgram_StopsAtTheSamePlace) {
  create({1, 2, 3});
  receive({"w", "newer", "w"});
  state_.durable = state_.index;
  ASSERT_TRUE(restart());
  heartbeat();
  EXPECT_TRUE(group().stopped());
  EXPECT_EQ(state_.index, LogIndex(2));
}

TEST_F(GroupStopTest, Restarted_WithAProgramThatKnowsTheCommand_GoesOn) {
  create({1, 2, 3});
  receive({"w", "newer", "w"});
  ASSERT_TRUE(group().stopped());
  state_.unknown.clear();
  ASSERT_TRUE(restart());
  heartbeat();
  EXPECT_FALSE(group().stopped());
  EXPECT_EQ(group().status().stopped, "");
  EXPECT_EQ(state_.index, LogIndex(4));
  receive({"w"});
  EXPECT_EQ(state_.index, LogIndex(5));
}

TEST_F(GroupStopTest, Leader_AtAnUnknownCommand_HandsOverBeforeItFallsSilent) {
  become_leader();
  StatusCode before = StatusCode::kInternal, unknown = StatusCode::kOk, behind = StatusCode::kOk;
  propose("w", before);
  propose("newer", unknown);
  propose("w", behind);
  run();
  services_->sent.clear();
  acknowledge();
  EXPECT_TRUE(group().stopped());
  EXPECT_EQ(before, StatusCode::kOk);
  EXPECT_EQ(unknown, StatusCode::kUnknownOutcome);
  EXPECT_EQ(behind, StatusCode::kUnknownOutcome);
  EXPECT_EQ(sent(MessageType::kTimeoutNow), 1u);
  EXPECT_EQ(read(ReadMode::kLinearizable), StatusCode::kUnsupported);
  step(MessageType::kHeartbeat, 2, [](raft::Message& m) { m.term = Term(m.term.value + 1); });
  EXPECT_NE(group().core().role(), raft::Role::kLeader);
  pass(options_.heartbeat_ns);
  services_->sent.clear();
  pass(5 * options_.election_ns);
  EXPECT_TRUE(services_->sent.empty());
}

TEST_F(GroupStopTest, Leader_WhomNobodySucceeds_StepsDownAfterATime) {
  become_leader();
  StatusCode outcome = StatusCode::kOk;
  propose("newer", outcome);
  run();
  acknowledge();
  ASSERT_TRUE(group().stopped());
  ASSERT_EQ(group().core().role(), raft::Role::kLeader);
  pass(3 * options_.election_ns);
  EXPECT_NE(group().core().role(), raft::Role::kLeader);
  services_->sent.clear();
  pass(3 * options_.election_ns);
  EXPECT_TRUE(services_->sent.empty());
}

TEST_F(GroupStopTest, OnlyVoter_AtAnUnknownCommand_StopsAtOnce) {
  create({1}, {2});
  StatusCode outcome = StatusCode::kOk;
  propose("newer", outcome);
  run();
  EXPECT_EQ(outcome, StatusCode::kUnknownOutcome);
  EXPECT_TRUE(group().stopped());
  EXPECT_NE(group().core().role(), raft::Role::kLeader);
  EXPECT_EQ(read(ReadMode::kLocal), StatusCode::kUnsupported);
}

TEST_F(GroupStopTest, WriteOfAnotherNode_IsPassedOnAgain) {
  create({1, 2, 3});
  receive({"newer"});
  PendingWrite write;
  write.command = SharedBytes::copy_of("w");
  write.forwarded = true;
  StatusCode code = StatusCode::kOk;
  write.done = [&](WriteResult result) { code = result.status.code(); };
  group().write(std::move(write));
  EXPECT_EQ(code, StatusCode::kNotLeader);
}

}  // namespace
}  // namespace multiraft::host::testing
