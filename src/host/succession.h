#pragma once
// Who leads a group when nobody does: the same order on every node without a word between them, so
// that two do not campaign at once, and another one for each group, so that leaders spread.

#include <cstddef>
#include <cstdint>
#include <span>

#include "multiraft/types.h"

namespace multiraft::host {

/// The higher one goes first.
inline uint64_t succession_score(GroupId group, NodeId node) {
  // Rendezvous hashing: when a node goes, only its own groups get another first.
  uint64_t x = group.value * 0x9e3779b97f4a7c15ULL + node.value;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// How many of `voters` go before `self`, those on node `gone` left out.
inline size_t succession_rank(GroupId group, std::span<const ReplicaId> voters, ReplicaId self,
                              NodeId gone = NodeId()) {
  const uint64_t mine = succession_score(group, self.node());
  size_t rank = 0;
  for (const ReplicaId voter : voters) {
    if (voter == self || voter.node() == gone) continue;
    const uint64_t other = succession_score(group, voter.node());
    if (other > mine || (other == mine && voter < self)) ++rank;
  }
  return rank;
}

}  // namespace multiraft::host
