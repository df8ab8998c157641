#include "env/sim/sim_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multiraft::env {
namespace {

using testing::ElementsAre;

TEST(SimExecutor, PostedTasks_RunInOrder_AndOnlyWhenTold) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) executor->post([&ran, i] { ran.push_back(i); });
  EXPECT_TRUE(ran.empty());
  env.run_until_idle();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

TEST(SimExecutor, DeferredTask_RunsAfterEverythingPosted) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  std::vector<int> ran;
  executor->post([&] {
    executor->defer([&] { ran.push_back(3); });
    executor->post([&] { ran.push_back(2); });
    ran.push_back(0);
  });
  executor->post([&] { ran.push_back(1); });
  env.run_until_idle();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3));
}

TEST(SimExecutor, Timers_RunInOrderOfTheirTimes_AndNotOnceCancelled) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  std::vector<int> ran;
  const MonotonicTime start = env.clock().now();
  executor->run_at(start + 20, [&] { ran.push_back(20); });
  executor->run_at(start + 10, [&] {
    ran.push_back(10);
    EXPECT_EQ(env.clock().now() - start, 10);
    executor->run_at(start + 15, [&] { ran.push_back(15); });
  });
  const TimerId cancelled = executor->run_at(start + 12, [&] { ran.push_back(12); });
  executor->cancel(cancelled);
  env.advance(19);
  EXPECT_THAT(ran, ElementsAre(10, 15));
  EXPECT_EQ(env.clock().now() - start, 19);
  env.advance(1);
  EXPECT_THAT(ran, ElementsAre(10, 15, 20));
}

TEST(SimExecutor, InExecutor_HoldsInItsOwnTasksOnly) {
  SimEnvironment env;
  auto a = env.start_executor("a");
  auto b = env.start_blocking_executor("b");
  a->post([&] {
    EXPECT_TRUE(a->in_executor());
    EXPECT_FALSE(b->in_executor());
  });
  env.run_until_idle();
}

TEST(SimExecutor, Stop_RunsWhatIsQueued_AndDropsWhatComesLater) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  int ran = 0;
  auto held = std::make_shared<int>();
  executor->post([&] { ++ran; });
  executor->run_at(env.clock().now() + 1, [&ran, held] { ++ran; });
  executor->stop();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(held.use_count(), 1) << "timers are dropped";
  executor->post([&ran, held] { ++ran; });
  EXPECT_EQ(held.use_count(), 1);
  env.advance(kSecond);
  EXPECT_EQ(ran, 1);
}

TEST(SimExecutor, RunAndWait_RunsItsOwnQueueUpToTheTask_AndNothingOfTheOthers) {
  SimEnvironment env;
  auto one = env.start_executor("a");
  auto other = env.start_executor("b");
  std::vector<int> ran;
  one->post([&] { ran.push_back(1); });
  other->post([&] { ran.push_back(9); });
  one->run_and_wait([&] {
    EXPECT_TRUE(one->in_executor());
    EXPECT_FALSE(other->in_executor());
    one->post([&] { ran.push_back(3); });
    one->run_and_wait([&] { ran.push_back(2); });
  });
  EXPECT_THAT(ran, ElementsAre(1, 2));
  env.run_until_idle();
  one->stop();
  one->run_and_wait([&] { ran.push_back(4); });
  EXPECT_THAT(ran, testing::UnorderedElementsAre(1, 2, 3, 9));
}

TEST(SimEnvironment, PausedExecutor_WaitsWhileOthersRun) {
  SimEnvironment env;
  auto log = env.start_blocking_executor("log");
  auto worker = env.start_executor("worker");
  bool log_ran = false;
  bool worker_ran = false;
  env.set_paused("log", true);
  log->post([&] { log_ran = true; });
  worker->post([&] { worker_ran = true; });
  env.advance(kSecond);
  EXPECT_TRUE(worker_ran);
  EXPECT_FALSE(log_ran);
  env.set_paused("log", false);
  env.run_until_idle();
  EXPECT_TRUE(log_ran);
}

TEST(SimEnvironment, Kill_RunsNothingMore_AndNothingReachesTheDisk) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  ASSERT_TRUE(env.file_system().write_file_atomically("a", "x"));
  bool ran = false;
  executor->post([&] { ran = true; });
  env.kill();
  env.run_until_idle();
  executor.reset();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(env.file_system().write_file_atomically("a", "y"));
  env.set_disk(env.disk().crash_image(CrashMode::kKeepNone, 1));
  EXPECT_EQ(*env.file_system().read_file("a"), "x");
}

TEST(SimEnvironment, SameSeed_SameInterleaving) {
  auto run = [](uint64_t seed) {
    SimEnvironment env(seed);
    std::vector<std::unique_ptr<Executor>> executors;
    std::string trace;
    for (char name = 'a'; name < 'd'; ++name) {
      executors.push_back(env.start_executor(std::string(1, name)));
      for (int i = 0; i < 5; ++i) executors.back()->post([&trace, name] { trace += name; });
    }
    env.run_until_idle();
    return trace;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(SimScheduler, RunUntil_StopsAtTheConditionOrTheLimit) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  bool done = false;
  executor->run_at(env.clock().now() + 100, [&] { done = true; });
  EXPECT_FALSE(env.scheduler().run_until([&] { return done; }, 99));
  EXPECT_TRUE(env.scheduler().run_until([&] { return done; }, 1));
}

TEST(SimEnvironment, Network_IsUnavailable) {
  SimEnvironment env;
  auto executor = env.start_executor("a");
  Status status;
  env.network().connect(*executor, {"x", 1}, 1, [&](auto r) { status = r.status(); });
  env.run_until_idle();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(env.network().listen(*executor, {"", 1}, [](auto) {}).status().code(),
            StatusCode::kUnavailable);
}

}  // namespace
}  // namespace multiraft::env
