#include "env/blocking_pool.h"

#include <utility>

#include "base/assert.h"

namespace multiraft::env {

BlockingPool::BlockingPool(Environment& env, const std::string& name, size_t threads) {
  MR_ASSERT_MSG(threads >= 2, "one thread would let urgent tasks wait for bulk tasks");
  for (size_t i = 0; i < threads; ++i) {
    auto thread = std::make_unique<Thread>();
    thread->executor = env.start_blocking_executor(name + "-" + std::to_string(i));
    threads_.push_back(std::move(thread));
  }
}

BlockingPool::~BlockingPool() { stop(); }

void BlockingPool::post(Lane lane, Task task) {
  MutexLock lock(mutex_);
  if (stopped_) return;
  (lane == Lane::kUrgent ? urgent_ : bulk_).push_back(std::move(task));
  start_thread();
}

bool BlockingPool::has_work() const {
  return !urgent_.empty() || (!bulk_.empty() && bulk_running_ + 1 < threads_.size());
}

void BlockingPool::start_thread() {
  if (!has_work()) return;
  for (auto& thread : threads_) {
    if (thread->busy) continue;
    thread->busy = true;
    thread->executor->post([this, self = thread.get()] { run(*self); });
    return;
  }
}

Task BlockingPool::take(bool& bulk) {
  if (!has_work()) return nullptr;
  bulk = urgent_.empty();
  std::deque<Task>& queue = bulk ? bulk_ : urgent_;
  if (bulk) ++bulk_running_;
  Task task = std::move(queue.front());
  queue.pop_front();
  return task;
}

// One task per visit, so that a simulation can schedule others in between.
void BlockingPool::run(Thread& thread) {
  bool bulk = false;
  Task task;
  {
    MutexLock lock(mutex_);
    task = take(bulk);
  }
  if (task) std::exchange(task, nullptr)();
  MutexLock lock(mutex_);
  if (bulk) --bulk_running_;
  thread.busy = has_work() && !stopped_;
  if (thread.busy) thread.executor->post([this, &thread] { run(thread); });
}

void BlockingPool::stop() {
  std::deque<Task> urgent;
  std::deque<Task> bulk;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    urgent.swap(urgent_);
    bulk.swap(bulk_);
  }
  for (auto& thread : threads_) thread->executor->stop();
}

size_t BlockingPool::waiting() const {
  MutexLock lock(mutex_);
  return urgent_.size() + bulk_.size();
}

}  // namespace multiraft::env
