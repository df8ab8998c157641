#include "meta/controller_work.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::meta {
namespace {

/// Group 0 begins with the founder's replica alone.
constexpr uint32_t kFounderSerial = 1;

SharedBytes text_bytes(std::string_view text) { return SharedBytes::copy_of(text); }

}  // namespace

Controller::Work::Work(host::NodeHost& host, env::Environment& env, NodeIdentity& identity,
                       const RegistryEngine& registry, const ControllerOptions& options,
                       const ControllerCallbacks& callbacks)
    : options_(options),
      callbacks_(callbacks),
      recovered_(host.recovered()),
      context_(host, env, registry, identity.facts().node, identity.facts().uuid,
               Timing{options.heartbeat_ns, options.election_ns}, callbacks.log),
      files_(context_, identity, callbacks.on_fatal),
      addresses_(context_, files_),
      replicas_(context_, files_, [this] { check_ready(); }),
      keeper_(context_, options.registry_voter_patience_ns),
      operations_(context_, options.operation_timeout_ns),
      departure_(context_, addresses_, [this] { removed(); }),
      notices_(context_),
      join_server_(context_),
      older_state_(context_, addresses_, files_.facts().life,
                   [this](const Status& why) {
                     if (callbacks_.on_older_state) callbacks_.on_older_state(why);
                   }),
      bootstrap_backoff_(options.heartbeat_ns / 5, options.election_ns),
      publish_backoff_(options.heartbeat_ns, 10 * options.election_ns) {
  for (const auto& [group, replica] : recovered_) {
    if (group == kRegistryGroup) context_.registry_replica = replica;
  }
}

Status Controller::Work::check_start() const {
  const NodeFacts& facts = files_.facts();
  for (const auto& [group, replica] : recovered_) {
    if (replica.node() != facts.node) {
      return Status(StatusCode::kCorruption, "the log holds a replica of node " +
                                                 to_string(replica.node()) + ", but this is node " +
                                                 to_string(facts.node));
    }
  }
  if (facts.phase == NodePhase::kMember && !context_.registry_replica) {
    return Status(StatusCode::kCorruption,
                  "the log of group 0 is gone although the node is a member of a cluster. Remove "
                  "it from the cluster, wipe its state directory and join it again");
  }
  if (facts.phase == NodePhase::kJoining && !context_.registry_replica && join_targets().empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "the node has begun to join a cluster and needs -join to go on");
  }
  return Status::ok();
}

void Controller::Work::start() {
  const NodeFacts& facts = files_.facts();
  if (facts.phase == NodePhase::kRemoved) {
    context_.log(raft::LogLevel::kInfo,
                 "this node was removed from its cluster: its state directory can be deleted");
    if (callbacks_.on_removed) callbacks_.on_removed();
    return;
  }
  addresses_.start();
  replicas_.recovered(recovered_);
  if (context_.registry_replica) {
    if (facts.phase != NodePhase::kMember) registry_replica_created(Status::ok());
  } else if (facts.phase == NodePhase::kFounding) {
    found_cluster();
  } else {
    join();
  }
  look_around();
  departure_.start();
  registry_changed();
}

void Controller::Work::lives_changed() {
  if (lives_posted_.exchange(true)) return;
  context_.executor.post(context_.guard([this] {
    lives_posted_.store(false);
    files_.save_lives();
  }));
}

void Controller::Work::older_state(const transport::OlderState& told) {
  context_.executor.post(context_.guard([this, told] { older_state_.told(told); }));
}

/// What happened before anybody listened.
void Controller::Work::look_around() {
  context_.host.list(
      context_.executor,
      context_.guard_posted([this](const std::vector<host::ReplicaStatus>& replicas) {
        for (const host::ReplicaStatus& status : replicas) {
          if (status.group == kRegistryGroup && !registry_state_known_) {
            leadership(kRegistryGroup, status.raft.soft_state);
          } else if (status.raft.soft_state.role == raft::Role::kLeader) {
            keeper_.mark(status.group);
          }
        }
      }));
}

void Controller::Work::stop() {
  files_.save_lives();
  operations_.fail_all(Status(StatusCode::kUnknownOutcome, "this node stops"));
  context_.stop();
}

// -- Into the cluster.

void Controller::Work::found_cluster() {
  const ReplicaId founder = ReplicaId::make(context_.self, kFounderSerial);
  context_.log(raft::LogLevel::kInfo,
               "new cluster " + to_string(files_.facts().cluster) + " on an empty state directory");
  context_.registry_replica = founder;
  raft::Snapshot mark{LogIndex(1), Term(1), {}};
  mark.conf_state.voters = {founder};
  context_.host.create_replica(
      kRegistryGroup, founder, mark, context_.executor,
      context_.guard_posted([this](const Status& status) { registry_replica_created(status); }));
}

