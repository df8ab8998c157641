#include <utility>

#include "base/coverage.h"
#include "raft/core.h"

namespace multiraft::raft {

// Configurations take effect when their entry is applied, not when it is appended. Consecutive ones
// are kept apart by allowing a change only when no earlier one can be unapplied at the leader, and
// by refusing to campaign with an unapplied one.

bool Core::pending_conf_change() const {
  const LeaderRole* leader = leader_role();
  return leader != nullptr && leader->pending_conf_index > log_.applied();
}

Result<ProposalPosition> Core::propose_conf_change(const ConfChange& change) {
  std::vector<Entry> entries{make_entry(
      change.v1 ? EntryType::kConfChange : EntryType::kConfChangeV2, encode_conf_change(change))};
  if (!leader_role()) return propose(std::move(entries));
  bool replaced = false;
  Result<ProposalPosition> position = propose_at_leader(std::move(entries), &replaced);
  if (position.is_ok() && replaced) {
    return Status(StatusCode::kConflict, "the change is not allowed in this configuration now");
  }
  return position;
}

bool Core::conf_change_allowed(const LeaderRole&, LogIndex pending, const Entry& entry) const {
  if (config_.disable_conf_change_validation) return true;
  if (pending > log_.applied()) return false;
  const Result<ConfChange> change = decode_conf_change(entry.type, entry.data);
  if (!change.is_ok()) return false;
  if (is_joint(conf_) != change->changes.empty()) return false;
  // With no other change pending the configuration at hand is the one it will be applied to.
  return apply_change(conf_, *change).is_ok();
}

bool Core::screen_conf_changes(const LeaderRole& leader, std::vector<Entry>& entries,
                               LogIndex* pending) const {
  bool all_kept = true;
  LogIndex index = log_.last_index();
  for (Entry& entry : entries) {
    ++index;
    if (entry.type == EntryType::kNormal) continue;
    if (conf_change_allowed(leader, *pending, entry)) {
      *pending = index;
      continue;
    }
    log_info(id(), " replaces a configuration change at ", index, ", not allowed in ", conf_);
    entry = make_entry(EntryType::kNormal, {});
    all_kept = false;
  }
  return all_kept;
}

ConfState Core::apply_conf_change(const ConfChange& change) {
  // Entries that were handed out before a snapshot came are part of it.
  if (log_.has_snapshot()) {
    MR_COVERAGE("raft: configuration change overtaken by a snapshot");
    return conf_;
  }
  Result<ConfOutcome> outcome = apply_change(conf_, change);
  if (outcome.is_ok()) {
    switch_to(std::move(*outcome));
  } else {
    // Every replica comes to the same conclusion.
    log_error(id(), " cannot apply a change to ", conf_, ": ", outcome.status().message());
  }
  return conf_;
}

void Core::switch_to(ConfOutcome outcome) {
  conf_ = outcome.conf;
  log_info(id(), " switches to configuration ", conf_);
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  follow(leader->progress, outcome, log_.last_index(), config_);

  if (!is_voter(conf_, id())) {
    // It leads without being counted. Stepping down lets the others elect at once; without it they
    // wait for somebody to replace it (thesis 4.2.2, trap 26).
    if (config_.step_down_on_removal) become_follower(term_, kNoReplica);
    return;
  }
  // A smaller quorum may have reached further, and who waits should hear of it at once.
  if (maybe_commit(*leader)) {
    release_held_reads(*leader);
    broadcast_appends(*leader);
  } else {
    broadcast_pending(*leader);
  }
  if (leader->transfer_target && !is_voter(conf_, leader->transfer_target)) {
    abort_transfer(*leader);
  }
  release_confirmed_reads(*leader);
}

void Core::maybe_leave_joint() {
  const LeaderRole* leader = leading();
  if (leader == nullptr || !conf_.auto_leave) return;
  // Whoever leads does it, so a leader that steps down first does not strand the group (trap 23);
  // after an own entry is committed, so that both quorums stand behind this leader (trap 24).
  if (log_.applied() < leader->pending_conf_index) return;
  if (!committed_in_term()) return;
  MR_COVERAGE("raft: joint configuration left by itself");
  const auto position = propose_at_leader({make_entry(EntryType::kConfChangeV2, {})}, nullptr);
  if (!position.is_ok()) {
    log_debug(id(), " does not leave ", conf_, " now: ", position.status().message());
  }
}

}  // namespace multiraft::raft
