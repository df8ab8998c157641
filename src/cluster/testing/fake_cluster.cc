#include "cluster/testing/fake_cluster.h"

#include <algorithm>

#include "base/assert.h"
#include "cluster/testing/fake_host.h"
#include "raft/conf_change.h"
#include "registry/testing/commands.h"

namespace multiraft::cluster::testing {
namespace {

constexpr int64_t kBeatNs = 10 * env::kMillisecond;
constexpr int64_t kElectionNs = 200 * env::kMillisecond;
constexpr int64_t kVoterPatienceNs = 10 * env::kSecond;

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}
bool is_voter(const raft::ConfState& conf, ReplicaId id) {
  return contains(conf.voters, id) || contains(conf.voters_outgoing, id);
}
bool is_member(const raft::ConfState& conf, ReplicaId id) {
  return is_voter(conf, id) || contains(conf.learners, id);
}
std::vector<uint64_t> nodes_of(const std::vector<ReplicaId>& ids) {
  std::vector<uint64_t> nodes;
  for (ReplicaId id : ids) nodes.push_back(id.node().value);
  return nodes;
}

}  // namespace

FakeCluster::FakeCluster(uint64_t seed)
    : scheduler_(seed),
      world_(scheduler_, std::make_unique<env::SimFileSystem>(), seed),
      network_(world_.start_executor("network")),
      random_(seed) {
  network_->post([this] { beat(); });
}

FakeCluster::~FakeCluster() {
  for (auto& [id, node] : nodes_) {
    if (node.up) kill(id.value);
  }
}

// -- Nodes.

FakeNode& FakeCluster::node(uint64_t id) {
  FakeNode& node = nodes_[NodeId(id)];
  if (!node.env) {
    node.id = NodeId(id);
    node.raft_address = registry::testing::raft_of(id);
    node.api_address = registry::testing::api_of(id);
    node.env = std::make_unique<env::SimEnvironment>(
        scheduler_, std::make_unique<env::SimFileSystem>(), random_.next());
  }
  return node;
}

Status FakeCluster::start(uint64_t id, std::optional<StartOptions> given) {
  FakeNode& node = this->node(id);
  MR_ASSERT(!node.up);
  if (given) start_options_[node.id] = *given;
  const StartOptions& start = start_options_[node.id];
  auto identity =
      state_dir::NodeIdentity::open(*node.env, "state", node.id, start.join == 0, node.versions);
  if (!identity) return identity.status();
  node.identity = std::move(*identity);
  node.registry = std::make_unique<registry::RegistryEngine>();
  node.up = true;
  ++node.life;
  ControllerOptions options;
  options.raft_address = node.raft_address;
  options.api_address = node.api_address;
  if (start.join) options.join = {*env::Address::parse(this->node(start.join).raft_address)};
  options.replaces_lost_disk = node.replaces_lost_disk;
  options.initial_group = GroupId(start.group);
  options.registry_voter_patience_ns = kVoterPatienceNs;
  options.versions = node.versions;
  ControllerCallbacks callbacks;
  callbacks.on_ready = [&node] { ++node.ready; };
  callbacks.on_removed = [&node] { ++node.removed; };
  callbacks.on_replaced = [&node](const Status& status) { node.replaced = status; };
  callbacks.on_other_cluster = [&node](const Status& status) { node.other_cluster = status; };
  callbacks.on_unsupported = [&node](const Status& status) { node.unsupported = status; };
  callbacks.on_refused = [&node](const Status& status) { node.refused = status; };
  callbacks.on_state_rollback = [&node](const Status& status) { node.older = status; };
  callbacks.on_fatal = [&node](const Status& status) { node.fatal = status; };
  callbacks.log = [&node](raft::LogLevel, std::string_view line) { node.lines.emplace_back(line); };
  node.controller = std::make_unique<Controller>(*node.identity, *node.registry, *node.env,
                                                 std::move(options), std::move(callbacks));
  node.host = std::make_unique<FakeHost>(*this, node);
  if (Status status = node.controller->attach(*node.host); !status) {
    destroy_process(node);
    return status;
  }
  return Status::ok();
}

void FakeCluster::kill(uint64_t id) {
  FakeNode& node = this->node(id);
  MR_ASSERT(node.up);
  destroy_process(node);
  for (auto& [group_id, group] : groups_) {
    if (group.leader.node() == node.id) lose_leader(group_id, group);
  }
}

void FakeCluster::destroy_process(FakeNode& node) {
  node.up = false;
  node.ready = 0;
  node.env->kill();
  node.controller->stop();
  node.host.reset();
  node.controller.reset();
  node.registry.reset();
  node.identity.reset();
  // Power fails, as often as not: what was not synced may be lost.
  const env::CrashMode mode = env::kAllCrashModes[random_.below(std::size(env::kAllCrashModes))];
  node.env->set_disk(node.env->disk().crash_image(mode, random_.next()));
}

