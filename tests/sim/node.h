#pragma once
// One simulated replica: the real core, a disk that completes writes when it is told to, and a
// state machine that applies when it is told to. A crash keeps a prefix of the writes under way.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "raft/lease.h"
#include "raft/raft.h"
#include "settings.h"

namespace multiraft::sim {

/// The durable log, as the core sees it.
class Disk final : public raft::Storage {
 public:
  raft::InitialState initial_state() const override { return {hard_state, start_conf}; }
  Result<std::vector<raft::Entry>> entries(LogIndex low, LogIndex high, size_t bytes_max) override;
  bool has_conf_change(LogIndex low, LogIndex high) const override;
  Result<Term> term(LogIndex index) const override;
  LogIndex first_index() const override { return mark.index + 1; }
  LogIndex last_index() const override { return mark.index + log.size(); }
  Result<std::shared_ptr<const raft::Snapshot>> snapshot() override;

  void write(const raft::StorageAppend& append);
  /// Drops entries up to `to`, which must be held, and remembers the configuration there.
  void compact(const raft::Snapshot& to);

  raft::HardState hard_state;
  raft::Snapshot mark;
  std::vector<raft::Entry> log;  ///< From mark.index + 1 on.
  raft::ConfState start_conf;    ///< At the applied index of the next start.
  /// What is sent to a member that is behind; null: none right now.
  std::shared_ptr<const raft::Snapshot> offer;
  uint64_t asked = 0;       ///< For entries.
  bool being_read = false;  ///< Entries, since the core asked for some that are not in memory.
};

/// The state machine: a hash over everything applied stands for its content.
struct State {
  LogIndex index;
  Term term;
  uint64_t hash = 0;
  raft::ConfState conf;
};

uint64_t next_hash(uint64_t hash, const raft::Entry& entry);

/// What every state machine must look like at each index; filled by the first that gets there.
struct Truth {
  std::vector<uint64_t> hash{0};   ///< By index.
  std::vector<Term> term{Term{}};  ///< Of the entry at each index.
};

/// A tick of a node, by its own clock.
inline constexpr int64_t kTickNs = 1'000'000;
inline constexpr uint32_t kElectionTicks = 5;

class Node final : private raft::LeaseJudge {
 public:
  Node(ReplicaId id, const Settings& settings, const Truth& truth, uint64_t seed,
       const State& start);

  ReplicaId id() const { return id_; }
  bool alive() const { return core_ != nullptr; }
  raft::Raft& core() { return *core_; }
  const raft::Raft& core() const { return *core_; }

  /// Starts the core from what the disk and the flushed state machine hold.
  void start(uint64_t seed);
  /// Loses the core and what it had in memory. Some prefix of the appends under way is on disk; the
  /// state machine falls back to some point between flushed and applied.
  void crash(Prng& prng);
  /// By its own clock, at `world_ns` of the world's time.
  void set_time(int64_t world_ns) { now_ns = world_ns * clock_rate_percent / 100; }
  void about_to_send() {
    if (const uint64_t round = core_->heartbeat_round(); round != 0)
      lease_.sent(core_->term(), round, now_ns);
  }
  void drop_lease() { lease_.drop(); }
  /// The log and the state machine take a snapshot, together.
  void installed(const raft::Snapshot& snapshot);

  Disk disk;
  State applied;
  State flushed;
  std::map<LogIndex, State> history;        ///< Every state since `flushed`.
  std::deque<raft::StorageAppend> appends;  ///< Under way, in order.
  std::deque<raft::StorageApply> applies;
  std::map<uint64_t, LogIndex> reads;  ///< Outstanding: id -> commit index it must reach.
  uint64_t next_read = 1;

  // Observed before, also over crashes (invariant 2).
  raft::HardState seen;
  raft::HardState durable;  ///< The newest that was written.
  bool frozen = false;      ///< Paused: nothing reaches it and it does nothing.
  bool removed = false;     ///< Some change took it away, or tried to.
  bool slow_disk = false;
  bool slow_apply = false;
  int64_t now_ns = 0;
  int64_t next_tick_ns = 0;
  int64_t clock_rate_percent = 100;

 private:
  bool holds(Term term, uint64_t round) override { return lease_.holds(term, round, now_ns); }

  const ReplicaId id_;
  const Settings& settings_;
  const Truth& truth_;
  raft::LeaseTimes lease_{raft::lease_ns(raft::promise_ns(kElectionTicks, kTickNs))};
  std::unique_ptr<raft::Raft> core_;
};

}  // namespace multiraft::sim
