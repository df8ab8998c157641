#include "server/descriptor_plan.h"

#include <algorithm>

#include "base/limits.h"

namespace multiraft::server {
namespace {

/// Standard streams, listeners, lock files, the engine's own files, snapshots, the reserve of the
/// file system.
constexpr uint64_t kFixed = 64;
/// Pollers, io_uring, and the segments in use of a worker.
constexpr uint64_t kPerWorker = 12;
constexpr uint64_t kEngineFilesMax = 4'096;
constexpr uint64_t kLogFilesMax = 8'192;
constexpr uint64_t kRaftConnectionsMax = 8'192;
constexpr uint64_t kProbesMax = 256;
/// Even where the limit is absurd the node is to be reached.
constexpr uint64_t kLeast = 16;

}  // namespace

DescriptorPlan plan_for_descriptors(uint64_t limit, uint32_t workers) {
  const uint64_t fixed = kFixed + kPerWorker * workers;
  const uint64_t free = limit > fixed ? limit - fixed : 0;
  const uint64_t engine = std::clamp(free / 4, kLeast, kEngineFilesMax);
  const uint64_t log = std::min(free / 8, kLogFilesMax);
  const uint64_t raft = std::clamp(free / 8, kLeast, kRaftConnectionsMax);
  const uint64_t taken = engine + log + raft;
  const uint64_t clients = free > taken ? free - taken : 0;
  const uint64_t probes = std::clamp(clients / 8, kLeast / 2, kProbesMax);
  DescriptorPlan plan;
  plan.engine_files_max = static_cast<int>(engine);
  plan.raft_connections_max = raft;
  plan.http_probes_max = probes;
  plan.http_connections_max = std::clamp<uint64_t>(clients > probes ? clients - probes : 0, kLeast,
                                                   limits::kHttpConnectionsMax);
  return plan;
}

}  // namespace multiraft::server
