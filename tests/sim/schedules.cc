// The biased schedules: each steers a run into the corner where a class of faults hides.

#include "base/coverage.h"
#include "world.h"

namespace multiraft::sim {

using raft::Role;

void World::steer(uint64_t step) {
  switch (settings_.schedule) {
    case Schedule::kFigure8:
      return steer_figure8(step);
    case Schedule::kAba:
      return steer_aba(step);
    case Schedule::kReconfiguration:
      return steer_reconfiguration(step);
    case Schedule::kSwizzle:
      return steer_swizzle(step);
    case Schedule::kLagging:
      return steer_lagging(step);
    case Schedule::kReadPause:
      return steer_read_pause(step);
    case Schedule::kLease:
      return steer_lease(step);
    case Schedule::kSwarm:
    case Schedule::kCrashEveryWrite:
      return;
  }
}

/// Raft paper, figure 8: a leader replicates to exactly one, is lost, somebody without the entry is
/// elected, is lost in turn, and the first comes back.
void World::steer_figure8(uint64_t step) {
  if (step % 12 != 0) return;
  Node* at = leader();
  switch (phase_ % 4) {
    case 0:
      if (!at) return;
      heal_network();
      for (auto& other : nodes_) {
        const bool the_one = other->id().value == at->id().value % nodes_.size() + 1;
        if (other.get() != at && !the_one) cut(at->id(), other->id(), true);
      }
      propose(*at);
      victim_ = at->id();
      break;
    case 1:
      crash(*nodes_[victim_.value - 1]);
      heal_network();
      // The one that has the entry stays out of the election.
      isolate(ReplicaId(victim_.value % nodes_.size() + 1), true);
      for (auto& other : nodes_) {
        if (other->alive() && other->id().value != victim_.value % nodes_.size() + 1) {
          other->core().campaign();
          take_ready(*other, true);
          break;
        }
      }
      break;
    case 2:
      if (at) propose(*at);
      break;
    default:
      MR_COVERAGE("figure 8");
      if (at && prng_.chance(0.7)) crash(*at);
      heal_network();
      for (auto& other : nodes_) restart(*other);
      nodes_[victim_.value - 1]->core().campaign();
      take_ready(*nodes_[victim_.value - 1], true);
  }
  ++phase_;
}

/// A write is under way at one replica while leaders change twice: its late completion must not be
/// taken for the completion of a newer write at the same indexes.
void World::steer_aba(uint64_t step) {
  if (victim_ == ReplicaId{}) victim_ = random_node().id();
  Node& victim = *nodes_[victim_.value - 1];
  victim.slow_disk = step % 60 < 48;
  if (step % 60 == 48) {
    MR_COVERAGE("slow log writer over changes of leader");
    while (victim.alive() && !victim.appends.empty() && !checker_.failed()) complete_append(victim);
  }
  if (step % 16 != 0) return;
  Node& candidate = random_node();
  if (candidate.alive() && candidate.id() != victim_) {
    candidate.core().campaign();
    take_ready(candidate, true);
    if (Node* at = leader()) propose(*at);
  }
}

/// One voter applies late over two changes of the membership, and a partition keeps it from
/// hearing.
void World::steer_reconfiguration(uint64_t step) {
  if (victim_ == ReplicaId{}) victim_ = ReplicaId(prng_.between(1, settings_.voters));
  nodes_[victim_.value - 1]->slow_apply = step % 80 < 60;
  if (step % 80 == 40) {
    MR_COVERAGE("membership changes over a stalled apply");
    partition();
  }
  if (step % 80 == 70) heal_network();
  if (step % 10 == 0) {
    if (Node* at = leader()) propose_change(*at);
  }
}

/// Cuts nodes off one after another, and lets them back in another order.
void World::steer_swizzle(uint64_t step) {
  if (step % 15 != 0) return;
  Node& node = random_node();
  isolate(node.id(), (step / 15) % (2 * nodes_.size()) < nodes_.size());
}

/// A member that misses so much that it needs a snapshot.
void World::steer_lagging(uint64_t step) {
  if (victim_ == ReplicaId{}) victim_ = random_node().id();
  const uint64_t at = step % 100;
  if (at == 0) isolate(victim_, true);
  if (at == 60) {
    for (auto& node : nodes_) compact(*node);
    isolate(victim_, false);
  }
  if (at < 60 && at % 4 == 0) {
    if (Node* now = leader()) propose(*now);
  }
}

/// A leader with reads outstanding stands still while others elect, and then goes on.
void World::steer_read_pause(uint64_t step) {
  const uint64_t at = step % 70;
  if (at == 10) {
    if (Node* now = leader()) {
      victim_ = now->id();
      ask_read(*now);
      MR_COVERAGE("leader paused with reads outstanding");
      now->frozen = true;
    }
  }
  if (at == 30) {
    Node& candidate = random_node();
    if (candidate.alive() && !candidate.frozen) {
      candidate.core().forget_leader();
      candidate.core().campaign();
      take_ready(candidate, true);
    }
  }
  if (at == 45) {
    if (Node* now = leader()) propose(*now);
  }
  if (at == 60 && victim_ != ReplicaId{}) {
    Node& victim = *nodes_[victim_.value - 1];
    victim.frozen = false;
    take_ready(victim, true);
    ask_read(victim);
  }
}

/// A leader stands still or is cut off, a member that has just promised to stay with it restarts
/// and campaigns, and whoever leads by then writes. The first leader is asked again and again.
void World::steer_lease(uint64_t step) {
  const uint64_t at = step % 100;
  // Enough time for elections, and enough of everything else for the time.
  if (prng_.chance(0.6)) pass_time();
  for (int i = 0; i < 4; ++i) deliver_one();
  complete_append(random_node());
  complete_apply(random_node());
  if (at == 20) {
    Node* now = leader();
    if (now == nullptr || now->frozen) return;
    victim_ = now->id();
    if (prng_.chance(0.5)) {
      MR_COVERAGE("leader with a lease stands still");
      now->frozen = true;
    } else {
      MR_COVERAGE("leader with a lease is cut off");
      for (auto& other : nodes_) {
        if (other.get() != now && prng_.chance(0.7)) {
          cut(now->id(), other->id(), true);
          cut(other->id(), now->id(), true);
        }
      }
    }
  }
  if (at < 20 || victim_ == ReplicaId{}) return;
  Node& victim = *nodes_[victim_.value - 1];
  Node& member = random_node();
  if (at % 15 == 5 && member.id() != victim_ && member.alive() && !member.frozen) {
    MR_COVERAGE("member restarts within its promise");
    crash(member);
    restart(member);
    member.core().campaign();
    take_ready(member, true);
  }
  if (at % 4 == 0) {
    if (Node* now = leader()) propose(*now);
  }
  if (victim.frozen && prng_.chance(0.04)) victim.frozen = false;
  if (at == 99) {
    victim.frozen = false;
    heal_network();
  }
  ask_read(victim);
}

}  // namespace multiraft::sim
