#pragma once
// A vector that also loses elements at its front, cheaply, and gives memory back.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace multiraft::log {

template <class T>
class Tail {
 public:
  size_t size() const { return items_.size() - head_; }
  bool empty() const { return size() == 0; }
  T& operator[](size_t i) { return items_[head_ + i]; }
  const T& operator[](size_t i) const { return items_[head_ + i]; }

  void push_back(T item) { items_.push_back(std::move(item)); }
  void pop_back(size_t n) {
    items_.resize(items_.size() - n);
    shrink();
  }
  void pop_front(size_t n) {
    for (size_t i = 0; i < n; ++i) items_[head_ + i] = T{};
    head_ += n;
    // Moving the rest once as much has gone keeps the cost constant per element.
    if (head_ > items_.size() / 2) {
      items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(head_));
      head_ = 0;
      shrink();
    }
  }
  void push_front(size_t n, const T& item) {
    items_.insert(items_.begin() + static_cast<ptrdiff_t>(head_), n, item);
  }
  void clear() {
    std::vector<T>().swap(items_);
    head_ = 0;
  }
  size_t memory_bytes() const { return items_.capacity() * sizeof(T); }

 private:
  // An idle group that was busy once does not keep the memory of that time.
  void shrink() {
    if (empty()) {
      clear();
    } else if (items_.capacity() > 64 && items_.size() < items_.capacity() / 4) {
      std::vector<T> smaller;
      smaller.reserve(items_.size() * 2);
      std::move(items_.begin(), items_.end(), std::back_inserter(smaller));
      items_.swap(smaller);
    }
  }

  std::vector<T> items_;
  size_t head_ = 0;
};

}  // namespace multiraft::log
