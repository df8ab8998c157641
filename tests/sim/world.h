#pragma once
// A cluster of simulated replicas, their network, and one seed's run: random actions under faults,
// then a phase without faults in which the cluster must make progress.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checker.h"
#include "node.h"
#include "settings.h"

namespace multiraft::sim {

struct RunResult {
  std::string violation;  ///< Empty: all invariants held and progress was made.
  std::string hazard;     ///< A known limit of apply-time membership was met instead of progress.
  uint64_t steps = 0;
  uint64_t trace_hash = 0;  ///< Equal for equal seeds.
};

class World {
 public:
  /// `trace` takes one line an action; empty: none.
  World(const Settings& settings, std::function<void(const std::string&)> trace);
  RunResult run();

 private:
  struct Packet {
    raft::Message message;
    uint64_t sequence = 0;
  };

  // -- Actions.
  void random_step();
  void deliver_one();
  void deliver(Packet packet);
  void complete_append(Node& node);
  void complete_apply(Node& node);
  void tick(Node& node);
  /// Time goes on, and whoever is due ticks.
  void pass_time();
  void propose(Node& node);
  void propose_change(Node& node);
  void ask_read(Node& node);
  void crash(Node& node);
  void restart(Node& node);
  void compact(Node& node);
  void partition();
  void heal_network();
  void take_ready(Node& node, bool now);
  void send(Node& node, raft::Message message);
  void run_responses(Node& node, std::vector<raft::Message> responses);

  // -- Biased schedules: called before every random step, they steer it.
  void steer(uint64_t step);
  void steer_figure8(uint64_t step);
  void steer_aba(uint64_t step);
  void steer_reconfiguration(uint64_t step);
  void steer_swizzle(uint64_t step);
  void steer_lagging(uint64_t step);
  void steer_read_pause(uint64_t step);
  void steer_lease(uint64_t step);

  // -- Progress.
  bool converge();
  void settle();
  bool converged(ReplicaId leader, LogIndex index);
  Node* acting_leader();
  /// Names the known hazard that keeps everybody from being elected; empty where there is none.
  std::string find_hazard();
  bool could_win(Node& candidate);

  // -- Helpers.
  Node& random_node() { return *nodes_[prng_.below(nodes_.size())]; }
  Node* random_alive();
  Node* leader();
  bool blocked(ReplicaId from, ReplicaId to) const;
  void cut(ReplicaId from, ReplicaId to, bool value);
  void isolate(ReplicaId id, bool value);
  void describe(Node& node);
  void note(const std::string& text);
  uint64_t fresh_seed() { return timeouts_.next(); }

  const Settings settings_;
  std::function<void(const std::string&)> trace_;
  // One stream a concern, so that a change in one does not reshuffle the others.
  Prng prng_;
  Prng network_prng_;
  Prng disk_prng_;
  Prng timeouts_;
  Truth truth_;
  Nodes nodes_;
  Checker checker_;
  std::deque<Packet> network_;
  std::vector<bool> cut_;  ///< nodes x nodes, from row to column.
  int64_t time_ns_ = 0;
  uint64_t packets_ = 0;
  uint64_t proposals_ = 0;
  uint64_t steps_ = 0;
  uint64_t trace_hash_ = 0xcbf29ce484222325ULL;
  bool faults_ = true;
  uint32_t phase_ = 0;  ///< Of a biased schedule.
  ReplicaId victim_;
};

}  // namespace multiraft::sim
