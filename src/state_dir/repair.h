#pragma once
// Makes a damaged node start over with new replicas (docs/operations.md, "Damage"). What its log
// held is put aside, never deleted; the node keeps its number and its cluster, gets another uuid,
// and joins again: the cluster takes it for one with a lost disk, lets its old replicas go, and
// brings new ones up from the other members, learners first (trap 27).
//
// No part of the old log is kept: after damage nobody can say what the node had promised in it, and
// a replica that has forgotten a vote or an entry may cost acknowledged writes.

#include <string>
#include <vector>

#include "env/env.h"
#include "multiraft/status.h"
#include "state_dir/known_nodes.h"
#include "state_dir/node_identity.h"

namespace multiraft::state_dir {

struct RepairPlan {
  std::string state_dir;
  NodeFacts before;
  std::string aside;  ///< The directory that takes what is put aside; made by the repair.
  std::vector<std::string> moved;  ///< Names in state_dir that go there.
  std::vector<NodeAddress> peers;  ///< Where to join; empty: not known.
  bool resumes = false;            ///< An earlier repair was cut off and is completed.
};

/// What a repair would do. Changes nothing. kCorruption where the node file itself fails its
/// checksum: then the directory is to be put aside as a whole. kConflict where there is nothing to
/// repair, and for a node that was removed from its cluster.
Result<RepairPlan> plan_repair(env::FileSystem& fs, const std::string& state_dir);

/// Carries the plan out, holding the directory's lock. A crash at any step leaves a directory that
/// no node starts from, and that the next plan_repair() takes up again.
Status apply_repair(env::Environment& env, const RepairPlan& plan);

}  // namespace multiraft::state_dir
