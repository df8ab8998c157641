#include "cluster/cluster_agent.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/coverage.h"

namespace multiraft::cluster {
namespace {

/// Group 0 begins with the founder's replica alone.
constexpr uint32_t kFounderSerial = 1;

SharedBytes text_bytes(std::string_view text) { return SharedBytes::copy_of(text); }

}  // namespace

Controller::ClusterAgent::ClusterAgent(host::NodeHost& host, env::Environment& env,
                                       state_dir::NodeIdentity& identity,
                                       const registry::RegistryEngine& registry,
                                       const ControllerOptions& options,
                                       const ControllerCallbacks& callbacks)
    : options_(options),
      callbacks_(callbacks),
      recovered_(host.recovered()),
      state_dir_(identity.state_dir()),
      plan_found_(read_plan(env.file_system(), state_dir_)),
      context_(host, env, registry, identity.facts().node, identity.facts().uuid,
               Timing{options.heartbeat_ns, options.election_ns}, callbacks.log),
      files_(context_, identity, callbacks.on_fatal),
      addresses_(context_, files_),
      replicas_(context_, files_, [this] { check_ready(); }),
      keeper_(context_, options.registry_voter_patience_ns),
      operations_(context_, options.operation_timeout_ns),
      leader_hints_(context_),
      departure_(
          context_, addresses_, [this](Verdict verdict) { removed(verdict); },
          [this](GroupId group, ReplicaId replica) {
            replicas_.removed(group, replica, *context_.view());
          },
          [this] { follow_new_registry(); }),
      notices_(context_),
      join_server_(context_),
      rollback_guard_(context_, addresses_, files_.facts().life,
                      [this](const Status& why) {
                        if (callbacks_.on_state_rollback) callbacks_.on_state_rollback(why);
                      }),
      bootstrap_backoff_(options.heartbeat_ns / 5, options.election_ns),
      publish_backoff_(options.heartbeat_ns, 10 * options.election_ns),
      raise_backoff_(options.heartbeat_ns, 10 * options.election_ns),
      hints_(options.join),
      hint_backoff_(options.heartbeat_ns, 5 * options.election_ns) {
  for (const auto& [group, replica] : recovered_) {
    if (group == registry::kRegistryGroup) context_.registry_replica = replica;
  }
}

Status Controller::ClusterAgent::check_start() const {
  const state_dir::NodeFacts& facts = files_.facts();
  for (const auto& [group, replica] : recovered_) {
    if (replica.node() != facts.node) {
      return Status(StatusCode::kCorruption, "the log holds a replica of node " +
                                                 to_string(replica.node()) + ", but this is node " +
                                                 to_string(facts.node));
    }
  }
  if (!plan_found_) return plan_found_.status();
  if (plan_found_->has_value()) return Status::ok();
  if (options_.force_new_registry &&
      (facts.phase != state_dir::NodePhase::kMember || !context_.registry_replica)) {
    return Status(StatusCode::kConflict,
                  "-force_new_registry: this node is not a member of a cluster");
  }
  if (facts.phase == state_dir::NodePhase::kMember && !context_.registry_replica) {
    return Status(StatusCode::kCorruption,
                  "the log of group 0 is gone although the node is a member of a cluster. Remove "
                  "it from the cluster, wipe its state directory and join it again");
  }
  if (facts.phase == state_dir::NodePhase::kJoining && !context_.registry_replica &&
      join_targets().empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "the node has begun to join a cluster and needs -join to go on");
  }
  return Status::ok();
}

