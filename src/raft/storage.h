#pragma once
// What the core asks of the place where its log is kept.

#include <cstddef>
#include <memory>
#include <vector>

#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::raft {

struct InitialState {
  HardState hard_state;
  ConfState conf_state;
};

/// The durable (or being made durable) log of one replica. Called by the core only, from the thread
/// that drives the core. The log behind it holds a dummy position (first_index - 1) whose term is
/// known: the last compacted entry, or the snapshot.
class Storage {
 public:
  virtual ~Storage() = default;

  /// Hard state as last saved, and the configuration at the applied index at start.
  virtual InitialState initial_state() const = 0;
  /// Entries [low, high), at least one, cut after `bytes_max` (entry_bytes), and earlier where the
  /// rest is not in memory. Does not wait for the disk.
  /// kNotFound: compacted (low < first_index). kUnavailable: not in memory; they are being read,
  /// and Raft::retry_reads() is called once they are there. Any other error: they could not be
  /// read. After either the core asks again at the next tick at the latest, and reports nothing:
  /// what a bad disk means for the process is decided behind this interface.
  virtual Result<std::vector<Entry>> entries(LogIndex low, LogIndex high, size_t bytes_max) = 0;
  /// Whether one of [low, high), all of which the log holds, changes the configuration.
  virtual bool has_conf_change(LogIndex low, LogIndex high) const = 0;
  /// Term of an index in [first_index - 1, last_index]. kNotFound: before; kUnavailable: behind.
  virtual Result<Term> term(LogIndex index) const = 0;
  virtual LogIndex first_index() const = 0;
  virtual LogIndex last_index() const = 0;
  /// The snapshot to send to a member that is behind first_index; at first_index - 1 or later.
  /// kUnavailable: none right now; the core asks again later.
  virtual Result<std::shared_ptr<const Snapshot>> snapshot() = 0;
};

}  // namespace multiraft::raft
