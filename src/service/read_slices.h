#pragma once
// Reads of large values in turns with everything else that a worker does.

#include <cstddef>
#include <deque>

#include "base/task.h"
#include "env/executor.h"

namespace multiraft::service {

/// Copying values out of the engine takes a worker's time: 64 reads of 8 MiB in a row would keep it
/// from its heartbeats for seconds. So many bytes a round of the executor are read at once; further
/// reads wait for the next round. One per worker of the host, on its thread.
class ReadSlices {
 public:
  static constexpr size_t kBytesPerRound = 4 * 1024 * 1024;

  explicit ReadSlices(env::Executor& executor) : executor_(executor) {}

  /// Calls `read` now, or in a later round, behind those that wait already. It reads there and
  /// then, and returns how many bytes that brought.
  void run(Callback<size_t()> read);

 private:
  void used(size_t bytes);
  void schedule();
  void next_round();

  env::Executor& executor_;
  std::deque<Callback<size_t()>> waiting_;
  size_t bytes_ = 0;
  bool scheduled_ = false;
};

}  // namespace multiraft::service