/// A node that gave up its replicas knows others of its cluster; -join may lead to one that is
/// gone.
std::vector<env::Address> Controller::Work::join_targets() const {
  std::vector<env::Address> targets;
  if (options_.join) targets.push_back(*options_.join);
  if (!files_.facts().cluster) return targets;
  for (const NodeAddress& node : files_.addresses().nodes) {
    auto address = env::Address::parse(node.raft_address);
    if (address && node.node != context_.self) targets.push_back(*address);
  }
  return targets;
}

void Controller::Work::join() {
  JoinRequest request;
  request.cluster = files_.facts().cluster;
  request.node = context_.self;
  request.uuid = context_.uuid;
  request.raft_address = options_.raft_address;
  request.api_address = options_.api_address;
  request.initial_group = options_.initial_group;
  joiner_.emplace(context_, join_targets(), std::move(request));
  joiner_->start([this](const JoinAnswer& answer) { accepted(answer); },
                 [this](const Status& status) {
                   if (callbacks_.on_refused) callbacks_.on_refused(status);
                 });
}

void Controller::Work::accepted(const JoinAnswer& answer) {
  context_.log(raft::LogLevel::kInfo, "joined cluster " + to_string(answer.cluster));
  // The floor before the first replica: should this process end in between, what it must never
  // create is known.
  files_.change(
      [&](NodeFacts& facts) {
        facts.cluster = answer.cluster;
        facts.serial_floor = answer.serial_floor;
      },
      [this, answer] { enter_registry(answer); });
}

void Controller::Work::enter_registry(const JoinAnswer& answer) {
  context_.registry_replica = answer.registry_replica;
  context_.host.transport().set_cluster(answer.cluster);
  addresses_.learn(answer.nodes);
  AddressBook book;
  book.nodes = answer.nodes;
  std::erase_if(book.nodes, [&](const NodeAddress& node) { return node.node == context_.self; });
  // Before the replica: once that exists, a restart does not ask to join again, and without any
  // address it could answer nobody who tells it the registry.
  files_.save_addresses(std::move(book), [this, replica = answer.registry_replica] {
    context_.host.create_replica(
        kRegistryGroup, replica, {}, context_.executor,
        context_.guard_posted([this](const Status& status) { registry_replica_created(status); }));
  });
}

void Controller::Work::registry_replica_created(const Status& status) {
  if (!status) {
    if (callbacks_.on_fatal) callbacks_.on_fatal(status);
    return;
  }
  files_.change([](NodeFacts& facts) { facts.phase = NodePhase::kMember; }, [] {});
}

// -- The registry.

void Controller::Work::applied() {
  if (change_posted_.exchange(true)) return;
  context_.executor.post(context_.guard([this] {
    change_posted_.store(false);
    registry_changed();
  }));
}

void Controller::Work::registry_changed() {
  const std::shared_ptr<const RegistryView> before = seen_;
  const std::shared_ptr<const RegistryView> after = context_.view();
  if (before == after) return;
  seen_ = after;
  if (&before->nodes() != &after->nodes()) addresses_.update(*after);
  RegistryView::for_each_change(*before, *after, [&](GroupId group) {
    replicas_.update(group, *after);
    if (group == kRegistryGroup || replicas_.hosted(group)) keeper_.mark(group);
  });
  replicas_.advance();
  operations_.on_registry(*after);
  if (context_.leads_registry()) notices_.on_registry_change(*before, *after);
  departure_.on_registry(*after);
  publish_addresses();
  check_ready();
}

/// The founder's first command. Its own log may hold it already, not yet applied: then this one is
/// refused, which is fine.
void Controller::Work::bootstrap() {
  if (bootstrapping_ || !context_.leads_registry() || !context_.view()->empty()) return;
  bootstrapping_ = true;
  Bootstrap command;
  command.cluster = files_.facts().cluster;
  command.node = context_.self;
  command.uuid = context_.uuid;
  command.raft_address = options_.raft_address;
  command.api_address = options_.api_address;
  command.initial_group = options_.initial_group;
  context_.propose(command, [this](const Result<RegistryOutcome>& outcome) {
    bootstrapping_ = false;
    if (outcome && outcome->code == RegistryCode::kInvalid) {
      if (callbacks_.on_refused) callbacks_.on_refused(outcome->status());
      return;
    }
    if (!outcome) {
      context_.after(bootstrap_backoff_.next(context_.random), [this] { bootstrap(); });
    }
  });
}

