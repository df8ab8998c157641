#pragma once
// Who may have how many of the process's file descriptors, so that connections, whose number others
// decide, never use up those that the log and the engine need.

#include <cstddef>
#include <cstdint>

namespace multiraft::server {

struct DescriptorPlan {
  int engine_files_max = 0;         ///< Table files that RocksDB keeps open.
  size_t raft_connections_max = 0;  ///< Of other nodes, in and out.
  size_t http_connections_max = 0;  ///< Of clients, served.
  size_t http_probes_max = 0;       ///< Past that: for probes and metrics, and to be refused.
};

/// For a limit of open files (RLIMIT_NOFILE) and a number of workers.
DescriptorPlan plan_for_descriptors(uint64_t limit, uint32_t workers);

/// Fewer than this and clients are noticeably limited: an operator should know.
inline constexpr uint64_t kDescriptorsComfortable = 8'192;

}  // namespace multiraft::server
