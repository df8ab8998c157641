#pragma once
// Asio behind two small classes, so that only reactor.cc pays for its headers. Errors are errno
// values; 0 = none.

#include <cstddef>
#include <memory>
#include <span>

#include "base/task.h"
#include "env/clock.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {

/// One epoll loop. Everything but wake() is called on one thread only.
class Reactor {
 public:
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// Runs one ready completion, without waiting. False when there is none.
  bool poll_one();
  /// Waits for a completion and runs it, or returns after wake() or at `deadline` (nullptr: never).
  /// Deadlines are kept to a millisecond, never early.
  void wait(const MonotonicTime* deadline);
  /// From any thread: makes the present or the next wait() return.
  void wake();

 private:
  friend class ReactorSocket;
  friend class ReactorSignal;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Any descriptor that polls as readable when there is something to look at. As ReactorSocket
/// otherwise.
class ReactorSignal {
 public:
  explicit ReactorSignal(Reactor& reactor);
  ~ReactorSignal();
  ReactorSignal(const ReactorSignal&) = delete;
  ReactorSignal& operator=(const ReactorSignal&) = delete;

  [[nodiscard]] int assign(UniqueFd fd);
  void async_wait(Callback<void(int error)> handler);
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A non-blocking TCP socket (also a listening one) in a Reactor. On the reactor's thread only.
/// Handlers run from poll_one() and wait() only, never from within the call that takes them. After
/// close() pending ones still run once, with ECANCELED, unless the reactor is destroyed first.
class ReactorSocket {
 public:
  explicit ReactorSocket(Reactor& reactor);
  ~ReactorSocket();
  ReactorSocket(const ReactorSocket&) = delete;
  ReactorSocket& operator=(const ReactorSocket&) = delete;

  /// Takes over `fd`; an errno where the kernel refuses to watch it (the descriptor is closed
  /// then).
  [[nodiscard]] int assign(UniqueFd fd, int address_family);
  int fd() const;
  bool is_open() const;

  using ReadHandler =
      Callback<void(int error, size_t n)>;  ///< No error and 0 bytes: end of stream.
  using WaitHandler = Callback<void(int error)>;
  void async_read(std::span<char> buffer, ReadHandler handler);
  void async_wait_readable(WaitHandler handler);
  void async_wait_writable(WaitHandler handler);

  void close();
  /// Gives the descriptor up. Only with no operation pending.
  UniqueFd release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multiraft::env
