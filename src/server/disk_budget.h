#pragma once
// How much of the disk each part may take for itself, so that a node also works on a small one.

#include <cstdint>

namespace multiraft::server {

struct DiskBudget {
  uint64_t segment_bytes = 0;   ///< Of the log. Two of them exist per worker, at least.
  uint32_t segments_kept = 0;   ///< Before what is cold is rewritten.
  uint32_t spares_max = 0;      ///< Segments kept to be used again.
  uint64_t log_keep_bytes = 0;  ///< Of one group's log, for members that lag.
  uint64_t write_buffer_bytes = 0;
  uint64_t table_bytes = 0;
  uint32_t workers_max = 0;  ///< Of a new state directory.
};

/// For a state directory on a disk of this size.
DiskBudget disk_budget_for(uint64_t total_bytes);

}  // namespace multiraft::server
