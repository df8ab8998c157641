#pragma once
// The tail of the log that storage has not confirmed yet, and a snapshot on its way to storage.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/types.h"

namespace multiraft::raft {

/// Entry i of the tail stands at index offset() + i. A prefix of it is "in progress": handed out to
/// the log writer, not confirmed. The offset can be below what storage already holds: then these
/// entries replace storage's.
class Unstable {
 public:
  explicit Unstable(LogIndex offset) : offset_(offset), in_progress_(offset) {}

  LogIndex offset() const { return offset_; }
  LogIndex offset_in_progress() const { return in_progress_; }
  bool empty() const { return head_ == entries_.size(); }
  size_t size() const { return entries_.size() - head_; }
  const Entry& back() const { return entries_.back(); }
  /// All entries, confirmed by nobody.
  std::span<const Entry> entries() const { return std::span(entries_).subspan(head_); }
  /// Entries not handed out yet.
  std::span<const Entry> next_entries() const { return entries().subspan(in_progress_ - offset_); }
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  /// The snapshot, if it was not handed out yet.
  bool has_next_snapshot() const { return snapshot_ != nullptr && !snapshot_in_progress_; }

  /// Term at `index`, if it is known here.
  std::optional<Term> term(LogIndex index) const;
  /// Everything here is being written.
  void accept_in_progress();

  enum class Stable { kDone, kMissing, kIsSnapshot, kOtherTerm };
  /// Storage holds (index, term). Where the tail has changed since, nothing happens: entries that
  /// replaced the written ones are not confirmed by this.
  Stable stable_to(LogIndex index, Term term);
  void stable_snapshot_to(LogIndex index);

  /// Replaces everything by a snapshot.
  void restore(std::shared_ptr<const Snapshot> snapshot);
  /// `entries` follow each other and leave no gap; a tail that they overlap is dropped.
  void truncate_and_append(std::vector<Entry> entries);
  /// Gives back unused memory.
  void shrink();
  size_t memory_bytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  void drop_front(size_t count);

  std::vector<Entry> entries_;  ///< The first `head_` are dropped already.
  size_t head_ = 0;
  LogIndex offset_;
  LogIndex in_progress_;  ///< Index after the last entry handed out.
  std::shared_ptr<const Snapshot> snapshot_;
  bool snapshot_in_progress_ = false;
};

}  // namespace multiraft::raft
