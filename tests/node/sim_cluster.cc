#include "sim_cluster.h"

#include <algorithm>
#include <iostream>

#include "kv/command.h"
#include "registry/machine.h"

namespace multiraft::sim {
namespace {

constexpr int64_t kLookEveryNs = 5 * env::kMillisecond;
constexpr int64_t kAnswerNs = 10 * env::kSecond;
constexpr int kAsksMax = 20;
constexpr size_t kClients = 4;

}  // namespace

SimCluster::SimCluster(uint64_t seed, bool verbose)
    : seed_(seed),
      verbose_(verbose),
      scheduler_(seed),
      network_(scheduler_, seed),
      random_(seed ^ 0x5eed) {
  watch_.applied = [this](NodeId, GroupId group, const Command& command) {
    violate(ledger_.applied(group, command));
  };
  watch_.leads = [this](NodeId node, GroupId group, Term term) {
    say(node, "leads group " + to_string(group) + " in term " + to_string(term));
    violate(ledger_.leads(node, group, term));
  };
  watch_.say = [this](NodeId node, std::string_view text) { say(node, text); };
}

SimCluster::~SimCluster() = default;

void SimCluster::say(NodeId node, std::string_view text) const {
  if (!verbose_) return;
  std::cout << static_cast<double>(now().ns) / 1e9 << " node " << node.value << ": " << text
            << "\n";
}

void SimCluster::violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
}

SimNode& SimCluster::add(const NodeSettings& settings) {
  auto& slot = nodes_[settings.id.value];
  slot =
      std::make_unique<SimNode>(scheduler_, network_, settings, seed_ + settings.id.value, watch_);
  return *slot;
}

// -- Life.

void SimCluster::start(uint64_t id) {
  start_at_[id] = now();
  tend();
}

void SimCluster::stop(uint64_t id) {
  tend();
  start_at_.erase(id);
  if (node(id).running()) end_process(id, node(id));
}

void SimCluster::end_process(uint64_t id, SimNode& node) {
  node.stop();
  if (node.disk().crashed()) {
    ++crashes_;
    node.crash(plan_->mode, seed_ + id);
  }
  seen_.erase(id);
  ledger_.process_ended(id);
}

void SimCluster::arm(const CrashPlan& plan) {
  plan_ = plan;
  env::SimFileSystem& disk = node(plan.node).disk();
  armed_at_ = disk.operation_count();
  disk.crash_after(armed_at_ + plan.at);
}

void SimCluster::disarm() {
  if (!plan_) return;
  node(plan_->node).disk().crash_after(UINT64_MAX);
  plan_.reset();
}

void SimCluster::tend() {
  for (auto& [id, node] : nodes_) tend(id, *node);
}

void SimCluster::tend(uint64_t id, SimNode& node) {
  if (node.must_end()) {
    ++crashes_;
    const bool everyone = plan_ && plan_->everyone && crashes_ == 1;
    for (auto& [other_id, other] : nodes_) {
      if (other_id == id || everyone) power_lost(other_id, *other);
    }
  } else if (!node.failure().empty() && node.running()) {
    violate("REFUSED: node " + std::to_string(id) + ": " + node.failure());
  } else if (node.running() && node.removed()) {
    say(NodeId(id), "left the cluster");
    end_process(id, node);
    left_.insert(id);
  }
  const auto due = start_at_.find(id);
  if (due == start_at_.end() || due->second > now()) return;
  start_at_.erase(due);
  start_process(id, node);
}

void SimCluster::power_lost(uint64_t id, SimNode& node) {
  say(NodeId(id), "loses its power");
  const bool was_running = node.running();
  node.crash(plan_ ? plan_->mode : env::CrashMode::kKeepAll, seed_ + crashes_ * 16 + id);
  seen_.erase(id);
  ledger_.process_ended(id);
  if (was_running) {
    start_at_[id] = now() + static_cast<int64_t>(random_.between(20, 600)) * env::kMillisecond;
  }
}

void SimCluster::start_process(uint64_t id, SimNode& node) {
  say(NodeId(id), "starts");
  if (crashes_ == 1 && plan_ && plan_->node == id && plan_->again) {
    node.disk().crash_after(node.disk().operation_count() + *plan_->again);
  }
  const Status status = node.start();
  if (node.left()) {
    left_.insert(id);  // It had left, durably, when its process ended.
    return;
  }
  if (!status) violate("REFUSED: node " + std::to_string(id) + ": " + status.to_string());
}

