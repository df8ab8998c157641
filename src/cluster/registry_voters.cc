#include "cluster/registry_voters.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace multiraft::cluster {
size_t registry_voters_for(size_t nodes, size_t present) {
  size_t best = 1;
  size_t best_spare = 0;
  for (const size_t voters : {size_t{3}, size_t{5}}) {
    if (voters > nodes) break;
    const size_t dead = voters > present ? voters - present : 0;
    const size_t tolerated = (voters - 1) / 2;
    if (dead > tolerated || tolerated - dead < best_spare) continue;
    best = voters;
    best_spare = tolerated - dead;
  }
  return best;
}

std::vector<ReplicaId> registry_voters(const registry::GroupRecord& registry) {
  std::vector<ReplicaId> voters;
  for (const registry::MemberRecord& m : registry.members) {
    if (m.voter && !m.leaving) voters.push_back(m.replica);
  }
  return voters;
}

std::vector<ReplicaId> choose_registry_voters(const registry::GroupRecord& registry,
                                              ReplicaId leader, const HealthOf& health_of) {
  struct Candidate {
    ReplicaId id;
    bool voter;
    Health health;
  };
  std::vector<Candidate> candidates;
  for (const registry::MemberRecord& m : registry.members) {
    if (!m.leaving) candidates.push_back({m.replica, m.voter, health_of(m.replica)});
  }
  const auto count = [&](auto matches) {
    return static_cast<size_t>(std::count_if(candidates.begin(), candidates.end(), matches));
  };
  const size_t dead = count([](const Candidate& c) { return c.health == Health::kDead; });
  const size_t size = registry_voters_for(candidates.size(), candidates.size() - dead);
  const bool dead_votes =
      count([](const Candidate& c) { return c.voter && c.health == Health::kDead; }) > 0;
  const bool live_learns =
      count([](const Candidate& c) { return !c.voter && c.health == Health::kLive; }) > 0;
  std::vector<ReplicaId> today = registry_voters(registry);
  if (today.size() == size && !(dead_votes && live_learns)) return today;

  const auto rank = [&](const Candidate& c) {
    const int health = static_cast<int>(c.health);
    return std::tuple(c.id != leader, health, !c.voter, c.id.serial());
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
  std::vector<ReplicaId> chosen;
  for (const Candidate& c : candidates) {
    if (chosen.size() < size) chosen.push_back(c.id);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

void RegistryVoters::on_leadership(bool leads) {
  if (leads == leads_) return;
  leads_ = leads;
  heard_.clear();
  if (leads_) tick(++reign_);
}

void RegistryVoters::tick(uint64_t reign) {
  if (!leads_ || reign != reign_) return;
  context_.host.status(registry::kRegistryGroup, context_.executor,
                       context_.guard_posted([this](const Result<host::ReplicaStatus>& status) {
                         const registry::GroupRecord* registry =
                             context_.view()->group(registry::kRegistryGroup);
                         if (!leads_ || !status || !registry) return;
                         if (choose(*registry, status->raft, {})) reconsider_();
                       }));
  context_.after(context_.timing.election_ns, [this, reign] { tick(reign); });
}

void RegistryVoters::observe(const raft::RaftStatus& raft) {
  for (const raft::MemberProgress& member : raft.members) {
    if (member.recent_active) heard_[member.id.node()] = context_.now();
  }
}

std::optional<std::vector<ReplicaId>> RegistryVoters::choose(
    const registry::GroupRecord& registry, const raft::RaftStatus& raft,
    const std::optional<std::vector<NodeId>>& answered) {
  observe(raft);
  const auto health = [&](ReplicaId id) {
    if (id == raft.id) return Health::kLive;
    const env::MonotonicTime heard = heard_.try_emplace(id.node(), context_.now()).first->second;
    if (context_.now() - heard >= patience_ns_) return Health::kDead;
    const auto member = std::find_if(raft.members.begin(), raft.members.end(),
                                     [&](const raft::MemberProgress& m) { return m.id == id; });
    const bool live =
        member != raft.members.end() && member->recent_active &&
        (!answered || std::binary_search(answered->begin(), answered->end(), id.node()));
    return live ? Health::kLive : Health::kSilent;
  };
  std::vector<ReplicaId> chosen = choose_registry_voters(registry, raft.id, health);
  if (chosen.empty() || chosen == registry_voters(registry)) return std::nullopt;
  return chosen;
}

}  // namespace multiraft::cluster
