#pragma once
// What must hold after every step, in one place. Tests and the simulation call this; the product
// does not.

#include <map>
#include <string>
#include <utility>

#include "raft/raft.h"

namespace multiraft::raft {

/// What is wrong inside one replica; empty if nothing is.
std::string check_invariants(const Raft& raft);

/// What must hold across the replicas of one group and over time (thesis figure 3.2). Sees every
/// replica after each of its steps, from its start on.
class GroupInvariants {
 public:
  /// Returns what is wrong, or nothing: check_invariants() of this replica and what it contradicts.
  std::string after_step(const Raft& raft);
  /// State machine safety: one entry an index.
  std::string on_applied(ReplicaId replica, const Entry& entry);
  /// The replica lost everything volatile. `durable`: what it starts from again.
  void on_restart(ReplicaId replica, const HardState& durable);

  LogIndex commit_max() const { return commits_.empty() ? LogIndex() : commits_.rbegin()->first; }

 private:
  std::string check_leader(const Raft& raft);
  std::string check_progress_in_time(const Raft& raft);
  std::string check_commits(const Raft& raft);

  std::map<Term, ReplicaId> leaders_;
  std::map<ReplicaId, HardState> last_;
  /// Votes in (voter, term) survive crashes: they are durable before anybody hears of them.
  std::map<std::pair<ReplicaId, Term>, ReplicaId> votes_;
  std::map<LogIndex, Term> commits_;
  std::map<LogIndex, Entry> applied_;
};

}  // namespace multiraft::raft
