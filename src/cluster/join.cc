#include "cluster/join.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::cluster {
namespace {

constexpr int64_t kCallTimeoutNs = 5 * env::kSecond;
constexpr int kHopsMax = 3;
constexpr size_t kInProgressMax = 64;

JoinAnswer plain(JoinAnswer::Kind kind, std::string text) {
  JoinAnswer answer;
  answer.kind = kind;
  answer.text = std::move(text);
  return answer;
}
JoinAnswer try_again_later(std::string why) {
  return plain(JoinAnswer::Kind::kTryAgain, std::move(why));
}
JoinAnswer refusal(std::string why) { return plain(JoinAnswer::Kind::kRefused, std::move(why)); }

/// A refusal that asking again cannot change; everything else may be a matter of time.
bool is_final(StatusCode code) {
  return code == StatusCode::kInvalidArgument || code == StatusCode::kConflict;
}

}  // namespace

// -- Asking.

void Joiner::start(Callback<void(JoinAnswer)> accepted, Callback<void(Status)> refused) {
  accepted_ = std::move(accepted);
  refused_ = std::move(refused);
  attempt();
}

void Joiner::attempt() {
  ++attempts_;
  wire::Request request;
  request.kind = wire::RequestKind::kJoin;
  request.payload = encode(request_);
  context_.host.transport().call(
      next_, std::move(request), kCallTimeoutNs, context_.executor,
      context_.guard_posted([this](Result<wire::Response> r) { answered(std::move(r)); }));
}

void Joiner::answered(Result<wire::Response> response) {
  if (!response) {
    // The same list may be given to all nodes.
    const bool own_address = targets_.size() > 1 && transport::leads_back(response.status());
    if (is_final(response.status().code()) && !own_address) {
      return refused(response.status().code(), response.status().message());
    }
    return try_again(response.status().message());
  }
  if (response->code != StatusCode::kOk) {
    const std::string why(response->payload.view());
    return is_final(response->code) ? refused(response->code, why) : try_again(why);
  }
  Result<JoinAnswer> answer = decode_join_answer(response->payload);
  if (!answer) return refused(StatusCode::kInvalidArgument, answer.status().message());
  switch (answer->kind) {
    case JoinAnswer::Kind::kAccepted:
      if (answer->registry_replica.node() != request_.node || !answer->cluster) {
        return refused(StatusCode::kInternal, "the answer is meant for another node");
      }
      if (request_.cluster && request_.cluster != answer->cluster) {
        return refused(StatusCode::kConflict,
                       "the node has begun to join another cluster: its -state_dir must be empty");
      }
      accepted_(std::move(*answer));
      return;
    case JoinAnswer::Kind::kAskLeader:
      return follow(answer->leader_address);
    case JoinAnswer::Kind::kTryAgain:
      return try_again(answer->text);
    case JoinAnswer::Kind::kRefused:
      return refused(StatusCode::kConflict, answer->text);
  }
}

void Joiner::follow(const std::string& leader_address) {
  auto leader = env::Address::parse(leader_address);
  if (!leader || ++hops_ > kHopsMax) {
    return try_again("the leader of group 0 is said to be at \"" + leader_address + "\"");
  }
  next_ = *leader;
  attempt();
}

void Joiner::try_again(const std::string& why) {
  // Every attempt at first, then one in ten: it may take hours until the target is started.
  if (attempts_ <= 5 || attempts_ % 10 == 0) {
    context_.log(raft::LogLevel::kInfo, "join through " + next_.to_string() + ", attempt " +
                                            std::to_string(attempts_) + ": " + why);
  }
  next_ = targets_[attempts_ % targets_.size()];
  hops_ = 0;
  context_.after(backoff_.next(context_.random), [this] { attempt(); });
}

void Joiner::refused(StatusCode code, const std::string& why) {
  refused_(Status(code, "join through " + next_.to_string() + " refused: " + why));
}

// -- Answering.

void JoinServer::on_request(NodeId from, std::string_view payload, Respond respond) {
  Result<JoinRequest> request = decode_join_request(payload);
  if (!request) {
    respond(StatusCode::kInvalidArgument, SharedBytes::copy_of(request.status().message()));
    return;
  }
  if (request->node != from) {
    respond(StatusCode::kInvalidArgument,
            SharedBytes::copy_of("the request comes from another node than it says"));
    return;
  }
  if (in_progress_ >= kInProgressMax) {
    respond(StatusCode::kOk, encode(try_again_later("too many nodes join at once")));
    return;
  }
  ++in_progress_;
  decide(*request, [this, respond = std::move(respond)](const JoinAnswer& answer) mutable {
    --in_progress_;
    respond(StatusCode::kOk, encode(answer));
  });
}

