#pragma once
// One timer of an executor, which is set and cancelled as often as needed.

#include <utility>

#include "env/executor.h"

namespace multiraft::transport {

/// On its executor's thread. Its owner cancels it before it goes: the destructor may run elsewhere.
class Timer {
 public:
  explicit Timer(env::Executor& executor) : executor_(executor) {}

  bool is_set() const { return id_ != 0; }
  void set(env::MonotonicTime when, Task task) {
    cancel();
    id_ = executor_.run_at(when, std::move(task));
  }
  /// The task says so itself when it runs.
  void fired() { id_ = 0; }
  void cancel() {
    if (id_ != 0) executor_.cancel(std::exchange(id_, 0));
  }

 private:
  env::Executor& executor_;
  env::TimerId id_ = 0;
};

}  // namespace multiraft::transport
