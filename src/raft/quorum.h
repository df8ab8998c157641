#pragma once
// Quorum arithmetic of one majority and of a joint configuration (thesis 3.6.2, 4.3).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/coverage.h"
#include "raft/types.h"

namespace multiraft::raft {

enum class VoteResult : uint8_t { kPending, kLost, kWon };

/// What the empty half of a configuration has reached: it never holds the other half back.
inline constexpr uint64_t kEmptyMajority = UINT64_MAX;

/// The highest value that a majority has reached, given what each voter reached (0: nothing known).
/// Reorders `reached`.
uint64_t majority_index(std::span<uint64_t> reached);

/// The outcome among `voters` voters of whom `granted` said yes and `rejected` no.
VoteResult majority_vote(size_t voters, size_t granted, size_t rejected);

/// Both halves must agree.
VoteResult joint_vote(VoteResult incoming, VoteResult outgoing);

/// majority_index() over the voters of one half; reached(ReplicaId) gives a voter's value.
template <class Reached>
uint64_t majority_index_of(const std::vector<ReplicaId>& voters, Reached&& reached) {
  constexpr size_t kOnStack = 8;
  std::array<uint64_t, kOnStack> few;
  std::vector<uint64_t> many;
  if (voters.size() > kOnStack) many.resize(voters.size());
  std::span<uint64_t> values = many.empty() ? std::span(few).first(voters.size()) : std::span(many);
  for (size_t i = 0; i < voters.size(); ++i) values[i] = reached(voters[i]);
  return majority_index(values);
}

/// The highest value that a quorum of `conf` has reached: majorities of both halves while joint.
template <class Reached>
uint64_t quorum_index(const ConfState& conf, Reached&& reached) {
  const uint64_t incoming = majority_index_of(conf.voters, reached);
  if (conf.voters_outgoing.empty()) return incoming;
  const uint64_t outgoing = majority_index_of(conf.voters_outgoing, reached);
  if (incoming != outgoing) MR_COVERAGE("raft: both halves of a joint quorum needed");
  return incoming < outgoing ? incoming : outgoing;
}

/// The outcome of a vote under `conf`; vote_of(ReplicaId) gives +1 yes, -1 no, 0 not heard.
template <class VoteOf>
VoteResult quorum_vote(const ConfState& conf, VoteOf&& vote_of) {
  const auto half = [&](const std::vector<ReplicaId>& voters) {
    size_t granted = 0;
    size_t rejected = 0;
    for (ReplicaId id : voters) {
      const int vote = vote_of(id);
      granted += vote > 0 ? 1 : 0;
      rejected += vote < 0 ? 1 : 0;
    }
    return majority_vote(voters.size(), granted, rejected);
  };
  return joint_vote(half(conf.voters), half(conf.voters_outgoing));
}

}  // namespace multiraft::raft
