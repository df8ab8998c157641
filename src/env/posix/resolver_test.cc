#include "env/posix/resolver.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace multiraft::env {
namespace {

/// A name server that answers when it is told to.
class NameServer {
 public:
  Resolver::Answer look_up(const Address& address) {
    std::unique_lock lock(mutex_);
    ++asked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return answers_ > 0; });
    --answers_;
    if (!known_) return Status(StatusCode::kUnavailable, "cannot resolve " + address.host);
    return std::vector<SocketAddress>{*SocketAddress::numeric(numeric_, address.port)};
  }
  void answer(std::optional<std::string> numeric) {
    std::lock_guard lock(mutex_);
    known_ = numeric.has_value();
    numeric_ = numeric.value_or("");
    ++answers_;
    changed_.notify_all();
  }
  void wait_asked(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ >= times; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0;
  int answers_ = 0;
  bool known_ = false;
  std::string numeric_;
};

class ResolverTest : public ::testing::Test {
 protected:
  std::future<Resolver::Answer> find(const std::string& host) {
    auto promise = std::make_shared<std::promise<Resolver::Answer>>();
    auto future = promise->get_future();
    resolver_->find({host, 80},
                    [promise](Resolver::Answer found) { promise->set_value(std::move(found)); });
    return future;
  }
  static std::string text(std::future<Resolver::Answer> future) {
    const Resolver::Answer answer = future.get();
    return answer ? answer->front().to_string() : answer.status().message();
  }

  std::shared_ptr<NameServer> server_ = std::make_shared<NameServer>();
  std::unique_ptr<Resolver> resolver_ = std::make_unique<Resolver>(
      [server = server_](const Address& address) { return server->look_up(address); });
};

TEST_F(ResolverTest, NameAskedForTwice_IsLookedUpOnce) {
  auto first = find("n1"), second = find("n1");
  server_->answer("10.0.0.1");
  EXPECT_EQ(text(std::move(first)), "10.0.0.1:80");
  EXPECT_EQ(text(std::move(second)), "10.0.0.1:80");
}

TEST_F(ResolverTest, NameFoundBefore_IsUsedAtOnce_WhileItIsLookedUpAgain) {
  auto first = find("n1");
  server_->answer("10.0.0.1");
  EXPECT_EQ(text(std::move(first)), "10.0.0.1:80");
  // Nobody answers now.
  EXPECT_EQ(text(find("n1")), "10.0.0.1:80");
  server_->wait_asked(2);
  EXPECT_EQ(text(find("n1")), "10.0.0.1:80");
  server_->answer("10.0.0.2");
  // The next look-up begins only once the answer to this one has been kept.
  while (text(find("n1")) != "10.0.0.2:80") std::this_thread::yield();
}

TEST_F(ResolverTest, LookUpThatFails_KeepsWhatWasFound) {
  auto first = find("n1");
  server_->answer("10.0.0.1");
  EXPECT_EQ(text(std::move(first)), "10.0.0.1:80");
  EXPECT_EQ(text(find("n1")), "10.0.0.1:80");
  server_->wait_asked(2);
  server_->answer(std::nullopt);
  EXPECT_EQ(text(find("n1")), "10.0.0.1:80");
}

TEST_F(ResolverTest, UnknownName_IsAnError) {
  auto first = find("n1");
  server_->answer(std::nullopt);
  EXPECT_EQ(text(std::move(first)), "cannot resolve n1");
}

TEST_F(ResolverTest, OneNameThatIsNotAnswered_DoesNotHoldUpOthers_NorTheEnd) {
  auto first = find("n1");
  server_->wait_asked(1);
  auto second = find("n2");
  server_->wait_asked(2);
  resolver_.reset();
  EXPECT_THROW(first.get(), std::future_error);
  EXPECT_THROW(second.get(), std::future_error);
  server_->answer("10.0.0.1");
  server_->answer("10.0.0.1");
}

}  // namespace
}  // namespace multiraft::env
