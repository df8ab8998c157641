#pragma once
// Who is live now. Raft's own record of who was heard is up to an election timeout old, which is
// too old to give up a voter by.

#include <vector>

#include "cluster/node_context.h"

namespace multiraft::cluster {

/// Asks all of these nodes but this one. `done`, on the controller's executor, gets those that
/// answered after the question was asked, ascending, and this node; it comes once all answered or
/// after a few heartbeats. An answer of another life of the node than the registered one does not
/// count.
void call_roll(NodeContext& context, std::vector<NodeId> nodes,
               Callback<void(std::vector<NodeId>)> done);

}  // namespace multiraft::cluster
