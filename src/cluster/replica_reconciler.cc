#include "cluster/replica_reconciler.h"

#include <algorithm>

#include "base/coverage.h"

namespace multiraft::cluster {
namespace {

/// Where the log of a founder starts, with the configuration that all founders begin with.
raft::Snapshot founders_mark(const registry::GroupRecord& record) {
  raft::Snapshot mark{LogIndex(1), Term(1), {}};
  mark.conf_state.voters = record.founders;
  return mark;
}

std::string replica_text(GroupId group, ReplicaId replica) {
  return "group " + to_string(group) + ": replica " + std::to_string(replica.serial());
}

/// Creations and destructions under way at a time: a node that comes back with an empty disk has
/// thousands to create, and its worker has other things to do in the same turn.
constexpr size_t kParallelMax = 64;

/// A node that was removed may still ask what happened to it.
constexpr int64_t kForgetAfterNs = 60 * env::kSecond;

}  // namespace

// -- Replicas.

void ReplicaReconciler::recovered(const std::vector<std::pair<GroupId, ReplicaId>>& replicas) {
  for (const auto& [group, replica] : replicas) {
    if (group != registry::kRegistryGroup) local_[group].hosted = replica;
  }
}

ReplicaId ReplicaReconciler::hosted(GroupId group) const {
  const auto found = local_.find(group);
  return found == local_.end() ? ReplicaId{} : found->second.hosted;
}

bool ReplicaReconciler::settled() const {
  // What waits for its predecessor to leave is not a matter of this node.
  return std::all_of(wanted_.begin(), wanted_.end(),
                     [&](const auto& entry) { return bool(hosted(entry.second)); });
}

/// The oldest replica of this node that may be created here. One that is leaving is pointless,
/// unless it is a founder: the others may need its vote to do anything at all, even to let it go.
ReplicaId ReplicaReconciler::choose(const registry::GroupRecord& record,
                                    const registry::RegistryView& view) const {
  // Another life of this node has taken its place: the new replicas are not ours (trap 27).
  const registry::NodeRecord* self = view.node(context_.self);
  if (!self || self->uuid != context_.uuid) return {};
  ReplicaId best;
  for (const registry::MemberRecord& m : record.members) {
    if (m.replica.node() != context_.self) continue;
    if (m.replica.serial() <= files_.facts().serial_floor) continue;
    if (m.leaving && !record.is_founder(m.replica)) continue;
    if (!best || m.replica < best) best = m.replica;
  }
  return best;
}

void ReplicaReconciler::set_wanted(GroupId group, Local& local, ReplicaId wanted) {
  if (local.wanted == wanted) return;
  if (local.wanted) wanted_.erase(local.wanted.serial());
  if (wanted) wanted_.emplace(wanted.serial(), group);
  local.wanted = wanted;
}

void ReplicaReconciler::update(GroupId group, const registry::RegistryView& view) {
  if (group == registry::kRegistryGroup) return;
  const registry::GroupRecord* record = view.group(group);
  const bool ours = record && std::any_of(record->members.begin(), record->members.end(),
                                          [&](const registry::MemberRecord& m) {
                                            return m.replica.node() == context_.self;
                                          });
  if (!ours && !local_.contains(group)) return;
  Local& local = local_[group];
  ReplicaId wanted;
  if (record) {
    wanted = local.hosted && record->member(local.hosted) ? local.hosted : choose(*record, view);
    if (local.hosted && wanted == local.hosted) {
      // Present. A newer one of this node may be waiting for it to go.
      wanted = {};
      for (const registry::MemberRecord& m : record->members) {
        if (m.replica.node() == context_.self && !m.leaving && m.replica > local.hosted) {
          wanted = m.replica;
        }
      }
    }
  }
  set_wanted(group, local, wanted);
  if (local.hosted && !local.doomed) {
    // What another node says counts once our registry has at least given out that replica's serial:
    // only then everything older is known that is to be created here.
    const bool told =
        local.told_removed == local.hosted && local.hosted.serial() < view.next_serial();
    local.doomed = told || view.is_removed(group, local.hosted);
    if (local.doomed) doomed_.emplace(local.hosted.serial(), group);
  }
  if (!local.hosted && !local.wanted && !local.busy) local_.erase(group);
}

void ReplicaReconciler::removed(GroupId group, ReplicaId replica,
                                const registry::RegistryView& view) {
  const auto found = local_.find(group);
  if (found == local_.end() || found->second.hosted != replica) return;
  found->second.told_removed = replica;
  update(group, view);
  advance();
}

void ReplicaReconciler::advance() {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  // Those under way stand in front, so that this does not look at all that wait behind them.
  std::vector<GroupId> ready;
  size_t under_way = 0;
  for (const auto& [serial, group] : wanted_) {
    const Local& local = local_[group];
    if (local.hosted || local.failed) continue;
    if (!local.busy) ready.push_back(group);
    if (++under_way == kParallelMax) break;
  }
  for (GroupId group : ready) create(group, local_[group], *view);
  destroy_doomed();
}

void ReplicaReconciler::create(GroupId group, Local& local, const registry::RegistryView& view) {
  const registry::GroupRecord* record = view.group(group);
  const registry::NodeRecord* self = view.node(context_.self);
  if (!record || !record->member(local.wanted)) return;  // An update is on its way.
  if (!self || self->uuid != context_.uuid) return;
  const ReplicaId replica = local.wanted;
  local.busy = true;
  context_.log(raft::LogLevel::kInfo, replica_text(group, replica) + " is created here");
  context_.host.create_replica(
      group, replica, record->is_founder(replica) ? founders_mark(*record) : raft::Snapshot{},
      context_.executor, context_.guard_posted([this, group, replica](const Status& status) {
        created(group, replica, status);
      }));
}

void ReplicaReconciler::created(GroupId group, ReplicaId replica, const Status& status) {
  Local& local = local_[group];
  local.busy = false;
  if (status) {
    local.hosted = replica;
    // The registry may have moved on meanwhile.
    update(group, *context_.view());
    advance();
    changed_();
    return;
  }
  context_.log(raft::LogLevel::kError,
               replica_text(group, replica) + " cannot be created: " + status.to_string());
  local.failed = true;
  advance();  // Others may do better.
  if (std::exchange(retry_scheduled_, true)) return;
  context_.after(context_.timing.election_ns, [this] {
    retry_scheduled_ = false;
    for (auto& [id, each] : local_) each.failed = false;
    advance();
  });
}

void ReplicaReconciler::destroy_doomed() {
  const uint32_t limit = wanted_.empty() ? UINT32_MAX : wanted_.begin()->first;
  std::vector<GroupId> now;
  uint32_t floor = 0;
  size_t under_way = 0;
  for (const auto& [serial, group] : doomed_) {
    if (local_[group].failed) continue;
    if (++under_way > kParallelMax) break;
    if (serial >= limit) {
      MR_COVERAGE("meta: destruction waits for an older creation");
      break;
    }
    Local& local = local_[group];
    if (local.busy) continue;
    local.busy = true;
    now.push_back(group);
    floor = serial;
  }
  if (now.empty()) return;
  auto destroy_all = [this, now] {
    for (GroupId group : now) destroy(group);
  };
  if (floor <= files_.facts().serial_floor) {
    destroy_all();  // As a restart after the floor was raised.
    return;
  }
  files_.change([floor](state_dir::NodeFacts& facts) { facts.serial_floor = floor; }, destroy_all);
}

void ReplicaReconciler::destroy(GroupId group) {
  const ReplicaId replica = local_[group].hosted;
  context_.log(raft::LogLevel::kInfo,
               replica_text(group, replica) + " was removed from the group and is destroyed here");
  context_.host.destroy_replica(
      group, replica, context_.executor,
      context_.guard_posted([this, group, replica](const Status& status) {
        Local& local = local_[group];
        local.busy = false;
        if (!status) {
          context_.log(raft::LogLevel::kError, replica_text(group, replica) +
                                                   " cannot be destroyed: " + status.to_string());
          local.failed = true;
          context_.after(context_.timing.election_ns, [this, group] {
            if (const auto found = local_.find(group); found != local_.end()) {
              found->second.failed = false;
            }
            advance();
          });
          return;
        }
        doomed_.erase(replica.serial());
        local.hosted = {};
        local.doomed = false;
        update(group, *context_.view());
        advance();
        changed_();
      }));
}

// -- Addresses.

void AddressPublisher::start() { learn(files_.addresses().nodes); }

void AddressPublisher::learn(const std::vector<state_dir::NodeAddress>& nodes) {
  for (const state_dir::NodeAddress& node : nodes) set(node.node, node.raft_address, node.uuid);
}

void AddressPublisher::heard(NodeId node, const std::string& address) {
  const auto known = known_.find(node);
  if (known == known_.end() || known->second == address) return;
  MR_COVERAGE("meta: a node says that it has moved");
  context_.log(raft::LogLevel::kInfo, "node " + to_string(node) + " is at " + address +
                                          " now, and not at " + known->second + " any more");
  set(node, address, {});
  state_dir::KnownNodes book = files_.addresses();
  for (state_dir::NodeAddress& saved : book.nodes) {
    if (saved.node == node) saved.raft_address = address;
  }
  files_.save_addresses(std::move(book));
}

void AddressPublisher::set(NodeId node, const std::string& address, const StateDirId& uuid) {
  if (node == context_.self) return;
  Details& details = details_[node];
  std::string& known = known_[node];
  const bool moved = known != address;
  const bool replaced = !uuid.empty() && uuid != details.uuid;
  if (!moved && !replaced) return;
  if (moved) details.earlier = std::exchange(known, address);
  if (replaced) details.uuid = uuid;
  announce(node);
}

void AddressPublisher::announce(NodeId node) {
  const Details& details = details_[node];
  transport::NodeLocation location;
  location.state = {details.uuid.high, details.uuid.low};
  for (const std::string& text : {known_[node], details.earlier}) {
    if (text.empty()) continue;
    auto parsed = env::Address::parse(text);
    if (parsed) {
      location.addresses.push_back(*parsed);
    } else {
      context_.log(raft::LogLevel::kError,
                   "node " + to_string(node) + ": " + parsed.status().message());
    }
  }
  if (!location.addresses.empty()) context_.host.transport().set_node(node, location);
}

std::vector<state_dir::NodeAddress> AddressPublisher::all() const {
  std::vector<state_dir::NodeAddress> nodes;
  for (const auto& [node, address] : known_) {
    nodes.push_back({node, address, details_.at(node).uuid});
  }
  return nodes;
}

void AddressPublisher::update(const registry::RegistryView& view) {
  // A restart replays older states; what we remember may be all there is to reach the others by.
  if (view.empty() || view.version() < files_.addresses().version) return;
  state_dir::KnownNodes book;
  book.version = view.version();
  for (const registry::NodeRecord& node : view.nodes()) {
    if (node.id == context_.self) continue;
    // What the registry has said for a while may be older than what the node itself said, also
    // before the last restart. Both are tried.
    Details& details = details_[node.id];
    const bool first = details.registered.empty();
    const bool news =
        !known_.contains(node.id) || (!first && details.registered != node.raft_address);
    details.registered = node.raft_address;
    set(node.id, news ? node.raft_address : known_[node.id], node.uuid);
    if (first && details.earlier.empty() && known_[node.id] != node.raft_address) {
      details.earlier = node.raft_address;
      announce(node.id);
    }
    book.nodes.push_back({node.id, known_[node.id], node.uuid});
  }
  for (auto known = known_.begin(); known != known_.end();) {
    if (view.node(known->first)) {
      ++known;
    } else {
      forget_later(known->first);
      details_.erase(known->first);
      known = known_.erase(known);
    }
  }
  files_.save_addresses(std::move(book));
}

void AddressPublisher::forget_later(NodeId node) {
  context_.after(kForgetAfterNs, [this, node] {
    if (!known_.contains(node)) context_.host.transport().forget(node);
  });
}

}  // namespace multiraft::cluster
