#include "raft/quorum.h"

#include <algorithm>

namespace multiraft::raft {

uint64_t majority_index(std::span<uint64_t> reached) {
  const size_t n = reached.size();
  if (n == 0) return kEmptyMajority;
  // Insertion sort: groups have a handful of voters and this runs for every acknowledgement.
  for (size_t i = 1; i < n; ++i) {
    const uint64_t value = reached[i];
    size_t at = i;
    for (; at > 0 && reached[at - 1] > value; --at) reached[at] = reached[at - 1];
    reached[at] = value;
  }
  return reached[n - (n / 2 + 1)];
}

VoteResult majority_vote(size_t voters, size_t granted, size_t rejected) {
  // The empty half agrees with everything, so that it never decides a joint vote.
  if (voters == 0) return VoteResult::kWon;
  const size_t majority = voters / 2 + 1;
  if (granted >= majority) return VoteResult::kWon;
  const size_t missing = voters - granted - rejected;
  return granted + missing >= majority ? VoteResult::kPending : VoteResult::kLost;
}

VoteResult joint_vote(VoteResult incoming, VoteResult outgoing) {
  if (incoming == outgoing) return incoming;
  if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
  return VoteResult::kPending;
}

}  // namespace multiraft::raft
