#include "cluster/rollback_guard.h"

#include <utility>

#include "base/coverage.h"
#include "cluster/messages.h"

namespace multiraft::cluster {

void RollbackGuard::on_claim(const transport::StateRollback& rollback) {
  if (std::exchange(told_, true)) return;
  why_ = Status(StatusCode::kStateRollback, rollback.text + " (this is start number " +
                                                std::to_string(life_) + "; node " +
                                                to_string(rollback.teller) + " knows of number " +
                                                std::to_string(rollback.known.number) + ")");
  context_.log(raft::LogLevel::kError, "older state directory: " + why_.message());
  begin_round();
}

void RollbackGuard::begin_round() {
  context_.host.list(
      context_.executor,
      context_.guard_posted([this](const std::vector<host::ReplicaStatus>& replicas) {
        auto round = std::make_shared<Round>();
        for (const host::ReplicaStatus& replica : replicas) round->groups.push_back(replica.group);
        for (const auto& [node, text] : addresses_.others()) {
          if (auto address = env::Address::parse(text)) round->nodes.push_back(*address);
        }
        next_question(std::move(round));
      }));
}

void RollbackGuard::next_question(std::shared_ptr<Round> round) {
  if (round->group == round->groups.size()) {
    give_up_(why_);
    return;
  }
  const GroupId group = round->groups[round->group];
  if (round->asked == round->nodes.size()) {
    MR_COVERAGE("meta: older state is kept while a group has no leader elsewhere");
    return wait("group " + to_string(group) + " has no leader on another node");
  }
  wire::Request request;
  request.kind = wire::RequestKind::kAdmin;
  request.payload = encode(AdminRequest(LeaderQuery{group}));
  const env::Address& node = round->nodes[round->node];
  context_.host.transport().call(
      node, std::move(request), context_.timing.election_ns, context_.executor,
      context_.guard_posted(
          [this, round = std::move(round)](const Result<wire::Response>& response) mutable {
            const bool ok = response && response->code == StatusCode::kOk;
            const Result<bool> known = ok ? decode_leader_known(response->payload) : false;
            answered(std::move(round), known && *known);
          }));
}

void RollbackGuard::answered(std::shared_ptr<Round> round, bool leader_known) {
  if (leader_known) {
    ++round->group;
    round->asked = 0;
  } else {
    ++round->asked;
    round->node = (round->node + 1) % round->nodes.size();
  }
  next_question(std::move(round));
}

void RollbackGuard::wait(const std::string& for_what) {
  if (!std::exchange(waiting_reported_, true)) {
    context_.log(
        raft::LogLevel::kError,
        "the replicas of this node are too old to take part, but they are kept: " + for_what +
            ". Start the other nodes. If their state is lost, see \"An older state\" in "
            "docs/operations.md");
  }
  context_.after(backoff_.next(context_.random), [this] { begin_round(); });
}

}  // namespace multiraft::cluster
