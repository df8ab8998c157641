#include "nodes/boot_table.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "base/limits.h"

namespace multiraft::nodes {
namespace {

/// A node that was emptied so often is not distinguished from one that was not.
constexpr size_t kStatesMax = 4;
/// So often a node may have started without this one's noticing. Beyond it somebody is mistaken.
constexpr uint64_t kUnseenStartsMax = 1 << 20;
/// With so many nodes beside this one, nobody could confirm what one says of the other.
constexpr size_t kNodesWithoutWitness = 2;

}  // namespace

std::string why_older(const wire::Hello& hello, const wire::BootRecord& known) {
  if (hello.state != known.state || hello.incarnation == known.incarnation) return {};
  if (hello.life < known.number) {
    return "this is its start number " + std::to_string(hello.life) + ", but number " +
           std::to_string(known.number) + " has been here";
  }
  if (hello.life == known.number) {
    // Each start is counted, durably, before it is announced.
    return "its start number " + std::to_string(hello.life) + " was another process";
  }
  for (size_t worker = 0; worker < known.durable.size(); ++worker) {
    const uint64_t found = worker < hello.recovered.size() ? hello.recovered[worker] : 0;
    if (found >= known.durable[worker]) continue;
    return "its log " + std::to_string(worker) + " ends with batch " + std::to_string(found) +
           ", but batch " + std::to_string(known.durable[worker]) + " was durable in it";
  }
  return {};
}

void BootTable::Entry::told(uint32_t worker, uint64_t sequence) {
  if (worker >= durable.size()) return;
  std::atomic<uint64_t>& slot = durable[worker];
  uint64_t before = slot.load(std::memory_order_relaxed);
  while (before < sequence &&
         !slot.compare_exchange_weak(before, sequence, std::memory_order_relaxed)) {
  }
  if (before < sequence) changed();
}

Status BootTable::judge(const wire::Hello& hello, wire::BootRecord& known) const {
  if (hello.state.empty()) return Status::ok();
  MutexLock lock(mutex_);
  const Entry* entry = find_locked(hello.node, hello.state);
  if (!entry) return Status::ok();
  wire::BootRecord life = life_of(hello.node, *entry);
  const std::string why = why_older(hello, life);
  if (why.empty()) return Status::ok();
  MR_COVERAGE("older state directory refused");
  known = std::move(life);
  return {StatusCode::kStateRollback, "the state directory of node " + to_string(hello.node) +
                                          " is an older copy, or has lost writes: " + why};
}

bool BootTable::note(const wire::Hello& hello) {
  return learn({hello.node, hello.state, hello.life, hello.incarnation, hello.recovered});
}

bool BootTable::learn(const wire::BootRecord& life) {
  if (life.state.empty() || life.node == self_ || life.node.value == 0) return false;
  MutexLock lock(mutex_);
  Entry* entry = find_or_add(life.node, life.state);
  return entry && take(*entry, life);
}

bool BootTable::learn_from(NodeId teller, const wire::BootRecord& life) {
  if (life.state.empty() || life.node == self_ || life.node.value == 0) return false;
  MutexLock lock(mutex_);
  const Entry* known = find_locked(life.node, life.state);
  const uint64_t number_max = (known && known->number > 0 ? known->number : 0) + kUnseenStartsMax;
  if (life.number > number_max) {
    MR_COVERAGE("hearsay of an impossible start number");
    return false;
  }
  Entry* entry = find_or_add(life.node, life.state);
  if (!entry) return false;
  // Others than this node, the teller and the one that is spoken of.
  if (nodes_.size() <= kNodesWithoutWitness) return take(*entry, life);
  auto& [first, second] = entry->reports;
  if (second.teller == teller) std::swap(first, second);
  if (first.teller != teller) second = std::exchange(first, {});
  first = {teller, life};
  if (!second.teller) return false;
  // Both say at least this much. Sequences of different lives are not compared: what was durable in
  // a newer one must not be held against the process of that life.
  wire::BootRecord agreed = first.life.number <= second.life.number ? first.life : second.life;
  const bool same_life = first.life.number == second.life.number;
  agreed.durable.resize(same_life ? std::min(first.life.durable.size(), second.life.durable.size())
                                  : 0);
  for (size_t i = 0; i < agreed.durable.size(); ++i) {
    agreed.durable[i] = std::min(first.life.durable[i], second.life.durable[i]);
  }
  return take(*entry, agreed);
}

bool BootTable::take(Entry& entry_of_node, const wire::BootRecord& life) {
  Entry* entry = &entry_of_node;
  for (size_t i = 0; i < life.durable.size(); ++i) {
    entry->told(static_cast<uint32_t>(i), life.durable[i]);
  }
  if (life.number <= entry->number) return false;
  entry->number = life.number;
  entry->incarnation = life.incarnation;
  entry->changed();
  return true;
}

std::shared_ptr<BootTable::Entry> BootTable::find(NodeId node, const StateDirId& state) const {
  MutexLock lock(mutex_);
  const auto found = nodes_.find(node.value);
  if (found == nodes_.end()) return nullptr;
  for (const auto& entry : found->second) {
    if (entry->state == state) return entry;
  }
  return nullptr;
}

std::vector<wire::BootRecord> BootTable::all(NodeId except) const {
  std::vector<wire::BootRecord> boots;
  MutexLock lock(mutex_);
  for (const auto& [node, states] : nodes_) {
    if (NodeId(node) == except) continue;
    for (const auto& entry : states) {
      if (entry->number != 0) boots.push_back(life_of(NodeId(node), *entry));
    }
  }
  std::sort(boots.begin(), boots.end(),
            [](const wire::BootRecord& a, const wire::BootRecord& b) { return a.node < b.node; });
  return boots;
}

std::vector<wire::BootRecord> BootTable::changes(NodeId except, uint64_t& position) {
  std::vector<wire::BootRecord> boots;
  MutexLock lock(mutex_);
  const uint64_t since = position;
  // What is being changed at this moment may be stamped with the number that ends here: it comes
  // again.
  position = clock_.fetch_add(1, std::memory_order_relaxed);
  for (const auto& [node, states] : nodes_) {
    if (NodeId(node) == except) continue;
    for (const auto& entry : states) {
      // Number 0: hearsay that nobody has confirmed.
      if (entry->number == 0) continue;
      if (entry->changed_at_.load(std::memory_order_relaxed) < since) continue;
      boots.push_back(life_of(NodeId(node), *entry));
    }
  }
  std::sort(boots.begin(), boots.end(),
            [](const wire::BootRecord& a, const wire::BootRecord& b) { return a.node < b.node; });
  return boots;
}

void BootTable::forget(NodeId node) {
  MutexLock lock(mutex_);
  nodes_.erase(node.value);
}

BootTable::Entry* BootTable::find_locked(NodeId node, const StateDirId& state) const {
  const auto found = nodes_.find(node.value);
  if (found == nodes_.end()) return nullptr;
  for (const auto& entry : found->second) {
    if (entry->state == state) return entry.get();
  }
  return nullptr;
}

BootTable::Entry* BootTable::find_or_add(NodeId node, const StateDirId& state) {
  if (Entry* entry = find_locked(node, state)) return entry;
  if (nodes_.size() >= limits::kNodesMax && !nodes_.contains(node.value)) return nullptr;
  States& states = nodes_[node.value];
  if (states.size() >= kStatesMax) states.erase(states.begin());
  states.push_back(std::shared_ptr<Entry>(new Entry(clock_)));
  states.back()->state = state;
  return states.back().get();
}

wire::BootRecord BootTable::life_of(NodeId node, const Entry& entry) const {
  wire::BootRecord life{node, entry.state, entry.number, entry.incarnation, {}};
  size_t workers = 0;
  for (size_t i = 0; i < entry.durable.size(); ++i) {
    const uint64_t sequence = entry.durable[i].load(std::memory_order_relaxed);
    life.durable.push_back(sequence);
    if (sequence != 0) workers = i + 1;
  }
  life.durable.resize(workers);
  return life;
}

}  // namespace multiraft::nodes