void Controller::ClusterAgent::start() {
  const state_dir::NodeFacts& facts = files_.facts();
  if (facts.phase == state_dir::NodePhase::kRemoved) {
    context_.log(raft::LogLevel::kInfo,
                 "this node was removed from its cluster: its state directory can be deleted");
    if (callbacks_.on_removed) callbacks_.on_removed();
    return;
  }
  addresses_.start();
  replicas_.recovered(recovered_);
  if (options_.force_new_registry || *plan_found_) {
    start_restore();
  } else if (context_.registry_replica) {
    if (facts.phase != state_dir::NodePhase::kMember) registry_replica_created(Status::ok());
    look_for_others();
  } else if (facts.phase == state_dir::NodePhase::kFounding) {
    context_.after(std::max<int64_t>(0, options_.founding_wait_ns), [this] {
      if (!other_cluster_) found_cluster();
    });
  } else {
    join();
  }
  resync();
  departure_.start();
  registry_changed();
}

void Controller::ClusterAgent::start_restore() {
  RegistryRestore::Callbacks callbacks;
  callbacks.refused = [this](const Status& status) {
    if (callbacks_.on_force_refused) callbacks_.on_force_refused(status);
  };
  callbacks.fatal = [this](const Status& status) {
    if (callbacks_.on_fatal) callbacks_.on_fatal(status);
  };
  callbacks.done = [this] { registry_changed(); };
  restore_ =
      std::make_unique<RegistryRestore>(context_, addresses_, state_dir_, std::move(callbacks));
  if (*plan_found_) {
    restore_->resume(**plan_found_);
  } else {
    restore_->start();
  }
}

/// Group 0 was made again on another node: this one takes the replica there that it was given in
/// place of its former one, which nobody can complete any more. The replicas of other groups stay.
void Controller::ClusterAgent::follow_new_registry() {
  if (following_ || restore_) return;
  MR_COVERAGE("meta: node follows a group 0 that was made again");
  following_ = true;
  context_.log(raft::LogLevel::kWarn,
               "group 0 was made again on another node: this node follows it");
  // As a node that is joining: a restart in between goes on with that.
  const auto leave = [floor = context_.registry_replica.serial()](state_dir::NodeFacts& facts) {
    facts.phase = state_dir::NodePhase::kJoining;
    facts.registry_floor = floor;
  };
  files_.change(leave, [this] {
    const ReplicaId former = std::exchange(context_.registry_replica, ReplicaId{});
    context_.registry_state = {};
    keeper_.on_registry_leadership(false);
    context_.host.destroy_replica(registry::kRegistryGroup, former, context_.executor,
                                  context_.guard_posted([this](const Status& status) {
                                    if (status) return join();
                                    if (callbacks_.on_fatal) callbacks_.on_fatal(status);
                                  }));
  });
}

void Controller::ClusterAgent::boots_changed() {
  if (lives_posted_.exchange(true)) return;
  context_.executor.post(context_.guard([this] {
    lives_posted_.store(false);
    files_.save_boots();
  }));
}

void Controller::ClusterAgent::on_state_rollback(const transport::StateRollback& rollback) {
  context_.executor.post(context_.guard([this, rollback] { rollback_guard_.on_claim(rollback); }));
}

/// What happened before anybody listened.
void Controller::ClusterAgent::resync() {
  context_.host.list(
      context_.executor,
      context_.guard_posted([this](const std::vector<host::ReplicaStatus>& replicas) {
        for (const host::ReplicaStatus& status : replicas) {
          if (status.group == registry::kRegistryGroup && !registry_state_known_) {
            leadership(registry::kRegistryGroup, status.raft.soft_state);
          } else if (status.raft.soft_state.role == raft::Role::kLeader) {
            keeper_.mark(status.group);
          }
        }
      }));
}

void Controller::ClusterAgent::stop() {
  files_.save_boots();
  operations_.fail_all(Status(StatusCode::kUnknownOutcome, "this node stops"));
  context_.stop();
}

// -- Into the cluster.

void Controller::ClusterAgent::found_cluster() {
  const ReplicaId founder = ReplicaId::make(context_.self, kFounderSerial);
  context_.log(raft::LogLevel::kInfo,
               "new cluster " + to_string(files_.facts().cluster) + " on an empty state directory");
  context_.registry_replica = founder;
  raft::Snapshot mark{LogIndex(1), Term(1), {}};
  mark.conf_state.voters = {founder};
  context_.host.create_replica(
      registry::kRegistryGroup, founder, mark, context_.executor,
      context_.guard_posted([this](const Status& status) { registry_replica_created(status); }));
}