void JoinServer::decide(const JoinRequest& request, Answer answer) {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  if (request.cluster && !view->empty() && request.cluster != view->cluster()) {
    return answer(refusal("this is another cluster than the one that the node began to join"));
  }
  if (context_.registry_state.leader == raft::kNoReplica) {
    return answer(try_again_later("group 0 has no leader yet"));
  }
  if (!context_.leads_registry()) {
    const registry::NodeRecord* leader = view->node(context_.registry_state.leader.node());
    if (!leader) return answer(try_again_later("the leader of group 0 is not known yet"));
    JoinAnswer redirect = plain(JoinAnswer::Kind::kAskLeader, "another node leads group 0");
    redirect.leader_address = leader->raft_address;
    return answer(redirect);
  }
  const registry::NodeRecord* registered = view->node(request.node);
  if (registered && registered->uuid != request.uuid) {
    // One that remembers the cluster was a member of it under this id, and has given up its
    // replicas by itself. Anybody else may have a mistyped id.
    if (!request.replaces_lost_disk && !request.cluster) {
      MR_COVERAGE("meta: takeover of a registered id without a word refused");
      return answer(refusal("node id " + to_string(request.node) +
                            " is registered for another state directory, at " +
                            registered->raft_address +
                            ". If that disk is lost for good, start once with "
                            "-replace_lost_disk; otherwise start with an id that is free"));
    }
    return judge_predecessor(request, *registered, std::move(answer));
  }
  enter(request, {}, std::move(answer));
}

/// Somebody is registered under this id. If that one lives, the newcomer has the wrong id; if not,
/// it is the same machine with a wiped disk. Judged here, by the leader, and not when the command
/// is applied: every replica must come to the same result.
void JoinServer::judge_predecessor(const JoinRequest& request,
                                   const registry::NodeRecord& registered, Answer answer) {
  context_.host.ask(request.node, wire::RequestKind::kAdmin, encode(AdminRequest(IdentityProbe{})),
                    context_.timing.election_ns, context_.executor,
                    context_.guard_posted([this, request, registered, answer = std::move(answer)](
                                              const Result<SharedBytes>& found) mutable {
                      const Result<StateDirId> uuid =
                          found ? decode_uuid(*found) : Result<StateDirId>(found.status());
                      if (!uuid || *uuid != registered.uuid) {
                        return check_silence(request, registered, std::move(answer));
                      }
                      if (registered.state == registry::NodeState::kLeaving) {
                        return answer(try_again_later("node " + to_string(request.node) +
                                                      " is still leaving the cluster"));
                      }
                      answer(refusal("node id " + to_string(request.node) +
                                     " is in use by a live node at " + registered.raft_address));
                    }));
}

/// A node that was heard of a moment ago may only be slow to answer.
void JoinServer::check_silence(const JoinRequest& request, const registry::NodeRecord& registered,
                               Answer answer) {
  context_.host.status(
      registry::kRegistryGroup, context_.executor,
      context_.guard_posted([this, request, registered, answer = std::move(answer)](
                                const Result<host::ReplicaStatus>& status) mutable {
        const bool heard =
            !status ||
            std::any_of(status->raft.members.begin(), status->raft.members.end(),
                        [&](const raft::MemberProgress& member) {
                          return member.id.node() == request.node && member.recent_active;
                        });
        if (heard) {
          return answer(
              try_again_later("node " + to_string(request.node) + " was alive a moment ago"));
        }
        MR_COVERAGE("meta: wiped node registers again");
        context_.log(raft::LogLevel::kWarn,
                     "node " + to_string(request.node) + " at " + request.raft_address +
                         " takes the place of the one that was registered at " +
                         registered.raft_address + ", whose disk is lost");
        enter(request, registered.uuid, std::move(answer));
      }));
}

void JoinServer::enter(const JoinRequest& request, StateDirId replaces, Answer answer) {
  registry::RegisterNode command;
  command.node = request.node;
  command.uuid = request.uuid;
  command.replaces = replaces;
  command.raft_address = request.raft_address;
  command.api_address = request.api_address;
  command.initial_group = request.initial_group;
  command.versions = request.versions;
  context_.propose(command, [this, answer = std::move(answer)](
                                const Result<registry::RegistryOutcome>& outcome) mutable {
    if (!outcome) return answer(try_again_later(outcome.status().message()));
    if (outcome->code == registry::RegistryCode::kOk) return answer(accepted(*outcome));
    if (outcome->code == registry::RegistryCode::kStaleDecision)
      return answer(try_again_later(outcome->text));
    answer(refusal(outcome->text));
  });
}

JoinAnswer JoinServer::accepted(const registry::RegistryOutcome& outcome) const {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  JoinAnswer answer;
  answer.kind = JoinAnswer::Kind::kAccepted;
  answer.cluster = view->cluster();
  answer.registry_replica = outcome.replica;
  answer.serial_floor = outcome.serial_floor;
  for (const registry::NodeRecord& node : view->nodes()) {
    answer.nodes.push_back({node.id, node.raft_address, node.uuid});
  }
  return answer;
}

}  // namespace multiraft::cluster
