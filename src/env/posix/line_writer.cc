#include "env/posix/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "base/coverage.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {
namespace {

/// What is written in one go; small enough that a slow reader sees lines come.
constexpr size_t kPieceBytes = 64 * 1024;

/// A reader that is gone or a full disk cost the rest of `text` and nothing else.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      // Whoever shares the descriptor may have made it non-blocking.
      pollfd ready{fd, POLLOUT, 0};
      (void)::poll(&ready, 1, -1);
    } else if (n == 0 || errno != EINTR) {
      return;
    }
  }
}

}  // namespace

struct LineWriter::State {
  /// A descriptor of its own: the caller's number may be another file's while a write still hangs.
  explicit State(Options given)
      : options(std::move(given)), fd(::fcntl(options.fd, F_DUPFD_CLOEXEC, 0)) {}

  void run();

  const Options options;
  const UniqueFd fd;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string queue;
  uint64_t lost = 0;
  uint64_t lost_reported = 0;
  bool writing = false;
  bool stopping = false;
};

void LineWriter::State::run() {
  // Signals belong to the main thread, and a reader that is gone is no reason to end.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::string piece;
  std::unique_lock lock(mutex);
  for (;;) {
    writing = false;
    changed.notify_all();
    changed.wait(lock, [&] { return stopping || !queue.empty() || lost > lost_reported; });
    if (stopping) return;
    writing = true;
    if (queue.empty()) {
      const uint64_t count = lost - std::exchange(lost_reported, lost);
      piece = options.lost_line ? options.lost_line(count) : std::string();
    } else if (queue.size() <= kPieceBytes) {
      piece = std::exchange(queue, std::string());
    } else {
      const size_t end = std::min(queue.find('\n', kPieceBytes), queue.size() - 1) + 1;
      piece = queue.substr(0, end);
      queue.erase(0, end);
    }
    lock.unlock();
    write_all(fd.get(), piece);
    lock.lock();
  }
}

LineWriter::LineWriter(Options options) : state_(std::make_shared<State>(std::move(options))) {
  std::thread thread([state = state_] { state->run(); });
  pthread_setname_np(thread.native_handle(), "mr-log-lines");
  thread.detach();
}

LineWriter::~LineWriter() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

void LineWriter::write(std::string line) {
  const std::lock_guard lock(state_->mutex);
  if (line.size() >
      state_->options.bytes_max - std::min(state_->queue.size(), state_->options.bytes_max)) {
    MR_COVERAGE("env: a line was dropped");
    ++state_->lost;
    return;
  }
  state_->queue += line;
  state_->changed.notify_all();
}

bool LineWriter::flush(int64_t timeout_ns) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] {
    return state_->queue.empty() && !state_->writing && state_->lost == state_->lost_reported;
  });
}

uint64_t LineWriter::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lost;
}

}  // namespace multiraft::env
