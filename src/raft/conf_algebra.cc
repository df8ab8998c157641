#include "raft/conf_algebra.h"

#include <algorithm>
#include <string>
#include <utility>

#include "raft/id_set.h"
#include "raft/progress.h"

namespace multiraft::raft {
namespace {

Status conflict(const char* why) { return Status(StatusCode::kConflict, why); }

/// Applies operations to the incoming half, in order.
class Changer {
 public:
  explicit Changer(ConfState conf) { out_.conf = std::move(conf); }

  Status apply(std::span<const ConfChangeSingle> changes) {
    for (const ConfChangeSingle& change : changes) {
      // An operation on nobody is how an accepted but later discarded change looks.
      if (change.replica == kNoReplica) continue;
      switch (change.op) {
        case ConfChangeOp::kAddVoter:
          add_voter(change.replica);
          break;
        case ConfChangeOp::kAddLearner:
          add_learner(change.replica);
          break;
        case ConfChangeOp::kRemove:
          remove(change.replica);
          break;
        case ConfChangeOp::kUpdate:
          break;
      }
    }
    if (out_.conf.voters.empty()) return conflict("removed all voters");
    return Status::ok();
  }

  ConfOutcome take() { return std::move(out_); }

 private:
  void ensure_member(ReplicaId id) {
    if (!is_member(out_.conf, id)) insert_id(out_.fresh, id);
  }

  void add_voter(ReplicaId id) {
    ensure_member(id);
    erase_id(out_.conf.learners, id);
    erase_id(out_.conf.learners_next, id);
    insert_id(out_.conf.voters, id);
  }

  void add_learner(ReplicaId id) {
    if (contains(out_.conf.learners, id)) return;
    ensure_member(id);
    erase_id(out_.conf.voters, id);
    erase_id(out_.conf.learners_next, id);
    // A voter of the outgoing half cannot be a learner at the same time: it becomes one when the
    // joint configuration is left.
    auto& target =
        contains(out_.conf.voters_outgoing, id) ? out_.conf.learners_next : out_.conf.learners;
    insert_id(target, id);
  }

  void remove(ReplicaId id) {
    erase_id(out_.conf.voters, id);
    erase_id(out_.conf.learners, id);
    erase_id(out_.conf.learners_next, id);
    if (!contains(out_.conf.voters_outgoing, id)) erase_id(out_.fresh, id);
  }

  ConfOutcome out_;
};

size_t symmetric_difference(const std::vector<ReplicaId>& a, const std::vector<ReplicaId>& b) {
  std::vector<ReplicaId> difference;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::back_inserter(difference));
  return difference.size();
}

bool disjoint(const std::vector<ReplicaId>& a, const std::vector<ReplicaId>& b) {
  return std::none_of(a.begin(), a.end(), [&](ReplicaId id) { return contains(b, id); });
}

std::vector<ReplicaId> united(const std::vector<ReplicaId>& a, const std::vector<ReplicaId>& b) {
  std::vector<ReplicaId> all;
  all.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

}  // namespace

Result<ConfOutcome> apply_simple(const ConfState& conf, std::span<const ConfChangeSingle> changes) {
  if (is_joint(conf)) return conflict("can't apply simple config change in joint config");
  Changer changer(conf);
  MR_RETURN_IF_ERROR(changer.apply(changes));
  ConfOutcome out = changer.take();
  // Majorities of configurations that differ in one voter always intersect (thesis 4.1).
  if (symmetric_difference(conf.voters, out.conf.voters) > 1) {
    return conflict("more than one voter changed without entering joint config");
  }
  return out;
}

Result<ConfOutcome> enter_joint(const ConfState& conf, bool auto_leave,
                                std::span<const ConfChangeSingle> changes) {
  if (is_joint(conf)) return conflict("config is already joint");
  if (conf.voters.empty()) return conflict("can't make a zero-voter config joint");
  ConfState joint = conf;
  joint.voters_outgoing = conf.voters;
  joint.auto_leave = auto_leave;
  Changer changer(std::move(joint));
  MR_RETURN_IF_ERROR(changer.apply(changes));
  return changer.take();
}

Result<ConfOutcome> leave_joint(const ConfState& conf) {
  if (!is_joint(conf)) return conflict("can't leave a non-joint config");
  ConfOutcome out;
  out.conf = conf;
  out.conf.learners = united(conf.learners, conf.learners_next);
  out.conf.learners_next.clear();
  out.conf.voters_outgoing.clear();
  out.conf.auto_leave = false;
  return out;
}

Result<ConfOutcome> apply_change(const ConfState& conf, const ConfChange& change) {
  const bool automatic = change.transition == ConfChangeTransition::kAuto;
  if (automatic && change.changes.empty()) return leave_joint(conf);
  if (automatic && change.changes.size() == 1) return apply_simple(conf, change.changes);
  return enter_joint(conf, change.transition != ConfChangeTransition::kJointExplicit,
                     change.changes);
}

Status check_conf_state(const ConfState& conf) {
  const auto bad = [](const char* why) { return Status(StatusCode::kCorruption, why); };
  for (const auto* ids :
       {&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next}) {
    if (!is_id_set(*ids)) return bad("configuration: ids do not ascend");
    if (contains(*ids, kNoReplica)) return bad("configuration: a member without an id");
  }
  if (conf.empty()) return Status::ok();
  if (conf.voters.empty()) return bad("configuration: no voters");
  if (!disjoint(conf.learners, conf.voters) || !disjoint(conf.learners, conf.voters_outgoing)) {
    return bad("configuration: a learner that votes");
  }
  if (!is_joint(conf) && (conf.auto_leave || !conf.learners_next.empty())) {
    return bad("configuration: joint state outside of a joint configuration");
  }
  for (ReplicaId id : conf.learners_next) {
    if (!contains(conf.voters_outgoing, id) || contains(conf.voters, id)) {
      return bad("configuration: a future learner that is not leaving the voters");
    }
  }
  return Status::ok();
}

bool is_voter(const ConfState& conf, ReplicaId id) {
  return contains(conf.voters, id) || contains(conf.voters_outgoing, id);
}

bool is_member(const ConfState& conf, ReplicaId id) {
  return is_voter(conf, id) || contains(conf.learners, id);
}

std::vector<ReplicaId> voters_of(const ConfState& conf) {
  return united(conf.voters, conf.voters_outgoing);
}

std::vector<ReplicaId> members_of(const ConfState& conf) {
  return united(voters_of(conf), conf.learners);
}

void follow(std::vector<Progress>& list, const ConfOutcome& outcome, LogIndex last,
            const Config& config) {
  std::erase_if(list, [&](const Progress& progress) {
    return !is_member(outcome.conf, progress.id) || contains(outcome.fresh, progress.id);
  });
  for (ReplicaId id : outcome.fresh) {
    const auto at = std::lower_bound(list.begin(), list.end(), id,
                                     [](const Progress& p, ReplicaId b) { return p.id < b; });
    Progress progress(id, std::max(last, LogIndex(1)), config);
    progress.recent_active = true;
    list.insert(at, std::move(progress));
  }
  for (Progress& progress : list) progress.learner = contains(outcome.conf.learners, progress.id);
}

Result<ConfState> next_conf_state(const ConfState& state, const ConfChange& change) {
  Result<ConfOutcome> outcome = apply_change(state, change);
  if (!outcome) return outcome.status();
  return std::move(outcome->conf);
}

}  // namespace multiraft::raft