void FakeCluster::wipe(uint64_t id) {
  FakeNode& node = this->node(id);
  if (node.up) kill(id);
  node.log.clear();
  node.removed = 0;
  node.replaces_lost_disk = true;
  node.env->set_disk(std::make_unique<env::SimFileSystem>());
}

bool FakeCluster::alive(NodeId id, uint64_t life) {
  const FakeNode& node = nodes_[id];
  return node.up && node.life == life;
}

FakeNode* FakeCluster::find(const std::string& raft_address) {
  for (auto& [id, node] : nodes_) {
    if (node.raft_address == raft_address) return &node;
  }
  return nullptr;
}

void FakeCluster::post_to(FakeNode& node, int64_t delay_ns, Task task) {
  network_->post([this, &node, life = node.life, delay_ns, task = std::move(task)]() mutable {
    network_->run_at(scheduler_.clock().now() + delay_ns,
                     [this, &node, life, task = std::move(task)]() mutable {
                       if (!alive(node.id, life)) return;
                       node.host->executor(0).post(std::move(task));
                     });
  });
}

// -- Raft, as if it were perfect.

void FakeCluster::beat() {
  for (auto& [id, node] : nodes_) {
    if (node.up && node.connected) node.seen_last = scheduler_.clock().now();
  }
  for (auto& [id, group] : groups_) {
    keep_leader(id, group);
    if (!group.leader) continue;
    if (!group.conf.voters_outgoing.empty() && has_quorum(id, group)) {
      append(id, {{}, *raft::next_conf_state(group.conf, {})});
      keep_leader(id, group);
    }
    deliver(id, group);
  }
  network_->run_at(scheduler_.clock().now() + kBeatNs, [this] { beat(); });
}

bool FakeCluster::reachable(ReplicaId replica, GroupId group) {
  const FakeNode& node = nodes_[replica.node()];
  const auto stored = node.log.find(group);
  return node.up && node.connected && stored != node.log.end() && stored->second.replica == replica;
}

bool FakeCluster::seems_active(ReplicaId replica, GroupId group) {
  if (reachable(replica, group)) return true;
  const FakeNode& node = nodes_[replica.node()];
  const auto stored = node.log.find(group);
  return stored != node.log.end() && stored->second.replica == replica &&
         scheduler_.clock().now() - node.seen_last < kElectionNs;
}

bool FakeCluster::has_quorum(GroupId id, const FakeGroup& group) {
  const auto majority_of = [&](const std::vector<ReplicaId>& voters) {
    const auto live = std::count_if(voters.begin(), voters.end(),
                                    [&](ReplicaId voter) { return reachable(voter, id); });
    return static_cast<size_t>(live) > voters.size() / 2;
  };
  return majority_of(group.conf.voters) &&
         (group.conf.voters_outgoing.empty() || majority_of(group.conf.voters_outgoing));
}

void FakeCluster::keep_leader(GroupId id, FakeGroup& group) {
  if (group.leader) {
    if (!reachable(group.leader, id) || !is_voter(group.conf, group.leader) ||
        !has_quorum(id, group)) {
      lose_leader(id, group);
    }
    return;
  }
  if (!group.elects || !has_quorum(id, group)) return;
  // A new group elects at once; one that lost its leader waits.
  const bool fresh = group.term == Term(1);
  if (!fresh && scheduler_.clock().now() - group.lost_leader < kElectionNs) return;
  ReplicaId best;
  LogIndex best_applied;
  for (ReplicaId voter : group.conf.voters) {
    if (!reachable(voter, id)) continue;
    const LogIndex applied = nodes_[voter.node()].log[id].applied;
    if (!best || applied > best_applied) {
      best = voter;
      best_applied = applied;
    }
  }
  set_leader(id, group, best);
}

void FakeCluster::lose_leader(GroupId id, FakeGroup& group) {
  group.leader = {};
  group.lost_leader = scheduler_.clock().now();
  announce(id, group);
}

void FakeCluster::set_leader(GroupId id, FakeGroup& group, ReplicaId leader) {
  group.leader = leader;
  ++group.term;
  FakeNode& node = nodes_[leader.node()];
  deliver_to(id, group, node, node.log[id]);
  announce(id, group);
}

void FakeCluster::elect(uint64_t id, uint64_t node) {
  FakeGroup& group = this->group(id);
  set_leader(GroupId(id), group, this->node(node).log.at(GroupId(id)).replica);
}

