#pragma once
// An Environment for tests in one thread: the clock stands still, tasks wait, and nothing happens
// until the test says so. The same seed gives the same run.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "env/env.h"
#include "env/sim/sim_file_system.h"

namespace multiraft::env {

class SimExecutor;

/// Moves only when a SimScheduler moves it.
class SimClock final : public Clock {
 public:
  MonotonicTime now() const override { return now_; }
  int64_t wall_ns() const override { return kWallStartNs + now_.ns; }

 private:
  friend class SimScheduler;
  static constexpr int64_t kWallStartNs = 1'700'000'000 * kSecond;
  /// Not 0, so that a forgotten initialisation looks like the distant past and not like now.
  MonotonicTime now_{1000 * kSecond};
};

/// The clock and all executors of one or several environments. Which of the executors with
/// something to do has the next step is drawn from the seed, as a scheduler of threads might
/// decide.
class SimScheduler {
 public:
  explicit SimScheduler(uint64_t seed) : random_(seed) {}
  ~SimScheduler();
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;

  SimClock& clock() { return clock_; }
  /// Runs one task that is ready. False when there is none.
  bool step();
  /// Runs until nothing is ready, at the present time. Asserts that this ends (within a million
  /// tasks).
  void run_until_idle();
  /// Lets `ns` pass: runs what is ready, then each timer at its time with all that follows from it.
  void advance(int64_t ns);
  /// Runs, letting time pass from timer to timer, until `done` holds. False if it does not within
  /// `limit_ns`.
  bool run_until(const std::function<bool()>& done, int64_t limit_ns);
  /// When the next timer is due; nothing if there is none.
  bool next_timer(MonotonicTime& when) const;

 private:
  friend class SimExecutor;
  struct TimerKey {
    MonotonicTime when;
    TimerId id;
    friend auto operator<=>(const TimerKey&, const TimerKey&) = default;
  };
  struct Timer {
    SimExecutor* executor;
    Task task;
  };

  bool fire_due_timer();

  Prng random_;
  SimClock clock_;
  std::vector<SimExecutor*> executors_;  ///< In the order of their creation.
  SimExecutor* running_ = nullptr;
  std::map<TimerKey, Timer> timers_;
  TimerId next_timer_ = 1;
};

/// A queue that a SimScheduler serves. Deferred tasks run when no posted one is left. in_executor()
/// holds inside its own tasks, and in the test's code outside of all tasks.
class SimExecutor final : public Executor {
 public:
  using Registry = std::shared_ptr<std::vector<SimExecutor*>>;
  /// Enters itself into `registry` for as long as it lives.
  SimExecutor(SimScheduler& scheduler, std::string name, bool blocking, Registry registry);
  ~SimExecutor() override;

  void post(Task task) override;
  void defer(Task task) override;
  TimerId run_at(MonotonicTime when, Task task) override;
  void cancel(TimerId timer) override;
  bool in_executor() const override;
  /// Runs what was posted to this executor up to the task, and nothing of the others.
  void run_and_wait(Task task) override;
  /// Runs what is queued, also on a paused executor, and nothing of the others.
  void stop() override;

  const std::string& name() const { return name_; }
  /// run_at() for parts of the simulated world, which act from outside of the executor.
  void schedule(MonotonicTime when, Task task);
  /// A paused executor keeps its tasks and timers waiting: a thread stuck in a write.
  void set_paused(bool paused) { paused_ = paused; }
  /// Destroys what is queued, unrun, and takes nothing any more: the end of the process.
  void halt();
  size_t queued() const { return posted_.size() + deferred_.size(); }

 private:
  friend class SimScheduler;
  bool ready() const { return !paused_ && queued() > 0; }
  void run_one();
  void run(Task task);

  SimScheduler& scheduler_;
  const std::string name_;
  const bool blocking_;
  const Registry registry_;
  bool paused_ = false;
  bool stopped_ = false;
  std::deque<Task> posted_;
  std::deque<Task> deferred_;
};

/// What a machine reaches the others by.
class SimNetworkPort : public Network {
 public:
  /// The machine's process ends: nothing of it is called back any more.
  virtual void kill() = 0;
};

/// One machine: a disk, executors on a scheduler, and a network port if it has one; without it the
/// network answers kUnavailable.
class SimEnvironment final : public Environment {
 public:
  /// With a scheduler and an empty disk of its own.
  explicit SimEnvironment(uint64_t seed = 1);
  /// On a scheduler that outlives it.
  SimEnvironment(SimScheduler& scheduler, std::unique_ptr<SimFileSystem> disk, uint64_t seed,
                 std::unique_ptr<SimNetworkPort> network = nullptr);
  ~SimEnvironment() override;

  Clock& clock() override { return scheduler_->clock(); }
  FileSystem& file_system() override { return *disk_; }
  Network& network() override { return *network_; }
  uint64_t random_u64() override { return random_.next(); }
  std::unique_ptr<Executor> start_executor(const std::string& name) override;
  std::unique_ptr<Executor> start_blocking_executor(const std::string& name) override;
  Result<std::unique_ptr<DirectWriter>> make_direct_writer(Executor& owner,
                                                           const std::string& directory) override;

  SimScheduler& scheduler() { return *scheduler_; }
  SimFileSystem& disk() { return *disk_; }
  /// Replaces the disk, for a restart after a crash. Nothing may be open on the old one.
  void set_disk(std::unique_ptr<SimFileSystem> disk) { disk_ = std::move(disk); }

  void run_until_idle() { scheduler_->run_until_idle(); }
  void advance(int64_t ns) { scheduler_->advance(ns); }

  /// Pauses or resumes the executors of that name.
  void set_paused(std::string_view name, bool paused);
  /// The process ends here: every executor halts, and nothing more reaches the disk. What the
  /// process was made of can then be destroyed without running any of its tasks.
  void kill();

 private:
  std::unique_ptr<Executor> start(const std::string& name, bool blocking);

  std::unique_ptr<SimScheduler> own_scheduler_;
  SimScheduler* const scheduler_;
  std::unique_ptr<SimFileSystem> disk_;
  std::unique_ptr<SimNetworkPort> network_;
  Prng random_;
  const SimExecutor::Registry executors_;
};

}  // namespace multiraft::env
