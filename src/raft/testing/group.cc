#include "raft/testing/group.h"

#include <algorithm>
#include <ostream>

#include "base/assert.h"
#include "raft/core.h"

namespace multiraft::raft {

void PrintTo(const ConfState& conf, std::ostream* out) { *out << describe(conf); }

namespace testing {

Config test_config(uint64_t id) {
  Config config;
  config.id = ReplicaId(id);
  config.election_ticks = 10;
  config.heartbeat_ticks = 1;
  config.pre_vote = false;
  config.check_quorum = false;
  config.step_down_on_removal = false;
  config.random_seed = id;
  return config;
}

ConfState conf_of(std::vector<uint64_t> voters, std::vector<uint64_t> learners) {
  ConfState conf;
  for (uint64_t id : voters) conf.voters.emplace_back(id);
  for (uint64_t id : learners) conf.learners.emplace_back(id);
  return conf;
}

SharedBytes bytes(std::string_view text) { return SharedBytes::copy_of(text); }

ConfChange change_of(std::vector<ConfChangeSingle> changes, ConfChangeTransition transition) {
  ConfChange change;
  change.changes = std::move(changes);
  change.transition = transition;
  return change;
}

Replica::Replica(Config config, std::unique_ptr<MemoryStorage> storage)
    : config_(config), lease_(config.election_ticks), storage_(std::move(storage)) {
  start();
}

Replica::Replica(Config config, const ConfState& conf)
    : config_(config), lease_(config.election_ticks), storage_(std::make_unique<MemoryStorage>()) {
  storage_->set_conf_state(conf);
  start();
}

void Replica::start() {
  config_.logger = this;
  if (config_.promise_ms > 0) config_.lease = &lease_;
  const Status status = Raft::check_start(config_, *storage_);
  MR_ASSERT_MSG(status.is_ok(), status.message().c_str());
  applied_conf_ = storage_->initial_state().conf_state;
  core_ = std::make_unique<Raft>(config_, *storage_);
  check();
}

void Replica::check() {
  const std::string wrong =
      group_invariants ? group_invariants->after_step(*core_) : check_invariants(*core_);
  MR_ASSERT_MSG(wrong.empty(), wrong.c_str());
}

void Replica::pump() {
  check();
  while (core_->has_ready()) {
    lease_.about_to_send(*core_);
    Ready ready = core_->ready();
    check();
    for (ReadState& read : ready.read_states) reads.push_back(read);
    for (Message& message : ready.messages) sent.push_back(std::move(message));
    if (ready.append) appends.push_back(std::move(*ready.append));
    if (ready.apply) applies.push_back(std::move(*ready.apply));
    if (!hold_appends && !appends.empty()) complete_append();
    if (!hold_applies && !applies.empty()) complete_apply();
  }
}

void Replica::complete_append() {
  StorageAppend append = std::move(appends.front());
  appends.pop_front();
  if (append.hard_state) storage_->set_hard_state(*append.hard_state);
  if (append.snapshot) {
    MR_ASSERT(storage_->apply_snapshot(*append.snapshot).is_ok());
    applied_conf_ = append.snapshot->conf_state;
    applies.clear();
  }
  storage_->append(append.entries);
  respond(std::move(append.responses));
  pump();
}

void Replica::complete_apply() {
  StorageApply apply = std::move(applies.front());
  applies.pop_front();
  for (const Entry& entry : apply.entries) {
    if (entry.type != EntryType::kNormal) {
      applied_conf_ = core_->apply_conf_change(*decode_conf_change(entry.type, entry.data));
      check();
    }
    if (group_invariants) {
      const std::string wrong = group_invariants->on_applied(id(), entry);
      MR_ASSERT_MSG(wrong.empty(), wrong.c_str());
    }
    applied.push_back(entry);
  }
  respond(std::move(apply.responses));
  pump();
}

void Replica::respond(std::vector<Message> responses) {
  for (Message& message : responses) {
    if (message.to == id()) {
      (void)core_->step(std::move(message));
      check();
    } else {
      sent.push_back(std::move(message));
    }
  }
}

Status Replica::receive(Message message) {
  const Status status = core_->step(std::move(message));
  pump();
  return status;
}

void Replica::tick(uint32_t count) {
  for (; count > 0; --count) {
    tick_once();
    pump();
  }
}

void Replica::tick_once() {
  lease_.tick();
  core_->tick();
}

void Replica::restart() {
  appends.clear();
  applies.clear();
  sent.clear();
  reads.clear();
  lines.clear();
  config_.applied = std::max(core_->applied_index(), storage_->first_index() - 1);
  storage_->set_conf_state(applied_conf_);
  if (group_invariants) {
    HardState durable = storage_->hard_state();
    durable.commit = std::min(durable.commit, core_->commit_index());
    group_invariants->on_restart(id(), durable);
  }
  start();
  pump();
}

std::vector<Message> Replica::take_sent(MessageType type) {
  std::vector<Message> taken;
  for (Message& message : take_sent()) {
    if (message.type == type) taken.push_back(std::move(message));
  }
  return taken;
}

bool Replica::logged(std::string_view text) const {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

Entry Replica::entry(uint64_t index) {
  const LogIndex at(index);
  const auto entries = core_->core().log().slice(at, at + 1, SIZE_MAX);
  return entries.is_ok() && !entries->empty() ? entries->front() : Entry{};
}

Group::Group(const ConfState& conf, const Tune& tune) {
  const size_t members = conf.voters.size() + conf.learners.size();
  for (size_t id = 1; id <= members; ++id) {
    Config config = test_config(id);
    if (tune) tune(config);
    replicas_.push_back(std::make_unique<Replica>(config, conf));
    replicas_.back()->group_invariants = &invariants;
  }
}

namespace {

ConfState first_voters(uint64_t count) {
  std::vector<uint64_t> voters;
  for (uint64_t id = 1; id <= count; ++id) voters.push_back(id);
  return conf_of(voters);
}

}  // namespace

Group::Group(uint64_t voters, const Tune& tune) : Group(first_voters(voters), tune) {}

Replica& Group::add_blank(const Tune& tune) {
  Config config = test_config(replicas_.size() + 1);
  if (tune) tune(config);
  replicas_.push_back(std::make_unique<Replica>(config, ConfState{}));
  replicas_.back()->group_invariants = &invariants;
  return *replicas_.back();
}

bool Group::lost(const Message& message) const {
  const bool nobody = message.to.value == 0 || message.to.value > replicas_.size();
  return nobody || isolated_.contains(message.from.value) || isolated_.contains(message.to.value) ||
         (lose && lose(message));
}

void Group::settle() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& replica : replicas_) replica->pump();
    for (auto& replica : replicas_) {
      for (Message& message : replica->take_sent()) {
        moved = true;
        if (lost(message)) continue;
        auto& receiver = (*this)[message.to.value];
        (void)receiver.receive(std::move(message));
      }
    }
  }
}

void Group::elect(uint64_t id) {
  (*this)[id]->campaign();
  settle();
  MR_ASSERT_MSG((*this)[id]->role() == Role::kLeader, "was not elected");
}

void Group::propose(uint64_t id, std::string_view data) {
  const auto position = (*this)[id]->propose({bytes(data)});
  MR_ASSERT_MSG(position.is_ok(), position.status().message().c_str());
  settle();
}

void Group::change(uint64_t id, const ConfChange& change) {
  const auto position = (*this)[id]->propose_conf_change(change);
  MR_ASSERT_MSG(position.is_ok(), position.status().message().c_str());
  settle();
}

void Group::tick(uint32_t count) {
  for (; count > 0; --count) {
    for (auto& replica : replicas_) replica->tick_once();
    settle();
  }
}

}  // namespace testing
}  // namespace multiraft::raft
