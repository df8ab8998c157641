#pragma once
// Reads of large values in turns with everything else that a worker does.

#include <cstddef>
#include <deque>

#include "base/task.h"
#include "env/executor.h"

namespace multiraft::server {

/// Copying values out of the engine takes a worker's time: 64 reads of 8 MiB in a row would keep it
/// from its heartbeats for seconds. So many bytes a round of the executor are read at once; further
/// reads wait for the next round. One per worker of the host, on its thread.
class ReadSlices {
 public:
  static constexpr size_t kBytesPerRound = 4 * 1024 * 1024;

  explicit ReadSlices(env::Executor& executor) : executor_(executor) {}

  /// Whether a read may be done now. Reads that were postponed go first.
  bool has_room() const { return bytes_ < kBytesPerRound && (draining_ || waiting_.empty()); }
  /// A read brought so much.
  void used(size_t bytes);
  /// `read` is called in a later round, and calls used() itself.
  void postpone(Task read);

 private:
  void schedule();
  void next_round();

  env::Executor& executor_;
  std::deque<Task> waiting_;
  size_t bytes_ = 0;
  bool scheduled_ = false;
  bool draining_ = false;  ///< It is the turn of those that waited.
};

}  // namespace multiraft::server
