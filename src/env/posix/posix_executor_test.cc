// Order, rounds and ends of executors. Tests wait for events, never for time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "env/posix/posix_env.h"

namespace multiraft::env {
namespace {

using testing::ElementsAre;

class PosixExecutorTest : public testing::Test {
 protected:
  /// Runs `body` on the executor and waits for it.
  template <class Body>
  void on_executor(Body&& body) {
    std::promise<void> done;
    executor_->post([&] {
      body();
      done.set_value();
    });
    done.get_future().get();
  }

  const std::unique_ptr<Environment> env_ = make_posix_environment();
  std::unique_ptr<Executor> executor_ = env_->start_executor("test");
};

TEST_F(PosixExecutorTest, PostsOfManyThreads_AllRun_EachThreadsInOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  std::vector<std::vector<int>> ran(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) executor_->post([&ran, t, i] { ran[t].push_back(i); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  executor_->stop();
  for (const std::vector<int>& of_thread : ran) {
    ASSERT_EQ(of_thread.size(), static_cast<size_t>(kTasks));
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST_F(PosixExecutorTest, PingPong_LosesNoWakeUp) {
  auto other = env_->start_executor("other");
  std::promise<void> done;
  std::function<void(int)> ping = [&](int left) {
    if (left == 0) return done.set_value();
    other->post([&, left] { executor_->post([&, left] { ping(left - 1); }); });
  };
  executor_->post([&] { ping(2000); });
  done.get_future().get();
  other->stop();
}

TEST_F(PosixExecutorTest, InExecutor_HoldsOnItsThreadOnly) {
  auto other = env_->start_executor("other");
  EXPECT_FALSE(executor_->in_executor());
  on_executor([&] {
    EXPECT_TRUE(executor_->in_executor());
    EXPECT_FALSE(other->in_executor());
  });
}

TEST_F(PosixExecutorTest, RunAndWait_ReturnsWhenTheTaskHasRun_OrNeverWill) {
  std::vector<int> ran;
  executor_->post([&] { ran.push_back(1); });
  executor_->run_and_wait([&] {
    EXPECT_TRUE(executor_->in_executor());
    executor_->run_and_wait([&] { ran.push_back(2); });
    ran.push_back(3);
  });
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
  executor_->stop();
  executor_->run_and_wait([&] { ran.push_back(4); });
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST_F(PosixExecutorTest, DeferredTask_RunsAfterEverythingThatIsReady) {
  std::vector<int> ran;
  std::promise<void> done;
  on_executor([&] {
    executor_->post([&] { ran.push_back(1); });
    executor_->defer([&] {
      ran.push_back(4);
      executor_->defer([&] {
        ran.push_back(6);
        done.set_value();
      });
      executor_->post([&] { ran.push_back(5); });
    });
    executor_->post([&] { ran.push_back(2); });
    ran.push_back(0);
    // From another thread, but before the deferred task's turn.
    std::thread([&] { executor_->post([&] { ran.push_back(3); }); }).join();
  });
  done.get_future().get();
  EXPECT_EQ(ran.front(), 0);
  std::sort(ran.begin() + 1, ran.begin() + 4);  // Of two threads' tasks either may be first.
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST_F(PosixExecutorTest, DeferredTask_WaitsForTasksPostedByTasks) {
  std::vector<int> ran;
  std::promise<void> done;
  executor_->post([&] {
    executor_->post([&] {
      executor_->post([&] { ran.push_back(1); });
      executor_->defer([&] {
        ran.push_back(2);
        done.set_value();
      });
    });
  });
  done.get_future().get();
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

TEST_F(PosixExecutorTest, TaskThatPostsItselfForEver_StarvesNobody) {
  std::atomic<bool> end{false};
  std::function<void()> again = [&] {
    if (!end) executor_->post([&] { again(); });
  };
  std::promise<void> deferred;
  std::promise<void> timer;
  on_executor([&] {
    again();
    executor_->defer([&] { deferred.set_value(); });
    executor_->run_at(env_->clock().now() + kMillisecond, [&] { timer.set_value(); });
  });
  deferred.get_future().get();
  timer.get_future().get();
  on_executor([] {});
  end = true;
  executor_->stop();
}

TEST_F(PosixExecutorTest, Timers_RunInOrderOfTheirTimes_NeverEarly) {
  std::vector<int> ran;
  std::promise<void> done;
  on_executor([&] {
    const MonotonicTime now = env_->clock().now();
    executor_->run_at(now + 3 * kMillisecond, [&, now] {
      EXPECT_GE(env_->clock().now(), now + 3 * kMillisecond);
      ran.push_back(3);
      done.set_value();
    });
    executor_->run_at(now + kMillisecond, [&] { ran.push_back(1); });
    executor_->run_at(now + 2 * kMillisecond, [&] { ran.push_back(2); });
    executor_->run_at(now + -kSecond, [&] { ran.push_back(0); });
    EXPECT_TRUE(ran.empty()) << "never from within the call";
  });
  done.get_future().get();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3));
}

TEST_F(PosixExecutorTest, CancelledTimer_DoesNotRun_AndItsTaskIsDestroyed) {
  auto held = std::make_shared<int>();
  std::promise<void> done;
  TimerId second = 0;
  on_executor([&] {
    const MonotonicTime due = env_->clock().now();
    // Both are due at once; the first takes the second away.
    executor_->run_at(due, [&] { executor_->cancel(second); });
    second = executor_->run_at(due, [held] { FAIL() << "cancelled"; });
    executor_->cancel(0);
    executor_->cancel(12345);
    executor_->run_at(due + 1, [&] { done.set_value(); });
  });
  done.get_future().get();
  on_executor([] {});
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(PosixExecutorTest, ManyTimersSetAndCancelled_LeaveTheOthersAlone) {
  std::vector<size_t> ran;
  std::promise<void> done;
  on_executor([&] {
    const MonotonicTime now = env_->clock().now();
    for (size_t i = 0; i < 10; ++i) {
      executor_->run_at(now + static_cast<int64_t>(i), [&, i] {
        ran.push_back(i);
        if (ran.size() == 10) done.set_value();
      });
    }
    for (int i = 0; i < 10'000; ++i) {
      executor_->cancel(executor_->run_at(now + kSecond + i, [] { FAIL(); }));
    }
  });
  done.get_future().get();
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST_F(PosixExecutorTest, Stop_RunsWhatIsQueued_AndDestroysTheRest) {
  auto held = std::make_shared<int>();
  std::atomic<int> ran{0};
  std::promise<void> busy;
  std::promise<void> go;
  executor_->post([&] {
    busy.set_value();
    go.get_future().get();
    executor_->run_at(env_->clock().now() + 3600 * kSecond, [held] {});
    executor_->defer([&ran] { ++ran; });
  });
  busy.get_future().get();
  executor_->post([&ran] { ++ran; });
  std::thread stopper([&] { executor_->stop(); });
  go.set_value();
  executor_->stop();
  stopper.join();
  EXPECT_EQ(ran, 2);
  executor_->post([held, &ran] { ++ran; });
  EXPECT_EQ(held.use_count(), 1) << "timers and late tasks are destroyed";
  EXPECT_EQ(ran, 2);
  executor_->stop();
}

TEST_F(PosixExecutorTest, DroppedTasks_MayUseTheExecutorWhileTheyAreDestroyed) {
  struct Caller {
    Executor* executor;
    TimerId timer;
    Caller(Executor* e, TimerId t) : executor(e), timer(t) {}
    ~Caller() {
      executor->cancel(timer);
      executor->post([] { FAIL(); });
      executor->defer([] { FAIL(); });
      executor->run_at({0}, [] { FAIL(); });
    }
  };
  on_executor([&] {
    const MonotonicTime later = env_->clock().now() + 3600 * kSecond;
    const TimerId timer = executor_->run_at(later, [] {});
    auto caller = std::make_shared<Caller>(executor_.get(), timer);
    executor_->run_at(later, [caller] {});
  });
  executor_->stop();
}

TEST_F(PosixExecutorTest, BlockingExecutor_RunsInOrder_AndStopsAfterWhatIsQueued) {
  auto blocking = env_->start_blocking_executor("blocking");
  std::vector<int> ran;
  std::promise<void> go;
  blocking->post([&] {
    EXPECT_TRUE(blocking->in_executor());
    go.get_future().get();
  });
  for (int i = 0; i < 100; ++i) blocking->post([&, i] { ran.push_back(i); });
  EXPECT_FALSE(blocking->in_executor());
  go.set_value();
  blocking->stop();
  EXPECT_EQ(ran.size(), 100u);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
  auto held = std::make_shared<int>();
  blocking->post([held] {});
  EXPECT_EQ(held.use_count(), 1);
  blocking->stop();
}

TEST_F(PosixExecutorTest, BlockingExecutor_PingPong_LosesNoWakeUp) {
  auto blocking = env_->start_blocking_executor("blocking");
  std::promise<void> done;
  std::function<void(int)> ping = [&](int left) {
    if (left == 0) return done.set_value();
    blocking->post([&, left] { executor_->post([&, left] { ping(left - 1); }); });
  };
  executor_->post([&] { ping(2000); });
  done.get_future().get();
}

}  // namespace
}  // namespace multiraft::env
