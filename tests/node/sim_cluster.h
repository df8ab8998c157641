#pragma once
// Several simulated nodes in one thread, clients that write to them, and crashes. A node that
// reaches its crash point loses its power and starts again by itself; violations() has what no
// cluster may do.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "ledger.h"
#include "sim_node.h"

namespace multiraft::sim {

/// Power is lost before operation `at` + 1 of the node's disk, counted from arm().
struct CrashPlan {
  uint64_t node = 0;
  uint64_t at = 0;
  env::CrashMode mode = env::CrashMode::kKeepNone;
  bool everyone = false;          ///< All machines lose their power at that moment.
  std::optional<uint64_t> again;  ///< And once more after so many operations of the restart.
};

class SimCluster {
 public:
  SimCluster(uint64_t seed, bool verbose);
  ~SimCluster();

  SimNode& add(const NodeSettings& settings);
  SimNode& node(uint64_t id) { return *nodes_.at(id); }
  env::SimNetwork& network() { return network_; }
  /// Of the values of puts from now on.
  void set_value_bytes(size_t bytes) { value_bytes_ = bytes; }

  /// Starts the node, again and again if it crashes meanwhile.
  void start(uint64_t id);
  void stop(uint64_t id);
  /// The node gets an empty disk. It is down.
  void wipe(uint64_t id) { node(id).wipe(); }
  void arm(const CrashPlan& plan);
  void disarm();
  uint64_t crashes() const { return crashes_; }
  /// Operations on the node's disk since arm().
  uint64_t operations(uint64_t id) { return node(id).disk().operation_count() - armed_at_; }
  /// Installed snapshots, by processes that live now.
  uint64_t snapshots_installed();

  // Each waits, with time passing, and is false if it takes too long or something is wrong.
  bool wait(const std::function<bool()>& done, int64_t limit_ns = 60 * env::kSecond);
  /// All of these nodes are ready, and they and no others vote in the group, which has a leader.
  bool wait_members(GroupId group, const std::vector<uint64_t>& ids);
  /// The logs of the group begin behind `index` on these nodes.
  bool wait_compacted(GroupId group, const std::vector<uint64_t>& ids, LogIndex index);
  /// The node left its cluster and its process has ended.
  bool wait_removed(uint64_t id);
  /// `count` puts are acknowledged, sent through these nodes by several clients at once, while
  /// another one reads everything again and again.
  bool load(GroupId group, size_t count, const std::vector<uint64_t>& through);
  /// Asks until it is done.
  bool create_group(uint64_t through, GroupId group, const std::vector<uint64_t>& ids);
  bool remove_member(uint64_t through, GroupId group, uint64_t id);

  /// With nothing going on any more: every member serves everything acknowledged and nothing else,
  /// all have the same hash at the same index, and nothing half done is left on their disks.
  std::string check(GroupId group, const std::vector<uint64_t>& ids);
  const std::string& violation() const { return violation_; }
  /// Equal for equal runs.
  uint64_t digest() const { return ledger_.digest() ^ static_cast<uint64_t>(now().ns); }

 private:
  struct Answer {
    bool given = false;
    LogIndex index;
    uint64_t hash = 0;
  };

  env::MonotonicTime now() const { return scheduler_.clock().now(); }
  void say(NodeId node, std::string_view text) const;
  void violate(const std::string& what);
  /// Ends and starts processes that crashed, failed, left or are to start.
  void tend();
  void tend(uint64_t id, SimNode& node);
  void end_process(uint64_t id, SimNode& node);
  void power_lost(uint64_t id, SimNode& node);
  void start_process(uint64_t id, SimNode& node);
  void observe();
  const host::ReplicaStatus* status(uint64_t id, GroupId group);

  size_t put(uint64_t through, GroupId group);
  bool serves(uint64_t id) { return node(id).serves(); }
  /// Reads the whole group, linearizably, and checks the content.
  std::shared_ptr<Answer> read(uint64_t through, GroupId group);
  bool same_everywhere(GroupId group, const std::vector<uint64_t>& ids);
  std::string leftovers(uint64_t id);
  bool ask(uint64_t through, const std::function<void(SimNode&, Callback<void(Status)>)>& question);

  const uint64_t seed_;
  const bool verbose_;
  mutable env::SimScheduler scheduler_;
  env::SimNetwork network_;
  NodeWatch watch_;
  Prng random_;
  Ledger ledger_;
  std::map<uint64_t, std::unique_ptr<SimNode>> nodes_;
  std::map<uint64_t, env::MonotonicTime> start_at_;
  std::set<uint64_t> left_;
  std::optional<CrashPlan> plan_;
  uint64_t armed_at_ = 0;
  uint64_t crashes_ = 0;
  size_t value_bytes_ = 1;
  std::map<uint64_t, std::vector<host::ReplicaStatus>> seen_;
  std::string violation_;
};

}  // namespace multiraft::sim
