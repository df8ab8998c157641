#include "cluster/plan.h"

#include "base/assert.h"

#include <algorithm>

namespace multiraft::cluster {
namespace {

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

class Planner {
 public:
  Planner(std::span<const registry::MemberRecord> wanted, const GroupFacts& facts)
      : wanted_(wanted), facts_(facts), conf_(facts.conf) {}

  Step next() {
    // A joint configuration leaves itself; until then nothing else may change.
    if (!conf_.voters_outgoing.empty()) return {StepKind::kWait, {}, {}};
    for (auto choose : {&Planner::confirm, &Planner::add, &Planner::change_voters,
                        &Planner::remove_learner, &Planner::settle}) {
      if (Step step = (this->*choose)(); step.kind != StepKind::kNothing) return step;
    }
    return {as_wanted() ? StepKind::kNothing : StepKind::kWait, {}, {}};
  }

 private:
  static Step nothing() { return {}; }

  bool in_conf(ReplicaId id) const {
    return contains(conf_.voters, id) || contains(conf_.learners, id);
  }
  const registry::MemberRecord* record_of(ReplicaId id) const {
    const auto at = std::find_if(wanted_.begin(), wanted_.end(),
                                 [&](const registry::MemberRecord& m) { return m.replica == id; });
    return at == wanted_.end() ? nullptr : &*at;
  }
  bool wanted_in(ReplicaId id) const {
    const registry::MemberRecord* record = record_of(id);
    return record && !record->leaving;
  }
  bool wanted_voter(ReplicaId id) const {
    const registry::MemberRecord* record = record_of(id);
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
    if (!progress || !progress->recent_active) return false;
    return !facts_.answered ||
           std::binary_search(facts_.answered->begin(), facts_.answered->end(), id.node());
  }
  bool caught_up(ReplicaId id) const {
    const raft::MemberProgress* progress = progress_of(id);
    return progress && live(id) && progress->state == raft::ProgressState::kReplicate &&
           progress->match_index + kCaughtUpEntries >= facts_.last_index;
  }
  size_t live_among(const std::vector<ReplicaId>& ids) const {
    return static_cast<size_t>(
        std::count_if(ids.begin(), ids.end(), [&](ReplicaId id) { return live(id); }));
  }

  /// How many voters must be left for a live one to go: those that are wanted and vote or are on
  /// their way, and where these are dead, two copies.
  size_t voters_needed() const {
    size_t wanted = 0;
    size_t coming = 0;
    for (const registry::MemberRecord& m : wanted_) {
      if (!wanted_voter(m.replica)) continue;
      const bool waits_for_predecessor = std::any_of(
          conf_.voters.begin(), conf_.voters.end(),
          [&](ReplicaId id) { return !wanted_voter(id) && id.node() == m.replica.node(); });
      if (waits_for_predecessor) continue;
      ++wanted;
      if (contains(conf_.voters, m.replica) || live(m.replica)) ++coming;
    }
    return std::max(coming, std::min<size_t>(wanted, 2));
  }

  /// The voters after the change that `leader` may propose, ascending; those of today where none is
  /// allowed.
  std::vector<ReplicaId> target(ReplicaId leader) const {
    std::vector<ReplicaId> next;
    std::vector<ReplicaId> may_stay;  // Live ones that are to go; those to be demoted first.
    std::vector<ReplicaId> leavers;
    for (ReplicaId id : conf_.voters) {
      if (wanted_voter(id) || id == leader) {
        next.push_back(id);
      } else if (wanted_in(id)) {
        may_stay.push_back(id);
      } else if (live(id)) {
        leavers.push_back(id);
      }
    }
    for (ReplicaId id : conf_.learners) {
      if (wanted_voter(id) && caught_up(id)) next.push_back(id);
    }
    if (live_among(next) < next.size()) {
      next.insert(next.end(), may_stay.begin(), may_stay.end());
      may_stay.clear();
    }
    may_stay.insert(may_stay.end(), leavers.begin(), leavers.end());
    const size_t needed = voters_needed();
    for (ReplicaId id : may_stay) {
      if (next.size() >= needed && live_among(next) > next.size() / 2) break;
      next.push_back(id);
    }
    std::sort(next.begin(), next.end());
    if (live_among(next) <= next.size() / 2) return conf_.voters;
    const bool more_to_come =
        std::any_of(wanted_.begin(), wanted_.end(), [&](const registry::MemberRecord& m) {
          return wanted_voter(m.replica) && !contains(next, m.replica);
        });
    const bool worse = next.size() == conf_.voters.size() + 1 && next.size() % 2 == 0;
    if (worse && more_to_come && wanted_voter(leader)) return conf_.voters;
    return next;
  }

