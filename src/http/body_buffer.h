#pragma once
// The body of a request that is larger than what one read brings.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/memory_budget.h"

namespace multiraft::http {

/// Grows with what has arrived, not with what was announced: memory costs the client bandwidth.
class BodyBuffer {
 public:
  explicit BodyBuffer(MemoryBudget& budget) : budget_(budget) {}
  ~BodyBuffer() { clear(); }
  BodyBuffer(const BodyBuffer&) = delete;
  BodyBuffer& operator=(const BodyBuffer&) = delete;

  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }

  /// False when the budget is used up; nothing is appended then.
  [[nodiscard]] bool append(std::string_view bytes) {
    if (!ensure(size_ + bytes.size(), SIZE_MAX)) return false;
    if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    return true;
  }
  /// Room to read into, of a body that has `total` bytes in the end; empty when the budget is used
  /// up. At least one byte is missing.
  std::span<char> room(size_t total) {
    if (!ensure(size_ + 1, total)) return {};
    return {data_ + size_, std::min(capacity_, total) - size_};
  }
  void commit(size_t bytes) { size_ += bytes; }
  void clear() {
    std::free(data_);
    budget_.give_back(capacity_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

 private:
  static constexpr size_t kFirstBytes = 16 * 1024;

  bool ensure(size_t needed, size_t wanted) {
    if (needed <= capacity_) return true;
    const size_t doubled = std::max(kFirstBytes, 2 * capacity_);
    const size_t capacity = std::max(needed, std::min(doubled, std::max(wanted, kFirstBytes)));
    if (!budget_.take(capacity - capacity_)) return false;
    // realloc() moves pages, not bytes, once the body is large.
    auto* data = static_cast<char*>(std::realloc(data_, capacity));
    if (data == nullptr) {
      budget_.give_back(capacity - capacity_);
      return false;
    }
    data_ = data;
    capacity_ = capacity;
    return true;
  }

  MemoryBudget& budget_;
  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace multiraft::http
