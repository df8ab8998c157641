#include "raft/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

namespace multiraft::raft {
namespace {

ConfState halves(size_t incoming, size_t outgoing, size_t overlap) {
  ConfState conf;
  for (size_t i = 0; i < incoming; ++i) conf.voters.emplace_back(i + 1);
  const size_t first = incoming > overlap ? incoming - overlap : 0;
  for (size_t i = 0; i < outgoing; ++i) conf.voters_outgoing.emplace_back(first + i + 1);
  return conf;
}

/// By definition: what at least a majority has reached.
uint64_t by_definition(const std::vector<ReplicaId>& voters,
                       const std::map<ReplicaId, uint64_t>& reached) {
  if (voters.empty()) return kEmptyMajority;
  uint64_t best = 0;
  for (ReplicaId candidate : voters) {
    const uint64_t value = reached.at(candidate);
    const auto count = static_cast<size_t>(std::count_if(
        voters.begin(), voters.end(), [&](ReplicaId id) { return reached.at(id) >= value; }));
    if (2 * count > voters.size()) best = std::max(best, value);
  }
  return best;
}

// trap 29
RC_GTEST_PROP(Quorum, Index_AnyConfiguration_IsWhatMajoritiesOfBothHalvesReached, ()) {
  const auto conf = halves(*rc::gen::inRange<size_t>(1, 12), *rc::gen::inRange<size_t>(0, 12),
                           *rc::gen::inRange<size_t>(0, 6));
  std::map<ReplicaId, uint64_t> reached;
  for (uint64_t id = 1; id <= 30; ++id) reached[ReplicaId(id)] = *rc::gen::inRange<uint64_t>(0, 9);
  const uint64_t expected =
      std::min(by_definition(conf.voters, reached), by_definition(conf.voters_outgoing, reached));
  RC_ASSERT(quorum_index(conf, [&](ReplicaId id) { return reached.at(id); }) == expected);
}

RC_GTEST_PROP(Quorum, Vote_AnyConfiguration_IsPendingOnlyWhileBothOutcomesArePossible, ()) {
  const auto conf = halves(*rc::gen::inRange<size_t>(1, 5), *rc::gen::inRange<size_t>(0, 5),
                           *rc::gen::inRange<size_t>(0, 4));
  std::map<ReplicaId, int> votes;
  std::vector<ReplicaId> open;
  for (uint64_t id = 1; id <= 10; ++id) {
    votes[ReplicaId(id)] = *rc::gen::inRange(-1, 2);
    if (votes[ReplicaId(id)] == 0) open.emplace_back(id);
  }
  const auto majority_says = [&](const std::vector<ReplicaId>& voters, int answer) {
    const auto count = static_cast<size_t>(std::count_if(
        voters.begin(), voters.end(), [&](ReplicaId id) { return votes[id] == answer; }));
    return voters.empty() ? answer == 1 : 2 * count > voters.size();
  };
  const auto wins = [&] {
    return majority_says(conf.voters, 1) && majority_says(conf.voters_outgoing, 1);
  };
  const VoteResult result = quorum_vote(conf, [&](ReplicaId id) { return votes[id]; });
  const bool wins_now = wins();
  for (ReplicaId id : open) votes[id] = 1;
  const bool may_win = wins();
  RC_ASSERT(result == (wins_now  ? VoteResult::kWon
                       : may_win ? VoteResult::kPending
                                 : VoteResult::kLost));
}

// Thesis 4.1: any two majorities of configurations that differ in one voter intersect.
TEST(Quorum, Majorities_OfConfigurationsOneVoterApart_Intersect) {
  for (size_t n = 1; n <= 9; ++n) {
    const size_t small = n / 2 + 1;
    const size_t large = (n + 1) / 2 + 1;
    EXPECT_GT(small + large, n + 1) << n;
  }
}

TEST(Quorum, Index_EmptyHalf_NeverHoldsBack) {
  ConfState conf;
  EXPECT_EQ(quorum_index(conf, [](ReplicaId) { return uint64_t{0}; }), kEmptyMajority);
}

}  // namespace
}  // namespace multiraft::raft
