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

namespace multiraft::server {

/// Whether this node can serve anything, judged by which of its groups know a leader, and whether
/// it has most of its groups at all: a node that was given an empty disk serves nothing at first.
/// An election lasts a moment and is no reason to send clients elsewhere: what lacks a leader at
/// two looks in a row counts.
class LeaderGauge {
 public:
  /// Those hosted here, without group 0.
  struct UserGroups {
    uint64_t all = 0;
    uint64_t leaderless = 0;
    uint64_t unfilled = 0;  ///< Wait for their first snapshot.
  };
  void update(bool registry_has_leader, const UserGroups& groups);
  struct Verdict {
    bool ok = true;
    std::string detail;  ///< Also where it is ok, if some groups lack a leader.
  };
  Verdict registry() const;
  Verdict groups() const;

 private:
  uint32_t looks_without_registry_ = 0;
  uint32_t looks_without_groups_ = 0;
  UserGroups user_groups_;
};

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
  LeaderGauge leaders() const;
  /// While the host's workers still run. Waits for the thread. Idempotent.
  void stop();

 private:
  void poll();
  void look_at_leaders();
  void look_at_descriptors();

  env::Environment& env_;
  host::NodeHost& host_;
  mutable Mutex mutex_;
  LeaderGauge leaders_ MR_GUARDED_BY(mutex_);
  DescriptorAlarm descriptors_;
  bool asking_ = false;
  bool stopped_ = false;
  const std::unique_ptr<env::Executor> thread_;
};

}  // namespace multiraft::server
