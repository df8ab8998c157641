#pragma once
// Who votes in group 0: chosen by its leader, who knows which nodes are live, and made known by a
// command (SetRegistryVoters). A dead voter gives its place to a live learner after a while, so
// that nodes which die one after the other and are replaced never take group 0 with them.

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/node_context.h"

namespace multiraft::cluster {

enum class Health : uint8_t {
  kLive,
  kSilent,  ///< Not heard for a moment; may be restarting.
  kDead,    ///< Silent for longer than a restart takes.
};
using HealthOf = std::function<Health(ReplicaId)>;

/// How many voters group 0 has with that many nodes of which `present` are not dead: 1, 3 from
/// three nodes on, 5 from five on, but fewer where more failures are survived that way.
size_t registry_voters_for(size_t nodes, size_t present);

/// The replicas that are to vote, ascending. Those of today where nothing speaks against them;
/// otherwise the leader, then live voters, live learners, silent ones and dead ones, older ones
/// first. Empty where all members are leaving.
std::vector<ReplicaId> choose_registry_voters(const registry::GroupRecord& registry,
                                              ReplicaId leader, const HealthOf& health);
/// Those that the registry names today, ascending.
std::vector<ReplicaId> registry_voters(const registry::GroupRecord& registry);

/// Watches, at the leader of group 0, who is live. On the controller's executor.
class RegistryVoters {
 public:
  /// `reconsider`: the choice may differ from what the registry says.
  RegistryVoters(NodeContext& context, int64_t patience_ns, Task reconsider)
      : context_(context), patience_ns_(patience_ns), reconsider_(std::move(reconsider)) {}

  /// This node begins or ceases to lead group 0.
  void on_leadership(bool leads);

  /// What the registry should say, if it should say something else. `answered`: as in GroupFacts.
  std::optional<std::vector<ReplicaId>> choose(const registry::GroupRecord& registry,
                                               const raft::RaftStatus& raft,
                                               const std::optional<std::vector<NodeId>>& answered);

 private:
  void tick(uint64_t reign);
  void observe(const raft::RaftStatus& raft);

  NodeContext& context_;
  const int64_t patience_ns_;
  Task reconsider_;
  uint64_t reign_ = 0;
  bool leads_ = false;
  /// When a node was last known to be live, at the earliest since this node leads.
  absl::flat_hash_map<NodeId, env::MonotonicTime> heard_;
};

}  // namespace multiraft::cluster
