#include "kv/flush_tracker.h"

#include <gtest/gtest.h>

#include "kv/durability.h"

namespace multiraft::kv {
namespace {

TEST(FlushTracker, MemtableSealedAndFlushed_ItsEpoch_IsDurable) {
  FlushTracker tracker;
  const uint64_t first = tracker.open_epoch();
  EXPECT_LT(tracker.durable_epoch(), first);
  tracker.sealed(10);
  EXPECT_GT(tracker.open_epoch(), first);
  EXPECT_LT(tracker.durable_epoch(), first);
  EXPECT_EQ(tracker.sealed_count(), 1u);
  tracker.flushed(25);
  EXPECT_EQ(tracker.durable_epoch(), first);
  EXPECT_EQ(tracker.sealed_count(), 0u);
}

TEST(FlushTracker, SecondSealedDuringFlushOfFirst_OnlyFirst_IsDurable) {
  FlushTracker tracker;
  tracker.sealed(1);
  tracker.sealed(26);
  tracker.flushed(25);
  EXPECT_EQ(tracker.durable_epoch(), 1u);
  tracker.flushed(40);
  EXPECT_EQ(tracker.durable_epoch(), 2u);
}

TEST(FlushTracker, TwoMemtablesInOneFlush_Both_AreDurable) {
  FlushTracker tracker;
  tracker.sealed(1);
  tracker.sealed(26);
  tracker.flushed(40);
  EXPECT_EQ(tracker.durable_epoch(), 2u);
}

TEST(FlushTracker, FlushesReportedOutOfOrderOrBeforeTheSeal_Nothing_IsLost) {
  FlushTracker tracker;
  tracker.sealed(1);
  tracker.flushed(40);
  tracker.flushed(25);
  tracker.sealed(26);
  EXPECT_EQ(tracker.durable_epoch(), 2u);
  tracker.sealed(41);
  EXPECT_EQ(tracker.durable_epoch(), 2u);
}

TEST(FlushTracker, Waiting_ForAnEpoch_IsNotHeldUpByLaterOnes) {
  FlushTracker tracker;
  const uint64_t own = tracker.open_epoch();
  tracker.sealed(1);
  tracker.flushed(25);
  tracker.sealed(26);  // Another thread's, whose flush finds the disk full.
  tracker.wait_for(own);
  EXPECT_EQ(tracker.durable_epoch(), own);
}

TEST(Durability, WritesOverEpochs_Advanced_FollowsFlushes) {
  Durability group(LogIndex(5));
  EXPECT_TRUE(group.complete());
  group.written(3, LogIndex(6));
  group.written(3, LogIndex(8));
  group.written(4, LogIndex(9));
  EXPECT_EQ(group.advance(2), LogIndex(5));
  EXPECT_EQ(group.advance(3), LogIndex(8));
  EXPECT_FALSE(group.complete());
  EXPECT_EQ(group.advance(3), LogIndex(8));
  EXPECT_EQ(group.advance(7), LogIndex(9));
  EXPECT_TRUE(group.complete());
}

}  // namespace
}  // namespace multiraft::kv
