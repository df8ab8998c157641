// Entries of the log that cannot be read back when they are needed: the process ends and says why,
// and nothing spins meanwhile.

#include <gmock/gmock.h>

#include <algorithm>

#include "host/testing/one_group.h"

namespace multiraft::host::testing {
namespace {

using raft::MessageType;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kSegment[] = "log/0000000000000001.seg";

class GroupReadBackTest : public ReplicaTest {
 protected:
  /// Leads with one voter; the log of 40 entries is on disk only, after a restart.
  void create_and_reopen() {
    create({1}, {2});
    write(40, 100);
    ASSERT_GE(log().last_index(), LogIndex(40));
    ASSERT_TRUE(reopen());
  }
  /// Flips a bit in the first client's entry.
  void damage_an_entry() {
    auto file = env_.file_system().read_file(kSegment);
    ASSERT_TRUE(file);
    const size_t at = file->find(std::string(100, 'w'));
    ASSERT_NE(at, std::string::npos);
    ASSERT_TRUE(env_.disk().flip_bit(kSegment, at + 5, 1));
  }
  void expect_failure(StatusCode code) {
    EXPECT_EQ(services_->failure.code(), code) << services_->failure.to_string();
    EXPECT_THAT(std::string(services_->failure.message()),
                AllOf(HasSubstr(kSegment), HasSubstr("offset"), HasSubstr("of group 7")));
  }
};

TEST_F(GroupReadBackTest, DamageOnTheWayToTheStateMachine_EndsTheProcess) {
  create_and_reopen();
  state_.index = LogIndex(1);  // The state was in memory, so all is applied again.
  damage_an_entry();
  ASSERT_TRUE(start_again());
  expect_failure(StatusCode::kCorruption);
  EXPECT_FALSE(group().core().has_ready()) << "the worker would turn for ever";
}

TEST_F(GroupReadBackTest, FailedReadOfWhatIsToBeApplied_EndsTheProcess) {
  create_and_reopen();
  state_.index = LogIndex(1);
  env_.disk().fail_read(1);
  ASSERT_TRUE(start_again());
  expect_failure(StatusCode::kIoError);
  EXPECT_FALSE(group().core().has_ready());
}

TEST_F(GroupReadBackTest, DamageOnTheWayToAMember_EndsTheProcess) {
  create_and_reopen();
  damage_an_entry();
  ASSERT_TRUE(start_again());
  ASSERT_TRUE(services_->failure) << "all of it is applied: nobody has looked yet";
  ASSERT_EQ(group().core().role(), raft::Role::kLeader);
  auto probe = std::find_if(services_->sent.begin(), services_->sent.end(),
                            [](const raft::Message& m) { return m.type == MessageType::kApp; });
  ASSERT_NE(probe, services_->sent.end());
  step(MessageType::kAppResp, 2, [&](raft::Message& message) {
    message.reject = true;
    message.index = probe->index;
    message.reject_hint = LogIndex(1);
    message.log_term = Term(1);
  });
  expect_failure(StatusCode::kCorruption);
}

/// A disk whose reads hang, and a leader with a member that lags.
class SlowReadTest : public GroupReadBackTest {
 protected:
  void hang(bool hangs) {
    for (const char* thread : {"log-read-0", "log-read-1", "log-read-2"}) {
      env_.set_paused(thread, hangs);
    }
  }
  /// The member has nothing behind index 1, and says so.
  void member_lags() {
    auto probe = std::find_if(services_->sent.begin(), services_->sent.end(),
                              [](const raft::Message& m) { return m.type == MessageType::kApp; });
    ASSERT_NE(probe, services_->sent.end());
    step(MessageType::kAppResp, 2, [&](raft::Message& message) {
      message.reject = true;
      message.index = probe->index;
      message.reject_hint = LogIndex(1);
      message.log_term = Term(1);
    });
  }
  /// Entries that were sent and begin at index 2.
  size_t sent_from_the_start() const {
    for (const raft::Message& message : services_->sent) {
      if (message.type == MessageType::kApp && message.index == LogIndex(1)) {
        return message.entries.size();
      }
    }
    return 0;
  }
};

TEST_F(SlowReadTest, MemberThatLags_IsServedOnceTheDiskAnswers_AndWritesGoOnMeanwhile) {
  create_and_reopen();
  ASSERT_TRUE(start_again());
  ASSERT_EQ(group().core().role(), raft::Role::kLeader);
  hang(true);
  member_lags();
  EXPECT_EQ(sent_from_the_start(), 0u);
  const LogIndex applied = state_.index;
  write(5);
  EXPECT_GE(state_.index, applied + 5);
  EXPECT_TRUE(log_->oldest_pending_read().has_value());
  hang(false);
  run();
  EXPECT_GE(sent_from_the_start(), 30u) << "at once, not with a later heartbeat";
  EXPECT_TRUE(services_->failure) << services_->failure.to_string();
}

TEST_F(SlowReadTest, EntriesToBeApplied_AreAppliedOnceTheDiskAnswers) {
  create_and_reopen();
  const LogIndex last = log().last_index();
  state_.index = LogIndex(1);
  hang(true);
  ASSERT_TRUE(start_again());
  EXPECT_EQ(state_.index, LogIndex(1));
  EXPECT_FALSE(group().core().has_ready()) << "the worker would turn for ever";
  hang(false);
  run();
  EXPECT_GE(state_.index, last);
}

TEST_F(SlowReadTest, ElectionOfAMember_NeedsNoEntriesOfItsLog) {
  create_and_reopen();
  state_.index = LogIndex(1);
  hang(true);
  ASSERT_TRUE(start_again());
  EXPECT_EQ(group().core().role(), raft::Role::kLeader)
      << "whether a configuration change waits to be applied is known without reading";
}

}  // namespace
}  // namespace multiraft::host::testing
