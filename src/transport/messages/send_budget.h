#pragma once
// How much may wait to be sent, in all queues of a worker together.

#include <algorithm>
#include <cstddef>

#include "base/assert.h"

namespace multiraft::transport {

/// A queue may hold as much as is still free for all: one node that takes nothing leaves half of
/// the budget to the others, two leave a third, and none of them ever has nothing. On the worker's
/// thread.
class SendBudget {
 public:
  explicit SendBudget(size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Whether a queue of `queued` bytes may take `more`. An empty one takes any record while
  /// something is free, so that large ones pass as well: the budget is exceeded by one at most.
  bool admits(size_t queued, size_t more) const {
    const size_t free = bytes_max_ - std::min(used_, bytes_max_);
    return queued == 0 ? free > 0 : queued + more <= free;
  }
  void take(size_t bytes) { used_ += bytes; }
  void give_back(size_t bytes) {
    MR_ASSERT(bytes <= used_);
    used_ -= bytes;
  }
  size_t used() const { return used_; }

 private:
  const size_t bytes_max_;
  size_t used_ = 0;
};

}  // namespace multiraft::transport
