#pragma once
// What a group's leader does next so that the group's configuration becomes what the registry
// wants. A pure function, one step at a time. The set of voters changes as a whole: where more than
// one voter differs, by joint consensus (thesis 4.3), so that there is never a set in between.
//
// Why: {1,2,3} is to become the voter 1 and the learner 2, and node 3 is about to die. Demoting 2
// first leaves {1,3}, which is lost with node 3; removing 3 first leaves {1,2}. The joint
// configuration {1,2,3}&{1} needs a majority of the old set only, whichever of 2 and 3 dies.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "multiraft/types.h"
#include "raft/raft.h"
#include "registry/types.h"

namespace multiraft::cluster {

enum class StepKind : uint8_t {
  kNothing,         ///< The configuration is as wanted and all removals are confirmed.
  kWait,            ///< It is not, but nothing can be done before something else changes.
  kConfirmRemoved,  ///< Tell the registry that the configuration is without this replica.
  kSettle,          ///< Tell the registry that this member is what it is to be.
  kAddLearner,
  kPromote,
  kRemove,
  kDemote,
  kChangeVoters,  ///< Several voters at once, as Step::changes says.
  kTransfer,      ///< Hand leadership to this voter: the leader itself is to go.
};
std::string_view step_name(StepKind kind);

struct Step {
  StepKind kind = StepKind::kNothing;
  ReplicaId replica;
  /// kChangeVoters: all of the change.
  std::vector<raft::ConfChangeSingle> changes;
  friend bool operator==(const Step&, const Step&) = default;
};

/// What the leader sees.
struct GroupFacts {
  ReplicaId leader;
  raft::ConfState conf;
  LogIndex last_index;
  /// One entry for every other member; the leader's own is ignored.
  std::span<const raft::MemberProgress> members;
  /// The nodes that answered a question asked after the decision to change something, ascending;
  /// empty where nobody was asked. Raft's own `recent_active` is up to an election timeout old.
  std::optional<std::vector<NodeId>> answered;
};

/// A learner this close behind the last entry counts as caught up.
inline constexpr uint64_t kCaughtUpEntries = 1000;

/// The next step from `facts` towards `wanted` (GroupRecord::members). Prefers, in this order:
/// confirmations, new learners, the change of the voters, removals of learners.
///
/// The voters after a change are those that stay, the learners that have caught up, and those that
/// cannot go yet. A voter goes only if a majority of the voters after the change is live, so never
/// the last one. A live voter goes only if its successors vote by then or are dead, and never so
/// that fewer than two are left where two are wanted. A voter is demoted only while all voters
/// after the change are live: a demotion is never urgent. An odd number of voters does not become
/// even while more are on their way. A leader that is to go hands over first.
Step next_step(std::span<const registry::MemberRecord> wanted, const GroupFacts& facts);

/// Whether the step changes the set of voters.
bool changes_voters(const Step& step);

/// The change of configuration that the step asks for; empty for steps that are none.
raft::ConfChange change_for(const Step& step);

}  // namespace multiraft::cluster
