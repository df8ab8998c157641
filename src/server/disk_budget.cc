#include "server/disk_budget.h"

#include <algorithm>

#include "base/limits.h"

namespace multiraft::server {
namespace {

using limits::kMiB;

/// `total / part`, in whole MiB, within bounds.
uint64_t share(uint64_t total, uint64_t part, uint64_t least, uint64_t most) {
  return std::clamp(total / part / kMiB * kMiB, least, most);
}

}  // namespace

DiskBudget disk_budget_for(uint64_t total) {
  DiskBudget plan;
  plan.segment_bytes = share(total, 64, limits::kLogSegmentBytesMin, limits::kLogSegmentBytes);
  const bool small = total < 1024 * kMiB;
  plan.segments_kept = small ? 1 : 3;
  plan.spares_max = small ? 0 : 2;
  plan.log_keep_bytes = share(total, 32, 1 * kMiB, 32 * kMiB);
  plan.write_buffer_bytes = share(total, 48, 1 * kMiB, 16 * kMiB);
  plan.table_bytes = share(total, 24, 2 * kMiB, 32 * kMiB);
  plan.workers_max = total < 256 * kMiB ? 1 : small ? 2 : 64;
  return plan;
}

}  // namespace multiraft::server
