#include "raft/unstable.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"

namespace multiraft::raft {

std::optional<Term> Unstable::term(LogIndex index) const {
  if (index < offset_) {
    if (snapshot_ && snapshot_->index == index) return snapshot_->term;
    return std::nullopt;
  }
  const size_t at = index - offset_;
  if (at >= size()) return std::nullopt;
  return entries_[head_ + at].term;
}

void Unstable::accept_in_progress() {
  if (!empty()) in_progress_ = offset_ + size();
  if (snapshot_) snapshot_in_progress_ = true;
}

Unstable::Stable Unstable::stable_to(LogIndex index, Term written) {
  const std::optional<Term> present = term(index);
  if (!present) return Stable::kMissing;
  if (index < offset_) return Stable::kIsSnapshot;
  if (*present != written) return Stable::kOtherTerm;
  drop_front(index - offset_ + 1);
  offset_ = index + 1;
  in_progress_ = std::max(in_progress_, offset_);
  return Stable::kDone;
}

void Unstable::stable_snapshot_to(LogIndex index) {
  if (snapshot_ && snapshot_->index == index) {
    snapshot_.reset();
    snapshot_in_progress_ = false;
  }
}

void Unstable::restore(std::shared_ptr<const Snapshot> snapshot) {
  entries_.clear();
  head_ = 0;
  offset_ = snapshot->index + 1;
  in_progress_ = offset_;
  snapshot_ = std::move(snapshot);
  snapshot_in_progress_ = false;
}

void Unstable::truncate_and_append(std::vector<Entry> entries) {
  MR_ASSERT(!entries.empty());
  const LogIndex from = entries.front().index;
  MR_ASSERT_MSG(from <= offset_ + size(), "a gap in the log");
  if (from <= offset_) {
    // Everything here is replaced, and what storage holds from `from` on as well.
    entries_ = std::move(entries);
    head_ = 0;
    offset_ = from;
    in_progress_ = from;
    return;
  }
  if (from < offset_ + size()) {
    entries_.resize(head_ + (from - offset_));
    // The replacements have not been handed out, even where what they replace was.
    in_progress_ = std::min(in_progress_, from);
  }
  entries_.insert(entries_.end(), std::make_move_iterator(entries.begin()),
                  std::make_move_iterator(entries.end()));
}

void Unstable::drop_front(size_t count) {
  // Payloads are released at once; the slots are reclaimed when they are at least half of the
  // buffer, so that each entry moves at most once on average.
  for (size_t i = head_; i < head_ + count; ++i) entries_[i].data = SharedBytes();
  head_ += count;
  if (head_ == entries_.size()) {
    entries_.clear();
    head_ = 0;
  } else if (head_ * 2 >= entries_.size()) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
}

void Unstable::shrink() {
  if (empty() && entries_.capacity() > 0) {
    std::vector<Entry>().swap(entries_);
    head_ = 0;
  }
}

}  // namespace multiraft::raft
