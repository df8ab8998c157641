#include "registry/registry.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "registry/codec.h"

namespace multiraft::registry {
namespace {

/// More than a group 0 could give out before its survivor heard of it.
constexpr uint32_t kSerialsSkipped = 1'000'000;

RegistryOutcome refuse(RegistryCode code, std::string text) {
  RegistryOutcome outcome;
  outcome.code = code;
  outcome.text = std::move(text);
  return outcome;
}
RegistryOutcome invalid(std::string text) {
  return refuse(RegistryCode::kInvalid, std::move(text));
}
RegistryOutcome not_found(std::string text) {
  return refuse(RegistryCode::kNotFound, std::move(text));
}
RegistryOutcome conflict(std::string text) {
  return refuse(RegistryCode::kConflict, std::move(text));
}
RegistryOutcome exhausted(std::string text) {
  return refuse(RegistryCode::kExhausted, std::move(text));
}
RegistryOutcome done(ReplicaId replica = {}) {
  RegistryOutcome outcome;
  outcome.replica = replica;
  outcome.changed = true;
  return outcome;
}
/// It is as asked already.
RegistryOutcome nothing_to_do(ReplicaId replica = {}) {
  RegistryOutcome outcome;
  outcome.replica = replica;
  return outcome;
}

std::string node_text(NodeId node) { return "node " + to_string(node); }
std::string group_text(GroupId group) { return "group " + to_string(group); }
RegistryOutcome no_such_group(GroupId group) {
  return not_found(group_text(group) + " does not exist");
}
RegistryOutcome serials_used_up() {
  return exhausted("all replica ids of this cluster are used up");
}

bool valid_node_id(NodeId node) { return node.value >= 1 && node.value <= limits::kNodeIdMax; }
bool valid_address(const std::string& address) {
  return !address.empty() && address.size() <= limits::kAddressBytesMax;
}

/// What is wrong with a node that wants to be registered; nothing if it is fine.
template <class Registration>
std::string fault_of(const Registration& command) {
  if (!valid_node_id(command.node)) return "node id " + to_string(command.node) + " is not valid";
  if (command.uuid.empty()) return "the node has no uuid";
  if (!valid_address(command.raft_address) || !valid_address(command.api_address)) {
    return "an address is empty or longer than " + std::to_string(limits::kAddressBytesMax) +
           " bytes";
  }
  if (command.initial_group == kRegistryGroup) return "group 0 is the registry: name another group";
  return {};
}

void add_member(GroupRecord& group, ReplicaId replica, bool voter) {
  const auto at =
      std::lower_bound(group.members.begin(), group.members.end(), replica,
                       [](const MemberRecord& m, ReplicaId wanted) { return m.replica < wanted; });
  group.members.insert(at, MemberRecord{replica, voter, false, false});
}

MemberRecord* find_member(GroupRecord& group, ReplicaId replica) {
  return const_cast<MemberRecord*>(std::as_const(group).member(replica));
}

/// Voters that stay if `without` goes, those aside that never voted yet.
size_t voters_without(const GroupRecord& group, ReplicaId without) {
  return static_cast<size_t>(
      std::count_if(group.members.begin(), group.members.end(), [&](const MemberRecord& m) {
        return m.voter && m.settled && !m.leaving && m.replica != without;
      }));
}

/// A node that loses its disk again and again while a group has no quorum leaves a replica behind
/// each time, and only the group itself can say that one is gone.
constexpr size_t kReplicasOfANodeMax = 4;

bool has_replica_on(const GroupRecord& group, NodeId node) {
  return std::any_of(group.members.begin(), group.members.end(),
                     [&](const MemberRecord& m) { return m.replica.node() == node; });
}

GroupRecord founded(GroupId id, std::vector<ReplicaId> founders) {
  GroupRecord group;
  group.id = id;
  std::sort(founders.begin(), founders.end());
  for (ReplicaId replica : founders) group.members.push_back({replica, true, false, true});
  group.founders = std::move(founders);
  return group;
}

/// The group is made of exactly these nodes (ascending), now or when it was founded and nobody has
/// left since: then asking for it again is no contradiction.
bool is_made_of(const GroupRecord& group, const std::vector<NodeId>& nodes) {
  std::vector<NodeId> now;
  for (const MemberRecord& m : group.members) {
    if (!m.leaving) now.push_back(m.replica.node());
  }
  if (now == nodes) return true;
  std::vector<NodeId> then;
  for (ReplicaId founder : group.founders) {
    const MemberRecord* m = group.member(founder);
    if (!m || m->leaving) return false;
    then.push_back(founder.node());
  }
  return then == nodes;
}

}  // namespace

ReplicaId restored_replica(const RegistryView& state, NodeId survivor) {
  return ReplicaId::make(survivor, state.next_serial() + kSerialsSkipped);
}

Registry::Registry(RegistryView state) : view_(std::make_shared<RegistryView>(std::move(state))) {}

RegistryOutcome Registry::apply(const RegistryCommand& command, LogIndex index) {
  const uint32_t needed = version_needed(command);
  if (!view_->empty() && needed > view_->cluster_version()) {
    return conflict("the command needs cluster version " + std::to_string(needed) +
                    ", and this is " + std::to_string(view_->cluster_version()));
  }
  RegistryOutcome outcome = std::visit([&](const auto& c) { return run(c); }, command);
  if (outcome.changed) edit().version_ = LogIndex(view_->version_base_ + index.value);
  return outcome;
}

RegistryView& Registry::edit() {
  if (shared_) view_ = std::make_shared<RegistryView>(*view_);
  shared_ = false;
  return *view_;
}

bool Registry::serials_left(size_t count) const {
  return count < UINT32_MAX - uint64_t{view_->next_serial_};
}

ReplicaId Registry::take_serial(NodeId node) {
  const uint32_t serial = edit().next_serial_++;
  MR_ASSERT(serial != 0);
  return ReplicaId::make(node, serial);
}

// -- Nodes.

RegistryOutcome Registry::run(const Bootstrap& c) {
  if (!view_->empty()) return conflict("the registry is not empty");
  if (std::string fault = fault_of(c); !fault.empty()) return invalid(std::move(fault));
  if (c.cluster == ClusterId{}) return invalid("the cluster has no id");
  RegistryView& view = edit();
  view.cluster_ = c.cluster;
  view.cluster_version_ = c.versions.max;
  view.put_node({c.node, c.uuid, NodeState::kMember, 0, c.raft_address, c.api_address, c.versions});
  view.put_group(founded(kRegistryGroup, {take_serial(c.node)}));
  view.put_group(founded(c.initial_group, {take_serial(c.node)}));
  return done();
}

RegistryOutcome Registry::run(const RegisterNode& c) {
  if (std::string fault = fault_of(c); !fault.empty()) return invalid(std::move(fault));
  if (view_->empty()) {
    return refuse(RegistryCode::kStaleDecision, "the cluster has not been made yet");
  }
  if (std::string why = too_old_or_new(c.node, c.versions); !why.empty()) {
    return conflict(std::move(why));
  }
  const NodeRecord* before = view_->node(c.node);
  if (before && before->uuid == c.uuid) return register_again(*before, c);
  if (!view_->group(c.initial_group)) {
    return invalid(group_text(c.initial_group) + " does not exist: make it before a node joins it");
  }
  if (before ? before->uuid != c.replaces : !c.replaces.empty()) {
    return refuse(RegistryCode::kStaleDecision, "another " + node_text(c.node) + " was registered");
  }
  if (!before && view_->nodes().size() >= limits::kNodesMax) {
    return exhausted("the cluster has " + std::to_string(limits::kNodesMax) + " nodes, its limit");
  }
  const GroupRecord& entered = *view_->group(c.initial_group);
  if (!has_replica_on(entered, c.node) && entered.members.size() >= limits::kGroupMembersMax) {
    return exhausted(group_text(c.initial_group) + " has " +
                     std::to_string(limits::kGroupMembersMax) +
                     " members, its limit: join with another -initial_group_id");
  }
  if (before) {
    if (RegistryOutcome full = judge_replacement(c.node); full.code != RegistryCode::kOk) {
      return full;
    }
  }
  if (!serials_left(view_->group_count_of(c.node) + 2)) return serials_used_up();

  RegistryOutcome outcome = done();
  outcome.serial_floor = view_->next_serial_ - 1;
  const bool replaced = before != nullptr;
  edit().put_node({c.node, c.uuid, NodeState::kMember, outcome.serial_floor, c.raft_address,
                   c.api_address, c.versions});
  if (replaced) replace_replicas(c.node);
  GroupRecord registry = *view_->group(kRegistryGroup);
  if (!registry.member_on(c.node)) {
    add_member(registry, take_serial(c.node), false);
    edit().put_group(registry);
  }
  outcome.replica = registry.member_on(c.node)->replica;
  GroupRecord initial = *view_->group(c.initial_group);
  if (!initial.member_on(c.node)) {
    add_member(initial, take_serial(c.node), true);
    edit().put_group(std::move(initial));
  }
  return outcome;
}

/// The answer got lost and the node asks again.
RegistryOutcome Registry::register_again(const NodeRecord& node, const RegisterNode& c) {
  const MemberRecord* member = view_->group(kRegistryGroup)->member_on(node.id);
  if (node.state == NodeState::kLeaving || !member) {
    return conflict(node_text(node.id) +
                    " was removed from the cluster: to join again it needs an empty -state_dir");
  }
  RegistryOutcome outcome = nothing_to_do(member->replica);
  outcome.serial_floor = node.serial_floor;
  if (node.raft_address != c.raft_address || node.api_address != c.api_address ||
      node.versions != c.versions) {
    NodeRecord changed = node;
    changed.raft_address = c.raft_address;
    changed.api_address = c.api_address;
    changed.versions = c.versions;
    edit().put_node(std::move(changed));
    outcome.changed = true;
  }
  return outcome;
}

RegistryOutcome Registry::judge_replacement(NodeId node) const {
  std::vector<GroupId> affected = view_->groups_of(node);
  affected.insert(affected.begin(), kRegistryGroup);
  for (GroupId id : affected) {
    const std::vector<MemberRecord>& members = view_->group(id)->members;
    const auto left_behind =
        std::count_if(members.begin(), members.end(),
                      [&](const MemberRecord& m) { return m.replica.node() == node && m.leaving; });
    if (static_cast<size_t>(left_behind) + 1 < kReplicasOfANodeMax) continue;
    return refuse(RegistryCode::kStaleDecision,
                  group_text(id) + " still has " + std::to_string(left_behind) + " replicas of " +
                      node_text(node) +
                      " that were lost before: it needs a majority of its members to let them go");
  }
  return nothing_to_do();
}

/// The node's disk was wiped: what it promised is forgotten, so its replicas must not count any
/// more. Each is replaced by a new one that starts as a learner and catches up (trap 27).
void Registry::replace_replicas(NodeId node) {
  std::vector<GroupId> affected = view_->groups_of(node);
  affected.insert(affected.begin(), kRegistryGroup);
  for (GroupId id : affected) {
    GroupRecord group = *view_->group(id);
    const MemberRecord* old = group.member_on(node);
    if (!old) continue;
    // Who votes in group 0 is its leader's choice.
    const bool voter = old->voter && id != kRegistryGroup;
    find_member(group, old->replica)->leaving = true;
    add_member(group, take_serial(node), voter);
    edit().put_group(std::move(group));
  }
}

RegistryOutcome Registry::run(const UpdateNode& c) {
  const NodeRecord* node = view_->node(c.node);
  if (!node || node->uuid != c.uuid) return not_found(node_text(c.node) + " is not registered");
  if (!valid_address(c.raft_address) || !valid_address(c.api_address)) {
    return invalid("an address is empty or too long");
  }
  if (std::string why = too_old_or_new(c.node, c.versions); !why.empty()) {
    return conflict(std::move(why));
  }
  NodeRecord changed = *node;
  changed.raft_address = c.raft_address;
  changed.api_address = c.api_address;
  changed.versions = c.versions;
  if (changed == *node) return nothing_to_do();
  edit().put_node(std::move(changed));
  return done();
}

RegistryOutcome Registry::run(const RaiseClusterVersion& c) {
  if (view_->empty()) return refuse(RegistryCode::kStaleDecision, "there is no cluster yet");
  if (c.version <= view_->cluster_version()) return nothing_to_do();
  for (const NodeRecord& node : view_->nodes()) {
    if (node.versions.contains(c.version)) continue;
    return refuse(RegistryCode::kStaleDecision, node_text(node.id) + " works with versions " +
                                                    to_string(node.versions) + ", not with " +
                                                    std::to_string(c.version));
  }
  edit().cluster_version_ = c.version;
  return done();
}

RegistryOutcome Registry::run(const RestoreRegistry& c) {
  if (!view_->empty()) return conflict("the registry is not empty");
  Result<RegistryView> former = RegistryReader::read(c.state);
  if (!former) return invalid(former.status().message());
  const NodeRecord* survivor = former->node(c.node);
  if (!survivor || survivor->uuid != c.uuid) {
    return invalid(node_text(c.node) + " is not registered in the former registry");
  }
  if (c.replica != restored_replica(*former, c.node)) return invalid("another replica is expected");
  if (former->next_serial_ > UINT32_MAX / 2) return serials_used_up();
  view_ = std::make_shared<RegistryView>(std::move(*former));
  shared_ = false;
  RegistryView& view = *view_;
  // What the former group 0 decided at the end may be lost here. Whatever it was, it gave out
  // serials of this range: such replicas are neither given out again nor taken for removed.
  view.lost_serials_.push_back({view.next_serial_, c.replica.serial() - 1});
  view.next_serial_ = c.replica.serial() + 1;
  view.version_base_ = view.version_.value;
  view.put_group(founded(kRegistryGroup, {c.replica}));
  GroupRecord registry = *view.group(kRegistryGroup);
  for (const NodeRecord& node : view.nodes()) {
    if (node.id != c.node) add_member(registry, take_serial(node.id), false);
  }
  view.put_group(std::move(registry));
  return done(c.replica);
}

/// Why a node with such a program cannot be in the cluster; nothing if it can.
std::string Registry::too_old_or_new(NodeId node, const VersionRange& versions) const {
  const uint32_t version = view_->cluster_version();
  if (versions.contains(version)) return {};
  return version_conflict(node, versions, version);
}

RegistryOutcome Registry::run(const MarkNodeLeaving& c) {
  const NodeRecord* node = view_->node(c.node);
  if (!node) return not_found(node_text(c.node) + " is not registered");
  if (node->state == NodeState::kLeaving) return nothing_to_do();
  const std::vector<GroupId> groups = view_->groups_of(c.node);
  for (GroupId id : groups) {
    const GroupRecord& group = *view_->group(id);
    const MemberRecord* member = group.member_on(c.node);
    if (member && voters_without(group, member->replica) == 0) {
      return conflict(node_text(c.node) + " has the last voter of " + group_text(id));
    }
  }
  NodeRecord leaving = *node;
  leaving.state = NodeState::kLeaving;
  edit().put_node(std::move(leaving));
  for (GroupId id : groups) {
    GroupRecord group = *view_->group(id);
    if (const MemberRecord* member = group.member_on(c.node)) {
      find_member(group, member->replica)->leaving = true;
      edit().put_group(std::move(group));
    }
  }
  finish_departure(c.node);
  return done();
}

/// A node without user groups has nothing to do in the cluster: it leaves group 0, and once that is
/// confirmed it is forgotten.
void Registry::finish_departure(NodeId id) {
  const NodeRecord* node = view_->node(id);
  if (!node || view_->group_count_of(id) > 0) return;
  GroupRecord registry = *view_->group(kRegistryGroup);
  if (!has_replica_on(registry, id)) {
    edit().erase_node(id);
    return;
  }
  if (node->state != NodeState::kLeaving) {
    NodeRecord leaving = *node;
    leaving.state = NodeState::kLeaving;
    edit().put_node(std::move(leaving));
  }
  if (const MemberRecord* member = registry.member_on(id)) {
    find_member(registry, member->replica)->leaving = true;
    edit().put_group(std::move(registry));
  }
}

RegistryOutcome Registry::run(const SetRegistryVoters& c) {
  const size_t count = c.voters.size();
  if (count != 1 && count != 3 && count != 5) return invalid("group 0 has 1, 3 or 5 voters");
  if (std::adjacent_find(c.voters.begin(), c.voters.end(), std::greater_equal<>()) !=
      c.voters.end()) {
    return invalid("the voters do not ascend");
  }
  if (view_->empty()) return refuse(RegistryCode::kStaleDecision, "there is no group 0 yet");
  GroupRecord registry = *view_->group(kRegistryGroup);
  for (ReplicaId id : c.voters) {
    const MemberRecord* member = registry.member(id);
    if (!member || member->leaving) {
      return refuse(RegistryCode::kStaleDecision,
                    node_text(id.node()) + " is not a member of group 0 any more");
    }
  }
  bool changed = false;
  for (MemberRecord& m : registry.members) {
    if (m.leaving) continue;
    const bool voter = std::binary_search(c.voters.begin(), c.voters.end(), m.replica);
    if (m.voter == voter) continue;
    changed = true;
    m.voter = voter;
    m.settled = false;
  }
  if (!changed) return nothing_to_do();
  edit().put_group(std::move(registry));
  return done();
}

RegistryOutcome Registry::run(const MemberSettled& c) {
  const GroupRecord* found = view_->group(c.group);
  if (!found) return no_such_group(c.group);
  const MemberRecord* member = found->member(c.replica);
  if (!member || member->leaving) return nothing_to_do();
  if (member->voter != c.voter) {
    return refuse(RegistryCode::kStaleDecision, "the replica is wanted in another role by now");
  }
  if (member->settled) return nothing_to_do();
  GroupRecord group = *found;
  find_member(group, c.replica)->settled = true;
  edit().put_group(std::move(group));
  return done();
}

// -- Groups.

RegistryOutcome Registry::run(const CreateGroup& c) {
  if (c.group == kRegistryGroup) return invalid("group 0 is the registry");
  if (c.nodes.empty()) return invalid("a group needs at least one node");
  if (c.nodes.size() > limits::kGroupMembersMax) {
    return invalid("a group has at most " + std::to_string(limits::kGroupMembersMax) + " members");
  }
  std::vector<NodeId> nodes = c.nodes;
  std::sort(nodes.begin(), nodes.end());
  if (std::adjacent_find(nodes.begin(), nodes.end()) != nodes.end()) {
    return invalid("a node is listed twice");
  }
  if (const GroupRecord* group = view_->group(c.group)) {
    if (is_made_of(*group, nodes)) return nothing_to_do();
    return conflict(group_text(c.group) + " exists with other members");
  }
  for (NodeId id : nodes) {
    const NodeRecord* node = view_->node(id);
    if (!node) return invalid(node_text(id) + " is not a member of the cluster");
    if (node->state == NodeState::kLeaving) return invalid(node_text(id) + " leaves the cluster");
  }
  if (view_->group_count() >= limits::kGroupsMax) {
    return exhausted("the cluster has " + std::to_string(limits::kGroupsMax) +
                     " groups, its limit");
  }
  if (!serials_left(nodes.size())) return serials_used_up();
  std::vector<ReplicaId> founders;
  for (NodeId id : nodes) founders.push_back(take_serial(id));
  edit().put_group(founded(c.group, std::move(founders)));
  return done();
}

RegistryOutcome Registry::run(const AddMember& c) {
  if (c.group == kRegistryGroup) return conflict("group 0 has a member on every node already");
  const GroupRecord* found = view_->group(c.group);
  if (!found) return no_such_group(c.group);
  const NodeRecord* node = view_->node(c.node);
  if (!node) return not_found(node_text(c.node) + " is not a member of the cluster");
  if (node->state == NodeState::kLeaving)
    return conflict(node_text(c.node) + " leaves the cluster");
  if (const MemberRecord* member = found->member_on(c.node)) {
    if (member->voter == c.voter) return nothing_to_do(member->replica);
    return conflict(node_text(c.node) + " is a member of " + group_text(c.group) +
                    " in another role");
  }
  for (const MemberRecord& m : found->members) {
    // A replica that never was what it should become may have left before it arrived.
    if (m.replica.node() != c.node || !m.leaving || !m.settled) continue;
    GroupRecord group = *found;
    MemberRecord* kept = find_member(group, m.replica);
    kept->leaving = false;
    kept->settled = kept->voter == c.voter;
    kept->voter = c.voter;
    const ReplicaId replica = m.replica;
    edit().put_group(std::move(group));
    return done(replica);
  }
  if (found->members.size() >= limits::kGroupMembersMax) {
    return exhausted(group_text(c.group) + " has " + std::to_string(limits::kGroupMembersMax) +
                     " members, its limit");
  }
  if (!serials_left(1)) return serials_used_up();
  GroupRecord group = *found;
  const ReplicaId replica = take_serial(c.node);
  add_member(group, replica, c.voter);
  edit().put_group(std::move(group));
  return done(replica);
}

RegistryOutcome Registry::run(const RemoveMember& c) {
  if (c.group == kRegistryGroup) {
    return conflict("a node leaves group 0 with its last group, or when the node is removed");
  }
  const GroupRecord* found = view_->group(c.group);
  if (!found) return no_such_group(c.group);
  const MemberRecord* member = found->member_on(c.node);
  if (!member) {
    for (const MemberRecord& m : found->members) {
      if (m.replica.node() == c.node) return nothing_to_do(m.replica);  // On its way already.
    }
    return not_found(node_text(c.node) + " is not a member of " + group_text(c.group));
  }
  if (member->voter && voters_without(*found, member->replica) == 0) {
    return conflict(node_text(c.node) + " has the last voter of " + group_text(c.group));
  }
  GroupRecord group = *found;
  const ReplicaId replica = member->replica;
  find_member(group, replica)->leaving = true;
  edit().put_group(std::move(group));
  return done(replica);
}

RegistryOutcome Registry::run(const ReplicaRemoved& c) {
  const GroupRecord* found = view_->group(c.group);
  if (!found) return no_such_group(c.group);
  const MemberRecord* member = found->member(c.replica);
  if (!member) return nothing_to_do();
  if (!member->leaving && !member->settled) return conflict("the replica is on its way in");
  const bool wanted_again = !member->leaving;
  const bool voter = member->voter;
  if (wanted_again && !serials_left(1)) return serials_used_up();
  GroupRecord group = *found;
  std::erase_if(group.members, [&](const MemberRecord& m) { return m.replica == c.replica; });
  if (wanted_again) add_member(group, take_serial(c.replica.node()), voter);
  edit().put_group(std::move(group));
  finish_departure(c.replica.node());
  return done();
}

RegistryOutcome Registry::run(const SetRole& c) {
  if (c.group == kRegistryGroup) return conflict("the voters of group 0 follow from its nodes");
  const GroupRecord* found = view_->group(c.group);
  if (!found) return no_such_group(c.group);
  const MemberRecord* member = found->member(c.replica);
  if (!member || member->leaving) {
    return not_found("the replica is not a member of " + group_text(c.group));
  }
  if (member->voter == c.voter) return nothing_to_do(c.replica);
  if (!c.voter && voters_without(*found, c.replica) == 0) {
    return conflict("it is the last voter of " + group_text(c.group));
  }
  GroupRecord group = *found;
  find_member(group, c.replica)->voter = c.voter;
  find_member(group, c.replica)->settled = false;
  edit().put_group(std::move(group));
  return done(c.replica);
}

}  // namespace multiraft::registry
