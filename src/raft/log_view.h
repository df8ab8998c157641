#pragma once
// One replica's log as the core sees it: what storage holds, overlaid by the unstable tail, and the
// positions in it.

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "multiraft/status.h"
#include "raft/storage.h"
#include "raft/types.h"
#include "raft/unstable.h"

namespace multiraft::raft {

/// The last entry of a log, or a position to compare it with.
struct LogPosition {
  Term term;
  LogIndex index;
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

/// Invariant: first_index - 1 <= applied <= applying <= committed <= last_index.
class LogView {
 public:
  LogView(Storage& storage, LogIndex committed, LogIndex applied, size_t applying_bytes_max);

  LogIndex first_index() const;
  LogIndex last_index() const;
  LogPosition last() const;
  LogIndex committed() const { return committed_; }
  /// Handed out to be applied.
  LogIndex applying() const { return applying_; }
  LogIndex applied() const { return applied_; }
  /// Everything up to here is confirmed by storage.
  LogIndex stable_index() const { return unstable_.offset() - 1; }

  /// Errors as Storage::term().
  Result<Term> term(LogIndex index) const;
  bool matches(LogPosition position) const;
  /// A log that ends at `other` is at least as complete as this one (thesis 3.6.1).
  bool is_up_to_date(LogPosition other) const;
  /// Entries from `low` on, at least one if there is one, cut after `bytes_max`.
  Result<std::vector<Entry>> entries(LogIndex low, size_t bytes_max) const;
  /// As above, [low, high).
  Result<std::vector<Entry>> slice(LogIndex low, LogIndex high, size_t bytes_max) const;

  /// Whether an entry in [low, high) changes the configuration. Not below a snapshot on its way.
  bool has_conf_change(LogIndex low, LogIndex high) const;

  struct Append {
    enum class Outcome { kMismatch, kContradiction, kDone } outcome = Outcome::kMismatch;
    LogIndex last_new;  ///< The last index that is known to match the sender's log.
  };
  /// A follower's append after `previous` (thesis 3.5): entries that are already there stay, the
  /// first one that differs and all after it are replaced. kContradiction: one that is committed
  /// would be; nothing is changed.
  Append maybe_append(LogPosition previous, std::vector<Entry> entries, LogIndex leader_commit);
  /// At the end of the log; the caller knows that they fit.
  void append(std::vector<Entry> entries);
  /// The largest index at or below `index` whose term is at most `term`, and its term, if the log
  /// still knows it: a term that is compacted counts as a match.
  LogPosition find_conflict(LogIndex index, Term term) const;
  /// Never beyond the log's end, never back.
  void commit_to(LogIndex index);

  bool has_snapshot() const { return unstable_.snapshot() != nullptr; }
  void restore(std::shared_ptr<const Snapshot> snapshot);
  Unstable::Stable stable_to(LogPosition written) {
    return unstable_.stable_to(written.index, written.term);
  }
  void stable_snapshot_to(LogIndex index) { unstable_.stable_snapshot_to(index); }

  /// Committed entries that can be handed out to be applied now. Where `allow_unstable` is false,
  /// only those that storage has confirmed.
  bool has_next_committed(bool allow_unstable) const;
  /// Empty also where storage could not read them: then there is nothing to hand out until
  /// retry_reads().
  std::vector<Entry> next_committed(bool allow_unstable);
  void retry_reads() { unreadable_ = false; }
  /// `entries` were handed out.
  void accept_applying(const std::vector<Entry>& entries, bool allow_unstable);
  /// Everything up to `index` is applied. Returns the payload bytes of what this finished.
  size_t applied_to(LogIndex index);
  /// The limit of what may be handed out is reached: nothing more until some of it is applied.
  bool applying_paused() const { return applying_paused_; }
  /// See Raft::hold_applying().
  void hold_applying(bool hold) { applying_held_ = hold; }

  const Unstable& unstable() const { return unstable_; }
  void accept_unstable() { unstable_.accept_in_progress(); }
  const Storage& storage() const { return storage_; }
  Storage& storage() { return storage_; }
  void shrink();
  size_t memory_bytes() const {
    return unstable_.memory_bytes() + batches_.capacity() * sizeof(Applying);
  }

 private:
  /// One handed out batch of committed entries.
  struct Applying {
    LogIndex last;
    size_t bytes = 0;
    size_t payload_bytes = 0;
  };
  LogIndex max_appliable(bool allow_unstable) const;
  LogIndex find_difference(const std::vector<Entry>& entries) const;

  Storage& storage_;
  Unstable unstable_;
  LogIndex committed_;
  LogIndex applying_;
  LogIndex applied_;
  size_t applying_bytes_max_;
  size_t applying_bytes_ = 0;
  bool applying_paused_ = false;
  bool unreadable_ = false;  ///< Storage could not read the next committed entries.
  bool applying_held_ = false;
  std::vector<Applying> batches_;  ///< Oldest first.
};

/// Bytes of the payloads alone: what a leader's uncommitted tail is measured by.
size_t payload_bytes(const std::vector<Entry>& entries);

}  // namespace multiraft::raft
