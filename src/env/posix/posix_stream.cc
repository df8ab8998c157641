#include "env/posix/posix_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "env/posix/errno_text.h"
#include "env/posix/posix_executor.h"

namespace multiraft::env {
namespace {

/// The kernel's IOV_MAX.
constexpr size_t kPartsPerCall = 1024;

}  // namespace

class StreamState final : public ExecutorResident,
                          public std::enable_shared_from_this<StreamState> {
 public:
  StreamState(std::shared_ptr<ExecutorCore> core, const SocketAddress& remote)
      : core_(std::move(core)), socket_(core_->reactor()), remote_(remote) {}

  int open(UniqueFd fd) {
    const int on = 1;
    // Batches are made by us; Nagle's algorithm would only hold the last one back.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // The other side may lose its power, and say nothing for ever.
    const int idle_s = 30, interval_s = 10, tries = 3;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    // What waits in the kernel cannot be overtaken by what is urgent.
    const int unsent_bytes_max = 1 << 20;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes_max,
                 sizeof unsent_bytes_max);
    if (const int error = socket_.assign(std::move(fd), remote_.family())) return error;
    core_->attach(*this);
    closed_ = false;
    return 0;
  }

  void read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) {
    MR_ASSERT(!buffer.empty() && !read_done_);
    check_thread();
    if (closed_) return;
    read_done_ = std::move(done);
    socket_.async_read(buffer, [self = shared_from_this()](int error, size_t n) {
      self->read_completed(error, n);
    });
  }

  void write(std::span<const std::string_view> parts, Callback<void(Status)> done) {
    MR_ASSERT(!write_done_);
    check_thread();
    if (closed_) return;
    write_done_ = std::move(done);
    unsent_.clear();
    first_unsent_ = 0;
    for (const std::string_view part : parts) {
      if (!part.empty()) unsent_.push_back({const_cast<char*>(part.data()), part.size()});
    }
    const int error = send();
    if (error == EAGAIN) return wait_to_send();
    // Sent at once, as nearly always. The answer takes the queue, without a system call.
    core_->post([self = shared_from_this(), error] { self->write_completed(error); });
  }

  void shutdown_write() {
    check_thread();
    if (closed_) return;
    if (write_done_) {
      shutdown_after_write_ = true;
    } else {
      ::shutdown(socket_.fd(), SHUT_WR);
    }
  }

  void close() {
    if (closed_) return;
    check_thread();
    core_->detach(*this);
    executor_ended();
  }

  void executor_ended() override {
    // The callbacks may own the stream, and with it the last reference to this.
    const std::shared_ptr<StreamState> self = shared_from_this();
    closed_ = true;
    socket_.close();
    const auto dropped_read = std::exchange(read_done_, nullptr);
    const auto dropped_write = std::exchange(write_done_, nullptr);
  }

  void move_to(Executor& other, Callback<void(std::unique_ptr<Stream>)> ready) {
    check_thread();
    MR_ASSERT_MSG(!read_done_ && !write_done_, "a stream moves only when it is quiet");
    auto* target = dynamic_cast<PosixExecutor*>(&other);
    MR_ASSERT_MSG(target != nullptr, "streams need an executor with a poller");
    if (closed_) return;
    UniqueFd fd = socket_.release();
    core_->detach(*this);
    closed_ = true;
    target->post([fd = std::move(fd), remote = remote_, core = target->core(),
                  ready = std::move(ready)]() mutable {
      Result<std::unique_ptr<Stream>> stream = PosixStream::adopt(core, std::move(fd), remote);
      // Where epoll takes no more, the connection is as good as broken: it is dropped, and the
      // other side sees it close.
      if (stream) ready(std::move(*stream));
    });
  }

  std::string local_address() const {
    if (closed_) return "(closed)";
    return SocketAddress::local_of(socket_.fd()).to_string();
  }
  std::string remote_address() const { return remote_.to_string(); }

 private:
  void check_thread() const {
    MR_ASSERT_MSG(core_->in_executor() || core_->ended(), "a stream belongs to its executor");
  }

  void read_completed(int error, size_t n) {
    if (!read_done_) return;  // Closed meanwhile.
    auto done = std::exchange(read_done_, nullptr);
    if (error == 0) {
      done(n);
    } else {
      done(SystemError{error, "read from " + remote_address()}.status());
    }
  }

  void write_completed(int error) {
    if (!write_done_) return;
    auto done = std::exchange(write_done_, nullptr);
    if (std::exchange(shutdown_after_write_, false)) ::shutdown(socket_.fd(), SHUT_WR);
    if (error == 0) {
      done(Status::ok());
    } else {
      done(SystemError{error, "write to " + remote_address()}.status());
    }
  }

  void wait_to_send() {
    socket_.async_wait_writable([self = shared_from_this()](int error) {
      if (!self->write_done_) return;
      if (error == 0) error = self->send();
      if (error == EAGAIN) return self->wait_to_send();
      self->write_completed(error);
    });
  }

  /// Sends as much as the socket takes. 0 = all of it; EAGAIN = there is a rest.
  int send() {
    while (first_unsent_ < unsent_.size()) {
      msghdr message{};
      message.msg_iov = unsent_.data() + first_unsent_;
      message.msg_iovlen = std::min(unsent_.size() - first_unsent_, kPartsPerCall);
      // Not SIGPIPE but EPIPE.
      const ssize_t n = ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) {
        if (errno == EINTR) continue;
        return errno == EWOULDBLOCK ? EAGAIN : errno;
      }
      // A short write means a full buffer: to ask again would be a system call for nothing.
      const size_t end = first_unsent_ + message.msg_iovlen;
      advance(static_cast<size_t>(n));
      if (first_unsent_ < end) return EAGAIN;
    }
    return 0;
  }

  void advance(size_t sent) {
    while (sent > 0) {
      iovec& part = unsent_[first_unsent_];
      if (sent < part.iov_len) {
        part.iov_base = static_cast<char*>(part.iov_base) + sent;
        part.iov_len -= sent;
        return;
      }
      sent -= part.iov_len;
      ++first_unsent_;
    }
  }

  const std::shared_ptr<ExecutorCore> core_;
  ReactorSocket socket_;
  const SocketAddress remote_;
  bool closed_ = true;
  bool shutdown_after_write_ = false;
  Callback<void(Result<size_t>)> read_done_;
  Callback<void(Status)> write_done_;
  std::vector<iovec> unsent_;
  size_t first_unsent_ = 0;
};

Result<std::unique_ptr<Stream>> PosixStream::adopt(const std::shared_ptr<ExecutorCore>& core,
                                                   UniqueFd fd, const SocketAddress& remote) {
  auto state = std::make_shared<StreamState>(core, remote);
  if (const int error = state->open(std::move(fd))) {
    return SystemError{error, "watch the connection with " + remote.to_string()}.status();
  }
  return std::unique_ptr<Stream>(std::make_unique<PosixStream>(std::move(state)));
}

PosixStream::PosixStream(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
PosixStream::~PosixStream() { close(); }

void PosixStream::read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) {
  state_->read_some(buffer, std::move(done));
}
void PosixStream::write(std::span<const std::string_view> parts, Callback<void(Status)> done) {
  state_->write(parts, std::move(done));
}
void PosixStream::shutdown_write() { state_->shutdown_write(); }
void PosixStream::close() { state_->close(); }
std::string PosixStream::local_address() const { return state_->local_address(); }
std::string PosixStream::remote_address() const { return state_->remote_address(); }
void PosixStream::move_to(Executor& other, Callback<void(std::unique_ptr<Stream>)> ready) {
  state_->move_to(other, std::move(ready));
}

}  // namespace multiraft::env