/// A node that gave up its replicas knows others of its cluster; -join may lead to one that is
/// gone.
std::vector<env::Address> Controller::ClusterAgent::join_targets() const {
  std::vector<env::Address> targets;
  for (const env::Address& address : options_.join) targets.push_back(address);
  if (!files_.facts().cluster) return targets;
  for (const state_dir::NodeAddress& node : files_.addresses().nodes) {
    auto address = env::Address::parse(node.raft_address);
    if (address && node.node != context_.self) targets.push_back(*address);
  }
  return targets;
}

void Controller::ClusterAgent::join() {
  JoinRequest request;
  request.cluster = files_.facts().cluster;
  request.node = context_.self;
  request.uuid = context_.uuid;
  request.raft_address = options_.raft_address;
  request.api_address = options_.api_address;
  request.initial_group = options_.initial_group;
  request.replaces_lost_disk = options_.replaces_lost_disk;
  request.versions = options_.versions;
  joiner_.emplace(context_, join_targets(), std::move(request));
  joiner_->start([this](const JoinAnswer& answer) { accepted(answer); },
                 [this](const Status& status) {
                   if (callbacks_.on_refused) callbacks_.on_refused(status);
                 });
}

void Controller::ClusterAgent::accepted(const JoinAnswer& answer) {
  if (answer.registry_replica.serial() <= files_.facts().registry_floor) {
    MR_COVERAGE("meta: offer of a former group 0 declined");
    context_.after(context_.timing.election_ns, [this] { join(); });
    return;
  }
  context_.log(raft::LogLevel::kInfo, "joined cluster " + to_string(answer.cluster));
  // The floor before the first replica: should this process end in between, what it must never
  // create is known.
  files_.change(
      [&](state_dir::NodeFacts& facts) {
        facts.cluster = answer.cluster;
        facts.serial_floor = std::max(facts.serial_floor, answer.serial_floor);
      },
      [this, answer] { enter_registry(answer); });
}

void Controller::ClusterAgent::enter_registry(const JoinAnswer& answer) {
  context_.registry_replica = answer.registry_replica;
  context_.host.transport().set_cluster(answer.cluster);
  addresses_.learn(answer.nodes);
  state_dir::KnownNodes book;
  book.nodes = answer.nodes;
  std::erase_if(book.nodes,
                [&](const state_dir::NodeAddress& node) { return node.node == context_.self; });
  // Before the replica: once that exists, a restart does not ask to join again, and without any
  // address it could answer nobody who tells it the registry.
  files_.save_addresses(std::move(book), [this, replica = answer.registry_replica] {
    context_.host.create_replica(
        registry::kRegistryGroup, replica, {}, context_.executor,
        context_.guard_posted([this](const Status& status) { registry_replica_created(status); }));
  });
}

void Controller::ClusterAgent::registry_replica_created(const Status& status) {
  if (!status) {
    if (callbacks_.on_fatal) callbacks_.on_fatal(status);
    return;
  }
  files_.change([](state_dir::NodeFacts& facts) { facts.phase = state_dir::NodePhase::kMember; },
                [this] { following_ = false; });
}

// -- The registry.

void Controller::ClusterAgent::applied() {
  if (change_posted_.exchange(true)) return;
  context_.executor.post(context_.guard([this] {
    change_posted_.store(false);
    registry_changed();
  }));
}

