// Committed entries on their way through the state machine, and the reads that wait for them.

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "host/replica.h"
#include "raft/conf_change.h"
#include "raft/entry_checksum.h"

namespace multiraft::host {
namespace {

/// While this many rounds are under way further reads gather for the next one.
constexpr size_t kReadRoundsMax = 2;
/// Looked at by begin_apply(): commands may be short, and each takes its time.
constexpr size_t kApplyEntriesAtOnce = 4'096;

}  // namespace

bool Replica::begin_apply() {
  if (to_apply_.empty() || prefetching_) return false;
  if (applicable_ > 0) return true;
  size_t entries = 0;
  commands_at_.clear();  // The entries, counted from the first to apply, that hold commands_.
  size_t begin = applied_of_front_;
  for (const raft::StorageApply& work : to_apply_) {
    for (size_t i = std::exchange(begin, 0); i < work.entries.size(); ++i, ++entries) {
      if (entries == kApplyEntriesAtOnce) break;
      const raft::Entry& entry = work.entries[i];
      if (entry.type != raft::EntryType::kNormal || entry.data.empty()) continue;
      commands_.push_back({entry.index, entry.term, entry.data.view()});
      commands_at_.push_back(entries);
    }
    if (entries == kApplyEntriesAtOnce) break;
  }
  MR_ASSERT(entries > 0);
  StateMachine::Prefetch prefetch;
  if (!commands_.empty()) {
    prefetch = state_machine_->prefetch(commands_);
    MR_ASSERT(prefetch.commands > 0 && prefetch.commands <= commands_.size());
    if (prefetch.commands < commands_.size()) entries = commands_at_[prefetch.commands];
    commands_.clear();
  }
  if (!prefetch.reads) {
    applicable_ = entries;
    return true;
  }
  MR_COVERAGE("application waits for keys that are read in");
  prefetching_ = true;
  services_.run_blocking(*this, std::move(prefetch.reads), [entries](Replica& self) {
    if (!self.prefetching_) return;  // The replica started over meanwhile.
    self.prefetching_ = false;
    self.applicable_ = entries;
    self.services_.activate(self);
  });
  return false;
}

void Replica::apply(size_t& bytes_left) {
  while (applicable_ > 0 && bytes_left > 0) {
    raft::StorageApply& work = to_apply_.front();
    const size_t begin = applied_of_front_;
    const size_t last = std::min(work.entries.size(), begin + applicable_);
    size_t end = begin;
    for (; end < last && bytes_left > 0; ++end) {
      const size_t bytes = raft::entry_bytes(work.entries[end]);
      bytes_left -= std::min(bytes_left, bytes);
      bytes_applied_ += bytes;
    }
    apply_entries(std::span(work.entries).subspan(begin, end - begin));
    if (to_apply_.empty()) return;  // It has stopped.
    services_.count_applied(end - begin);
    applicable_ -= end - begin;
    applied_of_front_ = end;
    if (end < work.entries.size()) return;
    for (raft::Message& response : work.responses) apply_responses_.push_back(std::move(response));
    to_apply_.pop_front();
    applied_of_front_ = 0;
  }
}

void Replica::apply_entries(std::span<const raft::Entry> entries) {
  const uint32_t seed = raft::group_checksum_seed(id());
  for (const raft::Entry& entry : entries) {
    if (raft::is_intact(seed, entry)) continue;
    MR_COVERAGE("entry failed its checksum before it was applied");
    services_.fatal(Status(
        StatusCode::kCorruption,
        "entry " + to_string(entry.index) + " of group " + to_string(id()) +
            " has changed in memory before it was applied: the memory of this machine is faulty, "
            "or "
            "something writes where it should not. Nothing of it was stored: test the memory, then "
            "start the node again"));
    return;
  }
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
      if (entry.data.empty()) continue;
      if (const Status known = state_machine_->check(entry.data.view()); !known) {
        flush(i);
        return stop_before(entry, known);
      }
      commands_.push_back({entry.index, entry.term, entry.data.view()});
      continue;
    }
    flush(i);
    apply_conf_change(entry);
    flush(i + 1);
  }
  flush(entries.size());
}

void Replica::flush_commands(LogIndex last_index, Term last_term) {
  results_.assign(commands_.size(), ApplyResult{});
  const Status status = state_machine_->apply(commands_, last_index, last_term, results_);
  commands_.clear();
  if (!status) services_.fatal(status);
}

void Replica::apply_conf_change(const raft::Entry& entry) {
  auto change = raft::decode_conf_change(entry.type, entry.data);
  if (!change) {
    services_.fatal(change.status());
    return;
  }
  // The core may know a newer configuration, from a snapshot that is being installed. A change
  // that is not allowed changes nothing, here and there.
  (void)conf_history_.apply(entry.index, *change);
  services_.observer().on_conf_state(id(), core_->apply_conf_change(*change));
  resolve_conf_change(entry);
}

