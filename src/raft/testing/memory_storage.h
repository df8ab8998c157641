#pragma once
// A log in memory, for tests, benchmarks and scenario files. Every write counts as durable at once.

#include <functional>
#include <memory>
#include <vector>

#include "raft/storage.h"

namespace multiraft::raft::testing {

/// Holds a dummy position (the last compacted entry) and the entries after it.
class MemoryStorage final : public Storage {
 public:
  using SnapshotSource = std::function<Result<std::shared_ptr<const Snapshot>>()>;

  /// An empty log without members.
  MemoryStorage() { entries_.emplace_back(); }

  // Storage.
  InitialState initial_state() const override { return {hard_state_, conf_state_}; }
  Result<std::vector<Entry>> entries(LogIndex low, LogIndex high, size_t bytes_max) override;
  bool has_conf_change(LogIndex low, LogIndex high) const override;
  Result<Term> term(LogIndex index) const override;
  LogIndex first_index() const override { return entries_.front().index + 1; }
  LogIndex last_index() const override { return entries_.back().index; }
  Result<std::shared_ptr<const Snapshot>> snapshot() override;

  // Writes.
  void set_hard_state(const HardState& state) { hard_state_ = state; }
  const HardState& hard_state() const { return hard_state_; }
  /// Only what initial_state() says: a restart finds it.
  void set_conf_state(ConfState state) { conf_state_ = std::move(state); }
  /// Replaces the whole log. kConflict: it already stands at a snapshot that is not older.
  Status apply_snapshot(const Snapshot& snapshot);
  /// Replaces the tail from the first entry's index on; what is compacted already is skipped.
  void append(const std::vector<Entry>& entries);
  /// Drops entries up to and including `index`. kNotFound: they are gone already.
  Status compact(LogIndex index);

  /// Not ok: what entries() answers from now on.
  void fail_reads(Status why) { read_failure_ = std::move(why); }
  /// Answers snapshot(); without it there is the one that was last applied.
  void set_snapshot_source(SnapshotSource source) { source_ = std::move(source); }

 private:
  HardState hard_state_;
  ConfState conf_state_;
  std::shared_ptr<const Snapshot> snapshot_;
  SnapshotSource source_;
  Status read_failure_;
  std::vector<Entry> entries_;  ///< [0] is the dummy.
};

}  // namespace multiraft::raft::testing
