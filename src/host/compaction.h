#pragma once
// How much of a group's log may go, and how much of it is kept for members that lag: by number and
// by bytes, whichever is reached first.
//
// A log is needed from the last state that is durable on, and from a snapshot on that a member is
// taking, unless that takes too long (trap 43): the caller says so. Beyond that the newest
// entries are kept, up to a number and up to a size: a member that needs an older one gets a
// snapshot.

#include <cstdint>
#include <functional>

#include "base/limits.h"
#include "multiraft/types.h"

namespace multiraft::host {

struct LogCutLimits {
  /// A log is cut once it holds so many entries more than are kept...
  uint64_t entries = 10'000;
  /// ... or more bytes than this.
  uint64_t bytes = 64 * limits::kMiB;
  /// Kept for members that lag: so many entries, but no more than so many bytes.
  uint64_t tail_entries = 1'000;
  uint64_t tail_bytes = 32 * limits::kMiB;
};

/// A log as it is.
struct LogFootprint {
  LogIndex first;    ///< Its first entry.
  LogIndex applied;  ///< Not before first - 1.
  uint64_t bytes = 0;
  /// The state survives a crash up to here.
  LogIndex durable;
  /// What comes after it is needed by a member that is taking a snapshot; applied where none is.
  LogIndex wanted;
  bool disk_low = false;  ///< Nothing is kept for anyone.
  /// To make the state durable all of it is written again: a state in memory.
  bool saved_whole = false;
  uint64_t state_bytes = 0;        ///< What was written the last time; 0: never.
  uint64_t bytes_since_saved = 0;  ///< Of the log, behind `durable`.
};

enum class LogCutVerdict : uint8_t {
  kKeep,
  kCut,          ///< Up to and including `through`.
  kMakeDurable,  ///< It would be cut if the state were durable further on.
};

struct CompactionDecision {
  LogCutVerdict verdict = LogCutVerdict::kKeep;
  LogIndex through;
};

/// A state that is saved whole is saved again once the log has grown by half of what that writes:
/// for each byte of the log at most about three of the state are written, however small its
/// entries.
///
/// Pure. `entry_bytes` is asked for entries of the log, from applied down, at most tail_entries.
CompactionDecision decide_compaction(const LogCutLimits& limits, const LogFootprint& held,
                                     const std::function<uint64_t(LogIndex)>& entry_bytes);

}  // namespace multiraft::host