void Replica::resolve_conf_change(const raft::Entry& entry) {
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

void Replica::finish_apply() {
  for (raft::Message& response : std::exchange(apply_responses_, {})) {
    (void)core_->step(std::move(response));
  }
  size_t bytes_done = 0;
  for (auto& [write, applied] : std::exchange(applied_writes_, {})) {
    bytes_done += write.command.size();
    WriteResult result;
    result.result = std::move(applied);
    result.index = write.index;
    result.term = write.term;
    result.leader = core_->leader();
    write.done(std::move(result));
  }
  if (bytes_done > 0) write_pace_.finished(bytes_done, services_.now());
  serve_reads();
  services_.observer().on_applied(id(), state_machine_->applied_index());
  compact();
  note_uncommitted();
  if (core_->has_ready() || writes_.waiting()) services_.activate(*this);
}

template <class Which>
void Replica::give_up_applied(const Which& which, std::string_view text) {
  const auto kept = std::stable_partition(applied_writes_.begin(), applied_writes_.end(),
                                          [&](const auto& item) { return !which(item.first); });
  if (kept == applied_writes_.end()) return;
  std::vector<std::pair<PendingWrite, ApplyResult>> ended(
      std::make_move_iterator(kept), std::make_move_iterator(applied_writes_.end()));
  applied_writes_.erase(kept, applied_writes_.end());
  for (auto& [write, applied] : ended) {
    MR_COVERAGE("applied write given up: the engine does not commit");
    WriteResult result;
    result.status = Status(StatusCode::kUnknownOutcome,
                           "the write was replicated, and this node could not store it in time: "
                           "read the key to find out. " +
                               std::string(text));
    write.done(std::move(result));
  }
}

void Replica::expire_applied(env::MonotonicTime now) {
  if (applied_writes_.empty()) return;
  give_up_applied([now](const PendingWrite& write) { return write.deadline <= now; },
                  stall_status().message());
}

void Replica::give_up_all_applied(std::string_view text) {
  give_up_applied([](const PendingWrite&) { return true; }, text);
}

// -- Reads.

void Replica::read(ReadMode mode, PendingRead read) {
  if (stopped()) {
    fail_read(std::move(read), stop_.code(), stop_.message());
    return;
  }
  // Other nodes can serve it, and only they. Group 0 has its members everywhere: there is nowhere
  // else to go.
  if (id() != GroupId{} && unfilled()) {
    MR_COVERAGE("read at a replica without its state");
    fail_read(std::move(read), StatusCode::kNotFound,
              "this node's replica of the group has not received its state yet");
    return;
  }
  if (mode == ReadMode::kLocal) {
    serve(std::move(read));
    return;
  }
  auto ticket = services_.admission().admit_read(account_);
  if (!ticket) {
    fail_read(std::move(read), ticket.status().code(), ticket.status().message());
    return;
  }
  read.ticket = std::move(*ticket);
  // The core confirms by a round where there is no lease, as in group 0.
  read.mode = mode == ReadMode::kLease ? raft::ReadMode::kLease : raft::ReadMode::kConfirmed;
  gathered_reads_.push_back(std::move(read));
  services_.activate(*this);
}

void Replica::start_read_rounds() {
  if (core_->leader() == raft::kNoReplica || read_rounds_.size() >= kReadRoundsMax) return;
  std::vector<PendingRead> confirmed, by_lease;
  for (PendingRead& read : std::exchange(gathered_reads_, {})) {
    (read.mode == raft::ReadMode::kLease ? by_lease : confirmed).push_back(std::move(read));
  }
  start_read_round(raft::ReadMode::kLease, std::move(by_lease));
  start_read_round(raft::ReadMode::kConfirmed, std::move(confirmed));
}

void Replica::start_read_round(raft::ReadMode mode, std::vector<PendingRead> reads) {
  if (reads.empty()) return;
  const raft::ReadId round(next_read_id_++);
  read_rounds_.push_back({round, services_.now(), std::move(reads)});
  core_->read_index(round, mode);
}

void Replica::handle_read_state(const raft::ReadState& state) {
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
  if (!applying && state.index <= state_machine_->applied_index()) {
    for (PendingRead& read : reads) serve(std::move(read));
    return;
  }
  if (stall_lasts()) {
    const std::string why = stall_status().message();
    for (PendingRead& read : reads) fail_read(std::move(read), StatusCode::kUnavailable, why);
    return;
  }
  auto at = std::find_if(waiting_reads_.begin(), waiting_reads_.end(),
                         [&](const WaitingRead& w) { return w.index > state.index; });
  waiting_reads_.insert(at, {state.index, std::move(reads)});
}

void Replica::serve_reads() {
  const LogIndex applied = state_machine_->applied_index();
  while (!waiting_reads_.empty() && waiting_reads_.front().index <= applied) {
    std::vector<PendingRead> reads = std::move(waiting_reads_.front().reads);
    waiting_reads_.pop_front();
    for (PendingRead& read : reads) serve(std::move(read));
  }
}

void Replica::serve(PendingRead read) {
  ReadPermit permit;
  permit.state_machine = state_machine_.get();
  permit.applied_index = state_machine_->applied_index();
  permit.term = core_->term();
  permit.leader = core_->leader();
  read.done(permit);
}

void Replica::fail_read(PendingRead read, StatusCode code, std::string_view why) {
  ReadPermit permit;
  permit.status = Status(code, std::string(why));
  permit.leader = core_->leader();
  permit.term = core_->term();
  read.done(permit);
}

}  // namespace multiraft::host
