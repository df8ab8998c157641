#pragma once
// The window of append messages that one member has been sent and has not acknowledged yet.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "multiraft/types.h"
#include "raft/raft.h"

namespace multiraft::raft {

/// Bytes of a window, counted in a shared one as well for as long as this lives.
class CountedBytes {
 public:
  explicit CountedBytes(SharedWindow* shared) : shared_(shared) {}
  CountedBytes(const CountedBytes& other) : shared_(other.shared_) { add(other.bytes_); }
  CountedBytes(CountedBytes&& other) noexcept
      : shared_(other.shared_), bytes_(std::exchange(other.bytes_, 0)) {}
  CountedBytes& operator=(CountedBytes other) noexcept {
    std::swap(shared_, other.shared_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~CountedBytes() { remove(bytes_); }

  void add(size_t bytes) {
    bytes_ += bytes;
    if (shared_) shared_->bytes += bytes;
  }
  void remove(size_t bytes) {
    bytes_ -= bytes;
    if (shared_) shared_->bytes -= bytes;
  }
  size_t bytes() const { return bytes_; }
  bool shared_full() const { return shared_ && shared_->full(); }

 private:
  SharedWindow* shared_;
  size_t bytes_ = 0;
};

/// Bounded in messages and in bytes. A FIFO ring that allocates only as far as it is used.
class Inflights {
 public:
  Inflights(size_t messages_max, size_t bytes_max, SharedWindow* shared = nullptr)
      : messages_max_(messages_max), bytes_max_(bytes_max), bytes_(shared) {}

  /// Notes a message whose last entry is `last`. Not when full().
  void add(LogIndex last, size_t bytes);
  /// Frees every message that ends at or before `index`.
  void free_up_to(LogIndex index);
  void reset();
  /// Gives back the memory of a window that is empty.
  void shrink();

  /// A single message may overshoot the byte limit; the next one waits. A member that is owed no
  /// answer may always be sent one message: its answer is what wakes this window.
  bool full() const {
    return count_ >= messages_max_ || bytes_.bytes() >= bytes_max_ ||
           (count_ > 0 && bytes_.shared_full());
  }
  size_t count() const { return count_; }
  size_t bytes() const { return bytes_.bytes(); }
  size_t memory_bytes() const { return ring_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    LogIndex last;
    size_t bytes = 0;
  };
  void grow();

  size_t messages_max_;
  size_t bytes_max_;
  CountedBytes bytes_;
  uint32_t start_ = 0;
  uint32_t count_ = 0;
  std::vector<Slot> ring_;  ///< Its size is zero or a power of two.
};

}  // namespace multiraft::raft
