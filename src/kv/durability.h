#pragma once
// What one group knows about its own durability.

#include <cstdint>
#include <vector>

#include "multiraft/types.h"

namespace multiraft::kv {

/// The applied index at the end of each epoch (flush_tracker.h) that is not durable yet.
class Durability {
 public:
  Durability() = default;
  explicit Durability(LogIndex durable) : durable_(durable) {}

  /// Everything up to `index` was written in `epoch` or before.
  void written(uint64_t epoch, LogIndex index) {
    if (!marks_.empty() && marks_.back().epoch == epoch) {
      marks_.back().index = index;
    } else {
      marks_.push_back({epoch, index});
    }
  }
  /// Drops what has become durable and returns up to where.
  LogIndex advance(uint64_t durable_epoch) {
    size_t done = 0;
    while (done < marks_.size() && marks_[done].epoch <= durable_epoch) {
      durable_ = marks_[done++].index;
    }
    marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(done));
    return durable_;
  }
  bool complete() const { return marks_.empty(); }

 private:
  struct Mark {
    uint64_t epoch;
    LogIndex index;
  };
  LogIndex durable_;
  std::vector<Mark> marks_;
};

}  // namespace multiraft::kv
