#pragma once
// What an executor thread runs: a reactor, queues of tasks and timers.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "env/executor.h"
#include "env/posix/reactor.h"

namespace multiraft::env {

/// Something that lives in an executor and holds callbacks (a stream, a listener, a connection
/// being made). When the executor ends it is notified, because a callback often owns the very
/// object that holds it, and nothing else would break that circle.
class ExecutorResident {
 public:
  virtual ~ExecutorResident() = default;
  /// Once, on the executor's thread; it is no longer attached then. Drops its callbacks uncalled.
  virtual void executor_ended() = 0;
};

/// Shared by the Executor, its thread and its residents, so that a stream may outlive its executor.
///
/// A round of the loop:
///
///   ready completions (bounded) -> due timers -> posted tasks -> deferred tasks -> sleep
///          ^                                                                         |
///          +------------------------- completion, timer, wake-up <-------------------+
///
/// It sleeps only with all queues empty. A task posted during a round runs in the next one, after
/// another look at the sockets, so that no queue starves the others.
class ExecutorCore {
 public:
  ExecutorCore() = default;

  // From any thread.
  void post(Task task);
  void request_stop();
  bool in_executor() const;
  /// The loop has ended: nothing runs any more and residents may be destroyed on any thread.
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // From the executor's thread.
  void run();  ///< Returns after request_stop().
  void defer(Task task);
  TimerId run_at(MonotonicTime when, Task task);
  void cancel(TimerId timer);
  void attach(ExecutorResident& resident);
  void detach(ExecutorResident& resident);
  Reactor& reactor() { return reactor_; }

 private:
  struct Deferred {
    uint64_t after_local;  ///< Runs when so many local tasks have run.
    Task task;
  };
  struct HeapTimer {
    MonotonicTime when;
    TimerId id;
    /// For std::*_heap, which keep the greatest in front.
    friend bool operator<(const HeapTimer& a, const HeapTimer& b) {
      return a.when != b.when ? a.when > b.when : a.id > b.id;
    }
  };

  void run_ready();
  void run_due_timers();
  bool run_posted();
  void run_deferred();
  bool prepare_to_sleep();
  void sleep();
  void drop_dead_timers();
  void drop_everything();

  Reactor reactor_;
  std::atomic<bool> ended_{false};

  // What other threads leave.
  Mutex mutex_;
  std::vector<Task> remote_ MR_GUARDED_BY(mutex_);
  bool sleeping_ MR_GUARDED_BY(mutex_) = false;  ///< The next remote task has to wake the thread.
  bool stopping_ MR_GUARDED_BY(mutex_) = false;

  // The thread's own, not locked.
  std::vector<Task> local_;
  uint64_t local_queued_ = 0;
  uint64_t local_ran_ = 0;
  std::vector<Task> batch_;  ///< Tasks being run; kept for its memory.
  std::deque<Deferred> deferred_;
  std::vector<HeapTimer> heap_;  ///< With cancelled ones, skipped when due.
  absl::flat_hash_map<TimerId, Task> timers_;
  TimerId next_timer_ = 1;
  absl::flat_hash_set<ExecutorResident*> residents_;
  bool closed_ = false;  ///< Takes no more tasks.
};

}  // namespace multiraft::env
