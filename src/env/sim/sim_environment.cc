#include "env/sim/sim_environment.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "env/sim/sim_direct_writer.h"

namespace multiraft::env {
namespace {

constexpr int kTasksUntilIdleMax = 1'000'000;

class NoNetwork final : public SimNetworkPort {
 public:
  Result<std::unique_ptr<Listener>> listen(Executor&, const Address& address,
                                           Callback<void(std::unique_ptr<Stream>)>) override {
    return unavailable("listen on ", address);
  }
  void connect(Executor& executor, const Address& address, int64_t,
               Callback<void(Result<std::unique_ptr<Stream>>)> done) override {
    executor.post([done = std::move(done), status = unavailable("connect to ", address)]() mutable {
      done(std::move(status));
    });
  }
  void kill() override {}

 private:
  static Status unavailable(const char* what, const Address& address) {
    return {StatusCode::kUnavailable, what + address.to_string() + ": this world has no network"};
  }
};

/// Takes the first task out of a queue.
Task take_first(std::deque<Task>& queue) {
  Task task = std::move(queue.front());
  queue.pop_front();
  return task;
}

}  // namespace

SimScheduler::~SimScheduler() { MR_ASSERT(executors_.empty()); }

bool SimScheduler::step() {
  MR_ASSERT_MSG(running_ == nullptr, "a task cannot drive the scheduler it runs on");
  if (fire_due_timer()) return true;
  std::vector<SimExecutor*> ready;
  for (SimExecutor* executor : executors_) {
    if (executor->ready()) ready.push_back(executor);
  }
  if (ready.empty()) return false;
  ready[random_.below(ready.size())]->run_one();
  return true;
}

bool SimScheduler::fire_due_timer() {
  for (auto it = timers_.begin(); it != timers_.end() && it->first.when <= clock_.now(); ++it) {
    SimExecutor* executor = it->second.executor;
    if (executor->paused_) continue;
    Task task = std::move(it->second.task);
    timers_.erase(it);
    executor->run(std::move(task));
    return true;
  }
  return false;
}

void SimScheduler::run_until_idle() {
  for (int i = 0; step(); ++i) MR_ASSERT_MSG(i < kTasksUntilIdleMax, "tasks make tasks for ever");
}

bool SimScheduler::next_timer(MonotonicTime& when) const {
  for (const auto& [key, timer] : timers_) {
    if (timer.executor->paused_) continue;
    when = key.when;
    return true;
  }
  return false;
}

void SimScheduler::advance(int64_t ns) {
  run_until([] { return false; }, ns);
}

bool SimScheduler::run_until(const std::function<bool()>& done, int64_t limit_ns) {
  MR_ASSERT(limit_ns >= 0);
  const MonotonicTime end = clock_.now() + limit_ns;
  for (;;) {
    for (int i = 0; !done(); ++i) {
      MR_ASSERT_MSG(i < kTasksUntilIdleMax, "tasks make tasks for ever");
      if (!step()) break;
    }
    if (done()) return true;
    MonotonicTime when;
    if (!next_timer(when) || when > end) break;
    clock_.now_ = std::max(clock_.now_, when);
  }
  clock_.now_ = end;
  return false;
}

SimExecutor::SimExecutor(SimScheduler& scheduler, std::string name, bool blocking,
                         Registry registry)
    : scheduler_(scheduler),
      name_(std::move(name)),
      blocking_(blocking),
      registry_(std::move(registry)) {
  scheduler_.executors_.push_back(this);
  registry_->push_back(this);
}

SimExecutor::~SimExecutor() {
  stop();
  std::erase(scheduler_.executors_, this);
  std::erase(*registry_, this);
}

void SimExecutor::post(Task task) {
  if (!stopped_) posted_.push_back(std::move(task));
}

void SimExecutor::defer(Task task) {
  MR_ASSERT(in_executor() && !blocking_);
  if (!stopped_) deferred_.push_back(std::move(task));
}

TimerId SimExecutor::run_at(MonotonicTime when, Task task) {
  MR_ASSERT(in_executor() && !blocking_);
  const TimerId id = scheduler_.next_timer_++;
  if (!stopped_) {
    scheduler_.timers_.emplace(SimScheduler::TimerKey{when, id},
                               SimScheduler::Timer{this, std::move(task)});
  }
  return id;
}

void SimExecutor::schedule(MonotonicTime when, Task task) {
  if (stopped_) return;
  scheduler_.timers_.emplace(SimScheduler::TimerKey{when, scheduler_.next_timer_++},
                             SimScheduler::Timer{this, std::move(task)});
}

void SimExecutor::cancel(TimerId timer) {
  MR_ASSERT(in_executor() && !blocking_);
  for (auto it = scheduler_.timers_.begin(); it != scheduler_.timers_.end(); ++it) {
    if (it->first.id != timer) continue;
    // Destroyed outside of the map, which its destructor may come back to.
    const Task cancelled = std::move(it->second.task);
    scheduler_.timers_.erase(it);
    return;
  }
}

bool SimExecutor::in_executor() const {
  return scheduler_.running_ == this || scheduler_.running_ == nullptr;
}

void SimExecutor::run(Task task) {
  SimExecutor* const before = std::exchange(scheduler_.running_, this);
  task();
  task = nullptr;
  scheduler_.running_ = before;
}

void SimExecutor::run_one() { run(take_first(posted_.empty() ? deferred_ : posted_)); }

void SimExecutor::run_and_wait(Task task) {
  if (scheduler_.running_ == this) {
    task();
    return;
  }
  if (stopped_) return;
  bool done = false;
  posted_.push_back([&done, task = std::move(task)]() mutable {
    task();
    done = true;
  });
  // Empty without being done: a task of its own ended the process.
  while (!done && !posted_.empty()) run(take_first(posted_));
}

void SimExecutor::stop() {
  MR_ASSERT_MSG(scheduler_.running_ != this, "an executor cannot wait for its own end");
  if (stopped_) return;
  // What these tasks post comes after stop() and is not run.
  std::deque<Task> last = std::exchange(posted_, {});
  for (Task& task : last) run(std::exchange(task, nullptr));
  last = std::exchange(deferred_, {});
  for (Task& task : last) run(std::exchange(task, nullptr));
  halt();
}

void SimExecutor::halt() {
  stopped_ = true;
  const std::deque<Task> posted = std::exchange(posted_, {});
  const std::deque<Task> deferred = std::exchange(deferred_, {});
  std::vector<Task> timers;
  for (auto it = scheduler_.timers_.begin(); it != scheduler_.timers_.end();) {
    if (it->second.executor != this) {
      ++it;
      continue;
    }
    timers.push_back(std::move(it->second.task));
    it = scheduler_.timers_.erase(it);
  }
}

SimEnvironment::SimEnvironment(uint64_t seed)
    : own_scheduler_(std::make_unique<SimScheduler>(seed)),
      scheduler_(own_scheduler_.get()),
      disk_(std::make_unique<SimFileSystem>()),
      network_(std::make_unique<NoNetwork>()),
      random_(seed),
      executors_(std::make_shared<std::vector<SimExecutor*>>()) {}

SimEnvironment::SimEnvironment(SimScheduler& scheduler, std::unique_ptr<SimFileSystem> disk,
                               uint64_t seed, std::unique_ptr<SimNetworkPort> network)
    : scheduler_(&scheduler),
      disk_(std::move(disk)),
      network_(network ? std::move(network) : std::make_unique<NoNetwork>()),
      random_(seed),
      executors_(std::make_shared<std::vector<SimExecutor*>>()) {}

SimEnvironment::~SimEnvironment() = default;

std::unique_ptr<Executor> SimEnvironment::start(const std::string& name, bool blocking) {
  return std::make_unique<SimExecutor>(*scheduler_, name, blocking, executors_);
}

std::unique_ptr<Executor> SimEnvironment::start_executor(const std::string& name) {
  return start(name, false);
}

std::unique_ptr<Executor> SimEnvironment::start_blocking_executor(const std::string& name) {
  return start(name, true);
}

Result<std::unique_ptr<DirectWriter>> SimEnvironment::make_direct_writer(Executor& owner,
                                                                         const std::string&) {
  return std::unique_ptr<DirectWriter>(std::make_unique<SimDirectWriter>(owner, random_.next()));
}

void SimEnvironment::set_paused(std::string_view name, bool paused) {
  for (SimExecutor* executor : *executors_) {
    if (executor->name() == name) executor->set_paused(paused);
  }
}

void SimEnvironment::kill() {
  disk_->crash_after(0);
  for (SimExecutor* executor : *executors_) executor->halt();
  network_->kill();
}

}  // namespace multiraft::env
