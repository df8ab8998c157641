// Committed entries on their way through the state machine, and the reads that wait for them.

#include <algorithm>

#include "base/coverage.h"
#include "host/group.h"
#include "raft/conf_change.h"

namespace multiraft::host {
namespace {

/// While this many rounds are under way further reads gather for the next one.
constexpr size_t kReadRoundsMax = 2;

}  // namespace

void Group::apply() {
  for (; !to_apply_.empty(); to_apply_.pop_front()) {
    raft::StorageApply& work = to_apply_.front();
    apply_entries(work.entries);
    services_.count_applied(work.entries.size());
    for (raft::Message& response : work.responses) apply_responses_.push_back(std::move(response));
  }
}

void Group::apply_entries(const std::vector<raft::Entry>& entries) {
  size_t first_in_batch = 0;
  auto flush = [&](size_t end) {
    if (first_in_batch == end) return;
    flush_commands(entries[end - 1].index, entries[end - 1].term);
    size_t result = 0;
    for (size_t i = first_in_batch; i < end; ++i) {
      const raft::Entry& entry = entries[i];
      const bool command = entry.type == raft::EntryType::kNormal && !entry.data.empty();
      PendingWrite write;
      if (writes_.applied(entry.index, entry.term, write)) {
        MR_ASSERT_MSG(command != write.command.empty(),
                      "a client's write became an entry without a command");
        applied_writes_.emplace_back(std::move(write), command ? results_[result] : ApplyResult{});
      }
      if (command) ++result;
    }
    first_in_batch = end;
  };
  for (size_t i = 0; i < entries.size(); ++i) {
    const raft::Entry& entry = entries[i];
    if (entry.type == raft::EntryType::kNormal) {
      if (!entry.data.empty()) commands_.push_back({entry.index, entry.term, entry.data.view()});
      continue;
    }
    flush(i);
    apply_conf_change(entry);
    flush(i + 1);
  }
  flush(entries.size());
}

void Group::flush_commands(LogIndex last_index, Term last_term) {
  results_.assign(commands_.size(), ApplyResult{});
  const Status status = state_machine_->apply(commands_, last_index, last_term, results_);
  commands_.clear();
  if (!status) services_.fatal(status);
}

void Group::apply_conf_change(const raft::Entry& entry) {
  auto change = raft::decode_conf_change(entry.type, entry.data);
  if (!change) {
    services_.fatal(change.status());
    return;
  }
  // The core may know a younger configuration, from a snapshot that is being installed. A change
  // that is not allowed changes nothing, here and there.
  (void)conf_history_.apply(entry.index, *change);
  services_.observer().on_conf_state(id(), core_->apply_conf_change(*change));
  resolve_conf_change(entry);
}

void Group::resolve_conf_change(const raft::Entry& entry) {
  if (!conf_change_ || conf_change_->index > entry.index) return;
  PendingConfChange change = std::move(*conf_change_);
  conf_change_.reset();
  if (change.index == entry.index && change.term == entry.term) {
    change.done(Status::ok());
  } else {
    change.done(
        Status(StatusCode::kNotLeader, "another leader's entry took the place of the change"));
  }
}

void Group::finish_apply() {
  for (raft::Message& response : std::exchange(apply_responses_, {})) {
    (void)core_->step(std::move(response));
  }
  for (auto& [write, applied] : std::exchange(applied_writes_, {})) {
    WriteResult result;
    result.result = std::move(applied);
    result.index = write.index;
    result.term = write.term;
    result.leader = core_->leader();
    write.done(std::move(result));
  }
  serve_reads();
  services_.observer().on_applied(id(), state_machine_->applied_index());
  compact();
  if (core_->has_ready()) services_.activate(*this);
}

// -- Reads.

void Group::read(ReadMode mode, PendingRead read) {
  if (mode == ReadMode::kLocal) {
    serve(std::move(read));
    return;
  }
  if (gathered_reads_.size() >= limits::kPendingRequestsPerWorkerMax) {
    fail_read(std::move(read), StatusCode::kOverloaded, "too many reads wait in this group");
    return;
  }
  // The core confirms by a round where there is no lease, as in group 0.
  read.mode = mode == ReadMode::kLease ? raft::ReadMode::kLease : raft::ReadMode::kConfirmed;
  gathered_reads_.push_back(std::move(read));
  services_.activate(*this);
}

void Group::start_read_rounds() {
  if (core_->leader() == raft::kNoReplica || read_rounds_.size() >= kReadRoundsMax) return;
  std::vector<PendingRead> confirmed, by_lease;
  for (PendingRead& read : std::exchange(gathered_reads_, {})) {
    (read.mode == raft::ReadMode::kLease ? by_lease : confirmed).push_back(std::move(read));
  }
  start_read_round(raft::ReadMode::kLease, std::move(by_lease));
  start_read_round(raft::ReadMode::kConfirmed, std::move(confirmed));
}

void Group::start_read_round(raft::ReadMode mode, std::vector<PendingRead> reads) {
  if (reads.empty()) return;
  const raft::ReadId round(next_read_id_++);
  read_rounds_.push_back({round, services_.now(), std::move(reads)});
  core_->read_index(round, mode);
}

void Group::handle_read_state(const raft::ReadState& state) {
  auto round = std::find_if(read_rounds_.begin(), read_rounds_.end(),
                            [&](const ReadRound& r) { return r.id == state.id; });
  if (round == read_rounds_.end()) return;
  std::vector<PendingRead> reads = std::move(round->reads);
  read_rounds_.erase(round);
  if (state.failed) {
    // Asked again at the next tick or when there is a leader; expire() ends it.
    MR_COVERAGE("read round failed");
    for (PendingRead& read : reads) gathered_reads_.push_back(std::move(read));
    return;
  }
  if (!gathered_reads_.empty()) services_.activate(*this);
  if (state.index <= state_machine_->applied_index() && !applying && !has_apply()) {
    for (PendingRead& read : reads) serve(std::move(read));
    return;
  }
  if (services_.disk_stall_lasts()) {
    for (PendingRead& read : reads) {
      fail_read(std::move(read), StatusCode::kUnavailable, services_.disk_stall_text());
    }
    return;
  }
  auto at = std::find_if(waiting_reads_.begin(), waiting_reads_.end(),
                         [&](const WaitingRead& w) { return w.index > state.index; });
  waiting_reads_.insert(at, {state.index, std::move(reads)});
}

void Group::serve_reads() {
  const LogIndex applied = state_machine_->applied_index();
  while (!waiting_reads_.empty() && waiting_reads_.front().index <= applied) {
    std::vector<PendingRead> reads = std::move(waiting_reads_.front().reads);
    waiting_reads_.pop_front();
    for (PendingRead& read : reads) serve(std::move(read));
  }
}

void Group::serve(PendingRead read) {
  ReadPermit permit;
  permit.state_machine = state_machine_.get();
  permit.applied_index = state_machine_->applied_index();
  permit.term = core_->term();
  permit.leader = core_->leader();
  read.done(permit);
}

void Group::fail_read(PendingRead read, StatusCode code, std::string_view why) {
  ReadPermit permit;
  permit.status = Status(code, std::string(why));
  permit.leader = core_->leader();
  permit.term = core_->term();
  read.done(permit);
}

}  // namespace multiraft::host
