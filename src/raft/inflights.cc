#include "raft/inflights.h"

#include <algorithm>

#include "base/assert.h"

namespace multiraft::raft {

void Inflights::add(LogIndex last, size_t bytes) {
  MR_ASSERT_MSG(!full(), "a full window takes no more messages");
  if (count_ == ring_.size()) grow();
  ring_[(start_ + count_) & (ring_.size() - 1)] = {last, bytes};
  ++count_;
  bytes_.add(bytes);
}

void Inflights::free_up_to(LogIndex index) {
  while (count_ > 0) {
    const Slot& slot = ring_[start_];
    if (slot.last > index) return;
    bytes_.remove(slot.bytes);
    start_ = static_cast<uint32_t>((start_ + 1) & (ring_.size() - 1));
    --count_;
  }
}

void Inflights::reset() {
  start_ = 0;
  count_ = 0;
  bytes_.remove(bytes_.bytes());
}

void Inflights::shrink() {
  if (count_ == 0 && !ring_.empty()) {
    start_ = 0;
    std::vector<Slot>().swap(ring_);
  }
}

void Inflights::grow() {
  std::vector<Slot> larger(std::max<size_t>(ring_.size() * 2, 4));
  for (size_t i = 0; i < count_; ++i) larger[i] = ring_[(start_ + i) & (ring_.size() - 1)];
  ring_ = std::move(larger);
  start_ = 0;
}

}  // namespace multiraft::raft
