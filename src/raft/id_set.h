#pragma once
// Sets of replica ids as sorted vectors: a handful of members, read far more often than changed.

#include <algorithm>
#include <vector>

#include "multiraft/types.h"

namespace multiraft::raft {

inline bool contains(const std::vector<ReplicaId>& set, ReplicaId id) {
  return std::binary_search(set.begin(), set.end(), id);
}

/// False: it was there already.
inline bool insert_id(std::vector<ReplicaId>& set, ReplicaId id) {
  auto at = std::lower_bound(set.begin(), set.end(), id);
  if (at != set.end() && *at == id) return false;
  set.insert(at, id);
  return true;
}

/// False: it was not there.
inline bool erase_id(std::vector<ReplicaId>& set, ReplicaId id) {
  auto at = std::lower_bound(set.begin(), set.end(), id);
  if (at == set.end() || *at != id) return false;
  set.erase(at);
  return true;
}

inline bool is_id_set(const std::vector<ReplicaId>& ids) {
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
}

}  // namespace multiraft::raft
