#pragma once
// /metrics: this node's aggregates in Prometheus text format. No label names a group: a node may
// host ten thousand.

#include <string>

#include "host/node_host.h"
#include "kv/kv_engine.h"

namespace multiraft::server {

struct MetricsInput {
  NodeId node;
  host::HostStats host;
  kv::KvEngineStats engine;
  uint64_t cold_reads = 0;
  int64_t uptime_ns = 0;
  uint64_t http_connections_max = 0;
  uint64_t log_lines_lost = 0;
};

/// Any thread.
std::string render_metrics(const MetricsInput& input);

}  // namespace multiraft::server
