#pragma once
// What a node looks at once a second about itself: whether its groups have leaders, and how much of
// its file descriptors is used.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "env/env.h"
#include "host/node_host.h"
#include "service/leader_gauge.h"

namespace multiraft::server {

/// True once when `used` of `limit` passes 80 %, and again only after it was below 70 %.
class DescriptorAlarm {
 public:
  [[nodiscard]] bool update(uint64_t used, uint64_t limit);

 private:
  bool raised_ = false;
};

/// Polls on a thread of its own. The host outlives it.
class ProcessWatch {
 public:
  ProcessWatch(env::Environment& env, host::NodeHost& host);
  ~ProcessWatch();

  /// Thread-safe.
  service::LeaderGauge leaders() const;
  /// While the host's workers still run. Waits for the thread. Idempotent.
  void stop();

 private:
  void poll();
  void look_at_leaders();
  void look_at_descriptors();

  env::Environment& env_;
  host::NodeHost& host_;
  mutable Mutex mutex_;
  service::LeaderGauge leaders_ MR_GUARDED_BY(mutex_);
  DescriptorAlarm descriptors_;
  bool asking_ = false;
  bool stopped_ = false;
  const std::unique_ptr<env::Executor> thread_;
};

}  // namespace multiraft::server
