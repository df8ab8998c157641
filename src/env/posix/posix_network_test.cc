// Sockets on the loopback interface. Everything that belongs to the executor is touched by tasks on
// it; the test's thread waits for promises.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "base/coverage.h"
#include "env/posix/posix_env.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kLong = 60 * kSecond;

using StreamPtr = std::unique_ptr<Stream>;

class PosixNetworkTest : public testing::Test {
 protected:
  /// Runs `body` on the executor and returns what it does.
  template <class Body>
  auto on_executor(Body&& body) {
    std::promise<decltype(body())> done;
    executor_->post([&] {
      if constexpr (std::is_void_v<decltype(body())>) {
        body();
        done.set_value();
      } else {
        done.set_value(body());
      }
    });
    return done.get_future().get();
  }

  void TearDown() override {
    on_executor([&] { listener_.reset(); });
    executor_->stop();
  }

  /// Waits until all that was ready has been handled.
  void settle() {
    for (int i = 0; i < 3; ++i) on_executor([] {});
  }

  void listen(Callback<void(StreamPtr)> on_accept, const Address& address = {"127.0.0.1", 0}) {
    auto listener = env_->network().listen(*executor_, address, std::move(on_accept));
    ASSERT_TRUE(listener) << listener.status().to_string();
    listener_ = std::move(*listener);
  }

  Result<StreamPtr> connect(const Address& address, int64_t timeout_ns = kLong) {
    std::promise<Result<StreamPtr>> done;
    executor_->post([&] {
      within_call_ = true;
      env_->network().connect(*executor_, address, timeout_ns, [&](Result<StreamPtr> stream) {
        EXPECT_FALSE(within_call_);
        EXPECT_TRUE(executor_->in_executor());
        done.set_value(std::move(stream));
      });
      within_call_ = false;
    });
    return done.get_future().get();
  }

  /// Connects and drops the connection.
  Status try_connect(const Address& address, int64_t timeout_ns = kLong) {
    Result<StreamPtr> stream = connect(address, timeout_ns);
    on_executor([&] {
      if (stream) stream->reset();
    });
    return stream.status();
  }

  /// Both ends of a new connection, on executor_.
  struct Pair {
    StreamPtr client;
    StreamPtr server;
  };
  Pair connect_pair() {
    std::promise<StreamPtr> accepted;
    listen([&](StreamPtr stream) { accepted.set_value(std::move(stream)); });
    Result<StreamPtr> client = connect({"127.0.0.1", listener_->port()});
    EXPECT_TRUE(client) << client.status().to_string();
    StreamPtr server = accepted.get_future().get();
    on_executor([&] { listener_.reset(); });
    return {std::move(*client), std::move(server)};
  }
  void destroy(Pair& pair) {
    on_executor([&] { pair = {}; });
  }

  Result<size_t> read_some(Stream& stream, std::span<char> buffer) {
    std::promise<Result<size_t>> done;
    executor_->post([&] {
      within_call_ = true;
      stream.read_some(buffer, [&](Result<size_t> n) {
        EXPECT_FALSE(within_call_);
        done.set_value(std::move(n));
      });
      within_call_ = false;
    });
    return done.get_future().get();
  }
  std::string read_text(Stream& stream) {
    char buffer[1000];
    Result<size_t> n = read_some(stream, buffer);
    return n ? std::string(buffer, *n) : n.status().to_string();
  }
  Status write(Stream& stream, std::span<const std::string_view> parts) {
    std::promise<Status> done;
    executor_->post([&] {
      within_call_ = true;
      stream.write(parts, [&](Status status) {
        EXPECT_FALSE(within_call_);
        done.set_value(std::move(status));
      });
      within_call_ = false;
    });
    return done.get_future().get();
  }
  Status write(Stream& stream, std::string_view text) { return write(stream, {&text, 1}); }