void FakeCluster::announce(GroupId id, const FakeGroup& group) {
  for (auto& [node_id, node] : nodes_) {
    const auto stored = node.log.find(id);
    if (!node.up || stored == node.log.end()) continue;
    // Who has been removed hears nothing: a voter comes to know that it has no leader.
    const ReplicaId replica = stored->second.replica;
    raft::SoftState state;
    const bool hears = node.connected && (node.receives || replica == group.leader);
    if (is_member(group.conf, replica) && hears) state.leader = group.leader;
    if (state.leader == replica && replica) state.role = raft::Role::kLeader;
    post_to(node, 0, [&node = node, id, state, term = group.term] {
      node.controller->on_leadership(id, state, term);
    });
  }
}

void FakeCluster::deliver(GroupId id, FakeGroup& group) {
  for (auto& [node_id, node] : nodes_) {
    const auto stored = node.log.find(id);
    if (stored == node.log.end() || !reachable(stored->second.replica, id)) continue;
    const bool follows = node.receives || stored->second.replica == group.leader;
    if (follows && is_member(group.conf, stored->second.replica)) {
      deliver_to(id, group, node, stored->second);
    }
  }
}

void FakeCluster::deliver_to(GroupId id, FakeGroup& group, FakeNode& node, StoredReplica& stored) {
  if (stored.applied == group.last()) return;
  if (!stored.applied) {
    stored.applied = LogIndex(1);
    announce(id, group);  // It hears of the leader for the first time.
  }
  while (stored.applied < group.last()) {
    const FakeGroup::Entry& entry = group.entries[stored.applied.value - 1];
    stored.applied += 1;
    node.host->apply(id, stored.applied, entry.command);
    if (entry.conf) {
      post_to(node, 0,
              [&node, id, conf = *entry.conf] { node.controller->on_conf_state(id, conf); });
    }
  }
  post_to(node, 0,
          [&node, id, applied = stored.applied] { node.controller->on_applied(id, applied); });
}

void FakeCluster::append(GroupId id, FakeGroup::Entry entry) {
  FakeGroup& group = groups_[id];
  if (entry.conf) {
    if (entry.conf->voters.empty()) violate("group " + to_string(id) + " lost its last voter");
    group.conf = *entry.conf;
  }
  const bool conf_changed = entry.conf.has_value();
  group.entries.push_back(std::move(entry));
  if (!conf_changed) return;
  announce(id, group);  // A new member hears of the leader.
  if (after_change) after_change(id, group.conf);
}

// -- For tests.

Status FakeCluster::create_group(uint64_t at, uint64_t group, std::vector<uint64_t> nodes) {
  std::optional<Status> result;
  std::vector<NodeId> ids;
  for (uint64_t id : nodes) ids.push_back(NodeId(id));
  node(at).controller->create_group(GroupId(group), std::move(ids), *network_,
                                    [&result](Status status) { result = std::move(status); });
  run_until([&] { return result.has_value(); }, 60 * env::kSecond);
  MR_ASSERT(result.has_value());
  return *result;
}

Status FakeCluster::add_member(uint64_t at, uint64_t group, uint64_t member) {
  std::optional<Status> result;
  node(at).controller->add_member(GroupId(group), NodeId(member), true, *network_,
                                  [&result](Status status) { result = std::move(status); });
  run_until([&] { return result.has_value(); }, 60 * env::kSecond);
  MR_ASSERT(result.has_value());
  return *result;
}

Status FakeCluster::remove_member(uint64_t at, uint64_t group, uint64_t member) {
  std::optional<Status> result;
  node(at).controller->remove_member(GroupId(group), NodeId(member), *network_,
                                     [&result](Status status) { result = std::move(status); });
  run_until([&] { return result.has_value(); }, 60 * env::kSecond);
  MR_ASSERT(result.has_value());
  return *result;
}

registry::RegistryOutcome FakeCluster::propose(uint64_t at,
                                               const registry::RegistryCommand& command) {
  std::optional<host::WriteResult> result;
  node(at).host->write(registry::kRegistryGroup, registry::encode_command(command), *network_,
                       [&result](host::WriteResult r) { result = std::move(r); });
  run_until([&] { return result.has_value(); });
  MR_ASSERT(result.has_value() && result->status.is_ok());
  return *registry::decode_outcome(result->result);
}

const registry::RegistryView& FakeCluster::view(uint64_t id) {
  return *node(id).controller->view();
}

std::vector<uint64_t> FakeCluster::voters(uint64_t id) { return nodes_of(group(id).conf.voters); }
std::vector<uint64_t> FakeCluster::learners(uint64_t id) {
  return nodes_of(group(id).conf.learners);
}

}  // namespace multiraft::cluster::testing
