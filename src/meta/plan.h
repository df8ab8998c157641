#pragma once
// What a group's leader does next so that the group's configuration becomes what the registry
// wants. A pure function: one step at a time, each a change of at most one voter, so that the
// majorities of successive configurations intersect (thesis 4.1).

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "meta/registry_types.h"
#include "raft/raft.h"

namespace multiraft::meta {

enum class StepKind : uint8_t {
  kNothing,         ///< The configuration is as wanted and all removals are confirmed.
  kWait,            ///< It is not, but nothing can be done before something else changes.
  kConfirmRemoved,  ///< Tell the registry that the configuration is without this replica.
  kAddLearner,
  kPromote,
  kRemove,
  kDemote,
  kTransfer,  ///< Hand leadership to this voter: the leader itself is to go.
};
std::string_view step_name(StepKind kind);

struct Step {
  StepKind kind = StepKind::kNothing;
  ReplicaId replica;
  friend bool operator==(const Step&, const Step&) = default;
};

/// What the leader sees.
struct GroupFacts {
  ReplicaId leader;
  raft::ConfState conf;
  LogIndex last_index;
  /// One entry for every other member; the leader's own is ignored.
  std::span<const raft::MemberProgress> members;
};

/// A learner this close behind the last entry counts as caught up.
inline constexpr uint64_t kCaughtUpEntries = 1000;

/// The next step from `facts` towards `wanted` (GroupRecord::members). Prefers, in this order:
/// confirmations, new learners, promotions of learners that have caught up, removals of learners,
/// removals and demotions of voters (dead ones first), and a transfer away from the leader. A voter
/// goes only if a majority of those who stay is live, so never the last one; a live voter only if
/// its successors vote already or are dead, and never so that fewer than two are left where two are
/// wanted.
Step next_step(std::span<const MemberRecord> wanted, const GroupFacts& facts);

/// The change of configuration that the step asks for; empty for steps that are none.
raft::ConfChange change_for(const Step& step);

}  // namespace multiraft::meta
