#pragma once
// Who leads a group that has no replica on this node: where clients are best sent to.

#include <map>
#include <vector>

#include "cluster/messages.h"
#include "cluster/node_context.h"

namespace multiraft::cluster {

/// On the controller's executor. A hint is what a member of the group believes; who acts on it
/// finds out at the replica itself.
class LeaderHints {
 public:
  explicit LeaderHints(NodeContext& context) : context_(context) {}

  /// `done` gets the node that leads, or 0 where no member that was asked knows one, within a few
  /// heartbeats. Members are asked again where the last answer is older than a heartbeat, or the
  /// node that it names has died or left the group.
  void find(GroupId group, Callback<void(NodeId)> done);
  /// This node's part: who leads, as far as its replica knows.
  void answer(GroupId group, Callback<void(NodeId)> done);

 private:
  struct Hint {
    NodeId leader;
    env::MonotonicTime known_at;
    std::vector<Callback<void(NodeId)>> waiting;  ///< Not empty: members are being asked.
    uint64_t round = 0;                           ///< Of questions.
    size_t open = 0;                              ///< Of them.
  };

  bool usable(const Hint& hint, const registry::GroupRecord& record);
  void ask(GroupId group, const registry::GroupRecord& record);
  void answered(GroupId group, uint64_t round, NodeId leader);
  void make_room();

  NodeContext& context_;
  std::map<GroupId, Hint> hints_;
  uint64_t next_round_ = 1;
};

}  // namespace multiraft::cluster
