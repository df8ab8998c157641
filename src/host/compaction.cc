#include "host/compaction.h"

#include <algorithm>

namespace multiraft::host {
namespace {

/// The last index in front of the tail; first - 1 where the tail is all there is.
LogIndex before_tail(const LogCutLimits& limits, const LogFootprint& held,
                     const std::function<uint64_t(LogIndex)>& entry_bytes) {
  if (held.disk_low) return held.applied;
  if (held.bytes <= limits.tail_bytes) {
    const uint64_t entries = held.applied - held.first + 1;
    return held.applied - std::min(entries, limits.tail_entries);
  }
  LogIndex index = held.applied;
  uint64_t bytes = 0;
  for (uint64_t kept = 0; kept < limits.tail_entries && index >= held.first; ++kept) {
    bytes += entry_bytes(index);
    if (bytes > limits.tail_bytes) break;
    index = index - 1;
  }
  return index;
}

bool worth_saving(const LogFootprint& held) {
  return !held.saved_whole || held.disk_low || held.bytes_since_saved >= held.state_bytes / 2;
}

}  // namespace

CompactionDecision decide_compaction(const LogCutLimits& limits, const LogFootprint& held,
                                     const std::function<uint64_t(LogIndex)>& entry_bytes) {
  if (held.applied < held.first) return {};
  const uint64_t entries = held.applied - held.first + 1;
  const bool many = entries > limits.entries + limits.tail_entries;
  if (!many && held.bytes <= limits.bytes && !held.disk_low) return {};
  const CompactionDecision blocked{held.durable < held.wanted && worth_saving(held)
                                       ? LogCutVerdict::kMakeDurable
                                       : LogCutVerdict::kKeep,
                                   {}};
  const LogIndex allowed = std::min({held.applied, held.durable, held.wanted});
  if (allowed < held.first) return blocked;
  // Until the next save there is next to nothing to cut, and this is asked after each apply.
  if (!worth_saving(held) && allowed - held.first < limits.tail_entries) return {};
  const LogIndex goal = before_tail(limits, held, entry_bytes);
  if (goal < held.first) return {};
  if (allowed >= goal) return {LogCutVerdict::kCut, goal};
  // Every cut is a record in the log, so a small step has to wait, unless room is short.
  const uint64_t step = allowed - held.first + 1;
  if (held.disk_low || step >= (goal - held.first + 1) / 4) return {LogCutVerdict::kCut, allowed};
  return blocked;
}

}  // namespace multiraft::host
