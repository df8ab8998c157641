#include "raft/entry_checksum.h"

#include <gtest/gtest.h>

#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;

Entry an_entry() { return {Term(3), LogIndex(12), EntryType::kNormal, bytes("hello")}; }

TEST(EntryChecksum, GoldenValues) {
  const uint32_t seed = group_checksum_seed(GroupId(5));
  EXPECT_EQ(seed, 0xe4094dc0u);
  EXPECT_EQ(payload_checksum(seed, "hello"), 0x90c2b16cu);
  Entry entry = an_entry();
  seal(seed, entry);
  EXPECT_EQ(entry.checksum, 0x36cd9f50u);
  EXPECT_TRUE(is_intact(seed, entry));
}

TEST(EntryChecksum, AnyOtherField_FailsIt) {
  const uint32_t seed = group_checksum_seed(GroupId(5));
  Entry sealed = an_entry();
  seal(seed, sealed);
  Entry other = sealed;
  other.term = Term(4);
  EXPECT_FALSE(is_intact(seed, other));
  other = sealed;
  other.index = LogIndex(13);
  EXPECT_FALSE(is_intact(seed, other));
  other = sealed;
  other.type = EntryType::kConfChange;
  EXPECT_FALSE(is_intact(seed, other));
  other = sealed;
  other.data = bytes("hellp");
  EXPECT_FALSE(is_intact(seed, other));
  other.data = bytes("hell");
  EXPECT_FALSE(is_intact(seed, other));
  EXPECT_FALSE(is_intact(group_checksum_seed(GroupId(6)), sealed));
}

/// What a leader appends of whatever kind: with checksums that were made from payloads alone.
TEST(EntryChecksum, EveryEntryOfALeader_IsIntact) {
  Config config = testing::test_config(1);
  config.checksum_seed = group_checksum_seed(GroupId(5));
  testing::Replica leader(config, testing::conf_of({1}));
  leader->campaign();
  leader.pump();
  const SharedBytes command = bytes("from outside");
  ASSERT_TRUE(
      leader->propose({Payload{command, payload_checksum(config.checksum_seed, command)}}).is_ok());
  ASSERT_TRUE(leader->propose({bytes("made here")}).is_ok());
  const ConfChange change = testing::change_of({{ConfChangeOp::kAddLearner, ReplicaId(2)}});
  ASSERT_TRUE(leader->propose_conf_change(change).is_ok());
  // Not allowed while the first is not applied: an empty entry takes its place.
  ASSERT_FALSE(leader->propose_conf_change(change).is_ok());
  leader.pump();
  auto entries = leader.storage().entries(leader.storage().first_index(),
                                          leader.storage().last_index() + 1, SIZE_MAX);
  ASSERT_TRUE(entries.is_ok());
  EXPECT_EQ(entries->size(), 5u);
  for (const Entry& entry : *entries) {
    EXPECT_TRUE(is_intact(config.checksum_seed, entry)) << entry.index;
  }
}

TEST(EntryChecksum, CommandThatChangedBeforeItWasProposed_KeepsTheChecksumThatItFails) {
  Config config = testing::test_config(1);
  testing::Replica leader(config, testing::conf_of({1}));
  leader->campaign();
  leader.pump();
  const uint32_t checksum = payload_checksum(config.checksum_seed, "command");
  ASSERT_TRUE(leader->propose({Payload{bytes("comnand"), checksum}}).is_ok());
  leader.pump();
  const LogIndex last = leader.storage().last_index();
  auto entries = leader.storage().entries(last, last + 1, SIZE_MAX);
  ASSERT_TRUE(entries.is_ok());
  EXPECT_FALSE(is_intact(config.checksum_seed, entries->front()));
}

}  // namespace
}  // namespace multiraft::raft