  const std::unique_ptr<Environment> env_ = make_posix_environment();
  std::unique_ptr<Executor> executor_ = env_->start_executor("test");
  std::unique_ptr<Listener> listener_;
  bool within_call_ = false;  ///< To see that no callback comes from within the call.
};

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A plain socket, for what a Stream does not do. connect() returns 0 or an errno.
UniqueFd plain_socket(int flags = 0) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  EXPECT_TRUE(fd);
  return fd;
}
int plain_connect(const UniqueFd& fd, uint16_t port) {
  const sockaddr_in address = loopback(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
             ? 0
             : errno;
}

TEST_F(PosixNetworkTest, Pair_ExchangesBytes_AndKnowsItsAddresses) {
  Pair pair = connect_pair();
  ASSERT_TRUE(write(*pair.client, "ping"));
  EXPECT_EQ(read_text(*pair.server), "ping");
  const std::string_view parts[] = {"", "po", "", "ng"};
  ASSERT_TRUE(write(*pair.server, parts));
  EXPECT_EQ(read_text(*pair.client), "pong");
  EXPECT_TRUE(write(*pair.server, ""));
  EXPECT_THAT(pair.client->remote_address(), StartsWith("127.0.0.1:"));
  on_executor([&] {
    EXPECT_EQ(pair.client->local_address(), pair.server->remote_address());
    EXPECT_EQ(pair.server->local_address(), pair.client->remote_address());
  });
  destroy(pair);
}

TEST_F(PosixNetworkTest, WriteLargerThanTheSocketsBuffer_ArrivesWholeAndInOrder) {
  Pair pair = connect_pair();
  // More parts than the kernel takes in one call, of all sizes.
  std::string expected;
  std::vector<std::string> parts;
  for (size_t i = 0; i < 3000; ++i) {
    parts.emplace_back(i * 7 % 20'000, static_cast<char>('a' + i % 26));
    expected += parts.back();
  }
  const std::vector<std::string_view> views(parts.begin(), parts.end());
  std::promise<Status> written;
  executor_->post([&] {
    pair.client->write(views, [&](Status status) {
      pair.client->shutdown_write();
      written.set_value(std::move(status));
    });
  });
  std::string received;
  std::vector<char> buffer(100'000);
  for (;;) {
    Result<size_t> n = read_some(*pair.server, buffer);
    ASSERT_TRUE(n) << n.status().to_string();
    if (*n == 0) break;
    received.append(buffer.data(), *n);
  }
  EXPECT_TRUE(written.get_future().get());
  EXPECT_TRUE(received == expected);
  destroy(pair);
}

TEST_F(PosixNetworkTest, ShutdownDuringWrite_FollowsTheLastByte) {
  Pair pair = connect_pair();
  const std::string text(5'000'000, 'x');
  const std::string_view part = text;
  executor_->post([&] {
    pair.client->write({&part, 1}, [](Status status) { EXPECT_TRUE(status); });
    pair.client->shutdown_write();
  });
  size_t received = 0;
  std::vector<char> buffer(100'000);
  while (const size_t n = *read_some(*pair.server, buffer)) received += n;
  EXPECT_EQ(received, text.size());
  ASSERT_TRUE(write(*pair.server, "still open in this direction"));
  EXPECT_EQ(read_text(*pair.client), "still open in this direction");
  destroy(pair);
}

TEST_F(PosixNetworkTest, ClosedByTheOtherSide_ReadsZero_AndWritesFailWithoutASignal) {
  Pair pair = connect_pair();
  on_executor([&] { pair.client->close(); });
  char buffer[10];
  EXPECT_EQ(*read_some(*pair.server, buffer), 0u);
  // The first write may still be taken by the kernel; the answer to it is a reset.
  Status status;
  while (status) status = write(*pair.server, "x");
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.message(), HasSubstr("write to 127.0.0.1:"));
  destroy(pair);
}

TEST_F(PosixNetworkTest, Close_DropsCallbacks_AlsoOfFinishedOperations) {
  Pair pair = connect_pair();
  auto held = std::make_shared<int>();
  char buffer[10];
  on_executor([&] {
    const std::string_view part = "x";
    pair.client->read_some(buffer, [held](Result<size_t>) { FAIL(); });
    // The bytes are sent within the call, so that only the answer is still to come.
    pair.client->write({&part, 1}, [held](Status) { FAIL(); });
    pair.client->close();
    EXPECT_EQ(held.use_count(), 1);
    pair.client->close();
    pair.client->read_some(buffer, [held](Result<size_t>) { FAIL(); });
    pair.client->write({&part, 1}, [held](Status) { FAIL(); });
    pair.client->shutdown_write();
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_EQ(pair.client->local_address(), "(closed)");
  });
  settle();
  destroy(pair);
}

TEST_F(PosixNetworkTest, ReadThatHasFinished_IsDropped_WhenTheStreamIsDestroyedBeforeItsTurn) {
  Pair one = connect_pair();
  Pair two = connect_pair();
  char buffers[2][10];
  std::atomic<int> called{0};
  executor_->post([&] {
    // Whichever completes first destroys the other one.
    one.server->read_some(buffers[0], [&](Result<size_t>) {
      ++called;
      two.server.reset();
    });
    two.server->read_some(buffers[1], [&](Result<size_t>) {
      ++called;
      one.server.reset();
    });
    const std::string_view part = "x";
    one.client->write({&part, 1}, [](Status) {});
    two.client->write({&part, 1}, [](Status) {});
  });
  while (called == 0) settle();
  settle();
  EXPECT_EQ(called, 1);
  destroy(one);
  destroy(two);
}

TEST_F(PosixNetworkTest, Stream_MayBeDestroyedByItsOwnCallback) {
  Pair pair = connect_pair();
  std::promise<void> done;
  char buffer[10];
  executor_->post([&] {
    pair.server->read_some(buffer, [&](Result<size_t>) {
      pair.server.reset();
      done.set_value();
    });
    pair.client.reset();
  });
  done.get_future().get();
  settle();
}

/// A connection as servers write it: its own callbacks keep it alive.
struct SelfOwned {
  StreamPtr stream;
  char buffer[10];
  static void read(const std::shared_ptr<SelfOwned>& self) {
    self->stream->read_some(self->buffer, [self](Result<size_t>) { read(self); });
  }
};

TEST_F(PosixNetworkTest, StoppedExecutor_FreesStreamsThatOwnThemselves) {
  Pair pair = connect_pair();
  std::weak_ptr<SelfOwned> observer;
  on_executor([&] {
    auto connection = std::make_shared<SelfOwned>();
    connection->stream = std::move(pair.server);
    observer = connection;
    SelfOwned::read(connection);
  });
  EXPECT_FALSE(observer.expired());
  executor_->stop();
  EXPECT_TRUE(observer.expired());
  // What outlived the executor is dead, and safe to use and to destroy on any thread.
  pair.client->close();
  EXPECT_EQ(pair.client->local_address(), "(closed)");
  pair.client.reset();
  executor_ = env_->start_executor("for TearDown");
}

// A worker's turn: what is ready at several sockets is gathered before the deferred task runs.
TEST_F(PosixNetworkTest, DeferredTask_RunsAfterAllReadyCompletions) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 5; ++i) pairs.push_back(connect_pair());
  std::vector<std::array<char, 10>> buffers(pairs.size());
  std::promise<int> gathered;
  int ready = 0;
  on_executor([&] {
    for (size_t i = 0; i < pairs.size(); ++i) {
      pairs[i].server->read_some(buffers[i], [&](Result<size_t>) {
        if (++ready == 1) executor_->defer([&] { gathered.set_value(ready); });
      });
    }
  });
  on_executor([&] {
    // Sent in one task, so that all are ready when the thread looks again.
    for (Pair& pair : pairs) {
      const std::string_view part = "x";
      pair.client->write({&part, 1}, [](Status) {});
    }
  });
  EXPECT_EQ(gathered.get_future().get(), 5);
  for (Pair& pair : pairs) destroy(pair);
}

TEST_F(PosixNetworkTest, MoveTo_HandsTheConnectionOver_WithUnreadBytes) {
  Pair pair = connect_pair();
  auto other = env_->start_executor("other");
  ASSERT_TRUE(write(*pair.client, "early"));
  std::promise<std::string> received;
  StreamPtr moved;
  char buffer[100];
  executor_->post([&] {
    const std::string remote = pair.server->remote_address();
    pair.server->move_to(*other, [&, remote](StreamPtr stream) {
      EXPECT_TRUE(other->in_executor());
      EXPECT_EQ(stream->remote_address(), remote);
      moved = std::move(stream);
      moved->read_some(buffer, [&](Result<size_t> n) { received.set_value({buffer, *n}); });
    });
    pair.server->close();
    pair.server.reset();
  });
  EXPECT_EQ(received.get_future().get(), "early");
  std::promise<void> written;
  other->post([&] {
    static constexpr std::string_view kPart = "answer";
    moved->write({&kPart, 1}, [&](Status status) {
      EXPECT_TRUE(status);
      written.set_value();
    });
  });
  EXPECT_EQ(read_text(*pair.client), "answer");
  written.get_future().get();
  other->stop();
  moved.reset();
  destroy(pair);
}

TEST_F(PosixNetworkTest, MoveTo_AStoppedExecutor_ClosesTheConnection) {
  Pair pair = connect_pair();
  auto other = env_->start_executor("other");
  other->stop();
  on_executor([&] { pair.server->move_to(*other, [](StreamPtr) { FAIL(); }); });
  EXPECT_EQ(read_text(*pair.client), "");
  destroy(pair);
}

TEST_F(PosixNetworkTest, ListenOnAllInterfaces_TakesBothFamilies) {
  std::atomic<int> accepted{0};
  std::string remote;
  listen(
      [&](StreamPtr stream) {
        remote = stream->remote_address();
        ++accepted;
      },
      {"", 0});
  const uint16_t port = listener_->port();
  EXPECT_NE(port, 0);
  ASSERT_TRUE(try_connect({"127.0.0.1", port}));
  while (accepted < 1) settle();
  on_executor([&] { EXPECT_THAT(remote, StartsWith("127.0.0.1:")); });
  EXPECT_TRUE(try_connect({"", port}));
  EXPECT_TRUE(try_connect({"localhost", port}));
  const UniqueFd v6(::socket(AF_INET6, SOCK_STREAM, 0));
  sockaddr_in6 loopback6{};
  loopback6.sin6_family = AF_INET6;
  loopback6.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  if (::bind(v6.get(), reinterpret_cast<sockaddr*>(&loopback6), sizeof loopback6) == 0) {
    EXPECT_TRUE(try_connect({"::1", port}));
  }
}

TEST_F(PosixNetworkTest, Listen_SaysWhyItCannot) {
  listen([](StreamPtr) {});
  const uint16_t port = listener_->port();
  const Status in_use =
      env_->network().listen(*executor_, {"127.0.0.1", port}, [](StreamPtr) {}).status();
  EXPECT_EQ(in_use.code(), StatusCode::kUnavailable);
  EXPECT_EQ(in_use.message(),
            "listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
  const Status not_ours =
      env_->network().listen(*executor_, {"192.0.2.1", 0}, [](StreamPtr) {}).status();
  EXPECT_EQ(not_ours.code(), StatusCode::kUnavailable);
  EXPECT_THAT(not_ours.message(), HasSubstr("192.0.2.1:0"));
}

TEST_F(PosixNetworkTest, ListenerAgainOnThePortOfAnEndedOne_Succeeds) {
  Pair pair = connect_pair();
  // This side closes first, and so leaves its port in TIME_WAIT.
  uint16_t port = 0;
  on_executor([&] {
    const std::string local = pair.server->local_address();
    port = Address::parse(local)->port;
    pair.server.reset();
  });
  EXPECT_EQ(read_text(*pair.client), "");
  destroy(pair);
  listen([](StreamPtr) {}, {"127.0.0.1", port});
}

TEST_F(PosixNetworkTest, ClosedListener_AcceptsNoMore) {
  std::promise<void> accepted;
  listen([&](StreamPtr) {
    listener_->close();  // From its own callback.
    accepted.set_value();
  });
  const uint16_t port = listener_->port();
  ASSERT_TRUE(try_connect({"127.0.0.1", port}));
  accepted.get_future().get();
  EXPECT_EQ(try_connect({"127.0.0.1", port}).code(), StatusCode::kUnavailable);
}

TEST_F(PosixNetworkTest, ListenerMadeOnItsExecutor_AndDestroyedAtOnce_IsGone) {
  uint16_t port = 0;
  on_executor([&] {
    auto listener = env_->network().listen(*executor_, {"127.0.0.1", 0}, [](StreamPtr) {});
    port = (*listener)->port();
  });
  EXPECT_FALSE(try_connect({"127.0.0.1", port}));
}

TEST_F(PosixNetworkTest, OutOfDescriptors_PausesAndGoesOn) {
  std::promise<void> accepted;
  listen([&](StreamPtr) { accepted.set_value(); });
  const uint64_t pauses = CoverageMark::hits_of("listener pauses");
  const UniqueFd client = plain_socket();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  on_executor([&] {
    // The kernel completes the connection by itself; the thread is busy here until the limit holds.
    ASSERT_EQ(plain_connect(client, listener_->port()), 0);
    const rlimit none{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  });
  while (CoverageMark::hits_of("listener pauses") == pauses) std::this_thread::yield();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  accepted.get_future().get();
}

TEST_F(PosixNetworkTest, ConnectionAbortedBeforeItIsAccepted_DoesNotStopTheListener) {
  std::atomic<int> accepted{0};
  listen([&](StreamPtr) { ++accepted; });
  on_executor([&] {
    const UniqueFd client = plain_socket();
    ASSERT_EQ(plain_connect(client, listener_->port()), 0);
    const linger reset{1, 0};  // Closing sends a reset.
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  });
  const int before = accepted;
  ASSERT_TRUE(try_connect({"127.0.0.1", listener_->port()}));
  while (accepted == before) settle();
}

TEST_F(PosixNetworkTest, Connect_RefusedOrUnresolvable_SaysSo) {
  uint16_t port = 0;
  {
    const UniqueFd fd = plain_socket();
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port = ntohs(address.sin_port);
    const Status refused = try_connect({"127.0.0.1", port});
    EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
    EXPECT_EQ(refused.message(),
              "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
  }
  // Longer than a label may be, so that no server is asked.
  const std::string name(70, 'x');
  const Status unknown = try_connect({name, 1});
  EXPECT_EQ(unknown.code(), StatusCode::kUnavailable);
  EXPECT_THAT(unknown.message(), AllOf(HasSubstr(name), HasSubstr("cannot resolve")));
}

TEST_F(PosixNetworkTest, Connect_ThatIsNeverAnswered_TimesOut) {
  // A full backlog: the kernel answers no more connection requests.
  const UniqueFd fd = plain_socket();
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(fd.get(), 0), 0);
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  const uint16_t port = ntohs(address.sin_port);
  std::vector<UniqueFd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(plain_socket(SOCK_NONBLOCK));
    plain_connect(fillers.back(), port);
  }
  const Status status = try_connect({"127.0.0.1", port}, 20 * kMillisecond);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("timed out"));

  // One that is still trying when its executor ends is dropped.
  auto held = std::make_shared<int>();
  auto other = env_->start_executor("other");
  other->post([&, held] {
    env_->network().connect(*other, {"127.0.0.1", port}, kLong, [held](auto) { FAIL(); });
    env_->network().connect(*other, {"localhost", port}, kLong, [held](auto) { FAIL(); });
  });
  other->stop();
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(PosixNetworkTest, Connect_TriesEveryAddressOfAName) {
  // localhost is ::1 and 127.0.0.1 here, or only one of them; only the latter listens.
  std::atomic<int> accepted{0};
  listen([&](StreamPtr) { ++accepted; });
  EXPECT_TRUE(try_connect({"localhost", listener_->port()}));
  while (accepted == 0) settle();
}

}  // namespace
}  // namespace multiraft::env
