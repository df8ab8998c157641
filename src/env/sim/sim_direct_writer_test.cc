#include "env/sim/sim_direct_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "env/sim/sim_environment.h"

namespace multiraft::env {
namespace {

struct Block {
  alignas(4096) char bytes[4096];
};

class SimDirectWriterTest : public testing::Test {
 protected:
  void start(uint64_t seed) {
    writer_.reset();
    file_.reset();
    owner_.reset();
    env_ = std::make_unique<SimEnvironment>(seed);
    owner_ = env_->start_executor("owner");
    writer_ = std::move(*env_->make_direct_writer(*owner_, "/"));
    file_ = std::move(*env_->file_system().open("/f", OpenMode::kCreate, true));
    ASSERT_TRUE(env_->file_system().sync_directory("/"));
  }
  void submit(size_t i) {
    std::fill(std::begin(blocks_[i].bytes), std::end(blocks_[i].bytes), static_cast<char>('a' + i));
    const DirectWriter::Write write{file_.get(), i * 4096, blocks_[i].bytes};
    writer_->submit({&write, 1}, [this, i](Status status) {
      statuses_.push_back(status);
      order_ += static_cast<char>('a' + i);
    });
  }

  std::vector<Block> blocks_{4};
  std::unique_ptr<SimEnvironment> env_;
  std::unique_ptr<Executor> owner_;
  std::unique_ptr<File> file_;
  std::unique_ptr<DirectWriter> writer_;
  std::vector<Status> statuses_;
  std::string order_;
};

TEST_F(SimDirectWriterTest, Writes_FinishInAnyOrder_EachDurableWhenItIsDone) {
  std::set<std::string> orders;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    start(seed);
    order_.clear();
    for (size_t i = 0; i < 4; ++i) submit(i);
    EXPECT_EQ(order_, "") << "never from within the call";
    while (env_->scheduler().step()) {
      auto survivor = env_->disk().crash_image(CrashMode::kKeepNone, seed);
      const std::string kept = *survivor->read_file("/f");
      for (size_t i = 0; i < 4; ++i) {
        const char c = static_cast<char>('a' + i);
        const bool is_there = i * 4096 < kept.size() && kept[i * 4096] == c;
        EXPECT_EQ(is_there, order_.find(c) != std::string::npos);
      }
    }
    EXPECT_EQ(order_.size(), 4u);
    orders.insert(order_);
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST_F(SimDirectWriterTest, FaultOfTheDisk_IsReported) {
  start(1);
  env_->disk().fail_operation(1, SimFault::kIoError);
  submit(0);
  env_->run_until_idle();
  ASSERT_EQ(statuses_.size(), 1u);
  EXPECT_EQ(statuses_[0].code(), StatusCode::kIoError);
}

TEST_F(SimDirectWriterTest, Drain_FinishesWhatIsUnderWay) {
  start(1);
  submit(0);
  submit(1);
  writer_->drain();
  EXPECT_EQ(order_.size(), 2u);
  env_->run_until_idle();
  EXPECT_EQ(order_.size(), 2u);
}

}  // namespace
}  // namespace multiraft::env
