// Three whole node hosts on simulated machines, one of whose disks hangs (trap 37).

#include "host/disk_stall_detector.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "host/testing/stall_hosts.h"

namespace multiraft::host {
namespace {

using testing::kElectionNs;
using testing::kHeartbeatNs;

TEST(DiskStallDetector, Write_UnderWayForTheLimit_BeginsAStallThatItsCompletionEnds) {
  DiskStallDetector watch(10);
  using Change = DiskStallDetector::Change;
  EXPECT_EQ(watch.update(std::nullopt, {100}), Change::kNone);
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {110}), Change::kNone);
  EXPECT_FALSE(watch.since());
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {111}), Change::kBegan);
  EXPECT_EQ(watch.since(), env::MonotonicTime{100});
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {500}), Change::kNone);
  EXPECT_TRUE(watch.stalled());
  // The next write is under way already: it has its own time.
  EXPECT_EQ(watch.update(env::MonotonicTime{520}, {521}), Change::kEnded);
  EXPECT_EQ(watch.lasted_ns(), 421);
  EXPECT_FALSE(watch.stalled());
  EXPECT_FALSE(watch.since());
  EXPECT_EQ(watch.update(env::MonotonicTime{520}, {531}), Change::kBegan);
  EXPECT_EQ(watch.update(std::nullopt, {532}), Change::kEnded);
  EXPECT_EQ(watch.count(), 2u);
}

class StalledDiskTest : public testing::StallHosts {
 protected:
  void stall(size_t i) { node(i).env->set_paused("log-0", true); }
  void heal(size_t i) { node(i).env->set_paused("log-0", false); }
};

TEST_F(StalledDiskTest, Leader_WithAStalledDisk_HandsOverAndFollowsWhenItHeals) {
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  EXPECT_TRUE(warned(0, "does not answer: a write to /state/log/0"));
  // Another leads long before an election timeout has passed on the others.
  EXPECT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }, 3 * kHeartbeatNs));
  // What was proposed may have happened, and its client is answered before its patience ends.
  ASSERT_TRUE(until([&] { return stuck->has_value(); }, 2 * kElectionNs + 3 * kHeartbeatNs));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  EXPECT_NE((*stuck)->message().find("disk of node 1 does not answer"), std::string::npos);
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  // Through the node whose disk hangs: passed on to the leader.
  EXPECT_EQ(put(0, kGroup, "through", "3").code(), StatusCode::kOk);
  // It does not have what was written, and does not pretend to.
  EXPECT_NE(get(0, kGroup, "during").find("disk of node 1 does not answer"), std::string::npos);
  EXPECT_EQ(get(2, kGroup, "through"), "3");
  // It stays that way, however long.
  const Term term = status(1, kGroup).hard_state.term;
  pass(10 * kElectionNs);
  EXPECT_EQ(role(0, kGroup), raft::Role::kFollower);
  EXPECT_EQ(status(1, kGroup).hard_state.term, term);
  EXPECT_EQ(stats(0).disk_stalls, 1u);
  EXPECT_GT(stats(0).disk_stalled_ns, 10 * kElectionNs);

  heal(0);
  ASSERT_TRUE(until([&] { return !node(0).host->disk_stalled_ns(); }));
  EXPECT_TRUE(warned(0, "answers again"));
  EXPECT_EQ(get(0, kGroup, "during"), "2");
  EXPECT_EQ(get(0, kGroup, "stuck"), "x");
  EXPECT_EQ(put(0, kGroup, "after", "4").code(), StatusCode::kOk);
  EXPECT_EQ(role(0, kGroup), raft::Role::kFollower);
  EXPECT_EQ(status(0, kGroup).hard_state.term, term);
  EXPECT_EQ(stats(0).disk_stalled_ns, 0);
}