/// The node may have been started with other addresses than it is registered under.
void Controller::Work::publish_addresses() {
  const std::shared_ptr<const RegistryView> view = context_.view();
  const NodeRecord* self = view->node(context_.self);
  if (publishing_ || !self || self->uuid != context_.uuid) return;
  if (self->raft_address == options_.raft_address && self->api_address == options_.api_address) {
    publish_backoff_.reset();
    return;
  }
  publishing_ = true;
  const UpdateNode command{context_.self, context_.uuid, options_.raft_address,
                           options_.api_address};
  context_.propose(command, [this](const Result<RegistryOutcome>& outcome) {
    if (!outcome) send_address_news();
    context_.after(publish_backoff_.next(context_.random), [this] {
      publishing_ = false;
      publish_addresses();
    });
  });
}

/// Others still send to the old address, so no leader is known here; they can register the new one.
void Controller::Work::send_address_news() {
  MR_COVERAGE("meta: new address told to another node");
  const AdminRequest news =
      AddressNews{context_.self, context_.uuid, options_.raft_address, options_.api_address};
  for (const auto& [node, text] : addresses_.others()) {
    auto address = env::Address::parse(text);
    if (!address) continue;
    wire::Request request;
    request.kind = wire::RequestKind::kAdmin;
    request.payload = encode(news);
    context_.host.transport().call(*address, std::move(request), context_.timing.election_ns,
                                   context_.executor, [](const Result<wire::Response>&) {});
  }
}

void Controller::Work::check_ready() {
  if (ready_) return;
  const std::shared_ptr<const RegistryView> view = context_.view();
  const NodeRecord* self = view->node(context_.self);
  if (!self || self->uuid != context_.uuid || !replicas_.settled()) return;
  ready_ = true;
  if (callbacks_.on_ready) callbacks_.on_ready();
}

void Controller::Work::removed() {
  files_.change([](NodeFacts& facts) { facts.phase = NodePhase::kRemoved; },
                [this] {
                  operations_.on_removed();
                  if (callbacks_.on_removed) callbacks_.on_removed();
                });
}

// -- What the host tells.

void Controller::Work::leadership(GroupId group, const raft::SoftState& state) {
  if (group == kRegistryGroup) {
    registry_state_known_ = true;
    context_.registry_state = state;
    keeper_.on_registry_leadership(state.role == raft::Role::kLeader);
    bootstrap();
  }
  if (state.role == raft::Role::kLeader) keeper_.mark(group);
  if (state.leader != raft::kNoReplica) operations_.on_leader(group);
}

void Controller::Work::conf_state(GroupId group, const raft::ConfState& state) {
  if (group == kRegistryGroup) departure_.on_registry_conf(state);
  keeper_.mark(group);
}

void Controller::Work::request(NodeId from, const wire::Request& request,
                               JoinServer::Respond respond) {
  if (request.kind == wire::RequestKind::kJoin) {
    join_server_.on_request(from, request.payload, std::move(respond));
    return;
  }
  const Result<AdminRequest> decoded = decode_admin_request(request.payload);
  if (!decoded) {
    respond(StatusCode::kInvalidArgument, text_bytes(decoded.status().message()));
    return;
  }
  admin(from, *decoded, std::move(respond));
}

void Controller::Work::admin(NodeId from, const AdminRequest& request,
                             JoinServer::Respond respond) {
  if (const auto* check = std::get_if<MembershipCheck>(&request)) {
    respond(StatusCode::kOk, encode(verdict_on(*context_.view(), check->group, check->replica)));
  } else if (const auto* notice = std::get_if<RemovedNotice>(&request)) {
    if (notice->group == kRegistryGroup) {
      departure_.on_notice(notice->replica);
    } else {
      replicas_.removed(notice->group, notice->replica, *context_.view());
    }
    respond(StatusCode::kOk, {});
  } else if (const auto* query = std::get_if<LeaderQuery>(&request)) {
    // One that a quorum has just confirmed: a node may give up its replicas because of it, and
    // somebody who led a moment ago may lead nobody any more.
    context_.host.read(query->group, host::ReadMode::kLinearizable,
                       context_.guard_posted([from, respond = std::move(respond)](
                                                 const host::ReadPermit& permit) mutable {
                         const bool known = permit.status && permit.leader != raft::kNoReplica &&
                                            permit.leader.node() != from;
                         respond(StatusCode::kOk, encode_leader_known(known));
                       }));
  } else if (std::get_if<IdentityProbe>(&request)) {
    respond(StatusCode::kOk, encode(context_.uuid));
  } else if (const auto* news = std::get_if<AddressNews>(&request)) {
    if (news->node != from) {
      respond(StatusCode::kInvalidArgument, text_bytes("these are the addresses of another node"));
      return;
    }
    context_.propose(UpdateNode{news->node, news->uuid, news->raft_address, news->api_address},
                     [respond = std::move(respond)](const Result<RegistryOutcome>& o) mutable {
                       respond(o ? o->status().code() : o.status().code(), {});
                     });
  }
}

}  // namespace multiraft::meta
