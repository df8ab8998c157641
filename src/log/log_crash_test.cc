// The machine loses power at every write, sync and change of a name of some scenarios, in every way
// the disk model knows. What comes back has to be a state the log was in, at least the last one
// that it reported durable: nothing is lost and nothing is invented.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/coverage.h"
#include "base/prng.h"
#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

using Scenario = void (*)(LogHarness&);

void append_entries(LogHarness& h) {
  h.create(1);
  h.create(2);
  h.flush_and_run();
  for (uint64_t i = 1; i <= 6; ++i) {
    h.append(1, i, 1, 1);
    h.append(2, 2 * i - 1, 2, 1, 700);
    h.flush_and_run();
  }
}

void gather_while_writing(LogHarness& h) {
  h.create(1);
  for (uint64_t i = 1; i <= 30; ++i) {
    h.append(1, i, 1, 1, 1500);
    if (h.alive()) h.log().flush();
    if (h.alive() && i % 3 == 0) h.env().scheduler().step();
  }
  h.flush_and_run();
}

/// Large enough to go out beside one another, where the writer can do that.
void write_side_by_side(LogHarness& h) {
  h.create(1);
  h.flush_and_run();
  for (uint64_t i = 1; i <= 12; ++i) {
    h.append(1, i, 1, 1, i % 5 == 0 ? 200 : 17'000);
    if (h.alive()) h.log().flush();
    if (i % 2 == 0) h.env().scheduler().step();
  }
  h.flush_and_run();
  h.append(1, 13, 1, 1, 17'000);
  h.append(1, 14, 1, 2, 17'000);
  h.settle();
}

void hard_states(LogHarness& h) {
  h.create(1);
  h.append(1, 1, 5, 1);
  for (uint64_t term = 1; term <= 6; ++term) {
    h.save_state(1, {Term(term), ReplicaId(term % 3), LogIndex(0)});
    h.flush_and_run();
    h.save_state(1, {Term(term), ReplicaId(term % 3), LogIndex(term / 2)}, false);
    h.settle();
  }
}

void roll_over(LogHarness& h) {
  h.create(1);
  for (uint64_t i = 1; i <= 14; ++i) {
    h.append(1, i, 1, i / 4, 3500);
    h.flush_and_run();
  }
}

void roll_over_at_once(LogHarness& h) {
  h.create(1);
  h.flush_and_run();
  for (uint64_t i = 1; i <= 16; ++i) h.append(1, i, 1, 1, 3500);
  h.flush_and_run();
  h.settle();
}

void recycle(LogHarness& h) {
  h.create(1);
  for (uint64_t i = 1; i <= 40; ++i) {
    h.append(1, i, 1, 1, 3500);
    if (i > 4 && i % 3 == 0) h.compact(1, i - 3);
    h.flush_and_run();
  }
  h.settle();
}

void truncate_suffix(LogHarness& h) {
  h.create(1);
  h.append(1, 1, 10, 1, 300);
  h.flush_and_run();
  for (uint64_t term = 2; term <= 9; ++term) {
    h.append(1, 12 - term, 4, term, 900);
    h.flush_and_run();
  }
  h.settle();
}

/// Group 1 writes much, the others have little in the oldest segments.
void rewrite_cold_groups(LogHarness& h) {
  h.create(1);
  for (uint64_t g = 2; g <= 5; ++g) {
    h.create(g, g);
    h.save_state(g, {Term(2), ReplicaId(g), LogIndex(1)});
    h.append(g, 1, 3, 2, 400);
  }
  h.announce(3, snapshot_at(50, 3));
  h.flush_and_run();
  for (uint64_t i = 1; i <= 30; ++i) {
    h.append(1, i, 1, 1, 3500);
    if (i > 2) h.compact(1, i - 1);
    if (i == 15) h.append(4, 3, 2, 5, 100);
    if (i == 18) h.compact(2, 2);
    h.flush_and_run();
  }
  h.settle();
}

void remove_groups(LogHarness& h) {
  for (uint64_t g = 1; g <= 4; ++g) {
    h.create(g, g);
    h.append(g, 1, 4, 1, 500);
  }
  h.flush_and_run();
  for (uint64_t i = 5; i <= 26; ++i) {
    h.append(1, i, 1, 1, 3500);
    h.compact(1, i - 1);
    if (i == 7) h.remove(2);
    if (i == 10) h.create(2, 9, snapshot_at(3, 1));
    if (i == 11) h.append(2, 4, 3, 1, 200);
    if (i == 13) h.remove(3);
    if (i == 20) h.remove(2);
    h.flush_and_run();
  }
  h.settle();
}

void install_snapshots(LogHarness& h) {
  h.create(1);
  h.create(2);
  h.append(1, 1, 5, 1);
  h.append(2, 1, 5, 1);
  h.flush_and_run();
  for (uint64_t s = 1; s <= 4; ++s) {
    h.announce(1, snapshot_at(s * 100, s));
    h.flush_and_run();
    h.install(1, snapshot_at(s * 100, s));
    h.append(1, s * 100 + 1, 3, s, 600);
    h.append(2, 5 + s, 1, s);
    h.flush_and_run();
    h.compact(1, s * 100 + 2);
  }
  h.settle();
}

void close_and_reopen(LogHarness& h) {
  h.create(1);
  for (uint64_t life = 0; life < 3; ++life) {
    h.append(1, life * 4 + 1, 4, life + 1, 900);
    h.flush_and_run();
    h.append(1, life * 4 + 4, 1, life + 2, 100);  // Written by close().
    if (!h.alive()) return;
    h.close();
    if (!h.open()) return;
    EXPECT_EQ(h.check_prefix(), "");  // Where the disk failed, close() could not write all.
  }
}

struct Named {
  const char* name;
  Scenario run;
  uint64_t segment_bytes = 24 * 1024;
};
/// A scenario and the way its log is written.
struct Case {
  Named scenario;
  WriterKind writer = WriterKind::kPwrite;
};
constexpr Named kScenarios[] = {
    {"append_entries", append_entries},
    {"gather_while_writing", gather_while_writing},
    {"write_side_by_side", write_side_by_side, 96 * 1024},
    {"hard_states", hard_states},
    {"roll_over", roll_over},
    {"roll_over_at_once", roll_over_at_once},
    {"recycle", recycle},
    {"truncate_suffix", truncate_suffix},
    {"rewrite_cold_groups", rewrite_cold_groups},
    {"remove_groups", remove_groups},
    {"install_snapshots", install_snapshots},
    {"close_and_reopen", close_and_reopen},
};

void prepare(LogHarness& h, const Case& it) {
  h.options.writer = it.writer;
  h.options.segment_bytes = it.scenario.segment_bytes;
  h.options.cache_bytes = 2000;
  h.start_history();
}

uint64_t count_operations(const Case& it) {
  LogHarness h;
  prepare(h, it);
  EXPECT_TRUE(h.open());
  it.scenario.run(h);
  EXPECT_TRUE(h.fatal());
  EXPECT_EQ(h.check(), "");
  return h.env().disk().operation_count();
}

/// A second life after the crash: it has to be able to go on from whatever it found.
void live_on(LogHarness& h, uint64_t term) {
  if (!h.log().group(GroupId(9))) h.create(9);
  const uint64_t last = h.group(9).last_index().value;
  h.append(9, last + 1, 2, term, 1200);
  h.flush_and_run();
  if (last > 0) h.compact(9, last);
  h.append(9, last + 2, 3, term + 1, 1200);
  h.flush_and_run();
}

/// MULTIRAFT_CRASH_FULL: the full product, which takes minutes (scripts/crash_test).
bool full() { return std::getenv("MULTIRAFT_CRASH_FULL") != nullptr; }

/// Whether the outcome differs from seed to seed.
bool is_random(env::CrashMode mode) {
  return mode != env::CrashMode::kKeepAll && mode != env::CrashMode::kKeepNone;
}
uint64_t seeds_of(env::CrashMode mode) { return full() && is_random(mode) ? 24 : 1; }

/// A point is one crash with the restart and the comparison that follow it.
uint64_t g_crash_points = 0;

/// Says how many points there were, and fails where most of them have gone.
class CountPoints : public ::testing::Environment {
 public:
  void TearDown() override {
    const auto& tests = *::testing::UnitTest::GetInstance();
    const bool clean = tests.failed_test_count() == 0;
    printf("log_crash_test: %llu crash points, %s\n",
           static_cast<unsigned long long>(g_crash_points),
           clean ? "0 losses, 0 inventions" : "FAILED");
    if (clean && tests.test_to_run_count() == tests.total_test_count()) {
      EXPECT_GE(g_crash_points, full() ? 800'000u : 40'000u);
    }
  }
};
const auto* const kCountPoints = ::testing::AddGlobalTestEnvironment(new CountPoints);

class LogCrash : public ::testing::TestWithParam<Case> {
 protected:
  void start(LogHarness& h, uint64_t operations) {
    prepare(h, GetParam());
    h.env().disk().crash_after(operations);
    if (h.open()) GetParam().scenario.run(h);
  }

  void restart(LogHarness& h, env::CrashMode mode, uint64_t seed) {
    h.crash(mode, seed);
    ASSERT_NO_FATAL_FAILURE(reopen(h));
  }

  void reopen(LogHarness& h) {
    Status opened = h.open();
    ASSERT_TRUE(opened.is_ok()) << opened.to_string();
    ASSERT_EQ(h.check_prefix(), "");
    ++g_crash_points;
  }

  void crash_once(uint64_t operations, env::CrashMode mode, uint64_t seed) {
    LogHarness h;
    start(h, operations);
    SCOPED_TRACE("after operation " + std::to_string(operations) + ", " +
                 std::string(env::crash_mode_name(mode)) + ", seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(restart(h, mode, seed));
    // And once more, somewhere in the second life.
    Prng random(seed * 1000 + operations);
    h.env().disk().crash_after(h.env().disk().operation_count() + random.below(12));
    live_on(h, 100);
    ASSERT_NO_FATAL_FAILURE(restart(h, env::kAllCrashModes[random.below(6)], seed + 1));
    live_on(h, 200);
    ASSERT_EQ(h.check(), "");
    h.close();
    const Status opened = h.open();
    ASSERT_TRUE(opened.is_ok()) << opened.to_string();
    ASSERT_EQ(h.check(), "");
  }

  /// The machine crashes after `operations`, and again after `more` operations of the restart.
  /// False where the restart did not need as many.
  bool crash_twice(uint64_t operations, env::CrashMode mode, uint64_t more, uint64_t seed) {
    LogHarness h;
    start(h, operations);
    h.crash(mode, seed);
    h.env().disk().crash_after(more);
    const Status opened = h.open();
    if (opened.is_ok()) h.env().run_until_idle();  // The next segment is part of it.
    const bool crashed = h.env().disk().crashed();
    Prng random(seed * 77 + operations * 7 + more);
    restart(h, env::kAllCrashModes[random.below(6)], seed + 1);
    if (HasFatalFailure()) return false;
    live_on(h, 100);
    EXPECT_EQ(h.check(), "");
    return crashed && !HasFailure();
  }
};

TEST_P(LogCrash, AtEveryOperation_NothingIsLostOrInvented) {
  const uint64_t operations = count_operations(GetParam());
  for (uint64_t at = 0; at <= operations; ++at) {
    for (env::CrashMode mode : env::kAllCrashModes) {
      for (uint64_t seed = 1; seed <= seeds_of(mode); ++seed) {
        ASSERT_NO_FATAL_FAILURE(crash_once(at, mode, seed));
      }
    }
  }
}

TEST_P(LogCrash, AgainAtEveryOperationOfTheRestart_NothingIsLostOrInvented) {
  const uint64_t operations = count_operations(GetParam());
  // The restart is the same for both writers, but for what it finds.
  const uint64_t step = full() || GetParam().writer == WriterKind::kPwrite ? 1 : 3;
  for (uint64_t at = 0; at <= operations; at += step) {
    for (env::CrashMode mode : env::kAllCrashModes) {
      // One way for each point, unless all are asked for.
      if (!full() && mode != env::kAllCrashModes[at % 6]) continue;
      for (uint64_t seed = 1; seed <= (seeds_of(mode) + 3) / 4; ++seed) {
        for (uint64_t more = 0;; ++more) {
          SCOPED_TRACE("after operation " + std::to_string(at) + ", " +
                       std::string(env::crash_mode_name(mode)) + ", seed " + std::to_string(seed) +
                       ", and operation " + std::to_string(more) + " of the restart");
          const bool crashed = crash_twice(at, mode, more, seed);
          ASSERT_FALSE(HasFailure());
          if (!crashed) break;
        }
      }
    }
  }
}

TEST_P(LogCrash, KillAtEveryOperation_WhatTheRestartFindsIsDurable) {
  // What a killed process had written but not synced is found again, and will be acknowledged: it
  // has to be durable by then.
  const uint64_t operations = count_operations(GetParam());
  for (uint64_t at = 0; at <= operations; ++at) {
    LogHarness h;
    prepare(h, GetParam());
    h.kill_after(at);
    if (h.open()) GetParam().scenario.run(h);
    SCOPED_TRACE("after operation " + std::to_string(at));
    Status opened = h.kill_and_open();
    ASSERT_TRUE(opened.is_ok()) << opened.to_string();
    ASSERT_EQ(h.check_prefix(), "");
    ++g_crash_points;
    ASSERT_NO_FATAL_FAILURE(restart(h, env::CrashMode::kKeepNone, at));
    live_on(h, 100);
    ASSERT_EQ(h.check(), "");
  }
}

TEST_P(LogCrash, FaultAtEveryOperation_EndsTheLogAndLosesNothing) {
  // traps 30 and 36: an error of the disk is final, and a restart finds all that was acknowledged.
  const uint64_t operations = count_operations(GetParam());
  constexpr env::SimFault kFaults[] = {env::SimFault::kIoError, env::SimFault::kShortWrite,
                                       env::SimFault::kNoSpace};
  for (uint64_t at = 1; at <= operations; ++at) {
    for (env::SimFault fault : kFaults) {
      for (uint64_t way = 0; way < (full() ? 6 : 1); ++way) {
        LogHarness h;
        prepare(h, GetParam());
        h.env().disk().fail_operation(at, fault);
        if (h.open()) GetParam().scenario.run(h);
        SCOPED_TRACE("operation " + std::to_string(at) + ", fault " +
                     std::to_string(static_cast<int>(fault)));
        ASSERT_NO_FATAL_FAILURE(restart(h, env::kAllCrashModes[(at + way) % 6], at));
        live_on(h, 100);
        ASSERT_EQ(h.check(), "");
      }
    }
  }
}

TEST_P(LogCrash, UnreadableAtEveryReadOfTheRestart_IsSaidAndHarmless) {
  // A read that fails is neither a torn tail nor damage: nothing is cut for it.
  LogHarness h;
  prepare(h, GetParam());
  ASSERT_TRUE(h.open());
  GetParam().scenario.run(h);
  h.crash(env::CrashMode::kKeepAll, 1);
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE("read " + std::to_string(nth));
    h.env().disk().fail_read(nth);
    const Status opened = h.open_unchecked();
    if (opened.is_ok()) break;
    ASSERT_EQ(opened.code(), StatusCode::kIoError) << opened.to_string();
    h.crash(env::CrashMode::kKeepNone, nth);
    ASSERT_NO_FATAL_FAILURE(reopen(h));
    h.crash(env::CrashMode::kKeepAll, nth);
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Named& scenario : kScenarios) {
    cases.push_back({scenario, WriterKind::kPwrite});
    cases.push_back({scenario, WriterKind::kUring});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, LogCrash, ::testing::ValuesIn(all_cases()), [](const auto& it) {
  const bool direct = it.param.writer == WriterKind::kUring;
  return std::string(it.param.scenario.name) + (direct ? "_direct" : "_pwrite");
});

}  // namespace
}  // namespace multiraft::log