bool SimCluster::wait(const std::function<bool()>& done, int64_t limit_ns) {
  const env::MonotonicTime end = now() + limit_ns;
  const auto someone_ends = [this] {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& n) {
      return n.second->must_end() || (n.second->running() && n.second->removed());
    });
  };
  while (now() < end && violation_.empty()) {
    const bool ended = scheduler_.run_until(someone_ends, kLookEveryNs);
    tend();
    if (ended) continue;
    observe();
    if (done()) return violation_.empty();
  }
  return false;
}

// -- Looking.

void SimCluster::observe() {
  for (auto& [id, node] : nodes_) {
    if (!node->serves()) continue;
    host::NodeHost& host = node->host();
    host.list(host.executor(0), [this, id = id](std::vector<host::ReplicaStatus> all) {
      seen_[id] = std::move(all);
    });
  }
}

const host::ReplicaStatus* SimCluster::status(uint64_t id, GroupId group) {
  for (const host::ReplicaStatus& s : seen_[id]) {
    if (s.group == group) return &s;
  }
  return nullptr;
}

uint64_t SimCluster::snapshots_installed() {
  uint64_t sum = 0;
  size_t asked = 0;
  size_t answered = 0;
  for (auto& [id, node] : nodes_) {
    if (!node->serves()) continue;
    ++asked;
    host::NodeHost& host = node->host();
    host.stats(host.executor(0), [&](const host::HostStats& stats) {
      sum += stats.snapshots_installed;
      ++answered;
    });
  }
  scheduler_.run_until([&] { return answered == asked; }, env::kSecond);
  return sum;
}

bool SimCluster::wait_members(GroupId group, const std::vector<uint64_t>& ids) {
  return wait([&] {
    bool led = false;
    for (uint64_t id : ids) {
      const host::ReplicaStatus* s = status(id, group);
      if (!node(id).ready() || !s) return false;
      const raft::ConfState& conf = s->raft.conf_state;
      if (!conf.voters_outgoing.empty() || !conf.learners.empty()) return false;
      std::vector<uint64_t> voters;
      for (ReplicaId voter : conf.voters) voters.push_back(voter.node().value);
      if (voters != ids) return false;
      led = led || s->raft.soft_state.role == raft::Role::kLeader;
    }
    return led;
  });
}

bool SimCluster::wait_compacted(GroupId group, const std::vector<uint64_t>& ids, LogIndex index) {
  return wait([&] {
    return std::all_of(ids.begin(), ids.end(), [&](uint64_t id) {
      const host::ReplicaStatus* s = status(id, group);
      return s && s->first_index > index;
    });
  });
}

bool SimCluster::wait_removed(uint64_t id) {
  return wait([&] { return left_.contains(id); });
}

// -- Clients.

size_t SimCluster::put(uint64_t through, GroupId group) {
  const size_t number = ledger_.issue(group, through, value_bytes_);
  const Put& put = ledger_.put(number);
  host::NodeHost& host = node(through).host();
  SharedBytes command = kv::encode_put(put.key, put.value);
  ledger_.sent(number, command.view());
  host.write(group, std::move(command), host.executor(0),
             [this, number](const host::WriteResult& result) {
               using Outcome = Put::Outcome;
               if (result.status.is_ok()) {
                 const std::string wrong = ledger_.acknowledged_at(number, result.index);
                 if (!wrong.empty()) violate(wrong);
                 return;
               }
               const bool unknown = result.status.code() == StatusCode::kUnknownOutcome;
               ledger_.answered(number, unknown ? Outcome::kUnknown : Outcome::kRefused);
             });
  return number;
}

bool SimCluster::load(GroupId group, size_t count, const std::vector<uint64_t>& through) {
  std::vector<size_t> pending;
  std::shared_ptr<Answer> reading;
  uint64_t reading_at = 0;
  size_t done = 0;
  const auto one_of_them = [&] { return through[random_.below(through.size())]; };
  return wait([&] {
    std::erase_if(pending, [&](size_t number) {
      const Put::Outcome outcome = ledger_.put(number).outcome;
      done += outcome == Put::Outcome::kAcknowledged ? 1 : 0;
      return outcome != Put::Outcome::kPending;
    });
    while (done + pending.size() < count && pending.size() < kClients) {
      const uint64_t id = one_of_them();
      if (!serves(id)) break;
      pending.push_back(put(id, group));
    }
    if (!reading || reading->given || !serves(reading_at)) {
      reading_at = one_of_them();
      if (serves(reading_at)) reading = read(reading_at, group);
    }
    return done >= count;
  });
}

