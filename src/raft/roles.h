#pragma once
// What a replica knows only while it has a certain role. Leaving a role destroys it: no count of
// votes, no progress and no read outlives the term and role that it belongs to.

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "raft/progress.h"
#include "raft/types.h"

namespace multiraft::raft {

/// A read of this replica that its leader was asked about.
struct ForwardedRead {
  ReadId id;
  uint64_t deadline_tick = 0;
};

struct FollowerRole {
  ReplicaId leader;  ///< 0: not known.
  std::vector<ForwardedRead> reads;
};

/// Answers to one round of (pre-)votes. The first answer of a member counts.
struct Ballot {
  std::vector<std::pair<ReplicaId, bool>> votes;
};

struct PreCandidateRole {
  Ballot ballot;
};

struct CandidateRole {
  Ballot ballot;
};

/// A read that waits for its leader.
struct PendingRead {
  ReadId id;
  ReplicaId from;
  ReadMode mode = ReadMode::kConfirmed;
  LogIndex index;      ///< The commit index when it was asked.
  uint64_t round = 0;  ///< A quorum that answers this round or a later one confirms it.
  uint64_t deadline_tick = 0;
};

/// See read_index.cc.
struct ReadRounds {
  /// Asked before the first commit of the term: what is committed is not known yet (trap 13).
  std::vector<PendingRead> held;
  std::vector<PendingRead> waiting;  ///< Oldest round first.
  /// The newest round of heartbeats.
  uint64_t last_round = 0;
  /// The heartbeats of the last round have not left yet: a read may still join it.
  bool open = false;
};

struct LeaderRole {
  ProgressList progress;
  /// The first entry of this term.
  LogIndex term_start;
  /// A configuration change may stand up to here that is not applied yet (thesis 4.1).
  LogIndex pending_conf_index;
  ReplicaId transfer_target;  ///< 0: none under way.
  /// Somebody may campaign in spite of the members' promise, at any time later in this term.
  bool timeout_now_sent = false;
  size_t uncommitted_bytes = 0;  ///< Payloads of this term's proposals.
  ReadRounds reads;
};

using RoleState = std::variant<FollowerRole, PreCandidateRole, CandidateRole, LeaderRole>;

}  // namespace multiraft::raft
