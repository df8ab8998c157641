#pragma once
// How much log the groups of one worker keep together, for members that lag: entries cost memory
// (their index) and segments. What one group may keep is compaction.h's; ten thousand groups that
// were busy once would keep ten thousand times that.

#include <cstdint>
#include <vector>

#include "base/limits.h"
#include "env/clock.h"
#include "multiraft/types.h"

namespace multiraft::host {

/// Of one worker.
struct LogRetentionLimits {
  uint64_t entries = limits::kLogEntriesPerWorkerMax;
  uint64_t bytes = limits::kLogBytesPerWorkerMax;
  /// A log that nothing was added to for so long is cut to what some member still needs.
  int64_t idle_ns = 60 * env::kSecond;
};

/// What a group keeps.
struct LogTail {
  GroupId group;
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

/// The groups to cut until the rest is within seven eighths of the limits, so that this is not
/// asked again at once. Those that keep most go first, measured by their share of either limit.
/// Empty where nothing is exceeded. Pure.
std::vector<GroupId> groups_to_cut(const LogRetentionLimits& limits, std::vector<LogTail> tails);

}  // namespace multiraft::host
