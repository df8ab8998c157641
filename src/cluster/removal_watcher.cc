#include "cluster/removal_watcher.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::cluster {
namespace {

constexpr int kStraysWaitingMax = 64;
constexpr size_t kInquiriesMax = 64;
/// So many nodes that say the same are enough in a cluster of any size.
constexpr size_t kWitnesses = 2;
constexpr size_t kToldMax = 4096;
constexpr int64_t kTellAgainNs = env::kSecond;
/// A learner does not notice by itself that nobody talks to it any more.
constexpr uint64_t kLearnerAsksEveryTicks = 5;

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Verdict verdict_on(const registry::RegistryView& view, GroupId group, ReplicaId replica) {
  if (view.is_removed(group, replica)) {
    // The replicas of a registered node begin above its floor: this one was of another disk.
    const registry::NodeRecord* node =
        group == registry::kRegistryGroup ? view.node(replica.node()) : nullptr;
    if (node && replica.serial() > node->serial_floor && view.precedes_restoration(replica) &&
        view.group(registry::kRegistryGroup)->member_on(node->id)) {
      return Verdict::kSuperseded;
    }
    return node && replica.serial() <= node->serial_floor ? Verdict::kReplaced : Verdict::kRemoved;
  }
  const registry::GroupRecord* record = view.group(group);
  return record && record->member(replica) ? Verdict::kMember : Verdict::kUnknown;
}

// -- This node.

void RemovalWatcher::start() {
  leader_seen_ = context_.now();
  tick();
}

void RemovalWatcher::tick() {
  if (gone_) return;
  ++ticks_;
  if (context_.registry_state.leader != raft::kNoReplica) leader_seen_ = context_.now();
  if (wants_to_know()) ask();
  const bool soon = leaving_ || !is_in_conf_;
  context_.after(soon ? 2 * context_.timing.heartbeat_ns : context_.timing.election_ns,
                 [this] { tick(); });
}

bool RemovalWatcher::wants_to_know() {
  if (!context_.registry_replica || context_.leads_registry()) return false;
  if (leaving_ || !is_in_conf_) return true;
  if (context_.now() - leader_seen_ >= 2 * context_.timing.election_ns) return true;
  return learner_ && ticks_ % kLearnerAsksEveryTicks == 0;
}

void RemovalWatcher::on_registry(const registry::RegistryView& view) {
  const ReplicaId own = context_.registry_replica;
  if (!own || view.empty()) return;
  if (view.is_removed(registry::kRegistryGroup, own))
    return gone(verdict_on(view, registry::kRegistryGroup, own));
  const registry::MemberRecord* member = view.group(registry::kRegistryGroup)->member(own);
  learner_ = member && !member->voter;
  const bool leaving = member && member->leaving;
  if (leaving && !std::exchange(leaving_, leaving)) {
    context_.log(raft::LogLevel::kInfo, "this node leaves the cluster");
    context_.after(2 * context_.timing.heartbeat_ns, [this] { ask(); });
  }
}

void RemovalWatcher::on_registry_conf(const raft::ConfState& conf) {
  const ReplicaId own = context_.registry_replica;
  if (!own || conf.empty()) return;
  is_in_conf_ = contains(conf.voters, own) || contains(conf.voters_outgoing, own) ||
                contains(conf.learners, own);
  // A configuration from before this replica was added, or from after it was removed. Even then it
  // may still be needed: those who stay have to know it durably first, and say so (trap 26).
  if (!is_in_conf_) ask();
}

void RemovalWatcher::on_notice(GroupId group, ReplicaId replica) {
  if (group == registry::kRegistryGroup && replica != context_.registry_replica) return;
  MR_COVERAGE("meta: notice of a removal is verified");
  inquire(group, replica);
}

void RemovalWatcher::ask() { inquire(registry::kRegistryGroup, context_.registry_replica); }

void RemovalWatcher::inquire(GroupId group, ReplicaId replica) {
  if (gone_ || replica == raft::kNoReplica || asking_.size() >= kInquiriesMax) return;
  auto inquiry = std::make_shared<Inquiry>();
  inquiry->group = group;
  inquiry->replica = replica;
  for (const auto& [node, text] : addresses_.others()) {
    if (auto address = env::Address::parse(text)) inquiry->nodes.emplace_back(node, *address);
  }
  if (inquiry->nodes.empty() || !asking_.insert(replica.value).second) return;
  // Not always the same one first.
  const auto first = inquiry->nodes.begin() +
                     static_cast<std::ptrdiff_t>(context_.random.below(inquiry->nodes.size()));
  std::rotate(inquiry->nodes.begin(), first, inquiry->nodes.end());
  next_question(std::move(inquiry));
}

void RemovalWatcher::next_question(std::shared_ptr<Inquiry> inquiry) {
  const size_t nodes = inquiry->nodes.size();
  const bool enough = inquiry->removed >= kWitnesses || inquiry->removed > nodes / 2;
  // Those who do not answer cannot contradict. Those who say "member" may have an older registry,
  // so that one who says "removed" against them is not believed yet, but asked again later.
  if (inquiry->next == nodes || enough) {
    asking_.erase(inquiry->replica.value);
    if (enough || (inquiry->removed > 0 && inquiry->member == 0)) end(*inquiry);
    return;
  }
  const auto& [node, address] = inquiry->nodes[inquiry->next++];
  // On a connection of its own: a node that does not know us any more could not answer otherwise.
  wire::Request request;
  request.kind = wire::RequestKind::kAdmin;
  request.payload = encode(AdminRequest(MembershipCheck{inquiry->group, inquiry->replica}));
  const transport::Callee callee(address, node);
  context_.host.transport().call(
      callee, std::move(request), 2 * context_.timing.election_ns, context_.executor,
      context_.guard_posted(
          [this, inquiry = std::move(inquiry)](const Result<wire::Response>& response) mutable {
            answered(std::move(inquiry), response);
          }));
}

void RemovalWatcher::answered(std::shared_ptr<Inquiry> inquiry,
                              const Result<wire::Response>& response) {
  if (response && response->code == StatusCode::kOk) {
    const Result<Verdict> verdict = decode_verdict(response->payload);
    if (verdict && *verdict == Verdict::kSuperseded) {
      // One is enough: only an operator's word has made group 0 again, and whoever has not heard
      // of that yet can only say what was true before.
      asking_.erase(inquiry->replica.value);
      if (inquiry->group == registry::kRegistryGroup) superseded_();
      return;
    }
    if (verdict && *verdict >= Verdict::kRemoved) {
      ++inquiry->removed;
      inquiry->verdict = std::max(inquiry->verdict, *verdict);
    } else if (verdict && *verdict == Verdict::kMember) {
      ++inquiry->member;
    }
  }
  next_question(std::move(inquiry));
}

void RemovalWatcher::end(const Inquiry& inquiry) {
  if (inquiry.group != registry::kRegistryGroup)
    return replica_removed_(inquiry.group, inquiry.replica);
  MR_COVERAGE("meta: node asked and learnt that it was removed");
  gone(inquiry.verdict);
}

void RemovalWatcher::gone(Verdict verdict) {
  if (std::exchange(gone_, true)) return;
  if (verdict != Verdict::kReplaced) {
    context_.log(raft::LogLevel::kInfo, "this node was removed from the cluster");
  }
  removed_(verdict);
}

// -- Others.

void RemovalNotices::on_stray(GroupId group, NodeId node, ReplicaId from) {
  // A flood of them must not become a flood of tasks; they repeat themselves.
  if (waiting_->fetch_add(1, std::memory_order_relaxed) >= kStraysWaitingMax) {
    waiting_->fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  context_.executor.post([waiting = waiting_, work = context_.guard([this, group, node, from] {
    consider(group, node, from);
  })]() mutable {
    waiting->fetch_sub(1, std::memory_order_relaxed);
    work();
  });
}

void RemovalNotices::consider(GroupId group, NodeId node, ReplicaId replica) {
  if (replica.node() != node) return;
  if (verdict_on(*context_.view(), group, replica) >= Verdict::kRemoved) {
    send(group, node, replica);
  }
}

void RemovalNotices::on_registry_change(const registry::RegistryView& before,
                                        const registry::RegistryView& after) {
  const registry::GroupRecord* old_record = before.group(registry::kRegistryGroup);
  const registry::GroupRecord* new_record = after.group(registry::kRegistryGroup);
  if (!old_record || !new_record || old_record == new_record) return;
  for (const registry::MemberRecord& m : old_record->members) {
    if (!new_record->member(m.replica) && m.replica.node() != context_.self) {
      send(registry::kRegistryGroup, m.replica.node(), m.replica);
    }
  }
}

void RemovalNotices::send(GroupId group, NodeId node, ReplicaId replica) {
  const env::MonotonicTime now = context_.now();
  if (told_.size() >= kToldMax) told_.clear();
  auto [entry, first] = told_.try_emplace(replica.value, now);
  if (!first && now - entry->second < kTellAgainNs) return;
  entry->second = now;
  context_.host.ask(
      node, wire::RequestKind::kAdmin, encode(AdminRequest(RemovedNotice{group, replica})),
      context_.timing.election_ns, context_.executor, [](const Result<SharedBytes>&) {});
}

}  // namespace multiraft::cluster
