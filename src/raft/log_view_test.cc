#include "raft/log_view.h"

#include <gtest/gtest.h>

#include "raft/testing/memory_storage.h"

namespace multiraft::raft {
namespace {

std::vector<Entry> entries(uint64_t from, const std::vector<uint64_t>& terms) {
  std::vector<Entry> out;
  for (uint64_t term : terms) out.push_back({Term(term), LogIndex(from++), EntryType::kNormal, {}});
  return out;
}

/// Entries 1..5 in storage, 6..8 unstable.
struct LogViewTest : ::testing::Test {
  LogViewTest() : log(make()) { log.append(entries(6, {2, 3, 3})); }

  LogView make() {
    storage.append(entries(1, {1, 1, 1, 2, 2}));
    return LogView(storage, LogIndex(3), LogIndex(2), SIZE_MAX);
  }

  testing::MemoryStorage storage;
  LogView log;
};

TEST_F(LogViewTest, Slice_AcrossStorageAndTail_IsInOrder) {
  for (uint64_t low = 1; low <= 9; ++low) {
    for (uint64_t high = low; high <= 9; ++high) {
      const auto slice = log.slice(LogIndex(low), LogIndex(high), SIZE_MAX);
      ASSERT_TRUE(slice.is_ok());
      ASSERT_EQ(slice->size(), high - low);
      for (size_t i = 0; i < slice->size(); ++i) EXPECT_EQ((*slice)[i].index, LogIndex(low + i));
    }
  }
}

TEST_F(LogViewTest, Slice_Limited_HasAtLeastOneAndIsCutAnywhere) {
  for (size_t count = 1; count <= 8; ++count) {
    const auto slice = log.slice(LogIndex(1), LogIndex(9), count * 24 + 23);
    ASSERT_TRUE(slice.is_ok());
    EXPECT_EQ(slice->size(), count);
  }
  EXPECT_EQ(log.slice(LogIndex(4), LogIndex(9), 0)->size(), 1u);
  EXPECT_EQ(log.slice(LogIndex(7), LogIndex(9), 0)->size(), 1u);
}

TEST_F(LogViewTest, Slice_OfWhatIsCompacted_SaysSo) {
  ASSERT_TRUE(storage.compact(LogIndex(2)).is_ok());
  EXPECT_EQ(log.slice(LogIndex(2), LogIndex(4), SIZE_MAX).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*log.term(LogIndex(2)), Term(1)) << "the term of the last compacted entry is known";
  EXPECT_EQ(log.term(LogIndex(1)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(log.term(LogIndex(9)).status().code(), StatusCode::kUnavailable);
}

TEST_F(LogViewTest, NextCommitted_ThatCannotBeRead_IsNotReadyUntilItIsTriedAgain) {
  log.commit_to(LogIndex(4));
  storage.fail_reads(Status(StatusCode::kIoError, "a bad sector"));
  ASSERT_TRUE(log.has_next_committed(true));
  EXPECT_TRUE(log.next_committed(true).empty());
  EXPECT_FALSE(log.has_next_committed(true)) << "the caller would come back for ever";
  storage.fail_reads(Status::ok());
  EXPECT_FALSE(log.has_next_committed(true));
  log.retry_reads();
  ASSERT_TRUE(log.has_next_committed(true));
  EXPECT_EQ(log.next_committed(true).size(), 2u);
}

TEST_F(LogViewTest, FindConflict_IsTheLastPlaceWithATermNotAbove) {
  EXPECT_EQ(log.find_conflict(LogIndex(8), Term(3)), (LogPosition{Term(3), LogIndex(8)}));
  EXPECT_EQ(log.find_conflict(LogIndex(8), Term(2)), (LogPosition{Term(2), LogIndex(6)}));
  EXPECT_EQ(log.find_conflict(LogIndex(5), Term(1)), (LogPosition{Term(1), LogIndex(3)}));
  EXPECT_EQ(log.find_conflict(LogIndex(8), Term(0)), LogPosition{});
  ASSERT_TRUE(storage.compact(LogIndex(3)).is_ok());
  EXPECT_EQ(log.find_conflict(LogIndex(5), Term(0)), (LogPosition{Term(), LogIndex(2)}))
      << "an unknown term counts as a match";
}

TEST_F(LogViewTest, MaybeAppend_ReplacesFromTheFirstDifferenceOn) {
  const auto mismatch = log.maybe_append({Term(1), LogIndex(5)}, entries(6, {4}), LogIndex(9));
  EXPECT_EQ(mismatch.outcome, LogView::Append::Outcome::kMismatch);
  const auto contradiction = log.maybe_append({Term(1), LogIndex(2)}, entries(3, {9}), LogIndex(3));
  EXPECT_EQ(contradiction.outcome, LogView::Append::Outcome::kContradiction);
  EXPECT_EQ(log.last_index(), LogIndex(8));
  const auto done = log.maybe_append({Term(1), LogIndex(3)}, entries(4, {2, 4}), LogIndex(4));
  EXPECT_EQ(done.outcome, LogView::Append::Outcome::kDone);
  EXPECT_EQ(done.last_new, LogIndex(5));
  EXPECT_EQ(log.last_index(), LogIndex(5));
  EXPECT_EQ(log.stable_index(), LogIndex(4));
  EXPECT_EQ(log.committed(), LogIndex(4));
}

TEST_F(LogViewTest, Committed_AreNotHandedOutWhileTheyAreHeld) {
  log.commit_to(LogIndex(7));
  ASSERT_TRUE(log.has_next_committed(true));
  log.hold_applying(true);
  EXPECT_FALSE(log.has_next_committed(true));
  EXPECT_TRUE(log.next_committed(true).empty());
  log.hold_applying(false);
  EXPECT_FALSE(log.next_committed(true).empty());
}

TEST_F(LogViewTest, Committed_AreHandedOutOnceAndOnlyIfStableWhereThatIsAsked) {
  log.commit_to(LogIndex(7));
  auto batch = log.next_committed(false);
  ASSERT_EQ(batch.size(), 3u);
  EXPECT_EQ(batch.front().index, LogIndex(3));
  log.accept_applying(batch, false);
  EXPECT_FALSE(log.has_next_committed(false));
  EXPECT_TRUE(log.has_next_committed(true));
  EXPECT_EQ(log.stable_to({Term(3), LogIndex(7)}), Unstable::Stable::kDone);
  storage.append(entries(6, {2, 3}));
  EXPECT_EQ(log.next_committed(false).size(), 2u);
  log.applied_to(LogIndex(5));
  EXPECT_EQ(log.applied(), LogIndex(5));
}

}  // namespace
}  // namespace multiraft::raft
