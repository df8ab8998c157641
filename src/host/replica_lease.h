#pragma once
// The lease of a replica that leads, by the clock of its node.

#include "host/replica_context.h"
#include "raft/lease.h"
#include "raft/raft.h"

namespace multiraft::host {

/// A read by lease takes place when the core asks holds(), on the worker's thread: at that moment
/// nobody else can have been elected, so the commit index that the core answers with, and any state
/// that has applied as much, is up to date. What happens between then and the moment at which the
/// client has its answer, a pause of the process for instance, makes the answer late, not wrong:
/// the read overlaps with whatever was written meanwhile.
class ReplicaLease final : public raft::LeaseJudge {
 public:
  ReplicaLease(const ReplicaContext& services, int64_t lease_ns)
      : services_(services), times_(lease_ns) {}

  /// Each time before messages are taken out of the core.
  void about_to_send(const raft::Raft& core) {
    if (const uint64_t round = core.heartbeat_round(); round != 0)
      times_.sent(core.term(), round, services_.now_since_boot().ns);
  }
  void drop() { times_.drop(); }

  bool holds(Term term, uint64_t round) override {
    return times_.holds(term, round, services_.now_since_boot().ns);
  }

 private:
  const ReplicaContext& services_;
  raft::LeaseTimes times_;
};

}  // namespace multiraft::host
