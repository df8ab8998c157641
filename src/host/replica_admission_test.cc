// What a replica accepts, and how much of it at a time.

#include <gmock/gmock.h>

#include "host/testing/one_group.h"
#include "raft/entry_checksum.h"

namespace multiraft::host::testing {
namespace {

using ::testing::HasSubstr;

class GroupAdmissionTest : public ReplicaTest {
 protected:
  /// Leads a group of three whose other members are silent: nothing is committed.
  void lead(const AdmissionLimits& limits) {
    services_->limit(limits);
    create({1, 2, 3});
    group_->campaign_later(0);
    env_.advance(1);
    run();
    step(raft::MessageType::kPreVoteResp, 2, [&](raft::Message& m) { m.term = m.term + 1; });
    step(raft::MessageType::kVoteResp, 2, [](raft::Message&) {});
    ASSERT_EQ(group_->core().role(), raft::Role::kLeader);
  }
  void put(size_t bytes) {
    PendingWrite write;
    write.command = SharedBytes::copy_of(std::string(bytes, 'w'));
    write.checksum = raft::payload_checksum(raft::group_checksum_seed(kGroup), write.command);
    write.deadline = services_->now() + 5 * env::kSecond;
    write.done = [this](const WriteResult& result) { answers_.push_back(result.status); };
    group_->write(std::move(write));
  }
  void acknowledge(uint64_t from, LogIndex index) {
    step(raft::MessageType::kAppResp, from, [&](raft::Message& m) { m.index = index; });
  }
  LogIndex last() const { return group_->core().last_index(); }

  std::vector<Status> answers_;
};

TEST_F(GroupAdmissionTest, WritesBeyondTheRoom_TheirPrefixIsProposed_TheRestWaits) {
  lead({.uncommitted_bytes_of_group = 1000});
  const LogIndex before = last();
  for (int i = 0; i < 5; ++i) put(400);
  run();
  EXPECT_EQ(last(), before + 2);
  EXPECT_TRUE(answers_.empty());
  acknowledge(2, last());
  run();
  EXPECT_EQ(answers_.size(), 2u);
  EXPECT_EQ(last(), before + 4);
  acknowledge(3, last());
  run();
  acknowledge(3, last());
  run();
  EXPECT_EQ(last(), before + 5);
  EXPECT_EQ(answers_.size(), 5u);
  for (const Status& answer : answers_) EXPECT_TRUE(answer) << answer.to_string();
}

TEST_F(GroupAdmissionTest, AWriteLargerThanTheRoom_EntersWhereNothingIsUncommitted) {
  lead({.uncommitted_bytes_of_group = 1000});
  acknowledge(2, last());
  const LogIndex before = last();
  put(5000);
  put(10);
  run();
  EXPECT_EQ(last(), before + 1);
  acknowledge(2, last());
  run();
  EXPECT_EQ(last(), before + 2);
}

TEST_F(GroupAdmissionTest, TooManyThatWait_AreRefusedAtOnce) {
  lead({.writes_of_group = 3});
  for (int i = 0; i < 4; ++i) put(10);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].code(), StatusCode::kOverloaded);
  EXPECT_THAT(answers_[0].message(), HasSubstr("try again"));
  run();
  acknowledge(2, last());
  run();
  EXPECT_EQ(answers_.size(), 4u);
  EXPECT_EQ(services_->admission().load().writes, 0u);
  put(10);
  EXPECT_EQ(answers_.size(), 4u);
}

TEST_F(GroupAdmissionTest, Reads_AreRefusedBeyondTheLimit_AndCountedUntilTheirAnswer) {
  lead({.reads_of_group = 2});
  int refused = 0;
  for (int i = 0; i < 3; ++i) {
    PendingRead read;
    read.deadline = services_->now() + env::kSecond;
    read.done = [&](const ReadPermit& permit) {
      refused += permit.status.code() == StatusCode::kOverloaded ? 1 : 0;
    };
    group_->read(ReadMode::kLinearizable, std::move(read));
  }
  EXPECT_EQ(refused, 1);
  run();
  EXPECT_EQ(services_->admission().load().reads, 2u);
  pass(2 * env::kSecond);
  EXPECT_EQ(services_->admission().load().reads, 0u);
}

TEST_F(GroupAdmissionTest, ATurn_ProposesNoMoreThanItsPart) {
  lead({});
  const size_t bytes = limits::kProposalBytesPerGroupAndTurnMax / 4;
  const LogIndex before = last();
  for (int i = 0; i < 6; ++i) put(bytes);
  services_->turn_budget().begin_turn();
  group_->begin_turn();
  EXPECT_EQ(last(), before + 4);
  services_->turn_budget().begin_turn();
  group_->begin_turn();
  EXPECT_EQ(last(), before + 6);
}

}  // namespace
TEST_F(GroupAdmissionTest, WritesThatWouldWaitForSeconds_AreRefusedAtOnce) {
  options_.compaction.bytes = SIZE_MAX;  // Nobody cuts it here.
  lead({});
  acknowledge(2, last());
  run();
  // A member takes 256 KiB in a second; the request timeout is five.
  put(256 * limits::kKiB);
  run();
  env_.advance(env::kSecond);
  acknowledge(2, last());
  run();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0]);
  for (int i = 0; i < 3; ++i) put(256 * limits::kKiB);
  EXPECT_EQ(answers_.size(), 1u);
  put(256 * limits::kKiB);
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_EQ(answers_[1].code(), StatusCode::kOverloaded);
  EXPECT_THAT(answers_[1].message(), HasSubstr("try again"));
  run();
  acknowledge(2, last());  // Now it is quick.
  run();
  EXPECT_EQ(answers_.size(), 5u);
  put(256 * limits::kKiB);
  EXPECT_EQ(answers_.size(), 5u);
}

TEST_F(GroupAdmissionTest, Read_OfAReplicaWithoutItsState_IsForOthersToServe) {
  create({});  // It waits for its first snapshot.
  EXPECT_TRUE(group_->unfilled());
  for (const ReadMode mode : {ReadMode::kLinearizable, ReadMode::kLocal}) {
    StatusCode code = StatusCode::kOk;
    PendingRead read;
    read.deadline = services_->now() + env::kSecond;
    read.done = [&](const ReadPermit& permit) { code = permit.status.code(); };
    group_->read(mode, std::move(read));
    EXPECT_EQ(code, StatusCode::kNotFound);
  }
}

}  // namespace multiraft::host::testing