void Controller::ClusterAgent::registry_changed() {
  const std::shared_ptr<const registry::RegistryView> before = seen_;
  const std::shared_ptr<const registry::RegistryView> after = context_.view();
  if (before == after) return;
  // Between a former group 0 and its successor.
  if (after->empty()) return;
  if (restore_ && restore_->under_way()) return restore_->on_leadership();
  seen_ = after;
  if (!check_version()) return;
  if (&before->nodes() != &after->nodes()) addresses_.update(*after);
  registry::RegistryView::for_each_change(*before, *after, [&](GroupId group) {
    replicas_.update(group, *after);
    if (group == registry::kRegistryGroup || replicas_.hosted(group)) keeper_.mark(group);
  });
  replicas_.advance();
  operations_.on_registry(*after);
  if (context_.leads_registry()) notices_.on_registry_change(*before, *after);
  departure_.on_registry(*after);
  publish_node();
  raise_cluster_version();
  check_ready();
}

/// A node that cannot follow the cluster ends before it does anything with what it may not
/// understand.
bool Controller::ClusterAgent::check_version() {
  const uint32_t version = seen_->cluster_version();
  if (unsupported_) return false;
  if (version == 0) return true;
  if (!options_.versions.contains(version)) {
    MR_COVERAGE("meta: the cluster's version is not supported");
    unsupported_ = true;
    if (callbacks_.on_unsupported) {
      callbacks_.on_unsupported(
          {StatusCode::kUnsupported, version_conflict(context_.self, options_.versions, version)});
    }
    return false;
  }
  // So that an older program refuses the state directory before it opens anything.
  if (files_.facts().cluster_version < version) {
    context_.log(raft::LogLevel::kInfo,
                 "the cluster works with version " + std::to_string(version));
    files_.change([version](state_dir::NodeFacts& facts) { facts.cluster_version = version; },
                  [] {});
  }
  return true;
}

/// At the leader of group 0, once every registered node supports a newer version.
void Controller::ClusterAgent::raise_cluster_version() {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  if (raising_ || !context_.leads_registry() || view->nodes().empty()) return;
  VersionRange common = view->nodes().front().versions;
  for (const registry::NodeRecord& node : view->nodes()) {
    common.min = std::max(common.min, node.versions.min);
    common.max = std::min(common.max, node.versions.max);
  }
  if (!common.is_valid() || common.max <= view->cluster_version()) return;
  raising_ = true;
  context_.propose(registry::RaiseClusterVersion{common.max},
                   [this](const Result<registry::RegistryOutcome>&) {
                     context_.after(raise_backoff_.next(context_.random), [this] {
                       raising_ = false;
                       raise_cluster_version();
                     });
                   });
}

/// The founder's first command. Its own log may hold it already, not yet applied: then this one is
/// refused, which is fine.
void Controller::ClusterAgent::bootstrap() {
  if (restore_) {
    if (context_.leads_registry()) restore_->on_leadership();
    return;
  }
  if (bootstrapping_ || !context_.leads_registry() || !context_.view()->empty()) return;
  bootstrapping_ = true;
  registry::Bootstrap command;
  command.cluster = files_.facts().cluster;
  command.node = context_.self;
  command.uuid = context_.uuid;
  command.raft_address = options_.raft_address;
  command.api_address = options_.api_address;
  command.initial_group = options_.initial_group;
  command.versions = options_.versions;
  context_.propose(command, [this](const Result<registry::RegistryOutcome>& outcome) {
    bootstrapping_ = false;
    if (outcome && outcome->code == registry::RegistryCode::kInvalid) {
      if (callbacks_.on_refused) callbacks_.on_refused(outcome->status());
      return;
    }
    if (!outcome) {
      context_.after(bootstrap_backoff_.next(context_.random), [this] { bootstrap(); });
    }
  });
}

