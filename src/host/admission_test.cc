#include "host/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace multiraft::host {
namespace {

using ::testing::HasSubstr;

constexpr AdmissionLimits kLimits{.writes = 10,
                                  .writes_of_group = 6,
                                  .write_bytes = 1000,
                                  .write_bytes_of_group = 600,
                                  .reads = 5,
                                  .reads_of_group = 3,
                                  .uncommitted_bytes = 100,
                                  .uncommitted_bytes_of_group = 80};

class AdmissionTest : public ::testing::Test {
 protected:
  /// True if it was admitted, and kept.
  bool write(size_t group, size_t bytes = 1) {
    auto ticket = admission_.admit_write(accounts_[group], bytes);
    if (ticket) tickets_.push_back(std::move(*ticket));
    last_ = ticket.status();
    return ticket.is_ok();
  }
  bool read(size_t group) {
    auto ticket = admission_.admit_read(accounts_[group]);
    if (ticket) tickets_.push_back(std::move(*ticket));
    last_ = ticket.status();
    return ticket.is_ok();
  }

  Admission admission_{kLimits};
  std::vector<std::shared_ptr<Admission::Account>> accounts_{
      admission_.open_account(), admission_.open_account(), admission_.open_account()};
  std::vector<Admission::Ticket> tickets_;
  Status last_;
};

TEST_F(AdmissionTest, AGroupBeyondItsPart_IsRefusedAndTheOthersAreNot) {
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(write(0));
  EXPECT_FALSE(write(0));
  EXPECT_EQ(last_.code(), StatusCode::kOverloaded);
  EXPECT_THAT(last_.message(), HasSubstr("in this group"));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(write(1));
  EXPECT_FALSE(write(2));
  EXPECT_THAT(last_.message(), HasSubstr("on this node"));
}

TEST_F(AdmissionTest, Bytes_AreLimitedToo) {
  EXPECT_TRUE(write(0, 600));
  EXPECT_FALSE(write(0, 1));
  EXPECT_THAT(last_.message(), HasSubstr("bytes"));
  EXPECT_TRUE(write(1, 300));
  EXPECT_FALSE(write(2, 101));
  EXPECT_TRUE(write(2, 100));
}

TEST_F(AdmissionTest, AWriteLargerThanTheLimit_IsAdmittedAlone) {
  EXPECT_TRUE(write(0, 5000));
  EXPECT_FALSE(write(0, 1));
  tickets_.clear();
  EXPECT_TRUE(write(0, 1));
}

TEST_F(AdmissionTest, Reads_AreCountedApart) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(read(0));
  EXPECT_FALSE(read(0));
  EXPECT_TRUE(read(1));
  EXPECT_TRUE(read(1));
  EXPECT_FALSE(read(2));
  EXPECT_TRUE(write(2));
}

TEST_F(AdmissionTest, WhatIsOver_DoesNotCountAnyMore) {
  for (int round = 0; round < 100; ++round) {
    EXPECT_TRUE(write(0, 600));
    EXPECT_TRUE(read(0));
    std::vector<Admission::Ticket> moved = std::move(tickets_);
    Admission::Ticket kept = std::move(moved.back());
    moved.clear();
    EXPECT_EQ(admission_.load().writes, 0u);
    EXPECT_EQ(admission_.load().reads, 1u);
    kept = Admission::Ticket();
    EXPECT_EQ(admission_.load().reads, 0u);
    tickets_.clear();
  }
  EXPECT_EQ(admission_.load().write_bytes, 0u);
}

TEST_F(AdmissionTest, Uncommitted_LeavesRoomByGroupAndByWorker) {
  Admission& a = admission_;
  EXPECT_EQ(a.proposal_room(*accounts_[0]), 80u);
  a.note_uncommitted(*accounts_[0], 50);
  EXPECT_EQ(a.proposal_room(*accounts_[0]), 30u);
  EXPECT_EQ(a.proposal_room(*accounts_[1]), 50u);
  a.note_uncommitted(*accounts_[1], 70);
  EXPECT_EQ(a.proposal_room(*accounts_[0]), 0u);
  EXPECT_EQ(a.proposal_room(*accounts_[2]), 0u);
  a.note_uncommitted(*accounts_[0], 10);
  EXPECT_EQ(a.proposal_room(*accounts_[2]), 20u);
  accounts_[1].reset();  // The replica went away.
  EXPECT_EQ(a.proposal_room(*accounts_[2]), 80u);
}

TEST_F(AdmissionTest, ATicket_OutlivesItsGroup) {
  EXPECT_TRUE(write(0, 100));
  accounts_[0].reset();
  EXPECT_EQ(admission_.load().write_bytes, 100u);
  tickets_.clear();
  EXPECT_EQ(admission_.load().write_bytes, 0u);
}

}  // namespace
}  // namespace multiraft::host
