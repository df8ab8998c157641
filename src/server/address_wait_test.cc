#include "server/address_wait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "env/posix/posix_env.h"

namespace multiraft::server {
namespace {

using testing::HasSubstr;

class AddressWaiting : public ::testing::Test {
 protected:
  AddressWaiting() : executor_(env_->start_executor("held")) {
    auto listener = env_->network().listen(*executor_, {"127.0.0.1", 0}, [](auto) {});
    EXPECT_TRUE(listener) << listener.status().message();
    held_ = std::move(*listener);
    wait_.pause = [this](int64_t) {
      ++pauses_;
      if (pauses_ == release_after_) release();
      return pauses_ == stop_after_;
    };
    wait_.on_waiting = [this](const Status& status) { reasons_.push_back(status.message()); };
  }
  ~AddressWaiting() override { release(); }
  void release() {
    executor_->run_and_wait([this] { held_.reset(); });
  }
  Status run(const std::string& host = "127.0.0.1") {
    const uint16_t port = held_->port();
    return wait_for_addresses(*env_, {{"127.0.0.1", 0}, {host, port}}, wait_);
  }

  const std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  const std::unique_ptr<env::Executor> executor_;
  std::unique_ptr<env::Listener> held_;
  AddressWait wait_;
  int pauses_ = 0;
  int release_after_ = 0;
  int stop_after_ = 0;
  std::vector<std::string> reasons_;
};

TEST_F(AddressWaiting, PortThatIsReleased_IsTaken_AndTheWaitIsReportedOnce) {
  release_after_ = 3;
  EXPECT_TRUE(run());
  EXPECT_EQ(pauses_, 3);
  ASSERT_EQ(reasons_.size(), 1u);
  EXPECT_THAT(reasons_[0], HasSubstr("in use"));
}

TEST_F(AddressWaiting, PortThatStaysInUse_IsUnavailableAfterTheLimit) {
  wait_.limit_ns = 5 * wait_.retry_ns;
  const Status status = run();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("in use"));
  EXPECT_EQ(pauses_, 5);
}

TEST_F(AddressWaiting, AddressOfNoInterface_IsUnavailable) {
  wait_.limit_ns = 0;
  EXPECT_EQ(run("192.0.2.1").code(), StatusCode::kUnavailable);
}

TEST_F(AddressWaiting, RequestToStop_EndsTheWait) {
  stop_after_ = 2;
  EXPECT_EQ(run().code(), StatusCode::kCancelled);
  EXPECT_EQ(pauses_, 2);
}

}  // namespace
}  // namespace multiraft::server
