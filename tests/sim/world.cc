#include "world.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "raft/conf_change.h"
#include "raft/core.h"

namespace multiraft::sim {

using raft::MessageType;
using raft::Role;

World::World(const Settings& settings, std::function<void(const std::string&)> trace)
    : settings_(settings),
      trace_(std::move(trace)),
      prng_(settings.seed * 4 + 1),
      network_prng_(settings.seed * 4 + 2),
      disk_prng_(settings.seed * 4 + 3),
      timeouts_(settings.seed * 4 + 4),
      checker_(nodes_, truth_, settings_),
      cut_(static_cast<size_t>(settings.nodes) * settings.nodes) {
  State start;
  start.index = LogIndex(1);
  start.term = Term(1);
  start.hash = 1;
  for (uint32_t i = 1; i <= settings_.voters; ++i) start.conf.voters.emplace_back(i);
  checker_.start(start);
  for (uint32_t i = 1; i <= settings_.nodes; ++i) {
    // Those outside the first configuration start empty and wait for a snapshot.
    nodes_.push_back(std::make_unique<Node>(ReplicaId(i), settings_, truth_, fresh_seed(),
                                            i <= settings_.voters ? start : State{}));
    if (settings_.clocks) {
      nodes_.back()->clock_rate_percent = static_cast<int64_t>(timeouts_.between(97, 103));
    }
  }
}

void World::note(const std::string& text) {
  for (char c : text)
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  if (trace_) trace_(std::to_string(steps_) + " " + text);
}

RunResult World::run() {
  for (; steps_ < settings_.steps && !checker_.failed(); ++steps_) {
    steer(steps_);
    random_step();
  }
  RunResult result;
  if (!checker_.failed() && !converge() && !checker_.failed()) {
    for (auto& node : nodes_) describe(*node);
    result.hazard = find_hazard();
    if (result.hazard.empty())
      result.violation = "no progress after all faults were healed (liveness)";
  }
  if (checker_.failed()) result.violation = checker_.violation();
  result.steps = steps_;
  result.trace_hash = trace_hash_;
  return result;
}

void World::describe(Node& node) {
  if (!trace_) return;
  const raft::RaftStatus status = node.core().status();
  auto list = [](const std::vector<ReplicaId>& ids) {
    std::string text = "(";
    for (ReplicaId id : ids) text += (text.size() > 1 ? " " : "") + to_string(id);
    return text + ")";
  };
  const raft::ConfState& conf = status.conf_state;
  note(to_string(node.id()) + " " + std::string(raft::role_name(status.soft_state.role)) +
       " term " + to_string(node.core().term()) + " leader " + to_string(status.soft_state.leader) +
       " last " + to_string(node.core().last_index()) + " commit " +
       to_string(node.core().commit_index()) + " applied " + to_string(node.applied.index) +
       " voters " + list(conf.voters) + "&&" + list(conf.voters_outgoing) + " learners " +
       list(conf.learners) + " next " + list(conf.learners_next) +
       (node.removed ? " removed" : ""));
  for (const raft::MemberProgress& member : status.members) {
    note("    " + to_string(member.id) + " match " + to_string(member.match_index) + " next " +
         to_string(member.next_index) + " state " + std::to_string(static_cast<int>(member.state)) +
         (member.paused ? " paused" : "") + (member.recent_active ? "" : " inactive"));
  }
}

// -- Network.

bool World::blocked(ReplicaId from, ReplicaId to) const {
  return cut_[(from.value - 1) * settings_.nodes + (to.value - 1)];
}
void World::cut(ReplicaId from, ReplicaId to, bool value) {
  cut_[(from.value - 1) * settings_.nodes + (to.value - 1)] = value;
}
void World::isolate(ReplicaId id, bool value) {
  for (const auto& other : nodes_) {
    if (other->id() == id) continue;
    cut(id, other->id(), value);
    cut(other->id(), id, value);
  }
}

void World::partition() {
  switch (prng_.below(4)) {
    case 0:
      note("heal network");
      std::fill(cut_.begin(), cut_.end(), false);
      break;
    case 1: {  // One way only.
      const ReplicaId from = random_node().id();
      const ReplicaId to = random_node().id();
      note("cut " + to_string(from) + " -> " + to_string(to));
      cut(from, to, true);
      break;
    }
    case 2: {
      const ReplicaId id = random_node().id();
      note("isolate " + to_string(id));
      isolate(id, true);
      break;
    }
    default: {  // Two halves.
      note("split");
      std::vector<bool> side(nodes_.size());
      for (size_t i = 0; i < side.size(); ++i) side[i] = prng_.chance(0.5);
      for (size_t a = 0; a < side.size(); ++a) {
        for (size_t b = 0; b < side.size(); ++b) {
          cut_[a * nodes_.size() + b] = side[a] != side[b];
        }
      }
    }
  }
}

void World::heal_network() { std::fill(cut_.begin(), cut_.end(), false); }

void World::send(Node& node, raft::Message message) {
  checker_.on_sent(node, message);
  // A snapshot that is lost is always reported (deliver()): its transport knows how it ended.
  const bool snapshot = message.type == MessageType::kSnap;
  if (faults_ && !snapshot && network_prng_.chance(settings_.drop)) return;
  if (faults_ && network_prng_.chance(settings_.duplicate)) {
    network_.push_back({message, ++packets_});
  }
  network_.push_back({std::move(message), ++packets_});
}

void World::deliver_one() {
  if (network_.empty()) return;
  size_t at = 0;
  if (faults_ && network_prng_.chance(settings_.reorder)) at = network_prng_.below(network_.size());
  Packet packet = std::move(network_[at]);
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
  deliver(std::move(packet));
}

void World::deliver(Packet packet) {
  raft::Message& message = packet.message;
  if (message.to.value == 0 || message.to.value > nodes_.size()) return;
  Node& node = *nodes_[message.to.value - 1];
  Node& from = *nodes_[message.from.value - 1];
  if (!node.alive() || blocked(message.from, message.to)) {
    // The sender's transport notices, sometimes.
    if (from.alive() && message.type == MessageType::kSnap) {
      from.core().report_snapshot(message.to, false);
      take_ready(from, true);
    } else if (from.alive() && faults_ && network_prng_.chance(0.1)) {
      from.core().report_unreachable(message.to);
      take_ready(from, true);
    }
    return;
  }
  if (node.frozen) {
    network_.push_back(std::move(packet));
    return;
  }
  note(to_string(message.from) + "->" + to_string(message.to) + " " +
       std::string(raft::message_type_name(message.type)) + " term " + to_string(message.term) +
       " index " + to_string(message.index) + (message.reject ? " reject" : ""));
  const bool snapshot = message.type == MessageType::kSnap;
  (void)node.core().step(std::move(message));
  take_ready(node, false);
  if (snapshot && from.alive()) {
    from.core().report_snapshot(node.id(), true);
    take_ready(from, true);
  }
}

// -- One replica.

void World::take_ready(Node& node, bool now) {
  if (!node.alive() || node.frozen) return;
  checker_.after_step(node);
  if (!now && faults_ && prng_.chance(settings_.postpone_ready)) return;
  while (node.alive() && node.core().has_ready() && !checker_.failed()) {
    node.about_to_send();
    raft::Ready ready = node.core().ready();
    checker_.on_ready(node, ready);
    for (const raft::ReadState& read : ready.read_states) checker_.on_read(node, read);
    if (ready.append) {
      const bool only_commit = !ready.append->must_sync && node.appends.empty();
      if (only_commit) {
        node.disk.write(*ready.append);
        checker_.on_durable(node, *ready.append);
        run_responses(node, std::move(ready.append->responses));
      } else {
        node.appends.push_back(std::move(*ready.append));
      }
    }
    if (ready.apply) node.applies.push_back(std::move(*ready.apply));
    for (raft::Message& message : ready.messages) send(node, std::move(message));
    checker_.after_step(node);
  }
}

void World::run_responses(Node& node, std::vector<raft::Message> responses) {
  for (raft::Message& message : responses) {
    if (message.to == node.id()) {
      (void)node.core().step(std::move(message));
    } else {
      send(node, std::move(message));
    }
  }
}

void World::complete_append(Node& node) {
  if (!node.alive() || node.frozen || node.appends.empty()) return;
  // A snapshot is installed behind what was committed before it arrived, as the host does.
  while (node.appends.front().snapshot && !node.applies.empty() && !checker_.failed()) {
    complete_apply(node);
  }
  if (std::exchange(node.disk.being_read, false)) node.core().retry_reads();
  raft::StorageAppend append = std::move(node.appends.front());
  node.appends.pop_front();
  note(to_string(node.id()) + " durable: " + std::to_string(append.entries.size()) + " entries" +
       (append.snapshot ? " and a snapshot" : ""));
  node.disk.write(append);
  checker_.on_durable(node, append);
  if (append.snapshot) {
    checker_.on_snapshot_applied(node, *append.snapshot);
    MR_COVERAGE("snapshot installed");
    if (!node.core().conf_state().voters_outgoing.empty()) {
      MR_COVERAGE("snapshot installed during a configuration change");
    }
    node.installed(*append.snapshot);
  }
  run_responses(node, std::move(append.responses));
  take_ready(node, true);
}

void World::complete_apply(Node& node) {
  if (!node.alive() || node.frozen || node.applies.empty()) return;
  raft::StorageApply apply = std::move(node.applies.front());
  node.applies.pop_front();
  for (const raft::Entry& entry : apply.entries) {
    const uint64_t hash = next_hash(node.applied.hash, entry);
    checker_.on_applied(node, entry, hash);
    node.applied.index = entry.index;
    node.applied.term = entry.term;
    node.applied.hash = hash;
    if (entry.type != raft::EntryType::kNormal) {
      auto change = raft::decode_conf_change(entry.type, entry.data);
      if (change) {
        const raft::ConfState before = node.applied.conf;
        // A snapshot on its way to the disk may have overtaken the change: then the core answers
        // with the snapshot's configuration, which is not yet that of the state machine.
        const bool overtaken = node.core().core().log().has_snapshot();
        raft::ConfState told = node.core().apply_conf_change(*change);
        const Result<raft::ConfState> next = raft::next_conf_state(before, *change);
        node.applied.conf = overtaken && next ? *next : std::move(told);
        checker_.on_configuration(node, before, node.applied.conf);
      }
      if (!node.applied.conf.voters_outgoing.empty()) MR_COVERAGE("joint configuration");
    }
    node.history.emplace(entry.index, node.applied);
  }
  note(to_string(node.id()) + " applied to " + to_string(node.applied.index));
  run_responses(node, std::move(apply.responses));
  take_ready(node, true);
}

void World::tick(Node& node) {
  if (!node.alive() || node.frozen) return;
  if (std::exchange(node.disk.being_read, false)) node.core().retry_reads();
  node.core().tick();
  take_ready(node, false);
}

void World::pass_time() {
  time_ns_ += static_cast<int64_t>(prng_.between(1, 700)) * (kTickNs / 1'000);
  for (auto& node : nodes_) {
    node->set_time(time_ns_);
    if (!node->alive() || node->frozen || node->now_ns < node->next_tick_ns) continue;
    // As a worker of the host does.
    if (node->now_ns - node->next_tick_ns > kTickNs) node->drop_lease();
    node->next_tick_ns = std::max(node->next_tick_ns + kTickNs, node->now_ns);
    tick(*node);
  }
}

void World::propose(Node& node) {
  if (!node.alive() || node.frozen) return;
  std::vector<SharedBytes> payloads;
  for (uint64_t n = prng_.between(1, 3); n > 0; --n) {
    payloads.push_back(SharedBytes::copy_of(std::to_string(++proposals_)));
  }
  auto position = node.core().propose(std::move(payloads));
  if (position) {
    note(to_string(node.id()) + " proposes at " + to_string(position->index) + " term " +
         to_string(position->term));
  }
  take_ready(node, false);
}

void World::propose_change(Node& node) {
  if (!node.alive() || node.frozen || node.core().role() != Role::kLeader) return;
  raft::ConfChange change;
  const uint64_t operations = prng_.chance(0.3) ? 2 : 1;
  const bool leave = !node.core().conf_state().voters_outgoing.empty() && prng_.chance(0.7);
  for (uint64_t i = 0; i < operations && !leave; ++i) {
    raft::ConfChangeSingle single;
    single.replica = random_node().id();
    const uint64_t kind = prng_.below(4);
    single.op = kind == 0   ? raft::ConfChangeOp::kRemove
                : kind == 1 ? raft::ConfChangeOp::kAddLearner
                            : raft::ConfChangeOp::kAddVoter;
    change.changes.push_back(single);
  }
  if (!leave) change.transition = static_cast<raft::ConfChangeTransition>(prng_.below(3));
  // A replica that was removed never comes back under its id: that is the host's rule.
  for (const raft::ConfChangeSingle& single : change.changes) {
    if (single.op == raft::ConfChangeOp::kRemove) continue;
    for (const auto& other : nodes_) {
      if (other->id() == single.replica && other->removed) return;
    }
  }
  for (const raft::ConfChangeSingle& single : change.changes) {
    if (single.op == raft::ConfChangeOp::kRemove) nodes_[single.replica.value - 1]->removed = true;
  }
  const auto position = node.core().propose_conf_change(change);
  note(to_string(node.id()) + " proposes a change of " + std::to_string(change.changes.size()) +
       (position ? "" : ", refused"));
  take_ready(node, false);
}

void World::ask_read(Node& node) {
  if (!node.alive() || node.frozen) return;
  const uint64_t id = node.next_read++;
  node.reads[id] = checker_.max_commit();
  note(to_string(node.id()) + " asks read " + std::to_string(id));
  const bool by_lease = settings_.leases && prng_.chance(0.7);
  node.core().read_index(raft::ReadId(id),
                         by_lease ? raft::ReadMode::kLease : raft::ReadMode::kConfirmed);
  take_ready(node, false);
}

void World::crash(Node& node) {
  if (!node.alive()) return;
  note(to_string(node.id()) + " crashes");
  if (node.core().role() == Role::kLeader &&
      node.core().last_index() > node.core().commit_index()) {
    MR_COVERAGE("leader lost with an uncommitted tail");
  }
  node.crash(disk_prng_);
  node.frozen = false;
}

void World::restart(Node& node) {
  if (node.alive()) return;
  note(to_string(node.id()) + " restarts");
  node.start(fresh_seed());
  node.seen = node.durable = node.disk.hard_state;
  node.seen.commit = node.core().commit_index();
  take_ready(node, true);
}

void World::compact(Node& node) {
  if (!node.alive()) return;
  // The state machine flushes, offers a snapshot of what it has, and lets go of some of the log.
  node.flushed = node.applied;
  node.history.erase(node.history.begin(), node.history.find(node.flushed.index));
  node.disk.offer = std::make_shared<raft::Snapshot>(
      raft::Snapshot{node.applied.index, node.applied.term, node.applied.conf});
  if (node.applied.index <= node.disk.mark.index || node.applied.index > node.disk.last_index()) {
    return;
  }
  note(to_string(node.id()) + " compacts to " + to_string(node.applied.index));
  node.disk.compact({node.applied.index, node.applied.term, node.applied.conf});
}

Node* World::random_alive() {
  Node& node = random_node();
  return node.alive() && !node.frozen ? &node : nullptr;
}

Node* World::leader() {
  Node* best = nullptr;
  for (auto& node : nodes_) {
    if (!node->alive() || node->core().role() != Role::kLeader) continue;
    if (!best || node->core().term() > best->core().term()) best = node.get();
  }
  return best;
}

void World::random_step() {
  const Settings& s = settings_;
  const uint32_t weights[] = {40,
                              16,
                              12,
                              14,
                              8,
                              2,
                              s.weight_crash,
                              s.weight_crash * 3,
                              s.weight_partition,
                              s.weight_compact,
                              s.weight_conf_change,
                              s.weight_transfer,
                              s.weight_read,
                              s.weight_campaign,
                              s.weight_forget};
  uint64_t total = 0;
  for (uint32_t w : weights) total += w;
  uint64_t pick = prng_.below(total);
  size_t action = 0;
  while (pick >= weights[action]) pick -= weights[action++];
  Node& node = random_node();
  switch (action) {
    case 0:
      deliver_one();
      break;
    case 1:
      if (!node.slow_disk) complete_append(node);
      break;
    case 2:
      if (!node.slow_apply) complete_apply(node);
      break;
    case 3:
      if (s.clocks) {
        pass_time();
      } else {
        tick(node);
      }
      break;
    case 4:
      if (Node* at = leader()) propose(*at);
      break;
    case 5:
      take_ready(node, true);
      break;
    case 6:
      crash(node);
      break;
    case 7:
      restart(node);
      break;
    case 8:
      partition();
      break;
    case 9:
      compact(node);
      break;
    case 10:
      if (Node* at = leader()) propose_change(*at);
      break;
    case 11:
      if (Node* at = leader()) {
        at->core().transfer_leadership(node.id());
        take_ready(*at, false);
      }
      break;
    case 12:
      ask_read(node);
      break;
    case 13:
      if (node.alive() && !node.frozen) {
        node.core().campaign();
        take_ready(node, false);
      }
      break;
    default:
      if (node.alive() && !node.frozen) {
        node.core().forget_leader();
        take_ready(node, false);
      }
  }
}

}  // namespace multiraft::sim
