#pragma once
// A few threads for work that waits for a disk, so that no worker has to.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/task.h"
#include "env/env.h"

namespace multiraft::env {

/// Runs tasks on several blocking executors, in no particular order. Thread-safe.
///
/// Short tasks that somebody waits for do not queue behind long ones: bulk tasks leave one thread
/// free, and a thread takes urgent tasks first.
class BlockingPool {
 public:
  enum class Lane : uint8_t {
    kUrgent,  ///< A client or a replica waits for it: a read.
    kBulk,    ///< May take seconds: removals, whole states, flushes.
  };

  /// `threads` is at least 2. `env` outlives the pool.
  BlockingPool(Environment& env, const std::string& name, size_t threads);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  /// After stop() the task is destroyed unrun.
  void post(Lane lane, Task task);
  /// Waits for the tasks that run, destroys those that wait. Not from a task. Idempotent.
  void stop();
  /// Tasks that wait for a thread.
  size_t waiting() const;

 private:
  struct Thread {
    std::unique_ptr<Executor> executor;
    bool busy = false;
  };

  /// The next task for a free thread. Null where there is none that may start now.
  Task take(bool& bulk) MR_REQUIRES(mutex_);
  bool has_work() const MR_REQUIRES(mutex_);
  void start_thread() MR_REQUIRES(mutex_);
  void run(Thread& thread);

  mutable Mutex mutex_;
  std::deque<Task> urgent_ MR_GUARDED_BY(mutex_);
  std::deque<Task> bulk_ MR_GUARDED_BY(mutex_);
  size_t bulk_running_ MR_GUARDED_BY(mutex_) = 0;
  bool stopped_ MR_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace multiraft::env