/// The node may have been started with other addresses, or another program, than it is registered
/// with.
void Controller::ClusterAgent::publish_node() {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::NodeRecord* self = view->node(context_.self);
  if (publishing_ || !self || self->uuid != context_.uuid) return;
  if (self->raft_address == options_.raft_address && self->api_address == options_.api_address &&
      self->versions == options_.versions) {
    publish_backoff_.reset();
    return;
  }
  publishing_ = true;
  const registry::UpdateNode command{context_.self, context_.uuid, options_.raft_address,
                                     options_.api_address, options_.versions};
  // Others learn where this node is from the connections that it makes; so the leader is reached
  // sooner or later, and can register it.
  context_.propose(command, [this](const Result<registry::RegistryOutcome>&) {
    context_.after(publish_backoff_.next(context_.random), [this] {
      publishing_ = false;
      publish_node();
    });
  });
}

void Controller::ClusterAgent::address_heard(NodeId node, const env::Address& address) {
  context_.executor.post(
      context_.guard([this, node, address] { addresses_.heard(node, address.to_string()); }));
}

/// Most nodes may have moved since they last heard of each other: each asks those that it reaches,
/// and those of -join, where the others are. Goes on until group 0 has a leader that is known here.
void Controller::ClusterAgent::look_for_others() {
  const bool others = !addresses_.others().empty();
  const bool in_contact = context_.registry_state.leader != raft::kNoReplica && others;
  if (in_contact || (hints_.empty() && !others)) {
    looking_ = false;
    rumours_.clear();
    hint_backoff_.reset();
    return;
  }
  looking_ = true;
  Task again = [this] {
    context_.after(hint_backoff_.next(context_.random), [this] { look_for_others(); });
  };
  hints_are_next_ = !hints_are_next_;
  if (!hints_.empty() && (hints_are_next_ || !others)) {
    ask_hint(std::move(again));
  } else {
    ask_known(std::move(again));
  }
}

void Controller::ClusterAgent::ask_hint(Task done) {
  next_hint_ = (next_hint_ + 1) % hints_.size();
  const env::Address& hint = hints_[next_hint_];
  ask_for_members(hint, [this, text = hint.to_string(),
                         done = std::move(done)](const Status& status) mutable {
    if (transport::is_other_cluster(status)) {
      MR_COVERAGE("meta: -join leads to another cluster than the state");
      return other_cluster("-join " + text + " leads to another cluster than that of the state " +
                           "directory (" + status.message() + "). To leave this cluster and join " +
                           "that one, start with an empty state directory");
    }
    // The same list may be given to all nodes.
    if (transport::leads_back(status)) {
      hints_.erase(hints_.begin() + static_cast<std::ptrdiff_t>(next_hint_));
      next_hint_ = 0;
    }
    done();
  });
}

/// A node where somebody else says it is, if there is one, or else where it was last.
void Controller::ClusterAgent::ask_known(Task done) {
  NodeId node;
  std::string text;
  if (!rumours_.empty()) {
    const auto rumour = rumours_.begin();
    node = rumour->first;
    text = std::move(rumour->second);
    rumours_.erase(rumour);
  } else {
    const auto& others = addresses_.others();
    auto next = others.upper_bound(last_asked_);
    if (next == others.end()) next = others.begin();
    node = last_asked_ = next->first;
    text = next->second;
  }
  auto address = env::Address::parse(text);
  if (!address) return done();
  MR_COVERAGE("meta: asks nodes that it knows where the others are");
  ask_for_members({*address, node}, [done = std::move(done)](const Status&) mutable { done(); });
}

void Controller::ClusterAgent::ask_for_members(const transport::Callee& callee,
                                               Callback<void(const Status&)> done) {
  wire::Request request;
  request.kind = wire::RequestKind::kAdmin;
  request.payload = encode(AdminRequest(MembersQuery{}));
  context_.host.transport().call(
      callee, std::move(request), context_.timing.election_ns, context_.executor,
      context_.guard_posted([this, address = callee.address, done = std::move(done)](
                                const Result<wire::Response>& response) mutable {
        if (!response) return done(response.status());
        if (response->code != StatusCode::kOk) {
          return done(Status(response->code, std::string(response->payload.view())));
        }
        Result<Members> members = decode_members(response->payload);
        if (!members) return done(members.status());
        // It may not know yet that it has moved.
        for (state_dir::NodeAddress& node : members->nodes) {
          if (node.node == members->self) node.raft_address = address.to_string();
        }
        members_known(*members);
        done(Status::ok());
      }));
}

