#pragma once
// Knows which writes have reached the disk, in a database that writes no log of its own.
//
// RocksDB gathers writes in a memtable, seals it when it is full, and flushes sealed memtables in
// order. Each memtable is one epoch. A write is in the epoch that is open when the write returns,
// or in an earlier one; so it is durable once that epoch is. A group remembers one (epoch, applied
// index) pair for each epoch it wrote in, and there are only a few memtables at a time.
//
//   write x -> epoch 3 open -> remember (3, x) ... memtable 3 sealed, flushed -> durable up to x

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace multiraft::kv {

/// Thread-safe. Events come from the database's threads, questions from the workers.
class FlushTracker {
 public:
  /// Asked after a write has returned: the latest epoch that it can be in.
  uint64_t open_epoch() const { return open_epoch_.load(std::memory_order_acquire); }
  /// All writes in this epoch and before are durable.
  uint64_t durable_epoch() const { return durable_epoch_.load(std::memory_order_acquire); }

  /// A memtable that starts with this sequence number takes no more writes. Comes before the first
  /// write into the next one.
  void sealed(uint64_t first_sequence) {
    const std::lock_guard lock(mutex_);
    unflushed_.push_back({open_epoch(), first_sequence});
    open_epoch_.store(open_epoch() + 1, std::memory_order_release);
    advance();
  }
  /// The memtable that ends with this sequence number, and all before it, are durable.
  void flushed(uint64_t last_sequence) {
    const std::lock_guard lock(mutex_);
    if (last_sequence > flushed_sequence_) flushed_sequence_ = last_sequence;
    advance();
  }

  /// Memtables that wait for their flush.
  size_t sealed_count() const {
    const std::lock_guard lock(mutex_);
    return unflushed_.size();
  }
  /// Returns once what is sealed of the epochs up to `through` is durable. For a flush that has
  /// returned: take the epoch before it. What is sealed meanwhile is not its business, and may find
  /// the disk full.
  void wait_for(uint64_t through) {
    std::unique_lock lock(mutex_);
    const uint64_t epoch = std::min(through, open_epoch() - 1);
    advanced_.wait(lock, [&] { return durable_epoch() >= epoch; });
  }

 private:
  struct Memtable {
    uint64_t epoch;
    uint64_t first_sequence;
  };
  void advance() {
    while (!unflushed_.empty() && unflushed_.front().first_sequence <= flushed_sequence_) {
      durable_epoch_.store(unflushed_.front().epoch, std::memory_order_release);
      unflushed_.pop_front();
    }
    advanced_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable advanced_;
  std::atomic<uint64_t> open_epoch_{1};
  std::atomic<uint64_t> durable_epoch_{0};
  std::deque<Memtable> unflushed_;
  uint64_t flushed_sequence_ = 0;
};

}  // namespace multiraft::kv
