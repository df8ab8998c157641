#include "host/write_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace multiraft::host {
namespace {

class WriteQueueTest : public ::testing::Test {
 protected:
  PendingWrite make(const std::string& name, int64_t deadline_ns = 1'000, bool forwarded = false) {
    PendingWrite write;
    write.command = SharedBytes::copy_of(name);
    write.deadline = {deadline_ns};
    write.forwarded = forwarded;
    write.done = [this, name](WriteResult result) { answers_[name] = result.status.code(); };
    return write;
  }
  void propose(std::initializer_list<std::string> names, uint64_t index, uint64_t term,
               bool forwarded = false) {
    std::deque<PendingWrite> writes;
    for (const std::string& name : names) writes.push_back(make(name, 1'000, forwarded));
    queue_.proposed(std::move(writes), LogIndex(index), Term(term));
  }
  std::string applied(uint64_t index, uint64_t term) {
    PendingWrite write;
    if (!queue_.applied(LogIndex(index), Term(term), write)) return "";
    return std::string(write.command.view());
  }
  std::vector<std::string> waiting() {
    std::vector<std::string> names;
    for (const PendingWrite& write : queue_.take_waiting())
      names.emplace_back(write.command.view());
    return names;
  }

  WriteQueue queue_;
  std::map<std::string, StatusCode> answers_;
};

TEST_F(WriteQueueTest, Applied_SameIndexAndTerm_IsTheWrite) {
  propose({"a", "b"}, 5, 2);
  EXPECT_EQ(applied(4, 2), "");
  EXPECT_EQ(applied(5, 2), "a");
  EXPECT_EQ(applied(6, 2), "b");
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(WriteQueueTest, Applied_OtherTermAtItsIndex_GoesBackToWaiting) {
  propose({"a"}, 5, 2);
  EXPECT_EQ(applied(5, 3), "");
  EXPECT_EQ(waiting(), std::vector<std::string>{"a"});
  EXPECT_TRUE(answers_.empty());
}

TEST_F(WriteQueueTest, Applied_YoungerTermBeforeIt_ProvesItLost) {
  // Terms never fall along a log: behind an entry of term 3 there is none of term 2.
  propose({"a"}, 20, 2);
  propose({"b"}, 10, 3);
  EXPECT_EQ(applied(9, 3), "");
  EXPECT_EQ(waiting(), std::vector<std::string>{"a"});
  EXPECT_EQ(applied(10, 3), "b");
}

TEST_F(WriteQueueTest, Applied_ForwardedAndLost_IsRefusedForTheForwarderToRetry) {
  // trap 49: only an explicit refusal is tried again, and by the node that forwarded.
  propose({"a"}, 5, 2, true);
  EXPECT_EQ(applied(5, 3), "");
  EXPECT_EQ(answers_.at("a"), StatusCode::kNotLeader);
  EXPECT_FALSE(queue_.waiting());
}

TEST_F(WriteQueueTest, SkippedTo_SnapshotBehindProposals_OutcomeIsUnknown) {
  propose({"a", "b"}, 5, 2);
  queue_.skipped_to(LogIndex(5));
  EXPECT_EQ(answers_.at("a"), StatusCode::kUnknownOutcome);
  EXPECT_FALSE(answers_.contains("b"));
}

TEST_F(WriteQueueTest, Expire_Waiting_WasNotApplied_Proposed_IsUnknown) {
  queue_.add(make("waits", 50));
  std::deque<PendingWrite> writes;
  writes.push_back(make("proposed", 50));
  writes.push_back(make("young", 200));
  queue_.proposed(std::move(writes), LogIndex(7), Term(1));
  queue_.expire({100}, "no leader");
  EXPECT_EQ(answers_.at("waits"), StatusCode::kUnavailable);
  EXPECT_EQ(answers_.at("proposed"), StatusCode::kUnknownOutcome);
  EXPECT_FALSE(answers_.contains("young"));
  EXPECT_EQ(applied(8, 1), "young");
}

TEST_F(WriteQueueTest, Expire_OneThatCameBackBehindYoungerOnes_IsAnsweredInTime) {
  queue_.add(make("young", 200));
  queue_.add(make("came back", 50));
  std::deque<PendingWrite> writes;
  writes.push_back(make("young proposed", 200));
  writes.push_back(make("came back and proposed", 50));
  writes.push_back(make("behind it", 200));
  queue_.proposed(std::move(writes), LogIndex(7), Term(1));
  queue_.expire({100}, "no leader");
  EXPECT_EQ(answers_.at("came back"), StatusCode::kUnavailable);
  EXPECT_EQ(answers_.at("came back and proposed"), StatusCode::kUnknownOutcome);
  EXPECT_EQ(answers_.size(), 2u);
  EXPECT_EQ(applied(7, 1), "young proposed");
  EXPECT_EQ(applied(8, 1), "");
  EXPECT_EQ(applied(9, 1), "behind it");
}

TEST_F(WriteQueueTest, FailAll_EveryWrite_IsAnsweredOnce) {
  queue_.add(make("waits"));
  propose({"proposed"}, 5, 2);
  queue_.fail_all(Status(StatusCode::kUnavailable, "stops"));
  EXPECT_EQ(answers_.at("waits"), StatusCode::kUnavailable);
  EXPECT_EQ(answers_.at("proposed"), StatusCode::kUnknownOutcome);
  EXPECT_EQ(queue_.size(), 0u);
}

}  // namespace
}  // namespace multiraft::host
