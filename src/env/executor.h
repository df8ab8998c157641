#pragma once
// Threads of work: each Executor is one thread with a queue and timers.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "env/clock.h"

namespace multiraft::env {

using TimerId = uint64_t;  ///< 0 is never a timer.

/// One thread that runs tasks one at a time, in the order they were posted. Everything that belongs
/// to an executor is touched on its thread only.
class Executor {
 public:
  virtual ~Executor() = default;

  /// From any thread. Tasks posted by one thread run in its order. Wakes the thread if it sleeps.
  virtual void post(Task task) = 0;
  /// From the executor's thread only. Runs after everything that is ready now (posted tasks, I/O
  /// completions of this poll) has run once: the hook with which a worker gathers a turn.
  virtual void defer(Task task) = 0;
  /// From the executor's thread only. Runs `task` at or after `when`, once.
  virtual TimerId run_at(MonotonicTime when, Task task) = 0;
  /// From the executor's thread only. No effect if it already ran. After cancel() it will not run.
  virtual void cancel(TimerId timer) = 0;
  /// True on the executor's own thread.
  virtual bool in_executor() const = 0;
  /// Runs `task` on the executor's thread, behind what was posted before, and returns when it has
  /// run, or never will because the executor has ended. On its own thread: at once. For starting
  /// and stopping only: who waits does nothing else.
  virtual void run_and_wait(Task task);
  /// Asks the thread to end after what is already queued, and waits for it. Not from its own
  /// thread. Tasks posted later are destroyed unrun. Idempotent.
  virtual void stop() = 0;
};

}  // namespace multiraft::env
