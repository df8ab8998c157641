#pragma once
// The window of append messages that one member has been sent and has not acknowledged yet.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/mutation.h"

namespace multiraft::raft {

/// Bounded in messages and in bytes. A FIFO ring that allocates only as far as it is used.
class Inflights {
 public:
  Inflights(size_t messages_max, size_t bytes_max)
      : messages_max_(messages_max), bytes_max_(bytes_max) {}

  /// Notes a message whose last entry is `last`. Not when full().
  void add(LogIndex last, size_t bytes);
  /// Frees every message that ends at or before `index`.
  void free_up_to(LogIndex index);
  void reset();
  /// Gives back the memory of a window that is empty.
  void shrink();

  /// A single message may overshoot the byte limit; the next one waits.
  bool full() const {
    return count_ >= messages_max_ || (bytes_ >= bytes_max_ && !MR_MUTANT(window_bytes_unbounded));
  }
  size_t count() const { return count_; }
  size_t bytes() const { return bytes_; }
  size_t memory_bytes() const { return ring_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    LogIndex last;
    size_t bytes = 0;
  };
  void grow();

  size_t messages_max_;
  size_t bytes_max_;
  size_t bytes_ = 0;
  uint32_t start_ = 0;
  uint32_t count_ = 0;
  std::vector<Slot> ring_;  ///< Its size is zero or a power of two.
};

}  // namespace multiraft::raft
