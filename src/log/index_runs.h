#pragma once
// A value for every position of a range, where neighbours mostly share it: the terms of a group's
// entries, the segments they lie in.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace multiraft::log {

/// Maps each index from begin() on to a value, as runs. The caller knows where the range ends.
template <class T>
class IndexRuns {
 public:
  struct Run {
    uint64_t first;
    T value;
  };

  bool empty() const { return runs_.empty(); }
  const std::vector<Run>& runs() const { return runs_; }
  void clear() { runs_.clear(); }

  /// The index behind the range gets `value`.
  void append(uint64_t index, T value) {
    if (runs_.empty() || runs_.back().value != value) runs_.push_back({index, value});
  }
  /// Everything from `index` on goes.
  void truncate_from(uint64_t index) {
    while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
  }
  /// Everything below `index` goes; `index` itself is in the range.
  void drop_below(uint64_t index) {
    const size_t run = run_of(index);
    runs_.erase(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(run));
    runs_.front().first = std::max(runs_.front().first, index);
  }
  /// The range grows down to `index`.
  void extend_down(uint64_t index, T value) {
    if (!runs_.empty() && runs_.front().value == value) {
      runs_.front().first = index;
    } else {
      runs_.insert(runs_.begin(), {index, value});
    }
  }
  const T& at(uint64_t index) const { return runs_[run_of(index)].value; }
  /// The run that holds `index`.
  size_t run_of(uint64_t index) const {
    MR_ASSERT(!runs_.empty() && runs_.front().first <= index);
    // Most questions are about the newest entries.
    if (runs_.back().first <= index) return runs_.size() - 1;
    const auto after =
        std::upper_bound(runs_.begin(), runs_.end(), index,
                         [](uint64_t value, const Run& run) { return value < run.first; });
    return static_cast<size_t>(after - runs_.begin()) - 1;
  }
  /// [low, high) gets `value`; `end` is where the whole range ends.
  void assign(uint64_t low, uint64_t high, uint64_t end, T value) {
    if (low >= high) return;
    const bool has_tail = high < end;
    const T tail = has_tail ? at(high) : T{};
    const auto from = std::lower_bound(runs_.begin(), runs_.end(), low,
                                       [](const Run& run, uint64_t v) { return run.first < v; });
    const auto to = std::lower_bound(from, runs_.end(), high,
                                     [](const Run& run, uint64_t v) { return run.first < v; });
    auto at_low = runs_.erase(from, to);
    // What follows keeps its value, as a run of its own where it was part of one that went.
    if (has_tail && (at_low == runs_.end() || at_low->first != high)) {
      at_low = runs_.insert(at_low, {high, tail});
    }
    at_low = runs_.insert(at_low, {low, value});
    merge_around(static_cast<size_t>(at_low - runs_.begin()));
  }

 private:
  void merge_around(size_t run) {
    if (run + 1 < runs_.size() && runs_[run + 1].value == runs_[run].value) {
      runs_.erase(runs_.begin() + static_cast<ptrdiff_t>(run) + 1);
    }
    if (run > 0 && runs_[run - 1].value == runs_[run].value) {
      runs_.erase(runs_.begin() + static_cast<ptrdiff_t>(run));
    }
  }

  std::vector<Run> runs_;
};

}  // namespace multiraft::log
