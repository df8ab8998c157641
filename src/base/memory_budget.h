#pragma once
// Memory that a worker's connections, and what they wait for, hold.

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace multiraft {

/// Bytes that all connections of a worker hold for requests and answers together, commands that
/// wait and values on their way here included. What is above the limit is for the handlers to
/// refuse (429). Thread-safe: values are charged where they are read.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  [[nodiscard]] bool take(size_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max_) return true;
    give_back(bytes);
    return false;
  }
  void give_back(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  bool exhausted() const { return used_.load(std::memory_order_relaxed) >= bytes_max_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> used_{0};
};

/// Bytes taken from a budget, given back on destruction. Any thread.
class MemoryCharge {
 public:
  /// Nothing where the budget does not have as much.
  static std::shared_ptr<const MemoryCharge> take(std::shared_ptr<MemoryBudget> budget,
                                                  size_t bytes) {
    if (!budget->take(bytes)) return nullptr;
    return std::make_shared<const MemoryCharge>(std::move(budget), bytes);
  }
  /// For take(): `bytes` are taken already.
  MemoryCharge(std::shared_ptr<MemoryBudget> budget, size_t bytes)
      : budget_(std::move(budget)), bytes_(bytes) {}
  ~MemoryCharge() { budget_->give_back(bytes_); }
  MemoryCharge(const MemoryCharge&) = delete;
  MemoryCharge& operator=(const MemoryCharge&) = delete;

 private:
  const std::shared_ptr<MemoryBudget> budget_;
  const size_t bytes_;
};

/// Less is not worth the counting: the number of requests is limited, too.
inline constexpr size_t kChargedBytesMin = 2 * 1024;

}  // namespace multiraft
