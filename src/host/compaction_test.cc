#include "host/compaction.h"

#include <gtest/gtest.h>

#include <vector>

namespace multiraft::host {
namespace {

constexpr uint64_t kMiB = limits::kMiB;

/// A log of entries of given sizes, from index 2 on, all of them applied and durable.
class LogCutTest : public ::testing::Test {
 protected:
  void append(uint64_t count, uint64_t bytes) {
    sizes_.insert(sizes_.end(), count, bytes);
    held_.bytes += count * bytes;
    held_.applied = held_.durable = held_.wanted = held_.applied + count;
  }
  CompactionDecision decide() {
    return decide_compaction(limits_, held_, [this](LogIndex index) {
      ++asked_;
      return sizes_.at(index - kFirst);
    });
  }
  /// Decides and does it. The number of entries that are left.
  uint64_t cut() {
    const CompactionDecision cut = decide();
    EXPECT_EQ(cut.verdict, LogCutVerdict::kCut);
    while (held_.first <= cut.through) {
      held_.bytes -= sizes_[held_.first - kFirst];
      held_.first = held_.first + 1;
    }
    return held_.applied - cut.through;
  }

  static constexpr LogIndex kFirst{2};
  LogCutLimits limits_;
  LogFootprint held_{kFirst, LogIndex(1), 0, LogIndex(1), LogIndex(1)};
  std::vector<uint64_t> sizes_;
  int asked_ = 0;
};

TEST_F(LogCutTest, TinyEntries_AreCutByNumber) {
  append(11'000, 20);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
  append(1, 20);
  EXPECT_EQ(cut(), 1'000u);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
  EXPECT_EQ(asked_, 0) << "where bytes do not matter nobody counts them";
}

TEST_F(LogCutTest, LargeEntries_AreCutByBytes_LongBeforeTheirNumberIsReached) {
  append(64, kMiB);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
  append(1, kMiB);
  EXPECT_EQ(cut(), 32u);
  EXPECT_EQ(held_.bytes, 32 * kMiB);
  EXPECT_LE(asked_, 33);
}

TEST_F(LogCutTest, LargeEntriesBehindManySmallOnes_TheTailIsMeasuredAndNotEstimated) {
  append(9'000, 10);
  append(66, kMiB);
  EXPECT_EQ(cut(), 32u);
}

TEST_F(LogCutTest, ManyEntriesOfSomeSize_TheTailKeepsBothLimits) {
  append(11'001, 5 * 1024);
  EXPECT_EQ(cut(), 1'000u);
  append(11'001, 64 * 1024);
  EXPECT_EQ(cut(), 512u);
}

TEST_F(LogCutTest, OneEntryAboveTheTailsBytes_IsNotKept) {
  append(3, 40 * kMiB);
  EXPECT_EQ(cut(), 0u);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
}

TEST_F(LogCutTest, StateNotDurable_IsAskedToBecomeSo_AndNothingIsCutBeyond) {
  append(20'000, 20);
  held_.durable = LogIndex(1);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
  held_.durable = LogIndex(100);  // Too little to be worth a record.
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
  held_.durable = LogIndex(8'000);
  EXPECT_EQ(decide().through, LogIndex(8'000));
  EXPECT_EQ(cut(), 12'001u);
}

TEST_F(LogCutTest, StateThatIsSavedWhole_WaitsUntilTheLogHasGrownByHalfOfIt) {
  append(20'000, 20);
  held_.durable = LogIndex(1);
  held_.saved_whole = true;
  held_.state_bytes = 320 * kMiB;
  held_.bytes_since_saved = held_.bytes;
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep) << "by number alone it is never saved";
  held_.bytes_since_saved = 160 * kMiB - 1;
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
  held_.bytes_since_saved = 160 * kMiB;
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
  // A small one is saved as soon as the log is long.
  held_.state_bytes = 100'000;
  held_.bytes_since_saved = held_.bytes;
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
  // Room counts more than what is written.
  held_.state_bytes = 320 * kMiB;
  held_.disk_low = true;
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
}

TEST_F(LogCutTest, StateThatIsSavedWhole_WritesAtMostThreeTimesTheLog) {
  // Writes of 16 B over a state of 4,000 keys of 8 KiB, as the log's own bytes count them.
  constexpr uint64_t kEntryBytes = 60;
  held_.saved_whole = true;
  held_.state_bytes = 32 * kMiB;
  uint64_t log_bytes = 0;
  uint64_t state_bytes = 0;
  for (int round = 0; round < 200; ++round) {
    append(10'000, kEntryBytes);
    log_bytes += 10'000 * kEntryBytes;
    held_.durable = LogIndex(held_.applied.value - held_.bytes_since_saved / kEntryBytes - 10'000);
    held_.bytes_since_saved += 10'000 * kEntryBytes;
    if (decide().verdict == LogCutVerdict::kMakeDurable) {
      state_bytes += held_.state_bytes;
      held_.bytes_since_saved = 0;
      held_.durable = held_.applied;
    }
    if (decide().verdict == LogCutVerdict::kCut) cut();
  }
  EXPECT_GT(state_bytes, 0u);
  EXPECT_LE(state_bytes, 3 * log_bytes);
}

TEST_F(LogCutTest, SnapshotInFlight_KeepsWhatItsMemberNeedsNext) {  // trap 43
  append(30'000, 20);
  held_.wanted = LogIndex(20'000);
  EXPECT_EQ(decide().through, LogIndex(20'000));
  held_.wanted = LogIndex(1);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep) << "a flush would not help";
  held_.durable = LogIndex(1);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
}

TEST_F(LogCutTest, DiskLow_NothingIsKept) {
  append(7, 20);
  held_.disk_low = true;
  held_.durable = LogIndex(1);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kMakeDurable);
  held_.durable = LogIndex(3);
  EXPECT_EQ(cut(), 5u);
  held_.durable = held_.applied;
  EXPECT_EQ(cut(), 0u);
  EXPECT_EQ(decide().verdict, LogCutVerdict::kKeep);
}

}  // namespace
}  // namespace multiraft::host
