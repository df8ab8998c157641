#include "env/posix/reactor.h"

#define BOOST_ASIO_NO_DEPRECATED
// Completions run on the thread that polls, so they need no memory fences.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <chrono>

namespace multiraft::env {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
/// The concrete executor type: any_io_executor would add a virtual call and an allocation each
/// time.
using Socket =
    asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;

int errno_of(const Error& error) {
  if (!error) return 0;
  if (error == asio::error::operation_aborted) return ECANCELED;
  return error.category() == asio::error::get_system_category() ? error.value() : EIO;
}

}  // namespace

struct Reactor::Impl {
  // Descriptors are used by one thread only, so they need no locks; the queue behind wake() does.
  asio::io_context io{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
};

Reactor::Reactor() : impl_(std::make_unique<Impl>()) {}
Reactor::~Reactor() = default;

bool Reactor::poll_one() { return impl_->io.poll_one() > 0; }

void Reactor::wait(const MonotonicTime* deadline) {
  if (deadline == nullptr) {
    impl_->io.run_one();
    return;
  }
  // steady_clock is CLOCK_MONOTONIC, as is the environment's clock.
  const std::chrono::steady_clock::time_point until{std::chrono::nanoseconds(deadline->ns)};
  impl_->io.run_one_until(until);
}

void Reactor::wake() {
  asio::post(impl_->io, [] {});
}

struct ReactorSignal::Impl {
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor;
};

ReactorSignal::ReactorSignal(Reactor& reactor)
    : impl_(new Impl{asio::posix::basic_stream_descriptor<asio::io_context::executor_type>(
          reactor.impl_->io.get_executor())}) {}

ReactorSignal::~ReactorSignal() { close(); }

int ReactorSignal::assign(UniqueFd fd) {
  Error error;
  impl_->descriptor.assign(fd.get(), error);
  if (!error) fd.release();
  return errno_of(error);
}

void ReactorSignal::async_wait(Callback<void(int error)> handler) {
  impl_->descriptor.async_wait(
      asio::posix::descriptor_base::wait_read,
      [handler = std::move(handler)](const Error& error) mutable { handler(errno_of(error)); });
}

void ReactorSignal::close() {
  Error ignored;
  impl_->descriptor.close(ignored);
}

struct ReactorSocket::Impl {
  Socket socket;
};

ReactorSocket::ReactorSocket(Reactor& reactor)
    : impl_(new Impl{Socket(reactor.impl_->io.get_executor())}) {}

ReactorSocket::~ReactorSocket() { close(); }

int ReactorSocket::assign(UniqueFd fd, int address_family) {
  Error error;
  impl_->socket.assign(asio::generic::stream_protocol(address_family, 0), fd.get(), error);
  if (!error) fd.release();
  return errno_of(error);
}

int ReactorSocket::fd() const { return impl_->socket.native_handle(); }
bool ReactorSocket::is_open() const { return impl_->socket.is_open(); }

void ReactorSocket::async_read(std::span<char> buffer, ReadHandler handler) {
  impl_->socket.async_read_some(
      asio::buffer(buffer.data(), buffer.size()),
      [handler = std::move(handler)](const Error& error, size_t n) mutable {
        if (error == asio::error::eof) {
          handler(0, 0);
        } else {
          handler(errno_of(error), n);
        }
      });
}

void ReactorSocket::async_wait_readable(WaitHandler handler) {
  impl_->socket.async_wait(
      Socket::wait_read,
      [handler = std::move(handler)](const Error& error) mutable { handler(errno_of(error)); });
}

void ReactorSocket::async_wait_writable(WaitHandler handler) {
  impl_->socket.async_wait(
      Socket::wait_write,
      [handler = std::move(handler)](const Error& error) mutable { handler(errno_of(error)); });
}

void ReactorSocket::close() {
  Error ignored;
  impl_->socket.close(ignored);
}

UniqueFd ReactorSocket::release() {
  Error error;
  const int fd = impl_->socket.release(error);
  return error ? UniqueFd() : UniqueFd(fd);
}

}  // namespace multiraft::env
