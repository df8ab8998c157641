#pragma once
// The algebra of configurations: what a membership change turns one configuration into (thesis 4.1
// for single changes, 4.3 for joint consensus). Pure functions of their arguments, so that every
// replica arrives at the same configuration.

#include <span>
#include <vector>

#include "multiraft/status.h"
#include "raft/conf_change.h"
#include "raft/types.h"

namespace multiraft::raft {

struct Config;
class Progress;

/// A configuration and those of its members whose progress starts afresh: new ones, and ones that
/// the same change removed and added again.
struct ConfOutcome {
  ConfState conf;
  std::vector<ReplicaId> fresh;
};

/// At most one voter changes.
Result<ConfOutcome> apply_simple(const ConfState& conf, std::span<const ConfChangeSingle> changes);
/// The present voters become the outgoing half.
Result<ConfOutcome> enter_joint(const ConfState& conf, bool auto_leave,
                                std::span<const ConfChangeSingle> changes);
Result<ConfOutcome> leave_joint(const ConfState& conf);

/// Which of the three `change` means.
Result<ConfOutcome> apply_change(const ConfState& conf, const ConfChange& change);

/// kCorruption where no sequence of changes leads to `conf`.
Status check_conf_state(const ConfState& conf);

/// A member: has progress at the leader, in either half or as a learner.
bool is_member(const ConfState& conf, ReplicaId id);
/// A voter of either half.
bool is_voter(const ConfState& conf, ReplicaId id);
inline bool is_joint(const ConfState& conf) { return !conf.voters_outgoing.empty(); }
/// All members, ascending.
std::vector<ReplicaId> members_of(const ConfState& conf);
/// Voters of both halves, ascending.
std::vector<ReplicaId> voters_of(const ConfState& conf);

/// Makes a leader's progress list follow a change of the configuration. New members are probed at
/// `last`, the leader's last index, and count as alive, so that they get a chance to show it.
void follow(std::vector<Progress>& list, const ConfOutcome& outcome, LogIndex last,
            const Config& config);

}  // namespace multiraft::raft
