#pragma once
// What a node does that others refuse because its state directory is an older copy, or because its
// disk has lost what was durable (docs/adr/0010-state-rollback.md).
//
//   on_claim() --> do all of this node's groups have a leader elsewhere? --yes--> give up the
//   replicas
//                        no: wait, and ask again

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cluster/node_context.h"
#include "cluster/replica_reconciler.h"

namespace multiraft::cluster {

/// On the controller's executor.
class RollbackGuard {
 public:
  /// `life` is this node's. `give_up` is called once, with a text for the log.
  RollbackGuard(NodeContext& context, const AddressPublisher& addresses, uint64_t life,
                std::function<void(const Status&)> give_up)
      : context_(context),
        addresses_(addresses),
        life_(life),
        give_up_(std::move(give_up)),
        backoff_(context.timing.election_ns, 10 * context.timing.election_ns) {}

  /// A node of the cluster has shown that it knows more of this node than this node does. The first
  /// time counts.
  void on_claim(const transport::StateRollback& rollback);

 private:
  /// One round of questions: for each group, one node after the other.
  struct Round {
    std::vector<GroupId> groups;
    std::vector<env::Address> nodes;
    size_t group = 0;
    size_t asked = 0;  ///< Nodes, about this group.
    size_t node = 0;   ///< Asked next: the one that knew a leader of the group before.
  };

  void begin_round();
  void next_question(std::shared_ptr<Round> round);
  void answered(std::shared_ptr<Round> round, bool leader_known);
  void wait(const std::string& for_what);

  NodeContext& context_;
  const AddressPublisher& addresses_;
  const uint64_t life_;
  const std::function<void(const Status&)> give_up_;
  Backoff backoff_;
  Status why_;
  bool told_ = false;
  bool waiting_reported_ = false;
};

}  // namespace multiraft::cluster