/// Of what is known here, from before the last start perhaps.
LogIndex Controller::ClusterAgent::registry_version() const {
  return std::max(context_.view()->version(), files_.addresses().version);
}

void Controller::ClusterAgent::members_known(const Members& members) {
  // Of third nodes it knows no better than this one, unless its registry is newer. They are asked
  // themselves.
  const bool newer = members.version > registry_version();
  const auto& others = addresses_.others();
  for (const state_dir::NodeAddress& node : members.nodes) {
    const auto known = others.find(node.node);
    if (newer || known == others.end()) {
      addresses_.learn({node});
    } else if (node.node == members.self) {
      addresses_.heard(node.node, node.raft_address);
    } else if (looking_ && known->second != node.raft_address) {
      rumours_[node.node] = node.raft_address;
    }
  }
}

/// Somebody takes this node for a member of its cluster, whom this one does not know.
void Controller::ClusterAgent::unknown_caller(const transport::UnknownCaller& caller) {
  context_.executor.post(context_.guard([this, caller] {
    if (caller.other_cluster) return called_by_other_cluster(caller.node, caller.remote_address);
    // It may have joined while this node was away.
    const auto& others = addresses_.others();
    if (asking_for_members_ || others.empty()) return;
    auto chosen = others.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(context_.random.below(others.size())));
    auto address = env::Address::parse(chosen->second);
    if (!address) return;
    MR_COVERAGE("meta: asks who a node is that it does not know");
    asking_for_members_ = true;
    ask_for_members({*address, chosen->first},
                    [this](const Status&) { asking_for_members_ = false; });
  }));
}

/// A node that has lost its disk and is started as before, without -join, must not serve a second,
/// empty cluster under its old address.
void Controller::ClusterAgent::called_by_other_cluster(NodeId caller, const std::string& from) {
  if (options_.founding_wait_ns < 0 || !addresses_.others().empty()) return;
  if (context_.view()->nodes().size() > 1) return;
  const state_dir::NodePhase phase = files_.facts().phase;
  const bool founded = context_.registry_replica != raft::kNoReplica;
  if (phase == state_dir::NodePhase::kRemoved ||
      (phase == state_dir::NodePhase::kJoining && !founded))
    return;
  MR_COVERAGE("meta: a founder is a member of another cluster");
  other_cluster("node " + to_string(caller) + " (" + from + ") takes this node for node " +
                to_string(context_.self) + " of a cluster that exists, but this node has " +
                (founded ? "made another one" : "an empty state directory") +
                ". If its disk was lost or emptied, start it with -join and -replace_lost_disk" +
                (founded ? " on an empty state directory" : "") +
                "; if a new cluster is really meant, start it once with -bootstrap");
}

void Controller::ClusterAgent::other_cluster(const std::string& why) {
  if (std::exchange(other_cluster_, true)) return;
  auto report = [this, why] {
    if (callbacks_.on_other_cluster) callbacks_.on_other_cluster({StatusCode::kConflict, why});
  };
  if (context_.registry_replica) return report();
  // Nothing was founded yet: the next start may join.
  files_.change(
      [](state_dir::NodeFacts& facts) {
        facts.phase = state_dir::NodePhase::kJoining;
        facts.cluster = ClusterId();
      },
      report);
}

void Controller::ClusterAgent::check_ready() {
  if (ready_) return;
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::NodeRecord* self = view->node(context_.self);
  if (!self || self->uuid != context_.uuid || !replicas_.settled()) return;
  ready_ = true;
  if (callbacks_.on_ready) callbacks_.on_ready();
}

