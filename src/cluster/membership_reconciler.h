#pragma once
// For every group that this node leads: makes the group's configuration what the registry wants,
// step by step (plan.h).
//
// The rule that keeps a removed replica from coming back (trap 27): a step is taken only in the
// term in which this node led before it asked group 0 for the newest registry. An old copy of the
// registry may list a replica as wanted that another leader has removed and confirmed since; but
// then that leader's term is higher, and nothing proposed in ours can be committed any more.

#include <absl/container/flat_hash_map.h>

#include <deque>
#include <optional>
#include <vector>

#include "cluster/node_context.h"
#include "cluster/plan.h"
#include "cluster/registry_voters.h"

namespace multiraft::cluster {

class MembershipReconciler {
 public:
  MembershipReconciler(NodeContext& context, int64_t registry_voter_patience_ns)
      : context_(context), registry_voters_(context, registry_voter_patience_ns, [this] {
          mark(registry::kRegistryGroup);
        }) {}

  /// Something about the group changed: look at it, if it is led here. Cheap when all is well. It
  /// is looked at again, without a notification, only while something is left to do.
  void mark(GroupId group);
  /// This node begins or ceases to lead group 0.
  void on_registry_leadership(bool leads) { registry_voters_.on_leadership(leads); }

 private:
  using Answered = std::optional<std::vector<NodeId>>;
  struct ClusterAgent {
    enum class State : uint8_t { kQueued, kRunning, kPaused };
    State state = State::kQueued;
    bool again = false;  ///< Marked while it was running.
    uint64_t pause = 0;  ///< Tells the present pause from earlier ones.
    int waits = 0;       ///< In a row without a step.
    Backoff backoff;
    explicit ClusterAgent(const Timing& timing)
        : backoff(timing.heartbeat_ns / 5, 10 * timing.heartbeat_ns) {}
  };
  enum class Next : uint8_t { kDone, kAtOnce, kWait, kRetry, kElection };

  void pump();
  void run(GroupId group);
  void finish(GroupId group, Next next);
  void pause(GroupId group, ClusterAgent& work, int64_t delay_ns);

  void first_look(GroupId group, const Result<host::ReplicaStatus>& status);
  void confirm_term(GroupId group, Term term);
  void second_look(GroupId group, Term term, Answered answered);
  void ask_members(GroupId group, Term term, const raft::ConfState& conf);
  void set_registry_voters(std::vector<ReplicaId> voters);
  void take(GroupId group, Term term, const Step& step);
  void change(GroupId group, Term term, const Step& step);
  void settle(GroupId group, ReplicaId replica);
  void confirm_removed(GroupId group, ReplicaId replica);
  void propose_removed(GroupId group, ReplicaId replica);

  NodeContext& context_;
  RegistryVoters registry_voters_;
  absl::flat_hash_map<GroupId, ClusterAgent> work_;
  std::deque<GroupId> queue_;
  size_t running_ = 0;
  uint64_t next_pause_ = 1;
};

}  // namespace multiraft::cluster
