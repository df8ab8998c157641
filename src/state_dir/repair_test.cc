#include "state_dir/repair.h"

#include <gtest/gtest.h>

#include <string>

#include "env/sim/sim_environment.h"

namespace multiraft::state_dir {
namespace {

constexpr std::string_view kLog = "what the replicas had promised";

NodeFacts member() {
  NodeFacts facts;
  facts.cluster = ClusterId(77);
  facts.node = NodeId(3);
  facts.uuid = {5, 6};
  facts.serial_floor = 9;
  facts.phase = NodePhase::kMember;
  return facts;
}

/// A node's directory, durable.
void make_node(env::FileSystem& fs, const NodeFacts& facts) {
  for (const char* name : {"d", "d/log", "d/log/0", "d/snap"}) {
    ASSERT_TRUE(fs.create_directories(name));
    ASSERT_TRUE(fs.sync_directory("d"));
  }
  ASSERT_TRUE(fs.sync_directory("."));
  ASSERT_TRUE(fs.write_file_atomically("d/log/0/segment", kLog));
  ASSERT_TRUE(fs.sync_directory("d/log"));
  ASSERT_TRUE(fs.write_file_atomically("d/node", encode_facts(facts)));
  KnownNodes book;
  book.nodes = {{NodeId(1), "one:1"}, {NodeId(3), "three:1"}};
  ASSERT_TRUE(fs.write_file_atomically("d/peers", encode_known_nodes(book)));
}

Result<NodeFacts> facts_of(env::FileSystem& fs) {
  auto bytes = fs.read_file("d/node");
  if (!bytes) return bytes.status();
  return decode_facts(*bytes);
}

bool exists(env::FileSystem& fs, const std::string& path) {
  auto found = fs.exists(path);
  return found && *found;
}

TEST(Repair, Plan_ChangesNothingAndNamesWhatGoesAside) {
  env::SimEnvironment env;
  make_node(env.file_system(), member());
  const uint64_t before = env.disk().operation_count();
  auto plan = plan_repair(env.file_system(), "d");
  ASSERT_TRUE(plan) << plan.status().message();
  EXPECT_EQ(env.disk().operation_count(), before);
  EXPECT_EQ(plan->aside, "d/damaged-1");
  EXPECT_EQ(plan->moved, (std::vector<std::string>{"log", "snap"}));
  ASSERT_EQ(plan->peers.size(), 1u);
  EXPECT_EQ(plan->peers[0].raft_address, "one:1");
}

TEST(Repair, Node_JoinsItsOwnClusterAgainAsSomebodyElse) {
  env::SimEnvironment env;
  make_node(env.file_system(), member());
  auto plan = plan_repair(env.file_system(), "d");
  ASSERT_TRUE(plan);
  ASSERT_TRUE(apply_repair(env, *plan));
  auto facts = facts_of(env.file_system());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->phase, NodePhase::kJoining);
  EXPECT_EQ(facts->cluster, member().cluster);
  EXPECT_EQ(facts->node, member().node);
  EXPECT_FALSE(facts->uuid == member().uuid);
  EXPECT_EQ(facts->serial_floor, member().serial_floor);
  EXPECT_FALSE(exists(env.file_system(), "d/log"));
  EXPECT_EQ(*env.file_system().read_file("d/damaged-1/log/0/segment"), kLog);
  // It may be damaged again.
  ASSERT_TRUE(env.file_system().create_directories("d/log"));
  auto again = plan_repair(env.file_system(), "d");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->aside, "d/damaged-2");
}

/// Power is lost at every step: no log is lost, no node may start from half a directory with its
/// old replicas, and the repair can be completed.
TEST(Repair, CrashAtEveryStep_CanBeCompletedAndLosesNothing) {
  uint64_t points = 0;
  for (env::CrashMode mode : env::kAllCrashModes) {
    for (uint64_t crash = 0;; ++crash) {
      env::SimEnvironment env(crash + 1);
      make_node(env.file_system(), member());
      auto plan = plan_repair(env.file_system(), "d");
      ASSERT_TRUE(plan);
      env.disk().crash_after(env.disk().operation_count() + crash);
      const bool done = apply_repair(env, *plan).is_ok();
      env::SimEnvironment restarted(crash + 100);
      restarted.set_disk(env.disk().crash_image(mode, crash));
      env::FileSystem& fs = restarted.file_system();
      auto facts = facts_of(fs);
      ASSERT_TRUE(facts) << env::crash_mode_name(mode) << " " << crash;
      const bool log_there = exists(fs, "d/log/0/segment");
      std::string aside = plan->aside;
      if (facts->phase == NodePhase::kMember) {
        EXPECT_TRUE(log_there);
      }
      if (facts->phase == NodePhase::kJoining) {
        EXPECT_FALSE(log_there);
      } else {
        auto rest = plan_repair(fs, "d");
        ASSERT_TRUE(rest) << rest.status().message();
        EXPECT_EQ(rest->before, member());
        aside = rest->aside;  // Another one, if nothing but the empty directory was made.
        ASSERT_TRUE(apply_repair(restarted, *rest));
      }
      facts = facts_of(fs);
      ASSERT_TRUE(facts);
      EXPECT_EQ(facts->phase, NodePhase::kJoining);
      EXPECT_EQ(facts->cluster, member().cluster);
      EXPECT_FALSE(exists(fs, "d/log"));
      auto kept = fs.read_file(aside + "/log/0/segment");
      ASSERT_TRUE(kept) << env::crash_mode_name(mode) << " " << crash << kept.status().message();
      EXPECT_EQ(*kept, kLog);
      ++points;
      if (done) break;
    }
  }
  EXPECT_GT(points, 60u);
}

TEST(Repair, NothingToRepair_IsRefused) {
  env::SimEnvironment env;
  EXPECT_FALSE(plan_repair(env.file_system(), "d"));
  NodeFacts gone = member();
  gone.phase = NodePhase::kRemoved;
  make_node(env.file_system(), gone);
  EXPECT_EQ(plan_repair(env.file_system(), "d").status().code(), StatusCode::kConflict);
}

TEST(Repair, DamagedNodeFile_IsRefusedWithWhatToDo) {
  env::SimEnvironment env;
  make_node(env.file_system(), member());
  ASSERT_TRUE(env.disk().flip_bit("d/node", 20, 3));
  const Status status = plan_repair(env.file_system(), "d").status();
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_NE(status.message().find("-join"), std::string::npos);
}

TEST(Repair, RunningNode_IsRefused) {
  env::SimEnvironment env;
  make_node(env.file_system(), member());
  auto plan = plan_repair(env.file_system(), "d");
  ASSERT_TRUE(plan);
  auto held = env.file_system().lock("d/LOCK");
  ASSERT_TRUE(held);
  EXPECT_EQ(apply_repair(env, *plan).code(), StatusCode::kUnavailable);
  EXPECT_EQ(facts_of(env.file_system())->phase, NodePhase::kMember);
}

}  // namespace
}  // namespace multiraft::state_dir
