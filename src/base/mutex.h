#pragma once
// std::mutex with the annotations by which clang proves (-Wthread-safety) that what a mutex guards
// is touched only while it is held.
//
//   Mutex mutex_;
//   int count_ MR_GUARDED_BY(mutex_) = 0;

#include <absl/base/thread_annotations.h>

#include <condition_variable>
#include <mutex>

#define MR_GUARDED_BY(mutex) ABSL_GUARDED_BY(mutex)
#define MR_REQUIRES(mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex)

namespace multiraft {

class ABSL_LOCKABLE Mutex {
 public:
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class Condition {
 public:
  /// Gives `mutex` back while it waits. May return without a notification: wait in a loop.
  void wait(Mutex& mutex) MR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  void notify_one() { condition_.notify_one(); }

 private:
  std::condition_variable condition_;
};

}  // namespace multiraft
