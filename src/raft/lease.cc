#include "raft/lease.h"

#include <algorithm>

namespace multiraft::raft {
namespace {

/// Of the promise, for clocks that do not go at the same rate.
constexpr int64_t kDriftDivisor = 16;
/// Rounds that are kept lie so far apart.
constexpr int64_t kSpacingDivisor = 16;

}  // namespace

int64_t promise_ns(uint32_t election_ticks, int64_t tick_ns) {
  return std::max<int64_t>(0, int64_t{election_ticks} - 2) * tick_ns;
}

int64_t lease_ns(int64_t promise_ns) { return promise_ns - promise_ns / kDriftDivisor; }

void LeaseTimes::sent(Term term, uint64_t round, int64_t now_ns) {
  if (term != term_) {
    term_ = term;
    seen_ = 0;
    sent_.clear();
  }
  if (round <= seen_) return;
  seen_ = round;
  std::erase_if(sent_, [&](const Sent& s) { return now_ns - s.at_ns >= lease_ns_; });
  // An answer to a round that is not kept counts for the one before it, which is older.
  if (!sent_.empty() && now_ns - sent_.back().at_ns < lease_ns_ / kSpacingDivisor) return;
  sent_.push_back({round, now_ns});
}

bool LeaseTimes::holds(Term term, uint64_t round, int64_t now_ns) const {
  if (term != term_) return false;
  for (auto s = sent_.rbegin(); s != sent_.rend(); ++s) {
    if (s->round > round) continue;
    return now_ns - s->at_ns < lease_ns_;
  }
  return false;
}

}  // namespace multiraft::raft