void Controller::ClusterAgent::removed(Verdict verdict) {
  files_.change(
      [](state_dir::NodeFacts& facts) { facts.phase = state_dir::NodePhase::kRemoved; },
      [this, verdict] {
        operations_.on_removed();
        if (verdict != Verdict::kReplaced) {
          if (callbacks_.on_removed) callbacks_.on_removed();
        } else if (callbacks_.on_replaced) {
          MR_COVERAGE("meta: node learns that it was replaced");
          callbacks_.on_replaced(
              {StatusCode::kConflict,
               "another machine has taken over node id " + to_string(context_.self) +
                   " with -replace_lost_disk while this node was away. Its state directory is left "
                   "as it is; if the wrong id was given there, that machine must leave the "
                   "cluster, "
                   "and this one can join again with an empty directory"});
        }
      });
}

// -- Notifications of the host.

void Controller::ClusterAgent::leadership(GroupId group, const raft::SoftState& state) {
  if (group == registry::kRegistryGroup) {
    registry_state_known_ = true;
    context_.registry_state = state;
    keeper_.on_registry_leadership(state.role == raft::Role::kLeader);
    bootstrap();
    raise_cluster_version();
    if (state.leader == raft::kNoReplica && !restore_ && !std::exchange(looking_, true)) {
      hints_.clear();  // They were for the start.
      // Most often there is another leader before long.
      context_.after(2 * context_.timing.election_ns, [this] { look_for_others(); });
    }
  }
  if (state.role == raft::Role::kLeader) keeper_.mark(group);
  if (state.leader != raft::kNoReplica) operations_.on_leader(group);
}

void Controller::ClusterAgent::conf_state(GroupId group, const raft::ConfState& state) {
  if (group == registry::kRegistryGroup) departure_.on_registry_conf(state);
  keeper_.mark(group);
}

void Controller::ClusterAgent::request(NodeId from, const wire::Request& request,
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

void Controller::ClusterAgent::admin(NodeId from, const AdminRequest& request,
                                     JoinServer::Respond respond) {
  if (!from && !std::holds_alternative<MembershipCheck>(request)) {
    // Whoever was removed may ask about itself; nobody else has anything to ask here.
    MR_COVERAGE("meta: request of an unknown node refused");
    respond(StatusCode::kNotFound, text_bytes("only nodes of the cluster may ask that"));
    return;
  }
  if (const auto* check = std::get_if<MembershipCheck>(&request)) {
    respond(StatusCode::kOk, encode(verdict_on(*context_.view(), check->group, check->replica)));
  } else if (const auto* notice = std::get_if<RemovedNotice>(&request)) {
    departure_.on_notice(notice->group, notice->replica);
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
  } else if (const auto* hint = std::get_if<LeaderHint>(&request)) {
    leader_hints_.answer(hint->group, [respond = std::move(respond)](NodeId leader) mutable {
      respond(StatusCode::kOk, encode_leader_hint(leader));
    });
  } else if (std::get_if<IdentityProbe>(&request)) {
    respond(StatusCode::kOk, encode(context_.uuid));
  } else if (std::get_if<RegistryQuery>(&request)) {
    context_.host.status(
        registry::kRegistryGroup, context_.executor,
        context_.guard_posted([this, respond = std::move(respond)](
                                  const Result<host::ReplicaStatus>& status) mutable {
          RegistryPosition position;
          position.restorations = static_cast<uint32_t>(context_.view()->restorations());
          if (status) {
            position.leader_known = status->raft.soft_state.leader != raft::kNoReplica;
            position.last_term = status->last_term;
            position.last_index = status->last_index;
          }
          respond(StatusCode::kOk, encode(position));
        }));
  } else if (std::get_if<MembersQuery>(&request)) {
    Members members;
    members.version = registry_version();
    members.self = context_.self;
    members.nodes = addresses_.all();
    members.nodes.push_back({context_.self, options_.raft_address, context_.uuid});
    respond(StatusCode::kOk, encode(members));
  }
}

}  // namespace multiraft::cluster
