#pragma once
// A leader's lease (thesis 6.4.1): the time during which nobody else can have been elected, so that
// it may answer reads without asking anybody.
//
//   leader     round 12 leaves at t ------------------------- lease ends at t + lease
//                        \            / answer
//   members               heard, and promise given -------------------- promise ends
//
// A member that answers a heartbeat neither votes nor campaigns for an election timeout of its own
// ticks from when it heard it (Config::promise_ms). It heard it after it was sent, so the lease
// counts from the sending (trap 17). It ends sooner than the promise by what two monotonic clocks
// may differ in rate. No clock is read here: whoever drives the core says what time it is.
//
// Ticks. The n-th tick after a heartbeat may come as early as (n - 2) intervals after it: the first
// may follow at once, and one that came late does not delay its successors, which catch up.

#include <cstdint>
#include <vector>

#include "multiraft/types.h"

namespace multiraft::raft {

/// What a promise of `election_ticks` ticks is worth at least, by the clock of who gives it.
int64_t promise_ns(uint32_t election_ticks, int64_t tick_ns);
/// How long a lease that rests on such promises lasts by the leader's clock. The clocks' rates may
/// differ by less than 6 %.
int64_t lease_ns(int64_t promise_ns);

/// When rounds of heartbeats left. Bounded: what cannot matter any more is forgotten, and of rounds
/// close together only the first is kept.
class LeaseTimes {
 public:
  explicit LeaseTimes(int64_t lease_ns) : lease_ns_(lease_ns) {}

  /// `round` is the newest that the leader of `term` has made. Call it before messages are taken
  /// out of the core, each time: none of a round that is new here has left before `now_ns`.
  void sent(Term term, uint64_t round, int64_t now_ns);
  /// Whether the promises of a quorum that has answered `round` are in force at `now_ns`.
  bool holds(Term term, uint64_t round, int64_t now_ns) const;
  /// Nothing rests on rounds that have been sent so far.
  void drop() { sent_.clear(); }

 private:
  struct Sent {
    uint64_t round;
    int64_t at_ns;
  };
  int64_t lease_ns_;
  Term term_;
  uint64_t seen_ = 0;       ///< The newest round of the term.
  std::vector<Sent> sent_;  ///< Oldest first.
};

}  // namespace multiraft::raft
