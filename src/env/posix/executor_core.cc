#include "env/posix/executor_core.h"

#include <algorithm>

#include "base/assert.h"
#include "env/posix/posix_clock.h"

namespace multiraft::env {
namespace {

/// Completions run between two rounds of posted and deferred tasks. Sockets that are always ready
/// would otherwise keep the deferred work, which answers them, waiting for ever.
constexpr int kCompletionsPerRound = 256;
/// Cancelled timers kept in the heap before it is rebuilt.
constexpr size_t kDeadTimersMin = 64;

thread_local const ExecutorCore* t_current = nullptr;

}  // namespace

bool ExecutorCore::in_executor() const { return t_current == this; }

void ExecutorCore::post(Task task) {
  if (in_executor()) {
    if (closed_) return;
    local_.push_back(std::move(task));
    ++local_queued_;
    return;
  }
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    remote_.push_back(std::move(task));
    // The first one of a batch wakes the thread; it finds the others when it comes.
    wake = std::exchange(sleeping_, false);
  }
  if (wake) reactor_.wake();
}

void ExecutorCore::request_stop() {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake = std::exchange(sleeping_, false);
  }
  if (wake) reactor_.wake();
}

void ExecutorCore::run() {
  t_current = this;
  for (;;) {
    run_ready();
    run_due_timers();
    const bool last_round = run_posted();
    run_deferred();
    if (last_round) break;
    if (prepare_to_sleep()) sleep();
  }
  drop_everything();
  ended_.store(true, std::memory_order_release);
  t_current = nullptr;
}

void ExecutorCore::run_ready() {
  for (int i = 0; i < kCompletionsPerRound && reactor_.poll_one(); ++i) {
  }
}

/// Runs what was posted before. True when stop was asked for: all that preceded it has run then.
bool ExecutorCore::run_posted() {
  bool stopping = false;
  batch_.swap(local_);
  for (Task& task : batch_) {
    std::exchange(task, nullptr)();
    ++local_ran_;
  }
  batch_.clear();
  {
    MutexLock lock(mutex_);
    batch_.swap(remote_);
    sleeping_ = false;
    stopping = stopping_;
  }
  for (Task& task : batch_) std::exchange(task, nullptr)();
  batch_.clear();
  return stopping;
}

void ExecutorCore::run_deferred() {
  // Deferred tasks that defer again, or that wait for tasks posted in this round, have their turn
  // in the next one.
  size_t count = deferred_.size();
  while (count-- > 0 && deferred_.front().after_local <= local_ran_) {
    Task task = std::move(deferred_.front().task);
    deferred_.pop_front();
    task();
  }
}

bool ExecutorCore::prepare_to_sleep() {
  if (!local_.empty() || !deferred_.empty()) return false;
  MutexLock lock(mutex_);
  if (!remote_.empty() || stopping_) return false;
  sleeping_ = true;
  return true;
}

void ExecutorCore::sleep() {
  while (!heap_.empty() && !timers_.contains(heap_.front().id)) {
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
  }
  reactor_.wait(heap_.empty() ? nullptr : &heap_.front().when);
}

void ExecutorCore::defer(Task task) {
  MR_ASSERT(in_executor());
  if (closed_) return;
  deferred_.push_back({local_queued_, std::move(task)});
}

TimerId ExecutorCore::run_at(MonotonicTime when, Task task) {
  MR_ASSERT(in_executor());
  const TimerId id = next_timer_++;
  if (closed_) return id;
  timers_.emplace(id, std::move(task));
  heap_.push_back({when, id});
  std::push_heap(heap_.begin(), heap_.end());
  drop_dead_timers();
  return id;
}

void ExecutorCore::cancel(TimerId timer) {
  MR_ASSERT(in_executor());
  // Moved out first: destroying the task may come back here.
  const auto it = timers_.find(timer);
  if (it == timers_.end()) return;
  const Task cancelled = std::move(it->second);
  timers_.erase(it);
}

void ExecutorCore::drop_dead_timers() {
  if (heap_.size() < 2 * timers_.size() + kDeadTimersMin) return;
  std::erase_if(heap_, [this](const HeapTimer& timer) { return !timers_.contains(timer.id); });
  std::make_heap(heap_.begin(), heap_.end());
}

void ExecutorCore::run_due_timers() {
  if (heap_.empty()) return;
  const MonotonicTime now = monotonic_now();
  // Timers set by timers wait for the next round, even where they are due at once.
  const TimerId end = next_timer_;
  while (!heap_.empty() && heap_.front().when <= now && heap_.front().id < end) {
    const TimerId id = heap_.front().id;
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
    const auto it = timers_.find(id);
    if (it == timers_.end()) continue;
    Task task = std::move(it->second);
    timers_.erase(it);
    task();
  }
}

void ExecutorCore::attach(ExecutorResident& resident) {
  MR_ASSERT(in_executor());
  residents_.insert(&resident);
}

void ExecutorCore::detach(ExecutorResident& resident) { residents_.erase(&resident); }

void ExecutorCore::drop_everything() {
  closed_ = true;
  // Destructors of tasks may close streams and cancel timers, so each container is emptied by
  // pieces that it no longer holds.
  while (!residents_.empty()) {
    ExecutorResident* resident = *residents_.begin();
    residents_.erase(residents_.begin());
    resident->executor_ended();
  }
  { const std::vector<Task> dropped = std::exchange(local_, {}); }
  { const std::deque<Deferred> dropped = std::exchange(deferred_, {}); }
  { const absl::flat_hash_map<TimerId, Task> dropped = std::exchange(timers_, {}); }
  // Runs the ECANCELED completions, whose handlers hold the residents.
  while (reactor_.poll_one()) {
  }
}

}  // namespace multiraft::env
