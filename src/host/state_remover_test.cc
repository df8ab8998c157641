#include "host/state_remover.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "env/posix/posix_env.h"
#include "env/sim/sim_environment.h"

namespace multiraft::host {
namespace {

/// Notes what it is asked for.
class RecordingEngine final : public StateMachineEngine {
 public:
  Result<std::unique_ptr<StateMachine>> open(GroupId) override {
    return Status(StatusCode::kInternal, "nothing is opened here");
  }
  Status destroy(std::span<const GroupId> groups) override {
    if (on_destroy) on_destroy(groups);
    const MutexLock lock(mutex);
    calls.emplace_back(groups.begin(), groups.end());
    return status;
  }
  Status commit(uint32_t) override { return Status::ok(); }
  void request_flush() override {}

  std::function<void(std::span<const GroupId>)> on_destroy;
  Mutex mutex;
  std::vector<std::vector<GroupId>> calls;
  Status status;
};

class StateRemoverTest : public ::testing::Test {
 protected:
  using Answer = std::shared_ptr<std::optional<Status>>;
  Answer remove(RecordingEngine& engine, uint64_t group) {
    auto answer = std::make_shared<std::optional<Status>>();
    remover_.remove(engine, GroupId(group), [answer](Status s) { *answer = std::move(s); });
    return answer;
  }

  env::SimEnvironment env_;
  env::BlockingPool pool_{env_, "pool", 3};
  RecordingEngine first_;
  RecordingEngine second_;
  StateRemover remover_{pool_};
};

TEST_F(StateRemoverTest, Removals_ThatComeMeanwhile_GoTogether) {
  for (uint64_t g = 1; g <= 3; ++g) remove(first_, g);
  env_.run_until_idle();
  EXPECT_EQ(first_.calls,
            (std::vector<std::vector<GroupId>>{{GroupId(1), GroupId(2), GroupId(3)}}));
}

TEST_F(StateRemoverTest, Engines_DoNotShareAFailure) {
  first_.status = Status(StatusCode::kNoSpace, "the disk is full");
  const Answer failed = remove(first_, 1);
  const Answer other = remove(second_, 2);
  env_.run_until_idle();
  EXPECT_EQ((*failed)->code(), StatusCode::kNoSpace);
  EXPECT_TRUE((*other)->is_ok());
  EXPECT_EQ(second_.calls, (std::vector<std::vector<GroupId>>{{GroupId(2)}}));
}

// On real threads, which the simulation cannot hold inside of an engine.
TEST(StateRemoverThreads, EngineThatHangs_KeepsNobodyElseWaiting) {
  auto env = env::make_posix_environment();
  env::BlockingPool pool(*env, "pool", 4);
  StateRemover remover(pool);
  RecordingEngine hanging;
  RecordingEngine other;
  std::promise<void> disk;
  std::promise<void> hangs;
  hanging.on_destroy = [&, answer = disk.get_future().share()](std::span<const GroupId> groups) {
    if (groups.front() != GroupId(1)) return;
    hangs.set_value();
    answer.wait();
  };
  const auto answered = [](std::promise<Status>& promise) {
    return [&promise](Status status) { promise.set_value(std::move(status)); };
  };
  std::promise<Status> first, second, third, created;
  remover.remove(hanging, GroupId(1), answered(first));
  hangs.get_future().wait();
  remover.remove(hanging, GroupId(2), answered(second));
  remover.remove(other, GroupId(3), answered(third));
  remover.clear(hanging, GroupId(4), answered(created));
  EXPECT_TRUE(third.get_future().get().is_ok());
  EXPECT_TRUE(created.get_future().get().is_ok());
  disk.set_value();
  EXPECT_TRUE(first.get_future().get().is_ok());
  EXPECT_TRUE(second.get_future().get().is_ok());
  pool.stop();
}

}  // namespace
}  // namespace multiraft::host
