// Logs of groups that are idle, or that keep more than their worker may.

#include "host/testing/one_group.h"

namespace multiraft::host::testing {
namespace {

class GroupTrimTest : public ReplicaTest {
 protected:
  GroupTrimTest() { options_.compaction.entries = 1'000'000; }  // Nothing is cut by itself.

  void elect(const std::vector<uint64_t>& voters) {
    create(voters);
    group_->campaign_later(0);
    env_.advance(1);
    run();
    if (voters.size() > 1) {
      step(raft::MessageType::kPreVoteResp, 2, [&](raft::Message& m) { m.term = m.term + 1; });
      step(raft::MessageType::kVoteResp, 2, [](raft::Message&) {});
    }
    ASSERT_EQ(group_->core().role(), raft::Role::kLeader);
  }
  void acknowledge(uint64_t from, LogIndex index) {
    step(raft::MessageType::kAppResp, from, [&](raft::Message& m) { m.index = index; });
  }
  /// Two visits without an append in between.
  void idle() {
    group_->trim_if_idle();
    group_->trim_if_idle();
    run();
  }
  LogIndex first() { return log().first_index(); }
  LogIndex last() { return log().last_index(); }
};

TEST_F(GroupTrimTest, IdleGroup_KeepsNothing) {
  elect({1});
  write(50);
  state_.durable = state_.index;
  idle();
  EXPECT_EQ(first(), last() + 1);
  EXPECT_EQ(log().bytes(), 0u);
  write(3);
  EXPECT_EQ(last(), first() + 2);
  const LogIndex kept_from = first();
  ASSERT_TRUE(restart());
  EXPECT_EQ(first(), kept_from);
}

TEST_F(GroupTrimTest, BusyGroup_IsLeftAlone) {
  elect({1});
  state_.durable = LogIndex(1000);
  const LogIndex before = first();
  for (int i = 0; i < 5; ++i) {
    group_->trim_if_idle();
    write(1);
  }
  EXPECT_EQ(first(), before);
}

TEST_F(GroupTrimTest, IdleGroup_KeepsWhatIsNotDurable) {
  elect({1});
  write(50);
  state_.durable = LogIndex(20);
  idle();
  EXPECT_EQ(first(), LogIndex(21));
}

TEST_F(GroupTrimTest, IdleLeader_KeepsWhatAMemberLacks) {
  elect({1, 2, 3});
  for (int i = 0; i < 20; ++i) {
    write(1);
    acknowledge(2, last());
  }
  state_.durable = state_.index;
  acknowledge(3, LogIndex(10));
  idle();
  EXPECT_EQ(first(), LogIndex(11));
  acknowledge(3, last());
  idle();
  EXPECT_EQ(first(), last() + 1);
}

TEST_F(GroupTrimTest, IdleFollower_KeepsALittle) {
  create({1, 2, 3});
  for (uint64_t i = 2; i <= 200; ++i) {
    step(raft::MessageType::kApp, 2, [&](raft::Message& m) {
      m.term = Term(2);
      m.index = LogIndex(i - 1);
      m.log_term = i == 2 ? Term(1) : Term(2);
      m.commit = LogIndex(i);
      m.entries = {{Term(2), LogIndex(i), raft::EntryType::kNormal, SharedBytes::copy_of("x")}};
    });
  }
  ASSERT_EQ(last(), LogIndex(200));
  state_.durable = state_.index;
  idle();
  EXPECT_EQ(first(), LogIndex(137));
}

TEST_F(GroupTrimTest, TooMuchInTheWorker_NothingIsKeptForLaggingMembers) {
  elect({1, 2, 3});
  for (int i = 0; i < 20; ++i) {
    write(1);
    acknowledge(2, last());
  }
  state_.durable = state_.index;
  EXPECT_EQ(group_->log_tail().entries, last() - first() + 1);
  group_->cut_for_room();
  EXPECT_EQ(first(), last() + 1);
  EXPECT_EQ(group_->log_tail().entries, 0u);
  EXPECT_EQ(group_->log_tail().bytes, 0u);
}

TEST_F(GroupTrimTest, TooMuchInTheWorker_AsksForADurableState) {
  state_.in_memory = true;
  elect({1});
  write(20);
  group_->cut_for_room();
  ASSERT_EQ(services_->saves.size(), 1u);
  EXPECT_EQ(services_->saves[0].index, state_.index);
  group_->state_saved(state_.index, true);
  group_->cut_for_room();
  EXPECT_EQ(first(), last() + 1);
}

}  // namespace
}  // namespace multiraft::host::testing