std::shared_ptr<SimCluster::Answer> SimCluster::read(uint64_t through, GroupId group) {
  auto answer = std::make_shared<Answer>();
  node(through).host().read(
      group, host::ReadMode::kLinearizable,
      [this, through, group, answer,
       must = ledger_.acknowledged(group)](const host::ReadPermit& permit) {
        answer->given = true;
        if (!permit.status) return;
        answer->index = permit.applied_index;
        const auto hash = permit.state_machine->hash();
        answer->hash = hash ? *hash : 0;
        if (!hash) violate("HASH: " + hash.status().to_string());
        if (group == registry::kRegistryGroup) return;
        auto& machine = static_cast<kv::KvStateMachine&>(*permit.state_machine);
        kv::ScanRequest everything;
        everything.items_max = SIZE_MAX;
        everything.bytes_max = SIZE_MAX;
        const auto page = machine.scan(everything);
        Ledger::Content content;
        if (page) {
          for (const kv::KvItem& item : page->items) content[item.key] = item.value.view();
        }
        const std::string wrong =
            page ? ledger_.check(group, content, must) : "SCAN: " + page.status().to_string();
        if (!wrong.empty()) {
          violate(wrong + ": node " + std::to_string(through) + ", group " + to_string(group) +
                  " at index " + to_string(permit.applied_index));
        }
      });
  return answer;
}

bool SimCluster::ask(uint64_t through,
                     const std::function<void(SimNode&, Callback<void(Status)>)>& question) {
  for (int attempt = 0; attempt < kAsksMax; ++attempt) {
    if (!wait([&] { return serves(through) && node(through).ready(); })) return false;
    auto answer = std::make_shared<std::optional<Status>>();
    const uint64_t crashes = crashes_;
    question(node(through), [answer](Status status) { *answer = std::move(status); });
    (void)wait([&] { return answer->has_value() || crashes_ != crashes; }, kAnswerNs);
    if (answer->has_value() && (*answer)->is_ok()) return true;
  }
  return false;
}

bool SimCluster::create_group(uint64_t through, GroupId group, const std::vector<uint64_t>& ids) {
  const std::vector<NodeId> members(ids.begin(), ids.end());
  return ask(through, [&](SimNode& n, Callback<void(Status)> done) {
    n.controller().create_group(group, members, n.host().executor(0), std::move(done));
  });
}

bool SimCluster::remove_member(uint64_t through, GroupId group, uint64_t id) {
  return ask(through, [&](SimNode& n, Callback<void(Status)> done) {
    n.controller().remove_member(
        group, NodeId(id), n.host().executor(0), [done = std::move(done)](Status status) mutable {
          // A repetition of what has been done already.
          done(status.code() == StatusCode::kNotFound ? Status::ok() : std::move(status));
        });
  });
}

// -- The end.

bool SimCluster::same_everywhere(GroupId group, const std::vector<uint64_t>& ids) {
  std::map<uint64_t, std::shared_ptr<Answer>> answers;
  return wait([&] {
    bool all = true;
    for (uint64_t id : ids) {
      std::shared_ptr<Answer>& answer = answers[id];
      if (!serves(id)) {
        answer = nullptr;
      } else if (!answer || (answer->given && answer->index == LogIndex())) {
        answer = read(id, group);
      }
      all = all && answer && answer->given && answer->index != LogIndex();
    }
    if (!all) return false;
    const Answer& first = *answers[ids.front()];
    for (auto& [id, answer] : answers) {
      if (answer->index != first.index) {
        answers.clear();  // Somebody had not applied everything yet.
        return false;
      }
      if (answer->hash != first.hash) {
        violate("DIVERGED: group " + to_string(group) + " at index " + to_string(first.index));
      }
    }
    return true;
  });
}

/// A snapshot that was half saved or half received goes at the next start at the latest, and what
/// is whole belongs to a group of the node.
std::string SimCluster::leftovers(uint64_t id) {
  const auto names = node(id).disk().list("state/snap");
  if (!names) return names.status().to_string();
  for (const std::string& name : *names) {
    const std::string state = "state-";
    if (name.starts_with(state) &&
        status(id, GroupId(std::strtoull(name.c_str() + state.size(), nullptr, 10)))) {
      continue;
    }
    return "LEFTOVER of node " + std::to_string(id) + ": " + name;
  }
  return "";
}

std::string SimCluster::check(GroupId group, const std::vector<uint64_t>& ids) {
  for (GroupId g : {group, registry::kRegistryGroup}) {
    if (same_everywhere(g, ids)) continue;
    if (!violation_.empty()) return violation_;
    return "STUCK: the members of group " + to_string(g) + " do not come to the same end";
  }
  std::string wrong;
  (void)wait(
      [&] {
        wrong.clear();
        for (uint64_t id : ids) {
          if (wrong.empty()) wrong = leftovers(id);
        }
        return wrong.empty();
      },
      5 * env::kSecond);
  return violation_.empty() ? wrong : violation_;
}

}  // namespace multiraft::sim
