#pragma once
// A lease by the ticks of its replica, for tests whose replicas all tick together.

#include "raft/lease.h"
#include "raft/raft.h"

namespace multiraft::raft::testing {

class TickLease final : public LeaseJudge {
 public:
  explicit TickLease(uint32_t election_ticks) : times_(int64_t{election_ticks} - 1) {}

  void tick() { ++now_; }
  void about_to_send(const Raft& core) {
    if (core.heartbeat_round() != 0) times_.sent(core.term(), core.heartbeat_round(), now_);
  }
  bool holds(Term term, uint64_t round) override { return times_.holds(term, round, now_); }

 private:
  LeaseTimes times_;
  int64_t now_ = 0;
};

}  // namespace multiraft::raft::testing
