#include "raft/testing/memory_storage.h"

#include <utility>

#include "base/assert.h"

namespace multiraft::raft::testing {

Result<std::vector<Entry>> MemoryStorage::entries(LogIndex low, LogIndex high, size_t bytes_max) {
  if (low < first_index()) return Status(StatusCode::kNotFound, "compacted");
  MR_ASSERT_MSG(high <= last_index() + 1, "beyond the log");
  if (!read_failure_) return read_failure_;
  const size_t from = low - entries_.front().index;
  const size_t to = high - entries_.front().index;
  size_t bytes = 0;
  size_t end = from;
  while (end < to) {
    bytes += entry_bytes(entries_[end]);
    if (bytes > bytes_max && end > from) break;
    ++end;
  }
  return std::vector<Entry>(entries_.begin() + static_cast<ptrdiff_t>(from),
                            entries_.begin() + static_cast<ptrdiff_t>(end));
}

bool MemoryStorage::has_conf_change(LogIndex low, LogIndex high) const {
  MR_ASSERT(low >= first_index() && high <= last_index() + 1);
  for (LogIndex index = low; index < high; ++index) {
    if (entries_[index - entries_.front().index].type != EntryType::kNormal) return true;
  }
  return false;
}

Result<Term> MemoryStorage::term(LogIndex index) const {
  if (index < entries_.front().index) return Status(StatusCode::kNotFound, "compacted");
  if (index > last_index()) return Status(StatusCode::kUnavailable, "beyond the log");
  return entries_[index - entries_.front().index].term;
}

Result<std::shared_ptr<const Snapshot>> MemoryStorage::snapshot() {
  if (source_) return source_();
  if (!snapshot_) return Status(StatusCode::kUnavailable, "no snapshot");
  return snapshot_;
}

Status MemoryStorage::apply_snapshot(const Snapshot& snapshot) {
  if (snapshot_ && snapshot_->index >= snapshot.index) {
    return Status(StatusCode::kConflict, "requested index is older than the existing snapshot");
  }
  snapshot_ = std::make_shared<const Snapshot>(snapshot);
  conf_state_ = snapshot.conf_state;
  entries_.assign(1, Entry{snapshot.term, snapshot.index, EntryType::kNormal, {}});
  return Status::ok();
}

void MemoryStorage::append(const std::vector<Entry>& entries) {
  auto from = entries.begin();
  while (from != entries.end() && from->index < first_index()) ++from;
  if (from == entries.end()) return;
  MR_ASSERT_MSG(from->index <= last_index() + 1, "a gap in the log");
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(from->index - entries_.front().index),
                 entries_.end());
  entries_.insert(entries_.end(), from, entries.end());
}

Status MemoryStorage::compact(LogIndex index) {
  if (index <= entries_.front().index) {
    return Status(StatusCode::kNotFound, "requested index is unavailable due to compaction");
  }
  MR_ASSERT_MSG(index <= last_index(), "compaction beyond the log");
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<ptrdiff_t>(index - entries_.front().index));
  entries_.front() = Entry{entries_.front().term, entries_.front().index, EntryType::kNormal, {}};
  return Status::ok();
}

}  // namespace multiraft::raft::testing
