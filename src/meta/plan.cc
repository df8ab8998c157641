#include "meta/plan.h"

#include <algorithm>

namespace multiraft::meta {
namespace {

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

class Planner {
 public:
  Planner(std::span<const MemberRecord> wanted, const GroupFacts& facts)
      : wanted_(wanted), facts_(facts), conf_(facts.conf) {}

  Step next() {
    // A joint configuration leaves itself; until then nothing else may change.
    if (!conf_.voters_outgoing.empty()) return {StepKind::kWait, {}};
    for (auto choose : {&Planner::confirm, &Planner::add, &Planner::promote,
                        &Planner::remove_learner, &Planner::drop_voter, &Planner::transfer}) {
      if (Step step = (this->*choose)(); step.kind != StepKind::kNothing) return step;
    }
    return {as_wanted() ? StepKind::kNothing : StepKind::kWait, {}};
  }

 private:
  static Step nothing() { return {}; }

  bool in_conf(ReplicaId id) const {
    return contains(conf_.voters, id) || contains(conf_.learners, id);
  }
  const MemberRecord* record_of(ReplicaId id) const {
    const auto at = std::find_if(wanted_.begin(), wanted_.end(),
                                 [&](const MemberRecord& m) { return m.replica == id; });
    return at == wanted_.end() ? nullptr : &*at;
  }
  bool wanted_in(ReplicaId id) const {
    const MemberRecord* record = record_of(id);
    return record && !record->leaving;
  }
  bool wanted_voter(ReplicaId id) const {
    const MemberRecord* record = record_of(id);
    return record && !record->leaving && record->voter;
  }
  const raft::MemberProgress* progress_of(ReplicaId id) const {
    for (const raft::MemberProgress& p : facts_.members) {
      if (p.id == id) return &p;
    }
    return nullptr;
  }
  bool live(ReplicaId id) const {
    if (id == facts_.leader) return true;
    const raft::MemberProgress* progress = progress_of(id);
    return progress && progress->recent_active;
  }
  bool caught_up(ReplicaId id) const {
    const raft::MemberProgress* progress = progress_of(id);
    return progress && progress->recent_active &&
           progress->state == raft::ProgressState::kReplicate &&
           progress->match_index + kCaughtUpEntries >= facts_.last_index;
  }
  /// Without this voter, the others still have a majority of live ones. And a live voter is not
  /// given up before its successors vote: neither below those that are wanted and on their way,
  /// nor, where these are dead, below two copies.
  bool can_lose(ReplicaId id) const {
    size_t stay = 0;
    size_t live_ones = 0;
    for (ReplicaId voter : conf_.voters) {
      if (voter == id) continue;
      ++stay;
      if (live(voter)) ++live_ones;
    }
    if (stay == 0 || live_ones <= stay / 2) return false;
    if (!live(id)) return true;
    size_t wanted = 0;
    size_t coming = 0;
    for (const MemberRecord& m : wanted_) {
      if (!wanted_voter(m.replica) || m.replica.node() == id.node()) continue;
      ++wanted;
      if (contains(conf_.voters, m.replica) || live(m.replica)) ++coming;
    }
    return stay >= std::max(coming, std::min<size_t>(wanted, 2));
  }

  Step confirm() {
    for (const MemberRecord& m : wanted_) {
      if (m.leaving && !in_conf(m.replica)) return {StepKind::kConfirmRemoved, m.replica};
    }
    return nothing();
  }
  Step add() {
    for (const MemberRecord& m : wanted_) {
      if (!m.leaving && !in_conf(m.replica)) return {StepKind::kAddLearner, m.replica};
    }
    return nothing();
  }
  Step promote() {
    for (ReplicaId id : conf_.learners) {
      if (wanted_voter(id) && caught_up(id)) return {StepKind::kPromote, id};
    }
    return nothing();
  }
  Step remove_learner() {
    for (ReplicaId id : conf_.learners) {
      if (!wanted_in(id)) return {StepKind::kRemove, id};
    }
    return nothing();
  }
  Step drop_voter() {
    for (const bool dead_ones : {true, false}) {
      for (ReplicaId id : conf_.voters) {
        if (id == facts_.leader || wanted_voter(id) || live(id) == dead_ones) continue;
        if (!can_lose(id)) continue;
        return {wanted_in(id) ? StepKind::kDemote : StepKind::kRemove, id};
      }
    }
    return nothing();
  }
  Step transfer() {
    // Only if it brings the goal nearer: the next leader must be able to let this one go.
    if (wanted_voter(facts_.leader) || !can_lose(facts_.leader)) return nothing();
    const raft::MemberProgress* best = nullptr;
    for (ReplicaId id : conf_.voters) {
      if (id == facts_.leader || !wanted_voter(id) || !caught_up(id)) continue;
      const raft::MemberProgress* progress = progress_of(id);
      if (!best || progress->match_index > best->match_index) best = progress;
    }
    return best ? Step{StepKind::kTransfer, best->id} : nothing();
  }
  bool as_wanted() const {
    return std::all_of(conf_.voters.begin(), conf_.voters.end(),
                       [&](ReplicaId id) { return wanted_voter(id); }) &&
           std::none_of(conf_.learners.begin(), conf_.learners.end(),
                        [&](ReplicaId id) { return wanted_voter(id); });
  }

  std::span<const MemberRecord> wanted_;
  const GroupFacts& facts_;
  const raft::ConfState& conf_;
};

}  // namespace

std::string_view step_name(StepKind kind) {
  switch (kind) {
    case StepKind::kNothing:
      return "nothing";
    case StepKind::kWait:
      return "wait";
    case StepKind::kConfirmRemoved:
      return "confirm removal";
    case StepKind::kAddLearner:
      return "add learner";
    case StepKind::kPromote:
      return "promote";
    case StepKind::kRemove:
      return "remove";
    case StepKind::kDemote:
      return "demote";
    case StepKind::kTransfer:
      return "transfer leadership";
  }
  MR_UNREACHABLE("step kind");
}

Step next_step(std::span<const MemberRecord> wanted, const GroupFacts& facts) {
  return Planner(wanted, facts).next();
}

raft::ConfChange change_for(const Step& step) {
  raft::ConfChange change;
  switch (step.kind) {
    case StepKind::kAddLearner:
    case StepKind::kDemote:
      change.changes.push_back({raft::ConfChangeOp::kAddLearner, step.replica});
      break;
    case StepKind::kPromote:
      change.changes.push_back({raft::ConfChangeOp::kAddVoter, step.replica});
      break;
    case StepKind::kRemove:
      change.changes.push_back({raft::ConfChangeOp::kRemove, step.replica});
      break;
    case StepKind::kNothing:
    case StepKind::kWait:
    case StepKind::kConfirmRemoved:
    case StepKind::kTransfer:
      break;
  }
  return change;
}

}  // namespace multiraft::meta