  Step confirm() {
    for (const registry::MemberRecord& m : wanted_) {
      if ((m.leaving || m.settled) && !in_conf(m.replica))
        return {StepKind::kConfirmRemoved, m.replica, {}};
    }
    return nothing();
  }
  Step add() {
    for (const registry::MemberRecord& m : wanted_) {
      if (!m.leaving && !in_conf(m.replica)) return {StepKind::kAddLearner, m.replica, {}};
    }
    return nothing();
  }
  Step change_voters() {
    if (const ReplicaId next = successor(); next != raft::kNoReplica) {
      return {StepKind::kTransfer, next, {}};
    }
    const std::vector<ReplicaId> next = target(facts_.leader);
    Step step;
    for (ReplicaId id : next) {
      if (!contains(conf_.voters, id)) {
        step = {StepKind::kPromote, id, std::move(step.changes)};
        step.changes.push_back({raft::ConfChangeOp::kAddVoter, id});
      }
    }
    for (ReplicaId id : conf_.voters) {
      if (contains(next, id)) continue;
      const bool demoted = wanted_in(id);
      step = {demoted ? StepKind::kDemote : StepKind::kRemove, id, std::move(step.changes)};
      step.changes.push_back(
          {demoted ? raft::ConfChangeOp::kAddLearner : raft::ConfChangeOp::kRemove, id});
    }
    if (step.changes.size() > 1) return {StepKind::kChangeVoters, {}, std::move(step.changes)};
    step.changes.clear();
    return step;
  }
  /// The voter that is to lead because this leader is to go; none where it stays, or where the next
  /// one could not let it go.
  ReplicaId successor() const {
    if (wanted_voter(facts_.leader)) return raft::kNoReplica;
    const raft::MemberProgress* best = nullptr;
    for (ReplicaId id : conf_.voters) {
      if (id == facts_.leader || !wanted_voter(id) || !caught_up(id)) continue;
      if (contains(target(id), facts_.leader)) continue;
      const raft::MemberProgress* progress = progress_of(id);
      if (!best || progress->match_index > best->match_index) best = progress;
    }
    return best ? best->id : raft::kNoReplica;
  }
  Step remove_learner() {
    for (ReplicaId id : conf_.learners) {
      if (!wanted_in(id)) return {StepKind::kRemove, id, {}};
    }
    return nothing();
  }
  Step settle() {
    for (const registry::MemberRecord& m : wanted_) {
      if (m.leaving || m.settled) continue;
      if (contains(m.voter ? conf_.voters : conf_.learners, m.replica)) {
        return {StepKind::kSettle, m.replica, {}};
      }
    }
    return nothing();
  }
  bool as_wanted() const {
    return std::all_of(conf_.voters.begin(), conf_.voters.end(),
                       [&](ReplicaId id) { return wanted_voter(id); }) &&
           std::none_of(conf_.learners.begin(), conf_.learners.end(),
                        [&](ReplicaId id) { return wanted_voter(id); });
  }

  std::span<const registry::MemberRecord> wanted_;
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
    case StepKind::kSettle:
      return "settle";
    case StepKind::kAddLearner:
      return "add learner";
    case StepKind::kPromote:
      return "promote";
    case StepKind::kRemove:
      return "remove";
    case StepKind::kDemote:
      return "demote";
    case StepKind::kChangeVoters:
      return "change voters";
    case StepKind::kTransfer:
      return "transfer leadership";
  }
  MR_UNREACHABLE("step kind");
}

Step next_step(std::span<const registry::MemberRecord> wanted, const GroupFacts& facts) {
  return Planner(wanted, facts).next();
}

bool changes_voters(const Step& step) {
  // A learner's removal is among them; to treat it alike does no harm.
  return step.kind == StepKind::kPromote || step.kind == StepKind::kDemote ||
         step.kind == StepKind::kRemove || step.kind == StepKind::kChangeVoters;
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
    case StepKind::kChangeVoters:
      change.changes = step.changes;
      break;
    case StepKind::kNothing:
    case StepKind::kWait:
    case StepKind::kConfirmRemoved:
    case StepKind::kSettle:
    case StepKind::kTransfer:
      break;
  }
  return change;
}

}  // namespace multiraft::cluster
