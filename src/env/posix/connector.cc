#include "env/posix/connector.h"

#include <atomic>
#include <cerrno>

#include "base/assert.h"
#include "env/posix/errno_text.h"
#include "env/posix/posix_clock.h"
#include "env/posix/posix_stream.h"
#include "env/posix/socket_address.h"

namespace multiraft::env {
namespace {

/// One connect() from beginning to end. Kept alive by its timer, its socket's handler and the
/// resolver's task; on the core's thread except where said.
class Connector final : public ExecutorResident, public std::enable_shared_from_this<Connector> {
 public:
  Connector(std::shared_ptr<ExecutorCore> core, const Address& address,
            Callback<void(Result<std::unique_ptr<Stream>>)> done)
      : core_(std::move(core)), address_(address), done_(std::move(done)) {}

  void start(Executor& resolver, int64_t timeout_ns) {
    MR_ASSERT(core_->in_executor());
    core_->attach(*this);
    deadline_ = monotonic_now() + timeout_ns;
    set_timer(deadline_);
    const std::string host = address_.host.empty() ? "127.0.0.1" : address_.host;
    if (std::optional<SocketAddress> numeric = SocketAddress::numeric(host, address_.port)) {
      candidates_ = {*numeric};
      try_next();
      return;
    }
    resolver.post([self = shared_from_this()] { self->resolve_name(); });
  }

  void executor_ended() override {
    const std::shared_ptr<Connector> self = shared_from_this();
    over_.store(true, std::memory_order_relaxed);
    socket_.reset();
    const auto dropped = std::exchange(done_, nullptr);
  }

 private:
  /// On the resolver's thread.
  void resolve_name() {
    // The names before it in the queue may have taken longer than this one has.
    if (over_.load(std::memory_order_relaxed)) return;
    core_->post([self = shared_from_this(), found = resolve(address_)]() mutable {
      if (self->over_) return;
      if (!found) {
        self->finish(Status(StatusCode::kUnavailable, self->what() + found.status().message()));
        return;
      }
      self->candidates_ = std::move(*found);
      self->try_next();
    });
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
    last_error_ = ETIMEDOUT;
    socket_.reset();
    next_ = monotonic_now() >= deadline_ ? candidates_.size() : next_;
    try_next();
  }

  std::string what() const { return "connect to " + address_.to_string() + ": "; }

  void finish(Result<std::unique_ptr<Stream>> result) {
    over_.store(true, std::memory_order_relaxed);
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
  MonotonicTime deadline_;
  TimerId timer_ = 0;
  std::vector<SocketAddress> candidates_;
  size_t next_ = 0;  ///< candidates_[next_ - 1] is being tried.
  int last_error_ = ETIMEDOUT;
  std::unique_ptr<ReactorSocket> socket_;  ///< The attempt under way.
  std::atomic<bool> over_{false};          ///< Read by the resolver's thread.
};

}  // namespace

void connect_stream(const std::shared_ptr<ExecutorCore>& core, Executor& resolver,
                    const Address& address, int64_t timeout_ns,
                    Callback<void(Result<std::unique_ptr<Stream>>)> done) {
  std::make_shared<Connector>(core, address, std::move(done))->start(resolver, timeout_ns);
}

}  // namespace multiraft::env
