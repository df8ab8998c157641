#include "service/cold_reads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "env/posix/posix_env.h"
#include "env/sim/sim_environment.h"

namespace multiraft::service {
namespace {

constexpr int64_t kTimeoutNs = 5 * env::kSecond;

/// Has nothing in memory.
class ColdReader final : public kv::KvReader {
 public:
  Result<std::optional<kv::KvValue>> get(std::string_view key, kv::ReadTier tier) const override {
    if (on_get) on_get();
    if (tier == kv::ReadTier::kCached) return Status(StatusCode::kUnavailable, "not in memory");
    return std::optional<kv::KvValue>(kv::KvValue{SharedBytes::copy_of(key), LogIndex(3)});
  }
  Result<kv::ScanPage> scan(const kv::ScanRequest&) const override { return kv::ScanPage{}; }

  std::function<void()> on_get;
};

class ColdReadsTest : public ::testing::Test {
 protected:
  void get(const std::string& key) {
    reads_.get(reader_, key, [this](Result<std::optional<kv::KvValue>> value) {
      answers_.push_back(value ? std::string((*value)->value.view()) : value.status().message());
      codes_.push_back(value.status().code());
    });
  }

  env::SimEnvironment env_;
  env::BlockingPool pool_{env_, "pool", 2};
  std::unique_ptr<env::Executor> timer_ = env_.start_executor("timer");
  ColdReads reads_{pool_, env_.clock(), *timer_, kTimeoutNs};
  std::shared_ptr<ColdReader> reader_ = std::make_shared<ColdReader>();
  std::vector<std::string> answers_;
  std::vector<StatusCode> codes_;
};

TEST_F(ColdReadsTest, Get_IsAnsweredFromThePool) {
  get("key");
  EXPECT_TRUE(answers_.empty());
  env_.run_until_idle();
  EXPECT_EQ(answers_, std::vector<std::string>{"key"});
  EXPECT_EQ(reads_.count(), 1u);
}

TEST_F(ColdReadsTest, Get_BeyondTheLimit_IsRefusedAtOnce) {
  for (size_t i = 0; i < ColdReads::kWaitingMax; ++i) get("key");
  EXPECT_TRUE(answers_.empty());
  get("one more");
  EXPECT_EQ(codes_, std::vector<StatusCode>{StatusCode::kOverloaded});
  env_.run_until_idle();
  EXPECT_EQ(answers_.size(), ColdReads::kWaitingMax + 1);
  get("again");
  env_.run_until_idle();
  EXPECT_EQ(answers_.back(), "again");
}

TEST_F(ColdReadsTest, Get_OfADiskThatHangs_IsAnsweredInTime) {
  env_.set_paused("pool-0", true);
  env_.set_paused("pool-1", true);
  for (int i = 0; i < 10; ++i) get("key");
  env_.advance(kTimeoutNs - 1);
  EXPECT_TRUE(answers_.empty());
  get("later");
  env_.advance(1);
  EXPECT_EQ(codes_, std::vector<StatusCode>(10, StatusCode::kUnavailable));
  env_.advance(kTimeoutNs);
  EXPECT_EQ(codes_, std::vector<StatusCode>(11, StatusCode::kUnavailable));
  env_.set_paused("pool-0", false);
  env_.set_paused("pool-1", false);
  env_.run_until_idle();
  EXPECT_EQ(answers_.size(), 11u) << "each has one answer";
  get("again");
  env_.run_until_idle();
  EXPECT_EQ(answers_.back(), "again");
}

// The thread is inside of the read when its time is over. On real threads, which the simulation
// cannot hold there.
TEST(ColdReadsThatHang, Get_IsAnsweredOnce) {
  auto env = env::make_posix_environment();
  auto timer = env->start_executor("timer");
  env::BlockingPool pool(*env, "pool", 2);
  ColdReads reads(pool, env->clock(), *timer, env::kMillisecond);
  std::promise<void> disk;
  auto reader = std::make_shared<ColdReader>();
  reader->on_get = [answer = disk.get_future().share()] { answer.wait(); };
  std::promise<StatusCode> given_up;
  std::atomic<int> answers = 0;
  reads.get(reader, "key", [&](const ColdReads::Value& value) {
    if (answers++ == 0) given_up.set_value(value.status().code());
  });
  EXPECT_EQ(given_up.get_future().get(), StatusCode::kUnavailable);
  disk.set_value();
  pool.stop();
  timer->stop();
  EXPECT_EQ(answers, 1);
}

TEST_F(ColdReadsTest, Reads_LeaveAThreadToTheReplicas) {
  size_t running = 0;
  for (size_t i = 0; i < 100; ++i) get("key");
  bool ran = false;
  pool_.post(env::BlockingPool::Lane::kUrgent, [&] {
    ran = true;
    running = answers_.size();
  });
  env_.run_until_idle();
  EXPECT_TRUE(ran);
  EXPECT_LE(running, ColdReads::kAtOnce) << "it waited behind more reads than run at a time";
}

}  // namespace
}  // namespace multiraft::service
