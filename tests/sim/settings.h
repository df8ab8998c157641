#pragma once
// What one seed runs with. Everything is drawn from the seed (swarm testing: each run switches a
// random subset of faults on, at random rates), so that a seed and a schedule name say it all.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "raft/raft.h"

namespace multiraft::sim {

/// Biased schedules find what uniform ones miss (verification.md, Simulation).
enum class Schedule : uint8_t {
  kSwarm,    ///< Uniformly random actions with a random subset of faults.
  kFigure8,  ///< Crash a leader that replicated to one; elect the shorter log; bring it back.
  kAba,      ///< A slow log writer at one node, and leader changes meanwhile.
  kReconfiguration,  ///< Membership changes while apply stalls at one voter, and a partition.
  kSwizzle,          ///< Nodes are cut off one after another and come back in another order.
  kLagging,          ///< A member far behind, and compaction: snapshots.
  kReadPause,        ///< A leader is frozen with reads outstanding; answers duplicated, reordered.
  kCrashEveryWrite,  ///< Crashes between writes, everywhere.
  kLease,            ///< Reads by lease; leaders stand still, members restart and campaign.
};
inline constexpr size_t kSchedules = 9;

std::string_view schedule_name(Schedule schedule);
std::optional<Schedule> schedule_by_name(std::string_view name);
/// Four of five seeds swarm, the others go round the biased schedules.
Schedule schedule_of_seed(uint64_t seed);

struct Settings {
  uint64_t seed = 0;
  Schedule schedule = Schedule::kSwarm;
  uint32_t nodes = 3;
  uint32_t voters = 3;  ///< The first of the nodes; the others join by changes.
  uint32_t steps = 400;

  // The core.
  bool pre_vote = true;
  bool commit_in_rejections = true;
  bool check_quorum = true;
  size_t message_bytes_max = SIZE_MAX;
  size_t committed_bytes_per_ready_max = SIZE_MAX;
  size_t inflight_messages_max = 256;
  size_t inflight_bytes_max = SIZE_MAX;
  size_t uncommitted_bytes_max = SIZE_MAX;
  bool step_down_on_removal = true;
  bool leases = false;  ///< Members promise to stay with their leader.

  // Probabilities of what may happen to a message, and weights of actions (0: off).
  double drop = 0;
  double duplicate = 0;
  double reorder = 0;
  double postpone_ready = 0;
  uint32_t weight_crash = 0;
  uint32_t weight_partition = 0;
  uint32_t weight_compact = 0;
  uint32_t weight_conf_change = 0;
  uint32_t weight_transfer = 0;
  uint32_t weight_read = 0;
  uint32_t weight_campaign = 0;
  uint32_t weight_forget = 0;
  /// Nodes tick by clocks of their own, whose rates differ by a few percent.
  bool clocks = false;

  static Settings of(uint64_t seed, Schedule schedule);
};

}  // namespace multiraft::sim
