#include "env/executor.h"

#include <memory>
#include <utility>

#include "base/mutex.h"

namespace multiraft::env {
namespace {

struct Latch {
  Mutex mutex;
  Condition changed;
  bool done MR_GUARDED_BY(mutex) = false;

  void count_down() {
    MutexLock lock(mutex);
    done = true;
    changed.notify_one();
  }
  void wait() {
    MutexLock lock(mutex);
    while (!done) changed.wait(mutex);
  }
};

}  // namespace

void Executor::run_and_wait(Task task) {
  if (in_executor()) {
    task();
    return;
  }
  Latch latch;
  // Counts when the task is destroyed: also one that an executor that has ended drops.
  struct CountDown {
    void operator()(Latch* l) const { l->count_down(); }
  };
  std::unique_ptr<Latch, CountDown> guard(&latch);
  post([guard = std::move(guard), task = std::move(task)]() mutable { task(); });
  latch.wait();
}

}  // namespace multiraft::env
