#include "env/blocking_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

#include "env/posix/posix_env.h"
#include "env/sim/sim_environment.h"

namespace multiraft::env {
namespace {

using Lane = BlockingPool::Lane;

TEST(BlockingPoolTest, Tasks_OfBothLanes_AllRun) {
  SimEnvironment env;
  BlockingPool pool(env, "pool", 3);
  int ran = 0;
  for (int i = 0; i < 50; ++i) pool.post(i % 2 == 0 ? Lane::kUrgent : Lane::kBulk, [&] { ++ran; });
  EXPECT_EQ(ran, 0);
  env.run_until_idle();
  EXPECT_EQ(ran, 50);
  EXPECT_EQ(pool.waiting(), 0u);
}

TEST(BlockingPoolTest, BulkTasksThatHang_LeaveAThreadForUrgentOnes) {
  const auto env = make_posix_environment();
  BlockingPool pool(*env, "pool", 2);
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  std::atomic<int> bulk_ran = 0;
  for (int i = 0; i < 5; ++i) {
    pool.post(Lane::kBulk, [&, open] {
      open.wait();
      ++bulk_ran;
    });
  }
  for (int i = 0; i < 5; ++i) {
    std::promise<void> ran;
    pool.post(Lane::kUrgent, [&] { ran.set_value(); });
    ran.get_future().wait();  // Hangs for ever where a bulk task took the last thread.
  }
  EXPECT_EQ(bulk_ran, 0);
  gate.set_value();
  std::atomic<bool> done = false;
  while (!done) {
    std::promise<void> round;
    pool.post(Lane::kBulk, [&] {
      done = bulk_ran == 5;
      round.set_value();
    });
    round.get_future().wait();
  }
  EXPECT_EQ(bulk_ran, 5);
}

TEST(BlockingPoolTest, UrgentTasks_GoAheadOfWaitingBulkTasks) {
  SimEnvironment env;
  BlockingPool pool(env, "pool", 2);
  std::string order;
  env.set_paused("pool-0", true);
  env.set_paused("pool-1", true);
  for (int i = 0; i < 3; ++i) pool.post(Lane::kBulk, [&] { order += 'b'; });
  for (int i = 0; i < 3; ++i) pool.post(Lane::kUrgent, [&] { order += 'u'; });
  env.set_paused("pool-0", false);
  env.run_until_idle();
  EXPECT_EQ(order, "uuubbb");
}

TEST(BlockingPoolTest, Stop_DestroysWhatWaits) {
  SimEnvironment env;
  auto alive = std::make_shared<int>(0);
  BlockingPool pool(env, "pool", 2);
  env.set_paused("pool-0", true);
  env.set_paused("pool-1", true);
  int ran = 0;
  for (int i = 0; i < 4; ++i) pool.post(Lane::kBulk, [alive, &ran] { ++ran; });
  pool.stop();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(alive.use_count(), 1);
  pool.post(Lane::kUrgent, [alive, &ran] { ++ran; });
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace multiraft::env
