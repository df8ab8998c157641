// After the faults: the cluster must elect a leader, agree, and take a new write.

#include <algorithm>

#include "base/coverage.h"
#include "world.h"

namespace multiraft::sim {

using raft::Role;

namespace {

/// Generous: dozens of election timeouts.
constexpr int kRounds = 400;
/// Reads expire after one election timeout, at the asker as at the leader.
constexpr int kAnswerRounds = 12;
constexpr int kSettleSteps = 20'000;

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// More up to date, by the rule of elections (thesis 3.6.1).
bool ahead(const raft::Raft& a, Term a_last_term, const raft::Raft& b, Term b_last_term) {
  return a_last_term > b_last_term ||
         (a_last_term == b_last_term && a.last_index() > b.last_index());
}

}  // namespace

void World::settle() {
  // Everything in the network and on the disks completes; each step may cause more.
  for (int i = 0; i < kSettleSteps && !checker_.failed(); ++i) {
    bool busy = false;
    for (auto& node : nodes_) {
      take_ready(*node, true);
      if (!node->appends.empty()) {
        complete_append(*node);
        busy = true;
      }
      if (!node->applies.empty()) {
        complete_apply(*node);
        busy = true;
      }
    }
    if (!network_.empty()) {
      deliver_one();
      busy = true;
    }
    if (!busy) return;
  }
}

Node* World::acting_leader() {
  Node* best = leader();
  return best && best->core().committed_in_term() ? best : nullptr;
}

bool World::converged(ReplicaId leader_id, LogIndex index) {
  const raft::ConfState& conf = nodes_[leader_id.value - 1]->applied.conf;
  for (auto& node : nodes_) {
    const bool member = contains(conf.voters, node->id()) || contains(conf.learners, node->id()) ||
                        contains(conf.voters_outgoing, node->id());
    if (member && node->applied.index < index) return false;
  }
  return true;
}

bool World::converge() {
  faults_ = false;
  heal_network();
  for (auto& node : nodes_) {
    node->slow_disk = node->slow_apply = node->frozen = false;
    restart(*node);
    // A member that is behind must find something to be sent.
    compact(*node);
  }
  LogIndex proposed;
  Term proposed_term;
  for (int round = 0; round < kRounds && !checker_.failed(); ++round) {
    settle();
    for (auto& node : nodes_) {
      compact(*node);
      node->set_time(time_ns_ += kTickNs);  // Faster than they tick: leases are no help here.
      tick(*node);
    }
    settle();
    Node* at = acting_leader();
    if (!at) continue;
    const raft::ConfState& conf = at->core().conf_state();
    if (!settings_.step_down_on_removal && !contains(conf.voters, at->id()) &&
        !contains(conf.voters_outgoing, at->id())) {
      // Without the option it is up to the caller to stop a leader that was removed.
      crash(*at);
      restart(*at);
      continue;
    }
    if (proposed == LogIndex{} || proposed_term != at->core().term()) {
      auto position = at->core().propose({SharedBytes::copy_of("after the faults")});
      if (!position) continue;  // A transfer is under way.
      proposed = position->index;
      proposed_term = position->term;
      take_ready(*at, true);
      continue;
    }
    // An automatic joint configuration is left, whatever happened to those who entered it.
    if (at->applied.conf.auto_leave) continue;
    if (at->applied.index < proposed || !converged(at->id(), proposed)) continue;
    for (int i = 0; i < kAnswerRounds; ++i) {
      for (auto& node : nodes_) {
        node->set_time(time_ns_ += kTickNs);
        tick(*node);
      }
      settle();
    }
    for (auto& node : nodes_) checker_.at_end(*node);
    return true;
  }
  return false;
}

bool World::could_win(Node& candidate) {
  const raft::Raft& core = candidate.core();
  const raft::ConfState& conf = core.conf_state();
  if (!contains(conf.voters, candidate.id()) && !contains(conf.voters_outgoing, candidate.id())) {
    return false;
  }
  auto last_term = [&](Node& node) {
    auto term = node.disk.term(node.disk.last_index());
    return term ? *term : Term{};
  };
  auto wins = [&](const std::vector<ReplicaId>& voters) {
    size_t granted = 0;
    for (ReplicaId id : voters) {
      Node& voter = *nodes_[id.value - 1];
      if (!ahead(voter.core(), last_term(voter), core, last_term(candidate))) ++granted;
    }
    return voters.empty() || granted >= voters.size() / 2 + 1;
  };
  return wins(conf.voters) && wins(conf.voters_outgoing);
}

std::string World::find_hazard() {
  if (leader()) {
    // A leader that its own members cannot commit with: a configuration whose voters were removed
    // from the others' before they knew.
    const raft::ConfState& conf = leader()->core().conf_state();
    for (auto& node : nodes_) {
      if (contains(conf.voters, node->id()) && node->removed) {
        MR_COVERAGE("hazard: removed voter still counted");
        return "a voter that was removed is still counted by the leader";
      }
    }
    return {};
  }
  for (auto& node : nodes_) {
    if (could_win(*node)) return {};
  }
  // etcd#12359: who has the longest log is no voter in its own eyes and may not campaign, and those
  // that may campaign cannot win against its log.
  MR_COVERAGE("hazard: demoted voter with the longest log");
  return "a demoted or removed voter with the longest log blocks all elections (etcd#12359)";
}

}  // namespace multiraft::sim
