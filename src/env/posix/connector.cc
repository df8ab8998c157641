#include "env/posix/connector.h"

#include <cerrno>

#include "base/assert.h"
#include "env/posix/errno_text.h"
#include "env/posix/posix_clock.h"
#include "env/posix/posix_stream.h"
#include "env/posix/socket_address.h"

namespace multiraft::env {
namespace {

/// A dead name server costs the system's resolver 5 s for each try, and there may be several.
constexpr int64_t kLookUpTimeoutNs = 60 * kSecond;

/// One connect() from beginning to end. Kept alive by its timer, its socket's handler and the
/// resolver's task; on the core's thread except where said.
class Connector final : public ExecutorResident, public std::enable_shared_from_this<Connector> {
 public:
  Connector(std::shared_ptr<ExecutorCore> core, const Address& address,
            Callback<void(Result<std::unique_ptr<Stream>>)> done)
      : core_(std::move(core)), address_(address), done_(std::move(done)) {}

  void start(Resolver& resolver, int64_t timeout_ns) {
    MR_ASSERT(core_->in_executor());
    core_->attach(*this);
    timeout_ns_ = timeout_ns;
    const std::string host = address_.host.empty() ? "127.0.0.1" : address_.host;
    if (std::optional<SocketAddress> numeric = SocketAddress::numeric(host, address_.port)) {
      try_all({*numeric});
      return;
    }
    set_timer(monotonic_now() + kLookUpTimeoutNs);
    resolver.find(address_, [self = shared_from_this()](Resolver::Answer found) {
      self->core_->post(
          [self, found = std::move(found)]() mutable { self->found(std::move(found)); });
    });
  }

  void executor_ended() override {
    const std::shared_ptr<Connector> self = shared_from_this();
    over_ = true;
    socket_.reset();
    const auto dropped = std::exchange(done_, nullptr);
  }

 private:
  void found(Resolver::Answer found) {
    if (over_) return;
    if (!found) {
      finish(Status(StatusCode::kUnavailable, what() + found.status().message()));
      return;
    }
    try_all(std::move(*found));
  }

  void try_all(std::vector<SocketAddress> candidates) {
    candidates_ = std::move(candidates);
    deadline_ = monotonic_now() + timeout_ns_;
    set_timer(deadline_);
    try_next();
  }

  void try_next() {
    int error = last_error_;
    while (next_ < candidates_.size()) {
      const SocketAddress& remote = candidates_[next_++];
      error = begin(remote);
      if (error == 0) {
        // What is left of the time is shared among what is left to try: an address that swallows
        // packets must not use it up.
        const int64_t left = deadline_ - monotonic_now();
        const auto tries = static_cast<int64_t>(candidates_.size() - next_ + 1);
        set_timer(monotonic_now() + left / tries);
        return;
      }
    }
    finish(Status(StatusCode::kUnavailable, what() + errno_text(error)));
  }

  int begin(const SocketAddress& remote) {
    UniqueFd fd(::socket(remote.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return errno;
    if (::connect(fd.get(), remote.raw(), remote.length) != 0 && errno != EINPROGRESS) {
      return errno;
    }
    socket_ = std::make_unique<ReactorSocket>(core_->reactor());
    if (const int error = socket_->assign(std::move(fd), remote.family())) return error;
    socket_->async_wait_writable([self = shared_from_this(), attempt = next_](int error) {
      if (self->socket_ && self->next_ == attempt) self->attempt_completed(error);
    });
    return 0;
  }

  void attempt_completed(int error) {
    const SocketAddress remote = candidates_[next_ - 1];
    if (error == 0) {
      socklen_t length = sizeof error;
      if (::getsockopt(socket_->fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    }
    // Connecting to a port of this machine on which nobody listens may, by chance, choose that very
    // port as its own and connect the socket to itself.
    if (error == 0 && SocketAddress::local_of(socket_->fd()).same_as(remote)) {
      error = ECONNREFUSED;
    }
    if (error != 0) {
      last_error_ = error;
      socket_.reset();
      try_next();
      return;
    }
    UniqueFd fd = socket_->release();
    socket_.reset();
    finish(PosixStream::adopt(core_, std::move(fd), remote));
  }

  void set_timer(MonotonicTime when) {
    core_->cancel(timer_);
    timer_ = core_->run_at(when, [self = shared_from_this()] { self->timed_out(); });
  }

  void timed_out() {
    if (over_) return;
    if (candidates_.empty()) {
      return finish(
          Status(StatusCode::kUnavailable, what() + "the look-up of \"" + address_.host +
                                               "\" has not ended within " +
                                               std::to_string(kLookUpTimeoutNs / kSecond) +
                                               " s; check the name servers of this machine"));
    }
    last_error_ = ETIMEDOUT;
    socket_.reset();
    next_ = monotonic_now() >= deadline_ ? candidates_.size() : next_;
    try_next();
  }

  std::string what() const { return "connect to " + address_.to_string() + ": "; }

  void finish(Result<std::unique_ptr<Stream>> result) {
    over_ = true;
    core_->cancel(timer_);
    core_->detach(*this);
    // Some failures are known at once, but an answer never comes from within connect().
    core_->post([done = std::exchange(done_, nullptr), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }

  const std::shared_ptr<ExecutorCore> core_;
  const Address address_;
  Callback<void(Result<std::unique_ptr<Stream>>)> done_;
  int64_t timeout_ns_ = 0;
  MonotonicTime deadline_;  ///< Of the connection, once the name is known.
  TimerId timer_ = 0;
  std::vector<SocketAddress> candidates_;
  size_t next_ = 0;  ///< candidates_[next_ - 1] is being tried.
  int last_error_ = ETIMEDOUT;
  std::unique_ptr<ReactorSocket> socket_;  ///< The attempt under way.
  bool over_ = false;
};

}  // namespace

void connect_stream(const std::shared_ptr<ExecutorCore>& core, Resolver& resolver,
                    const Address& address, int64_t timeout_ns,
                    Callback<void(Result<std::unique_ptr<Stream>>)> done) {
  std::make_shared<Connector>(core, address, std::move(done))->start(resolver, timeout_ns);
}

}  // namespace multiraft::env
