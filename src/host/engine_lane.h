#pragma once
// The replicas of one worker whose state one engine holds: what waits to be applied, and what has
// been applied and is not committed.
//
//   add() -> waiting --Replica::apply()--> applied --engine's commit()--> Replica::finish_apply()
//
// Engines are independent of each other: each worker has one lane per engine, and a refused commit
// stops only this one. While an engine refuses, nothing more is applied into its batch, committed
// entries stay in the log, and the commit is tried again at growing intervals. Once no batch was
// taken for an election timeout the engine counts as stalled: its replicas give up leadership as
// those on a stalled disk do. The same where a read that has to precede apply() takes that long.
//
// Lives on the worker's thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "host/disk_stall_detector.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"

namespace multiraft::host {

class Replica;

class EngineLane {
 public:
  struct Options {
    uint32_t worker = 0;
    int64_t stall_ns = 0;      ///< So long without a batch taken: it is stalled.
    int64_t retry_min_ns = 0;  ///< Between two attempts of a refused commit: doubles...
    int64_t retry_max_ns = 0;  ///< ... up to this.
  };

  EngineLane(StateMachineEngine& engine, const Options& options);

  StateMachineEngine& engine() { return engine_; }
  const StateMachineEngine& engine() const { return engine_; }

  /// The replica has entries to apply. No effect where it is known already.
  void add(Replica& group);
  void forget(const Replica& group);

  /// The replica waits for the engine's disk before it can apply more, until read_ended().
  void read_began(const Replica& group, env::MonotonicTime now);
  void read_ended(const Replica& group);

  /// Commits what was refused, if it is time to, or applies one piece of what waits and commits it.
  /// Takes what it applied from `bytes_left`, and applies nothing where nothing is left.
  /// An error is the engine's: the node cannot go on.
  Status run(env::MonotonicTime now, size_t& bytes_left);
  /// There is more to do at once.
  bool has_work() const { return !refusing() && !waiting_.empty(); }
  /// A batch was refused and has not been taken since: nothing may be handed to its replicas to be
  /// applied.
  bool refusing() const { return refused_since_.has_value(); }
  /// When run() is to be called again while it refuses.
  env::MonotonicTime retry_at() const { return retry_at_; }
  /// The first call after a refusal has ended returns true: replicas held their entries back.
  bool take_resumed();

  /// To be called once per tick, and when the answer matters.
  DiskStallDetector::Change watch(env::MonotonicTime now);
  bool stalled() const { return stall_.stalled(); }
  /// It has lasted so long that nobody is kept waiting for its end.
  bool stall_lasts() const;
  const DiskStallDetector& stall() const { return stall_; }
  /// Why it refuses: kNoSpace or kOverloaded. Ok where it does not.
  const Status& refusal() const { return refusal_; }

 private:
  struct Reading {
    const Replica* group;
    env::MonotonicTime since;
  };
  std::optional<env::MonotonicTime> waiting_since() const;
  /// Returns how many bytes of commands it applied.
  size_t apply_piece(size_t bytes_max);
  Status commit(env::MonotonicTime now);
  void finish();

  StateMachineEngine& engine_;
  const Options options_;
  std::vector<Replica*> waiting_;    ///< In the order in which they came.
  std::vector<Replica*> applied_;    ///< Their effects are in the engine's batch.
  std::vector<Replica*> finishing_;  ///< Null where the replica went away meanwhile.
  std::vector<Reading> reads_;       ///< In the order in which they began.
  bool uncommitted_ = false;  ///< The batch holds something, perhaps of replicas that are gone.
  bool resumed_ = false;
  std::optional<env::MonotonicTime> refused_since_;
  env::MonotonicTime retry_at_;
  int64_t retry_ns_ = 0;
  Status refusal_;
  DiskStallDetector stall_;
};

}  // namespace multiraft::host
