#include "host/arrival_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "raft/entry_checksum.h"

namespace multiraft::host {
namespace {

using ::testing::HasSubstr;

class ArrivalCheckTest : public ::testing::Test {
 protected:
  static constexpr GroupId kGroup{7};
  static constexpr NodeId kFrom{3};

  static wire::GroupMessage an_append() {
    wire::GroupMessage out;
    out.group = kGroup;
    out.message.type = raft::MessageType::kApp;
    for (uint64_t i = 1; i <= 3; ++i) {
      raft::Entry entry{Term(2), LogIndex(i), raft::EntryType::kNormal,
                        SharedBytes::copy_of("command " + std::to_string(i))};
      raft::seal(raft::group_checksum_seed(kGroup), entry);
      out.message.entries.push_back(std::move(entry));
    }
    return out;
  }
  static wire::Request a_write() {
    wire::Request out{9, wire::RequestKind::kPropose, kGroup, SharedBytes::copy_of("command")};
    out.checksum = raft::payload_checksum(raft::group_checksum_seed(kGroup), out.payload);
    return out;
  }
  static void flip_bit(SharedBytes& bytes) { bytes.mutable_data()[2] ^= 8; }

  std::vector<std::string> warnings_;
  ArrivalCheck check_{[this](const std::string& text) { warnings_.push_back(text); }};
  env::MonotonicTime now_{};
};

TEST_F(ArrivalCheckTest, WhatIsIntact_IsAccepted) {
  EXPECT_TRUE(check_.accept(kFrom, an_append(), now_));
  EXPECT_TRUE(check_.accept(kFrom, a_write(), now_));
  EXPECT_TRUE(check_.accept(kFrom, wire::GroupMessage{kGroup, {}}, now_));
  EXPECT_EQ(check_.failures(), 0u);
}

TEST_F(ArrivalCheckTest, AFlippedBit_IsRefusedAndNamed) {  // trap 38
  wire::GroupMessage append = an_append();
  flip_bit(append.message.entries[1].data);
  EXPECT_FALSE(check_.accept(kFrom, append, now_));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_THAT(warnings_[0], HasSubstr("entry 2 of group 7 came from node 3"));
  wire::Request write = a_write();
  flip_bit(write.payload);
  EXPECT_FALSE(check_.accept(kFrom, write, now_ + env::kSecond));
  ASSERT_EQ(warnings_.size(), 2u);
  EXPECT_THAT(warnings_[1], HasSubstr("a write to group 7 came from node 3"));
  EXPECT_EQ(check_.failures(), 2u);
}

TEST_F(ArrivalCheckTest, AnEntryOfAnotherGroup_IsRefused) {
  wire::GroupMessage append = an_append();
  append.group = GroupId(8);
  EXPECT_FALSE(check_.accept(kFrom, append, now_));
}

TEST_F(ArrivalCheckTest, ManyFailures_AreCountedButNotAllTold) {
  wire::GroupMessage append = an_append();
  append.message.entries[0].term = Term(3);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(check_.accept(kFrom, append, now_));
  EXPECT_EQ(check_.failures(), 100u);
  EXPECT_EQ(warnings_.size(), 1u);
}

}  // namespace
}  // namespace multiraft::host
