#pragma once
// The invariants of verification.md that span replicas, checked after every step. A violation ends
// the run with a text.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "node.h"

namespace multiraft::sim {

using Nodes = std::vector<std::unique_ptr<Node>>;

class Checker {
 public:
  Checker(const Nodes& nodes, Truth& truth, const Settings& settings)
      : nodes_(nodes), truth_(truth), settings_(settings) {}

  const std::string& violation() const { return violation_; }
  bool failed() const { return !violation_.empty(); }
  LogIndex max_commit() const { return max_commit_; }
  uint64_t leaders_elected() const { return leader_of_term_.size(); }

  /// Where the cluster starts.
  void start(const State& state);
  /// `node` has just been driven.
  void after_step(Node& node);
  /// A Ready was taken: what leaves at once, and what is to be written.
  void on_ready(Node& node, const raft::Ready& ready);
  /// Leaves the node now, all that it depends on being durable.
  void on_sent(const Node& node, const raft::Message& message);
  void on_applied(Node& node, const raft::Entry& entry, uint64_t hash);
  /// A change of the configuration was applied; `node.applied` is behind it.
  void on_configuration(const Node& node, const raft::ConfState& before,
                        const raft::ConfState& after);
  void on_snapshot_applied(const Node& node, const raft::Snapshot& snapshot);
  void on_read(Node& node, const raft::ReadState& read);
  /// A write has reached the disk.
  void on_durable(Node& node, const raft::StorageAppend& append);
  /// All faults are over and there was time for every answer.
  void at_end(const Node& node);

 private:
  void fail(const Node& node, const std::string& what);
  void check_leader(Node& node);
  void check_commit(Node& node);
  void check_limits(Node& node, const raft::Ready& ready);
  bool durable_on_quorum(const raft::ConfState& conf, LogIndex index, Term term) const;
  bool durable_on_majority(const std::vector<ReplicaId>& voters, LogIndex index, Term term) const;
  const Node* find(ReplicaId id) const;
  void check_sole_change(const Node& node, const raft::Entry& change);
  void record_entry(const Node& node, const raft::Entry& entry, Term previous);

  struct EntryFacts {
    uint64_t hash = 0;
    Term previous;
    bool change = false;  ///< Of the configuration.
  };
  struct PairHash {
    size_t operator()(const std::pair<uint64_t, uint64_t>& p) const {
      return p.first * 0x9e3779b97f4a7c15ULL ^ p.second;
    }
  };

  const Nodes& nodes_;
  Truth& truth_;
  const Settings& settings_;
  std::string violation_;
  LogIndex max_commit_;
  std::vector<Term> committed_;  ///< The term of the committed entry at each index; 0: not known.
  std::unordered_map<uint64_t, ReplicaId> leader_of_term_;
  std::unordered_map<std::pair<uint64_t, uint64_t>, EntryFacts, PairHash> entries_;
  std::map<std::pair<ReplicaId, Term>, ReplicaId> votes_;
  std::map<LogIndex, raft::ConfState> configurations_;  ///< From each change's index on.
};

}  // namespace multiraft::sim
