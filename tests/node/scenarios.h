#pragma once
// Stories in the life of a cluster, in each of which a node may lose its power at any moment.

#include <string>
#include <vector>

#include "sim_cluster.h"

namespace multiraft::sim {

/// `before` leads up to the part in which a crash may come, `during` is that part. Both say whether
/// they came to their end, which they do in spite of a crash.
struct Scenario {
  std::string name;
  uint64_t nodes;
  MachineKind machine;
  bool (*before)(SimCluster&);
  bool (*during)(SimCluster&);
  GroupId group;                  ///< Of which the members are compared at the end.
  std::vector<uint64_t> members;  ///< At the end.
  bool installs = false;          ///< Without a crash a snapshot is installed.
};

const std::vector<Scenario>& scenarios();

/// One run of a scenario, which is a pure function of the arguments. A plan whose `at` is never
/// reached is a run without a crash.
struct Outcome {
  std::string wrong;        ///< Empty if all is well.
  uint64_t operations = 0;  ///< On the planned node's disk, in the part in which it may crash.
  uint64_t crashes = 0;
  uint64_t installs = 0;
  uint64_t digest = 0;
};
Outcome run(const Scenario& scenario, const CrashPlan& plan, uint64_t seed, bool verbose);

}  // namespace multiraft::sim
