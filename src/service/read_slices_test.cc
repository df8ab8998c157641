#include "service/read_slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "env/posix/posix_env.h"

namespace multiraft::service {
namespace {

using testing::ElementsAre;

constexpr size_t kHalf = ReadSlices::kBytesPerRound / 2;

class ReadSlicesTest : public ::testing::Test {
 protected:
  /// Runs on the executor's thread.
  template <class F>
  void run(F task) {
    executor_->run_and_wait(std::move(task));
  }
  void read(int number, size_t bytes) {
    slices_.run([this, number, bytes] {
      done_.push_back(number);
      return bytes;
    });
  }

  const std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  const std::unique_ptr<env::Executor> executor_ = env_->start_executor("reads");
  ReadSlices slices_{*executor_};
  std::vector<int> done_;
};

TEST_F(ReadSlicesTest, LargeReads_TakeSeveralRoundsInOrder) {
  size_t first = 0;
  size_t between = 0;
  run([&] {
    for (int i = 0; i < 6; ++i) read(i, kHalf);
    first = done_.size();
    executor_->post([&] { between = done_.size(); });
  });
  for (int i = 0; i < 3; ++i) run([] {});
  EXPECT_EQ(first, 2u);
  EXPECT_EQ(between, 4u);  // Others have their turn between the rounds.
  EXPECT_THAT(done_, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ReadSlicesTest, ReadThatComesLater_DoesNotOvertake) {
  run([&] {
    for (int i = 0; i < 3; ++i) read(i, 2 * kHalf);
    read(3, 1);
    EXPECT_THAT(done_, ElementsAre(0));
  });
  for (int i = 0; i < 4; ++i) run([] {});
  run([&] { EXPECT_THAT(done_, ElementsAre(0, 1, 2, 3)); });
}

}  // namespace
}  // namespace multiraft::service
