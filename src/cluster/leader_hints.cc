#include "cluster/leader_hints.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::cluster {
namespace {

/// Asked at the same time: one of them may be as ignorant as this node, or dead.
constexpr size_t kAskedMax = 3;
constexpr int64_t kPatienceHeartbeats = 3;
/// Beyond it, those that nobody waits for are forgotten.
constexpr size_t kHintsMax = 1'024;

bool is_member(const registry::GroupRecord& record, NodeId node) {
  const registry::MemberRecord* member = record.member_on(node);
  return member && member->voter;
}

}  // namespace

bool LeaderHints::usable(const Hint& hint, const registry::GroupRecord& record) {
  if (!hint.leader || !is_member(record, hint.leader)) return false;
  if (context_.now() - hint.known_at > context_.timing.heartbeat_ns) return false;
  const nodes::Contact contact = context_.host.transport().contact(hint.leader);
  return contact.last_failed <= hint.known_at;
}

void LeaderHints::find(GroupId group, Callback<void(NodeId)> done) {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::GroupRecord* record = view->group(group);
  if (!record) return done(NodeId());
  Hint& hint = hints_[group];
  if (!hint.waiting.empty()) {
    hint.waiting.push_back(std::move(done));
    return;
  }
  if (usable(hint, *record)) return done(hint.leader);
  hint.waiting.push_back(std::move(done));
  ask(group, *record);
}

void LeaderHints::ask(GroupId group, const registry::GroupRecord& record) {
  std::vector<NodeId> members;
  for (const registry::MemberRecord& m : record.members) {
    if (m.replica.node() != context_.self && !m.leaving) members.push_back(m.replica.node());
  }
  // Those that were heard of last, since the others may be gone.
  const auto heard = [this](NodeId node) {
    const nodes::Contact contact = context_.host.transport().contact(node);
    return std::pair(contact.connected, contact.last_heard);
  };
  std::stable_sort(members.begin(), members.end(),
                   [&](NodeId a, NodeId b) { return heard(a) > heard(b); });
  if (members.size() > kAskedMax) members.resize(kAskedMax);
  const uint64_t round = next_round_++;
  hints_[group].round = round;
  hints_[group].open = members.size() + 1;
  for (NodeId node : members) {
    context_.host.ask(
        node, wire::RequestKind::kAdmin, encode(AdminRequest(LeaderHint{group})),
        kPatienceHeartbeats * context_.timing.heartbeat_ns, context_.executor,
        context_.guard_posted([this, group, round](const Result<SharedBytes>& answer) {
          const Result<NodeId> leader =
              answer ? decode_leader_hint(*answer) : Result<NodeId>(answer.status());
          answered(group, round, leader ? *leader : NodeId());
        }));
  }
  context_.executor.post(
      context_.guard([this, group, round] { answered(group, round, NodeId()); }));
}

/// The first one who knows it decides; the others are not waited for.
void LeaderHints::answered(GroupId group, uint64_t round, NodeId leader) {
  const auto found = hints_.find(group);
  if (found == hints_.end() || found->second.round != round) return;
  Hint& hint = found->second;
  --hint.open;
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::GroupRecord* record = view->group(group);
  const bool known = leader && record && is_member(*record, leader);
  if (known) {
    hint.leader = leader;
    hint.known_at = context_.now();
  }
  if (!known && hint.open > 0) return;
  if (hint.waiting.empty()) return;  // Another answer came first.
  if (!known) {
    MR_COVERAGE("meta: no member knows who leads the group");
    hint.leader = {};
  }
  for (auto& done : std::exchange(hint.waiting, {})) done(hint.leader);
  make_room();
}

void LeaderHints::make_room() {
  if (hints_.size() <= kHintsMax) return;
  std::erase_if(hints_, [](const auto& entry) { return entry.second.waiting.empty(); });
}

void LeaderHints::answer(GroupId group, Callback<void(NodeId)> done) {
  context_.host.status(
      group, context_.executor,
      context_.guard_posted(
          [done = std::move(done)](const Result<host::ReplicaStatus>& status) mutable {
            done(status ? status->raft.soft_state.leader.node() : NodeId());
          }));
}

}  // namespace multiraft::cluster
