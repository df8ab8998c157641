#include "raft/progress.h"

#include <gtest/gtest.h>

namespace multiraft::raft {
namespace {

Progress progress_at(uint64_t match, uint64_t next, size_t window = 256) {
  Config config;
  config.inflight_messages_max = window;
  Progress progress(ReplicaId(2), LogIndex(next), config);
  progress.match = LogIndex(match);
  return progress;
}

TEST(Progress, Probe_AfterANonEmptyAppend_IsPausedUntilAnswered) {
  Progress member = progress_at(0, 5);
  member.sent_entries(0, 0);
  EXPECT_FALSE(member.paused()) << "an empty append does not pause";
  member.sent_entries(3, 30);
  EXPECT_TRUE(member.paused());
  EXPECT_EQ(member.next, LogIndex(5)) << "a probe is not optimistic";
  EXPECT_TRUE(member.maybe_update(LogIndex(4)));
  EXPECT_FALSE(member.paused());
}

TEST(Progress, Replicate_AfterAppends_MovesNextAndPausesWithAFullWindow) {
  Progress member = progress_at(4, 5, 2);
  member.become_replicate();
  member.sent_entries(3, 30);
  EXPECT_EQ(member.next, LogIndex(8));
  EXPECT_FALSE(member.paused());
  member.sent_entries(1, 10);
  EXPECT_TRUE(member.paused());
  EXPECT_TRUE(member.maybe_update(LogIndex(7)));
  member.inflights.free_up_to(LogIndex(7));
  EXPECT_FALSE(member.paused());
}

TEST(Progress, MaybeUpdate_OldIndex_ChangesNothing) {
  Progress member = progress_at(6, 9);
  member.pause();
  EXPECT_FALSE(member.maybe_update(LogIndex(6)));
  EXPECT_FALSE(member.maybe_update(LogIndex(3)));
  EXPECT_EQ(member.match, LogIndex(6));
  EXPECT_TRUE(member.paused());
}

TEST(Progress, MaybeDecrease_InReplicate_IgnoresTheHintAndRestartsAtMatch) {
  Progress member = progress_at(4, 5);
  member.become_replicate();
  member.sent_entries(5, 50);
  EXPECT_FALSE(member.maybe_decrease(LogIndex(4), LogIndex(1))) << "acknowledged already";
  EXPECT_TRUE(member.maybe_decrease(LogIndex(7), LogIndex(6)));
  EXPECT_EQ(member.next, LogIndex(5));
}

TEST(Progress, MaybeDecrease_InProbe_OnlyTheAnswerToTheLastProbeCounts) {
  Progress member = progress_at(2, 10);
  EXPECT_FALSE(member.maybe_decrease(LogIndex(8), LogIndex(3))) << "stale";
  EXPECT_EQ(member.next, LogIndex(10));
  EXPECT_TRUE(member.maybe_decrease(LogIndex(9), LogIndex(5)));
  EXPECT_EQ(member.next, LogIndex(6));
  EXPECT_TRUE(member.maybe_decrease(LogIndex(5), LogIndex(0)));
  EXPECT_EQ(member.next, LogIndex(3)) << "never at or below match";
}

TEST(Progress, BecomeProbe_FromSnapshot_ContinuesAfterTheSnapshotUnlessItFailed) {
  Progress member = progress_at(2, 3);
  member.become_snapshot(LogIndex(20));
  EXPECT_TRUE(member.paused());
  EXPECT_EQ(member.next, LogIndex(21));
  member.become_probe();
  EXPECT_EQ(member.next, LogIndex(21));
  EXPECT_EQ(member.pending_snapshot(), LogIndex());

  member.become_snapshot(LogIndex(20));
  member.snapshot_failed();
  member.become_probe();
  EXPECT_EQ(member.next, LogIndex(3));
}

TEST(Progress, CanBumpCommit_OnlyWhereTheMemberCouldCommitMore) {
  Progress member = progress_at(4, 5);
  member.become_replicate();
  member.sent_commit(LogIndex(3));
  EXPECT_TRUE(member.can_bump_commit(LogIndex(4)));
  member.sent_commit(LogIndex(4));
  EXPECT_FALSE(member.can_bump_commit(LogIndex(9))) << "it was sent nothing after 4";
  member.sent_entries(2, 20);
  EXPECT_TRUE(member.can_bump_commit(LogIndex(9)));
}

TEST(Progress, MaybeDecrease_OfWhatWasAcknowledged_CountsItNoMore) {
  Progress p = progress_at(5, 6);
  ASSERT_TRUE(p.maybe_decrease(LogIndex(5), LogIndex(3)));
  EXPECT_EQ(p.match, LogIndex(3));
  EXPECT_EQ(p.next, LogIndex(4));
  // A hint that contradicts the refusal is not believed.
  ASSERT_TRUE(p.maybe_decrease(LogIndex(3), LogIndex(9)));
  EXPECT_EQ(p.match, LogIndex(2));
  EXPECT_EQ(p.next, LogIndex(3));
}

}  // namespace
}  // namespace multiraft::raft
