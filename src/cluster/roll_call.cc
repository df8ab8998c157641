#include "cluster/roll_call.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "cluster/messages.h"

namespace multiraft::cluster {
namespace {

constexpr int64_t kPatienceHeartbeats = 3;

struct RollCall {
  size_t open = 0;
  std::vector<NodeId> answered;
  Callback<void(std::vector<NodeId>)> done;

  void close_one() {
    if (--open > 0) return;
    std::sort(answered.begin(), answered.end());
    done(std::move(answered));
  }
};

}  // namespace

void call_roll(NodeContext& context, std::vector<NodeId> nodes,
               Callback<void(std::vector<NodeId>)> done) {
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  std::erase(nodes, context.self);
  auto roll = std::make_shared<RollCall>();
  roll->answered = {context.self};
  roll->open = nodes.size() + 1;
  roll->done = std::move(done);
  const std::shared_ptr<const registry::RegistryView> view = context.view();
  for (NodeId node : nodes) {
    const registry::NodeRecord* record = view->node(node);
    const StateDirId registered = record ? record->uuid : StateDirId{};
    context.host.ask(node, wire::RequestKind::kAdmin, encode(AdminRequest(IdentityProbe{})),
                     kPatienceHeartbeats * context.timing.heartbeat_ns, context.executor,
                     context.guard_posted([roll, node, registered](const Result<SharedBytes>& a) {
                       const Result<StateDirId> uuid =
                           a ? decode_uuid(*a) : Result<StateDirId>(a.status());
                       if (uuid && *uuid == registered) roll->answered.push_back(node);
                       roll->close_one();
                     }));
  }
  context.executor.post(context.guard([roll] { roll->close_one(); }));
}

}  // namespace multiraft::cluster
