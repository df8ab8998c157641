#include "scenarios.h"

namespace multiraft::sim {
namespace {

constexpr GroupId kFirst{1};
constexpr GroupId kSecond{2};
/// The log is cut after so many entries, and so much is kept.
constexpr uint64_t kCompactEntries = 20;
constexpr uint64_t kTailEntries = 4;
/// More than any scenario's configuration changes and elections put into a log.
constexpr size_t kEnoughToCompact = 40;

bool nothing(SimCluster&) { return true; }

bool one_up(SimCluster& c) {
  c.start(1);
  return c.wait_members(kFirst, {1}) && c.load(kFirst, 3, {1});
}

bool two_up(SimCluster& c) {
  if (!one_up(c)) return false;
  c.start(2);
  return c.wait_members(kFirst, {1, 2});
}

bool three_up(SimCluster& c) {
  if (!two_up(c)) return false;
  c.start(3);
  return c.wait_members(kFirst, {1, 2, 3});
}

bool bootstrap(SimCluster& c) {
  c.start(1);
  return c.wait_members(kFirst, {1}) && c.load(kFirst, 3, {1});
}

bool join(SimCluster& c) {
  c.start(2);
  return c.load(kFirst, 3, {1}) && c.wait_members(kFirst, {1, 2}) && c.load(kFirst, 3, {1, 2});
}

/// The log of the cluster begins late, so that who joins needs a snapshot.
bool one_up_compacted(SimCluster& c) {
  if (!one_up(c)) return false;
  c.set_value_bytes(9'000);
  return c.load(kFirst, kEnoughToCompact, {1}) && c.wait_compacted(kFirst, {1}, LogIndex(5));
}

bool save(SimCluster& c) {
  return c.load(kFirst, kEnoughToCompact, {1, 2, 3}) &&
         c.wait_compacted(kFirst, {1, 2, 3}, LogIndex(5)) && c.load(kFirst, 5, {1, 2, 3});
}

/// One node misses so much that the others have cut it off their logs.
bool one_behind(SimCluster& c) {
  if (!three_up(c)) return false;
  c.stop(3);
  c.set_value_bytes(9'000);
  return c.load(kFirst, kEnoughToCompact + 10, {1, 2}) &&
         c.wait_compacted(kFirst, {1, 2}, LogIndex(20));
}

bool install(SimCluster& c) {
  c.start(3);
  return c.load(kFirst, 6, {1, 2}) && c.wait_members(kFirst, {1, 2, 3}) &&
         c.load(kFirst, 6, {1, 2, 3});
}

/// The log of the member that catches up is cut once more, right behind the installation.
bool install_and_save(SimCluster& c) {
  return install(c) && c.load(kFirst, kEnoughToCompact, {1, 2, 3}) &&
         c.wait_compacted(kFirst, {3}, LogIndex(60));
}

bool create(SimCluster& c) {
  return c.create_group(1, kSecond, {1, 2, 3}) && c.wait_members(kSecond, {1, 2, 3}) &&
         c.load(kSecond, 3, {1, 2, 3});
}

bool with_second_group(SimCluster& c) { return three_up(c) && create(c); }

bool remove(SimCluster& c) {
  return c.remove_member(1, kFirst, 3) && c.wait_members(kFirst, {1, 2}) &&
         c.load(kFirst, 3, {1, 2});
}

bool leave(SimCluster& c) {
  return c.remove_member(1, kFirst, 3) && c.wait_removed(3) && c.load(kFirst, 3, {1, 2});
}

/// A disk that was lost: the node comes back under its number with an empty one.
bool one_wiped(SimCluster& c) {
  if (!three_up(c)) return false;
  c.stop(3);
  c.wipe(3);
  return c.load(kFirst, 3, {1, 2});
}

bool come_back(SimCluster& c) {
  c.start(3);
  return c.wait_members(kFirst, {1, 2, 3}) && c.load(kFirst, 3, {1, 2, 3});
}

std::vector<Scenario> make_scenarios() {
  const MachineKind memory = MachineKind::kMemory;
  const MachineKind disk = MachineKind::kDisk;
  const std::vector<uint64_t> all{1, 2, 3};
  const std::vector<uint64_t> two{1, 2};
  return {
      {"bootstrap", 1, memory, nothing, bootstrap, kFirst, {1}},
      {"bootstrap-disk", 1, disk, nothing, bootstrap, kFirst, {1}},
      {"join", 2, memory, one_up, join, kFirst, two},
      {"join-snapshot", 2, memory, one_up_compacted, join, kFirst, two, true},
      {"join-snapshot-disk", 2, disk, one_up_compacted, join, kFirst, two, true},
      {"save", 3, memory, three_up, save, kFirst, all},
      {"save-disk", 3, disk, three_up, save, kFirst, all},
      {"install", 3, memory, one_behind, install, kFirst, all, true},
      {"install-disk", 3, disk, one_behind, install, kFirst, all, true},
      {"install-save", 3, memory, one_behind, install_and_save, kFirst, all, true},
      {"install-save-disk", 3, disk, one_behind, install_and_save, kFirst, all, true},
      {"create", 3, memory, three_up, create, kSecond, all},
      {"remove", 3, memory, with_second_group, remove, kFirst, two},
      {"remove-disk", 3, disk, with_second_group, remove, kFirst, two},
      {"leave", 3, memory, three_up, leave, kFirst, two},
      {"come-back", 3, memory, one_wiped, come_back, kFirst, all},
      {"come-back-disk", 3, disk, one_wiped, come_back, kFirst, all},
  };
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = make_scenarios();
  return all;
}

Outcome run(const Scenario& scenario, const CrashPlan& plan, uint64_t seed, bool verbose) {
  SimCluster cluster(seed, verbose);
  for (uint64_t id = 1; id <= scenario.nodes; ++id) {
    NodeSettings settings;
    settings.id = NodeId(id);
    if (id > 1) settings.join = NodeId(1);
    settings.machine = scenario.machine;
    settings.compaction.entries = kCompactEntries;
    settings.compaction.tail_entries = kTailEntries;
    cluster.add(settings);
  }
  Outcome out;
  if (!scenario.before(cluster)) {
    out.wrong = "the scenario does not begin: " + cluster.violation();
    return out;
  }
  cluster.arm(plan);
  const bool ended = scenario.during(cluster);
  if (cluster.crashes() == 0) out.operations = cluster.operations(plan.node);
  cluster.disarm();
  out.wrong = cluster.violation();
  if (out.wrong.empty() && !ended) out.wrong = "STUCK: the scenario does not end";
  if (out.wrong.empty()) out.wrong = cluster.check(scenario.group, scenario.members);
  if (out.wrong.empty()) out.installs = cluster.snapshots_installed();
  // The members' second life, from what the first one left on their disks.
  for (uint64_t id : scenario.members) {
    if (out.wrong.empty()) cluster.stop(id);
  }
  for (uint64_t id : scenario.members) {
    if (out.wrong.empty()) cluster.start(id);
  }
  if (out.wrong.empty() && !cluster.load(scenario.group, 3, scenario.members)) {
    out.wrong = "STUCK: no write succeeds after a restart of all";
  }
  if (out.wrong.empty()) out.wrong = cluster.check(scenario.group, scenario.members);
  if (!cluster.violation().empty()) out.wrong = cluster.violation();
  out.crashes = cluster.crashes();
  out.digest = cluster.digest();
  return out;
}

}  // namespace multiraft::sim
