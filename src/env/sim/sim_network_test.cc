#include "env/sim/sim_network.h"

#include <gtest/gtest.h>

namespace multiraft::env {
namespace {

class SimNetworkTest : public ::testing::Test {
 protected:
  struct Machine {
    Machine(SimScheduler& scheduler, SimNetwork& network, const std::string& name)
        : env(scheduler, std::make_unique<SimFileSystem>(), 1, network.attach(name)),
          executor(env.start_executor("main")) {}
    SimEnvironment env;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> stream;
    std::string received;
    Status failure;
    bool ended = false;
    char buffer[16] = {};

    void read() {
      stream->read_some(buffer, [this](Result<size_t> n) {
        if (!n) {
          failure = n.status();
        } else if (*n == 0) {
          ended = true;
        } else {
          received.append(buffer, *n);
          read();
        }
      });
    }
    void write(std::string_view text) {
      const std::string_view parts[] = {text};
      stream->write(parts, [this](Status status) {
        ++writes_done;
        if (!status) failure = status;
      });
    }
    int writes_done = 0;
  };

  void listen() {
    auto listener = b_.env.network().listen(*b_.executor, {"", 7},
                                            [this](auto stream) { b_.stream = std::move(stream); });
    ASSERT_TRUE(listener.is_ok());
    b_.listener = std::move(*listener);
  }
  void connect() {
    listen();
    a_.env.network().connect(*a_.executor, {"b", 7}, kSecond, [this](auto stream) {
      if (stream) {
        a_.stream = std::move(*stream);
      } else {
        a_.failure = stream.status();
      }
    });
    scheduler_.advance(10 * kMillisecond);
  }

  SimScheduler scheduler_{1};
  SimNetwork network_{scheduler_, 1};
  Machine a_{scheduler_, network_, "a"};
  Machine b_{scheduler_, network_, "b"};
};

TEST_F(SimNetworkTest, Bytes_ArriveInOrder_AfterTheirDelay) {
  connect();
  ASSERT_TRUE(a_.stream && b_.stream);
  b_.read();
  a_.write("first ");
  scheduler_.run_until_idle();
  EXPECT_EQ(b_.received, "") << "nothing is faster than its delay";
  a_.write("a second piece that is longer than the buffer");
  a_.stream->shutdown_write();
  scheduler_.advance(kMillisecond);
  EXPECT_EQ(b_.received, "first a second piece that is longer than the buffer");
  EXPECT_TRUE(b_.ended);
}

TEST_F(SimNetworkTest, NobodyListens_IsRefused) {
  a_.env.network().connect(*a_.executor, {"b", 7}, kSecond,
                           [this](auto stream) { a_.failure = stream.status(); });
  scheduler_.advance(10 * kMillisecond);
  EXPECT_EQ(a_.failure.code(), StatusCode::kUnavailable);
}

TEST_F(SimNetworkTest, CutLink_HoldsOneDirection_AndDeliversOnceItIsMended) {
  connect();
  a_.read();
  b_.read();
  network_.set_cut("a", "b", true);
  a_.write("held");
  b_.write("passes");
  scheduler_.advance(kSecond);
  EXPECT_EQ(a_.received, "passes");
  EXPECT_EQ(b_.received, "");
  network_.mend_all();
  scheduler_.advance(kMillisecond);
  EXPECT_EQ(b_.received, "held");
}

TEST_F(SimNetworkTest, ConnectAcrossACut_TimesOut) {
  network_.set_cut("b", "a", true);
  connect();
  EXPECT_TRUE(a_.failure.is_ok());
  scheduler_.advance(kSecond);
  EXPECT_EQ(a_.failure.code(), StatusCode::kUnavailable);
}

TEST_F(SimNetworkTest, KilledProcess_ResetsItsConnections_AfterWhatWasUnderWay) {
  connect();
  b_.read();
  a_.write("last words");
  a_.env.kill();
  scheduler_.advance(kMillisecond);
  EXPECT_EQ(b_.received, "last words");
  EXPECT_EQ(b_.failure.code(), StatusCode::kUnavailable);
}

TEST_F(SimNetworkTest, BrokenConnection_FailsBothSides) {
  connect();
  a_.read();
  b_.read();
  network_.break_connections("a", "b");
  scheduler_.advance(kMillisecond);
  EXPECT_EQ(a_.failure.code(), StatusCode::kUnavailable);
  EXPECT_EQ(b_.failure.code(), StatusCode::kUnavailable);
}

TEST_F(SimNetworkTest, ReceiverThatDoesNotRead_StopsTheWriter) {
  connect();
  const std::string big(512 * 1024, 'x');
  a_.write(big);
  scheduler_.advance(kSecond);
  EXPECT_EQ(a_.writes_done, 0);
  b_.read();
  scheduler_.advance(kSecond);
  EXPECT_EQ(a_.writes_done, 1);
  EXPECT_EQ(b_.received, big);
}

TEST_F(SimNetworkTest, ClosedStream_DropsItsCallbacks_AndEndsTheOther) {
  connect();
  a_.read();
  b_.read();
  a_.stream.reset();
  scheduler_.advance(kMillisecond);
  EXPECT_TRUE(b_.ended);
  EXPECT_FALSE(a_.ended);
}

}  // namespace
}  // namespace multiraft::env
