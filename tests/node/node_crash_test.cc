// Whole nodes lose their power at every write, sync and change of a name of some scenarios, in
// every way the disk model knows. What comes back has to be a cluster that lost nothing that it
// acknowledged, invented nothing, and goes on by itself.
//
// MULTIRAFT_CRASH_FULL: all of it, which takes minutes (scripts/crash_test). Otherwise all points
// of the shortest scenarios and every n-th of the others.
// MULTIRAFT_CRASH_REPLAY="SCENARIO NODE AT MODE EVERYONE AGAIN SEED", as a failure prints it, runs
// one point and tells what happens.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "base/coverage.h"
#include "scenarios.h"

namespace multiraft::sim {
namespace {

bool full() { return std::getenv("MULTIRAFT_CRASH_FULL") != nullptr; }
const char* replay() { return std::getenv("MULTIRAFT_CRASH_REPLAY"); }

/// Points of one scenario and node in the short run.
constexpr uint64_t kShortPoints = 16;
constexpr uint64_t kNever = UINT64_MAX / 2;

struct Point {
  CrashPlan plan;
  uint64_t seed = 1;
};

std::string text_of(const Scenario& scenario, const Point& point) {
  std::ostringstream out;
  out << scenario.name << " " << point.plan.node << " " << point.plan.at << " "
      << static_cast<int>(point.plan.mode) << " " << point.plan.everyone << " "
      << (point.plan.again ? static_cast<int64_t>(*point.plan.again) : -1) << " " << point.seed;
  return out.str();
}

uint64_t g_points = 0;
uint64_t g_losses = 0;
uint64_t g_inventions = 0;
uint64_t g_others = 0;

class CountPoints : public ::testing::Environment {
 public:
  void TearDown() override {
    if (replay()) return;
    std::cout << "node_crash_test: " << g_points << " crash points, " << g_losses << " losses, "
              << g_inventions << " inventions, " << g_others << " other failures\n";
    const auto& tests = *::testing::UnitTest::GetInstance();
    if (tests.failed_test_count() != 0 || tests.test_to_run_count() != tests.total_test_count()) {
      return;
    }
    // Most of them have to be there, and the rare ways have to have been gone.
    EXPECT_GE(g_points, full() ? 20'000u : 500u);
    EXPECT_GT(CoverageMark::hits_of("snapshot installed"), 0u);
    EXPECT_GT(CoverageMark::hits_of("announced install completed at restart"), 0u);
  }
};
const auto* const kCountPoints = ::testing::AddGlobalTestEnvironment(new CountPoints);

class NodeCrash : public ::testing::TestWithParam<size_t> {
 protected:
  const Scenario& scenario() const { return scenarios()[GetParam()]; }

  void crash(const Point& point) {
    ++g_points;
    const Outcome outcome = run(scenario(), point.plan, point.seed, false);
    if (outcome.wrong.empty()) return;
    uint64_t& kind = outcome.wrong.starts_with("LOST")       ? g_losses
                     : outcome.wrong.starts_with("INVENTED") ? g_inventions
                                                             : g_others;
    ++kind;
    ADD_FAILURE() << outcome.wrong << "\nMULTIRAFT_CRASH_REPLAY=\"" << text_of(scenario(), point)
                  << "\" build/release/bin/node_crash_test";
  }

  /// Every point in all ways.
  void crash_in_all_ways(uint64_t node, uint64_t operations) {
    for (uint64_t at = 0; at < operations && failures() < kFailuresMax; ++at) {
      for (env::CrashMode mode : env::kAllCrashModes) {
        for (bool everyone : {false, true}) {
          crash({{node, at, mode, everyone, {}}, 1 + at % 3});
          crash({{node, at, mode, everyone, at % 16}, 4 + at % 3});
        }
      }
    }
  }

  /// Every n-th crash point, in one mode each, in turns.
  void crash_in_turns(uint64_t node, uint64_t operations) {
    const uint64_t stride = (operations + kShortPoints - 1) / kShortPoints;
    for (uint64_t at = node % stride, turn = node; at < operations; at += stride, ++turn) {
      CrashPlan plan{node, at, env::kAllCrashModes[turn % 6], turn / 6 % 2 == 0, {}};
      if (turn % 4 == 0) plan.again = at % 16;
      crash({plan, 1});
    }
  }

  static constexpr uint64_t kFailuresMax = 5;
  uint64_t failures() const { return g_losses + g_inventions + g_others; }
};

TEST_P(NodeCrash, AtEveryOperation_LosesNothing_InventsNothing_AndGoesOn) {
  if (replay()) GTEST_SKIP();
  for (uint64_t node = 1; node <= scenario().nodes; ++node) {
    const Outcome without = run(scenario(), {node, kNever, {}, false, {}}, 1, false);
    ASSERT_EQ(without.wrong, "") << scenario().name << " without a crash";
    ASSERT_EQ(without.crashes, 0u);
    ASSERT_GT(without.operations, 0u);
    ASSERT_GE(without.installs, scenario().installs ? 1u : 0u);
    if (full()) {
      crash_in_all_ways(node, without.operations);
    } else {
      crash_in_turns(node, without.operations);
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<size_t>& param) {
  std::string name = scenarios()[param.param].name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, NodeCrash, ::testing::Range(size_t{0}, scenarios().size()),
                         name_of);

TEST(NodeCrashScenarios, SameArguments_SameRun) {
  if (replay()) GTEST_SKIP();
  for (const Scenario& scenario : scenarios()) {
    const CrashPlan plan{scenario.nodes, 20, env::CrashMode::kRandomSubset, false, {}};
    const Outcome first = run(scenario, plan, 7, false);
    const Outcome second = run(scenario, plan, 7, false);
    EXPECT_EQ(first.digest, second.digest) << scenario.name;
  }
}

TEST(NodeCrashReplay, OnePoint) {
  if (!replay()) GTEST_SKIP() << "MULTIRAFT_CRASH_REPLAY names no point";
  std::istringstream in(replay());
  std::string name;
  Point point;
  int mode = 0;
  int64_t again = -1;
  in >> name >> point.plan.node >> point.plan.at >> mode >> point.plan.everyone >> again >>
      point.seed;
  ASSERT_TRUE(in) << "SCENARIO NODE AT MODE EVERYONE AGAIN SEED";
  point.plan.mode = static_cast<env::CrashMode>(mode);
  if (again >= 0) point.plan.again = static_cast<uint64_t>(again);
  for (const Scenario& scenario : scenarios()) {
    if (scenario.name != name) continue;
    EXPECT_EQ(run(scenario, point.plan, point.seed, true).wrong, "");
    return;
  }
  FAIL() << "no scenario " << name;
}

}  // namespace
}  // namespace multiraft::sim
