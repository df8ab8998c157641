// Entries that change in memory on their way through a replica (trap 38).

#include <gmock/gmock.h>

#include "host/testing/one_group.h"
#include "raft/entry_checksum.h"

namespace multiraft::host::testing {
namespace {

using ::testing::HasSubstr;

class GroupChecksumTest : public ReplicaTest {
 protected:
  /// Hands a write to the replica. The bytes stay shared with it.
  SharedBytes write_shared() {
    SharedBytes command = SharedBytes::copy_of(std::string(100, 'w'));
    PendingWrite write;
    write.command = command;
    write.checksum = raft::payload_checksum(raft::group_checksum_seed(kGroup), command);
    write.deadline = services_->now() + 5 * env::kSecond;
    write.done = [this](const WriteResult&) { answered_ = true; };
    group_->write(std::move(write));
    return command;
  }
  static void flip_bit(SharedBytes& bytes) { bytes.mutable_data()[50] ^= 1; }

  bool answered_ = false;
};

TEST_F(GroupChecksumTest, WriteThatChangedWhileItWaited_IsNotWrittenToTheLog) {
  create({1});
  pass(options_.election_ns * 2);
  SharedBytes command = write_shared();
  flip_bit(command);
  run();
  EXPECT_EQ(services_->failure.code(), StatusCode::kCorruption);
  EXPECT_THAT(services_->failure.message(), HasSubstr("before it was written to the log"));
  EXPECT_FALSE(answered_);
}

TEST_F(GroupChecksumTest, EntryThatChangedBeforeItIsApplied_IsNotApplied) {
  create({1});
  pass(options_.election_ns * 2);
  const LogIndex before = state_.index;
  SharedBytes command = write_shared();
  while (!group_->begin_apply()) {
    group_->begin_turn();
    group_->process_ready();
    log_->flush();
    env_.run_until_idle();
  }
  flip_bit(command);
  size_t bytes_left = SIZE_MAX;
  group_->applying = true;
  group_->apply(bytes_left);
  EXPECT_EQ(services_->failure.code(), StatusCode::kCorruption);
  EXPECT_THAT(services_->failure.message(), HasSubstr("before it was applied"));
  EXPECT_EQ(state_.index, before);
  EXPECT_FALSE(answered_);
}

}  // namespace
}  // namespace multiraft::host::testing
