#include "env/posix/posix_executor.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

#include "base/assert.h"

namespace multiraft::env {
namespace {

thread_local const BlockingExecutor* t_blocking = nullptr;

/// Signals that end or steer the process belong to the main thread: a handler that ran on a worker
/// would interrupt it anywhere.
sigset_t signals_of_main() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE}) {
    sigaddset(&set, signal);
  }
  return set;
}

template <class Body>
std::thread start_thread(const std::string& name, Body body) {
  // The mask is inherited, so that there is no moment in which the new thread could be hit.
  const sigset_t blocked = signals_of_main();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  constexpr size_t kNameBytesMax = 15;
  pthread_setname_np(thread.native_handle(), name.substr(0, kNameBytesMax).c_str());
  return thread;
}

}  // namespace

PosixExecutor::PosixExecutor(const std::string& name)
    : core_(std::make_shared<ExecutorCore>()),
      thread_(start_thread(name, [core = core_] { core->run(); })) {}

PosixExecutor::~PosixExecutor() { stop(); }

void PosixExecutor::stop() {
  MR_ASSERT_MSG(!in_executor(), "an executor cannot wait for its own end");
  core_->request_stop();
  MutexLock lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

BlockingExecutor::BlockingExecutor(const std::string& name)
    : thread_(start_thread(name, [this] { run(); })) {}

BlockingExecutor::~BlockingExecutor() { stop(); }

void BlockingExecutor::post(Task task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    queue_.push_back(std::move(task));
    if (queue_.size() > 1) return;  // The first one has woken the thread.
  }
  filled_.notify_one();
}

void BlockingExecutor::run() {
  t_blocking = this;
  std::vector<Task> batch;
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) filled_.wait(mutex_);
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    for (Task& task : batch) std::exchange(task, nullptr)();
    batch.clear();
  }
}

void BlockingExecutor::defer(Task) { MR_UNREACHABLE("a blocking executor has no rounds"); }
TimerId BlockingExecutor::run_at(MonotonicTime, Task) {
  MR_UNREACHABLE("a blocking executor has no timers");
}
void BlockingExecutor::cancel(TimerId) { MR_UNREACHABLE("a blocking executor has no timers"); }
bool BlockingExecutor::in_executor() const { return t_blocking == this; }

void BlockingExecutor::stop() {
  MR_ASSERT_MSG(!in_executor(), "an executor cannot wait for its own end");
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  MutexLock lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

}  // namespace multiraft::env
