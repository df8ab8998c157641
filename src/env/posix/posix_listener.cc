#include "env/posix/posix_listener.h"

#include <netinet/in.h>

#include <cerrno>

#include "base/assert.h"
#include "base/coverage.h"
#include "env/posix/errno_text.h"
#include "env/posix/posix_clock.h"
#include "env/posix/posix_stream.h"
#include "env/posix/socket_address.h"

namespace multiraft::env {
namespace {

/// Accepted in one go before other sockets have their turn.
constexpr int kAcceptsPerRound = 64;
/// How long to wait for somebody to close a descriptor when there are none left.
constexpr int64_t kPauseNs = 50 * kMillisecond;

Status listen_error(int error, const Address& address) {
  std::string what = "listen on " + address.to_string() + ": " + errno_text(error);
  if (error == EACCES) return {StatusCode::kInvalidArgument, std::move(what)};
  // In use, or not on an interface: so far. Nor has any other error to do with a disk.
  return {StatusCode::kUnavailable, std::move(what)};
}

/// A listening socket, or an errno.
struct Bound {
  UniqueFd fd;
  int error = 0;
};

Bound bind_and_listen(const SocketAddress& address, bool dual_stack) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return {UniqueFd(), errno};
  const int on = 1;
  // Without it a restarted node waits a minute for its own old connections (TIME_WAIT).
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) {
    const int only_v6 = dual_stack ? 0 : 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
  }
  if (::bind(fd.get(), address.raw(), address.length) != 0) return {UniqueFd(), errno};
  if (::listen(fd.get(), SOMAXCONN) != 0) return {UniqueFd(), errno};
  return {std::move(fd), 0};
}

Bound bind_all_interfaces(uint16_t port) {
  Bound bound = bind_and_listen(*SocketAddress::numeric("::", port), true);
  if (bound.error != EAFNOSUPPORT && bound.error != EADDRNOTAVAIL) return bound;
  return bind_and_listen(*SocketAddress::numeric("0.0.0.0", port), false);
}

Result<UniqueFd> bind_address(const Address& address) {
  Bound bound;
  if (address.host.empty()) {
    bound = bind_all_interfaces(address.port);
  } else {
    Result<std::vector<SocketAddress>> found = resolve(address);
    if (!found) {
      return Status(found.status().code(),
                    "listen on " + address.to_string() + ": " + found.status().message());
    }
    bound = bind_and_listen(found->front(), false);
  }
  if (bound.error != 0) return listen_error(bound.error, address);
  return std::move(bound.fd);
}

}  // namespace

class ListenerState final : public ExecutorResident,
                            public std::enable_shared_from_this<ListenerState> {
 public:
  ListenerState(std::shared_ptr<ExecutorCore> core,
                Callback<void(std::unique_ptr<Stream>)> on_accept)
      : core_(std::move(core)), on_accept_(std::move(on_accept)) {}

  void start(UniqueFd fd, int family) {
    if (closed_) return;
    socket_ = std::make_unique<ReactorSocket>(core_->reactor());
    core_->attach(*this);
    attached_ = true;
    // epoll refuses only where memory or watches have run out at the very start; without this
    // socket the node is deaf, and it is better to end than to stay so.
    const int error = socket_->assign(std::move(fd), family);
    MR_ASSERT_MSG(error == 0, "epoll refuses the listening socket");
    wait();
  }

  void close() {
    if (closed_) return;
    MR_ASSERT_MSG(core_->in_executor() || core_->ended(), "a listener belongs to its executor");
    if (attached_) core_->detach(*this);
    executor_ended();
  }

  void executor_ended() override {
    const std::shared_ptr<ListenerState> self = shared_from_this();
    closed_ = true;
    attached_ = false;
    if (socket_) socket_->close();
    if (core_->in_executor()) core_->cancel(pause_);
    // While it runs it cannot be destroyed; accept_some() does it afterwards.
    if (!accepting_) on_accept_ = nullptr;
  }

 private:
  void wait() {
    socket_->async_wait_readable([self = shared_from_this()](int error) {
      if (!self->closed_) self->accept_some(error);
    });
  }

  void accept_some(int error) {
    accepting_ = true;
    for (int i = 0; i < kAcceptsPerRound && error == 0 && !closed_; ++i) error = accept_one();
    accepting_ = false;
    if (closed_) {
      on_accept_ = nullptr;
    } else if (error == 0 || error == EAGAIN) {
      wait();
    } else {
      // EMFILE, ENFILE, ENOBUFS, ENOMEM: connections wait in the backlog until there is room.
      MR_COVERAGE("listener pauses");
      pause_ = core_->run_at(monotonic_now() + kPauseNs,
                             [self = shared_from_this()] { self->accept_some(0); });
    }
  }

  /// 0 = one more may be there.
  int accept_one() {
    SocketAddress remote;
    UniqueFd fd(
        ::accept4(socket_->fd(), remote.raw(), &remote.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return is_about_one_connection(errno) ? 0 : errno;
    Result<std::unique_ptr<Stream>> stream = PosixStream::adopt(core_, std::move(fd), remote);
    if (stream) on_accept_(std::move(*stream));
    return 0;
  }

  /// accept(2): errors of the new connection, already pending on it, come out of accept.
  static bool is_about_one_connection(int error) {
    switch (error) {
      case EINTR:
      case ECONNABORTED:
      case EPROTO:
      case ENOPROTOOPT:
      case ENETDOWN:
      case ENETUNREACH:
      case EHOSTDOWN:
      case EHOSTUNREACH:
      case ENONET:
      case EOPNOTSUPP:
      case EPERM:
        return true;
      default:
        return false;
    }
  }

  const std::shared_ptr<ExecutorCore> core_;
  Callback<void(std::unique_ptr<Stream>)> on_accept_;
  std::unique_ptr<ReactorSocket> socket_;
  TimerId pause_ = 0;
  bool attached_ = false;
  bool closed_ = false;
  bool accepting_ = false;
};

Result<std::unique_ptr<Listener>> PosixListener::open(
    const std::shared_ptr<ExecutorCore>& core, const Address& address,
    Callback<void(std::unique_ptr<Stream>)> on_accept) {
  Result<UniqueFd> fd = bind_address(address);
  if (!fd) return fd.status();
  const SocketAddress local = SocketAddress::local_of(fd->get());
  auto state = std::make_shared<ListenerState>(core, std::move(on_accept));
  core->post([state, fd = std::move(*fd), family = local.family()]() mutable {
    state->start(std::move(fd), family);
  });
  return std::unique_ptr<Listener>(std::make_unique<PosixListener>(std::move(state), local.port()));
}

PosixListener::PosixListener(std::shared_ptr<ListenerState> state, uint16_t port)
    : state_(std::move(state)), port_(port) {}
PosixListener::~PosixListener() { close(); }
void PosixListener::close() { state_->close(); }

}  // namespace multiraft::env
