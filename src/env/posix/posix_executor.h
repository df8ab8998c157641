#pragma once
// Executors on threads of the system.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "env/executor.h"
#include "env/posix/executor_core.h"

namespace multiraft::env {

/// An ExecutorCore on a thread of its own. Destruction stops it.
class PosixExecutor final : public Executor {
 public:
  explicit PosixExecutor(const std::string& name);
  ~PosixExecutor() override;

  void post(Task task) override { core_->post(std::move(task)); }
  void defer(Task task) override { core_->defer(std::move(task)); }
  TimerId run_at(MonotonicTime when, Task task) override {
    return core_->run_at(when, std::move(task));
  }
  void cancel(TimerId timer) override { core_->cancel(timer); }
  bool in_executor() const override { return core_->in_executor(); }
  void stop() override;

  const std::shared_ptr<ExecutorCore>& core() const { return core_; }

 private:
  const std::shared_ptr<ExecutorCore> core_;
  Mutex join_mutex_;
  std::thread thread_ MR_GUARDED_BY(join_mutex_);
};

/// A thread that takes one task after the other. defer(), run_at() and cancel() are not for it.
class BlockingExecutor final : public Executor {
 public:
  explicit BlockingExecutor(const std::string& name);
  ~BlockingExecutor() override;

  void post(Task task) override;
  void defer(Task task) override;
  TimerId run_at(MonotonicTime when, Task task) override;
  void cancel(TimerId timer) override;
  bool in_executor() const override;
  void stop() override;

 private:
  void run();

  Mutex mutex_;
  Condition filled_;
  std::vector<Task> queue_ MR_GUARDED_BY(mutex_);
  bool stopping_ MR_GUARDED_BY(mutex_) = false;
  Mutex join_mutex_;
  std::thread thread_ MR_GUARDED_BY(join_mutex_);
};

}  // namespace multiraft::env