TEST_F(StalledDiskTest, Write_ThatAShortStallHoldsUp_IsDoneAfterIt) {
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  const Answer alone = start_put(0, kAlone, "stuck", "x");
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  const Answer late = start_put(0, kAlone, "late", "x");
  pass(kElectionNs);
  heal(0);
  for (const Answer& answer : {stuck, alone, late}) {
    ASSERT_TRUE(until([&] { return answer->has_value(); }, kElectionNs));
    EXPECT_EQ((*answer)->code(), StatusCode::kOk) << (*answer)->message();
  }
}

TEST_F(StalledDiskTest, Leader_WithAStalledDiskAndNobodyCaughtUp_StepsDown) {
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(0), name(2), true);
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  network_.mend_all();
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  heal(0);
  EXPECT_EQ(get(0, kGroup, "during"), "2");
}

TEST_F(StalledDiskTest, Follower_WithAStalledDisk_DoesNotCountAndIsNotElected) {
  stall(2);
  EXPECT_EQ(put(0, kGroup, "during", "2").code(), StatusCode::kOk);
  ASSERT_TRUE(until([&] { return node(2).host->disk_stalled_ns().has_value(); }));
  EXPECT_EQ(put(2, kGroup, "through", "3").code(), StatusCode::kOk);
  EXPECT_EQ(role(0, kGroup), raft::Role::kLeader);
  // The leader and a member that hangs are no quorum: the leader notices, and nobody replaces it.
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(1), name(0), true);
  network_.set_cut(name(2), name(1), true);
  network_.set_cut(name(1), name(2), true);
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  pass(5 * kElectionNs);
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(role(i, kGroup), raft::Role::kLeader) << i;
  heal(2);
  ASSERT_TRUE(until([&] {
    return role(0, kGroup) == raft::Role::kLeader || role(2, kGroup) == raft::Role::kLeader;
  }));
  EXPECT_EQ(get(2, kGroup, "through"), "3");
  network_.mend_all();
  EXPECT_EQ(get(1, kGroup, "through"), "3");
}

TEST_F(StalledDiskTest, OnlyVoter_WithAStalledDisk_GoesOnReadingAndRefusesWrites) {
  stall(0);
  const Answer stuck = start_put(0, kAlone, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  EXPECT_EQ(get(0, kAlone, "alone"), "1");
  ASSERT_TRUE(until([&] { return stuck->has_value(); }));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  const Status refused = put(0, kAlone, "refused", "x");
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable) << "it was certainly not applied";
  EXPECT_NE(refused.message().find("does not answer"), std::string::npos);
  EXPECT_EQ(role(0, kAlone), raft::Role::kLeader);
  heal(0);
  ASSERT_TRUE(until([&] { return !node(0).host->disk_stalled_ns(); }));
  EXPECT_EQ(put(0, kAlone, "after", "2").code(), StatusCode::kOk);
  EXPECT_EQ(get(0, kAlone, "stuck"), "x");
}

TEST_F(StalledDiskTest, Disk_ThatHangsWhileNothingIsWritten_ChangesNothing) {
  stall(0);
  pass(10 * kElectionNs);
  EXPECT_EQ(role(0, kGroup), raft::Role::kLeader);
  EXPECT_EQ(get(0, kGroup, "before"), "1");
  EXPECT_EQ(get(1, kGroup, "before"), "1");
  EXPECT_EQ(stats(0).disk_stalls, 0u);
}

TEST_F(StalledDiskTest, Replica_DuringAStall_IsNotMade) {
  stall(0);
  (void)start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  std::optional<Status> done;
  NodeHost& host = *node(0).host;
  host.create_replica(GroupId(9), replica(0), {}, host.executor(0), [&](Status s) { done = s; });
  ASSERT_TRUE(until([&] { return done.has_value(); }));
  EXPECT_EQ(done->code(), StatusCode::kUnavailable);
  EXPECT_EQ(get(0, kAlone, "alone"), "1");
}

}  // namespace
}  // namespace multiraft::host
