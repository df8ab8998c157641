// How the log of one replica is cut, and how the state is made durable so that it can be.

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "host/replica.h"

namespace multiraft::host {
namespace {

/// Between two attempts to save a state in memory while there is no room, or little.
constexpr int64_t kSaveIntervalNs = 2 * env::kSecond;
/// What a follower of an idle group keeps.
constexpr uint64_t kIdleTailEntries = 64;

}  // namespace

void Replica::state_saved(LogIndex index, bool ok, uint64_t bytes) {
  saving_state_ = false;
  if (!ok || services_.disk_low()) save_not_before_ = services_.now() + kSaveIntervalNs;
  if (!ok) {
    // Not at once: what found no room would be written again and again, as fast as the disk goes.
    MR_COVERAGE("state found no room to be saved");
    return;
  }
  state_saved_index_ = std::max(state_saved_index_, index);
  state_bytes_ = bytes;
  bytes_applied_at_last_save_ = bytes_applied_at_save_;
  compact();
}

LogIndex Replica::snapshot_floor() {
  follow_catch_up();
  LogIndex wanted = state_machine_->applied_index();
  if (services_.disk_low()) return wanted;
  // A stream that makes no progress is given up by the transport, and then it is not in this list:
  // the log is held for as long as the snapshot takes, however large it is, and no longer.
  for (const SnapshotInFlight& snapshot : snapshots_in_flight_) {
    wanted = std::min(wanted, std::max(snapshot.index, snapshot.match));
  }
  return wanted;
}

void Replica::follow_catch_up() {
  const bool any = std::any_of(snapshots_in_flight_.begin(), snapshots_in_flight_.end(),
                               [](const SnapshotInFlight& s) { return s.arrived; });
  if (!any) return;
  const env::MonotonicTime now = services_.now();
  const raft::RaftStatus status = core_->status();
  const uint64_t tail = services_.options().compaction.tail_entries;
  std::erase_if(snapshots_in_flight_, [&](SnapshotInFlight& snapshot) {
    if (!snapshot.arrived) return false;
    const auto member =
        std::find_if(status.members.begin(), status.members.end(),
                     [&](const raft::MemberProgress& m) { return m.id == snapshot.to; });
    if (member == status.members.end()) return true;  // Removed, or this replica leads no more.
    if (member->match_index > snapshot.match) {
      snapshot.match = member->match_index;
      snapshot.progress_at = now;
    }
    // From there on the tail that is kept for everybody serves it.
    if (snapshot.match.value + tail / 2 >= state_machine_->applied_index().value) return true;
    return now - snapshot.progress_at >= services_.options().catch_up_silence_ns;
  });
}

void Replica::compact() {
  if (installing_ || applying) return;
  LogFootprint held;
  held.first = log_.first_index();
  held.applied = state_machine_->applied_index();
  if (held.applied < held.first) return;
  held.bytes = log_.bytes();
  held.durable = state_machine_->in_memory() ? state_saved_index_ : state_machine_->durable_index();
  held.wanted = snapshot_floor();
  held.disk_low = services_.disk_low();
  held.saved_whole = state_machine_->in_memory();
  held.state_bytes = state_bytes_;
  held.bytes_since_saved = bytes_applied_ - bytes_applied_at_last_save_;
  const CompactionDecision cut =
      decide_compaction(services_.options().compaction, held,
                        [&](LogIndex index) { return log_.data_bytes(index, index + 1); });
  switch (cut.verdict) {
    case LogCutVerdict::kKeep:
      return;
    case LogCutVerdict::kMakeDurable:
      make_state_durable(held.applied);
      return;
    case LogCutVerdict::kCut:
      cut_log(cut.through);
      return;
  }
}

LogTail Replica::log_tail() const {
  return {id(), log_.last_index() + 1 - log_.first_index(), log_.bytes()};
}

void Replica::cut_for_room() {
  if (installing_ || applying) return;
  const LogIndex applied = state_machine_->applied_index();
  const LogIndex durable =
      state_machine_->in_memory() ? state_saved_index_ : state_machine_->durable_index();
  const LogIndex through = std::min({applied, durable, snapshot_floor()});
  if (through >= log_.first_index()) {
    MR_COVERAGE("log cut because the worker keeps too much");
    cut_log(through);
  }
  if (durable < applied) make_state_durable(applied);
}

LogIndex Replica::had_by_others() const {
  if (core_->role() != raft::Role::kLeader) {
    // Only the leader knows how far the others are. Whoever leads next serves a member that misses
    // a little; a snapshot of everything would be a high price for a few entries.
    const uint64_t last = core_->last_index().value;
    return LogIndex(last - std::min(last, kIdleTailEntries));
  }
  LogIndex had = core_->last_index();
  for (const raft::MemberProgress& member : core_->status().members) {
    had = std::min(had, member.match_index);
  }
  return had;
}

void Replica::trim_if_idle() {
  const LogIndex last = core_->last_index();
  const bool idle_since = std::exchange(last_when_trimmed_, last) == last;
  if (!idle_since || installing_ || applying || log_.first_index() > last) return;
  // Nothing is made durable for this: it waits until something else has done that.
  const LogIndex durable =
      state_machine_->in_memory() ? state_saved_index_ : state_machine_->durable_index();
  const LogIndex through =
      std::min({state_machine_->applied_index(), durable, snapshot_floor(), had_by_others()});
  if (through < log_.first_index()) return;
  MR_COVERAGE("log of an idle group trimmed");
  cut_log(through);
}

void Replica::make_state_durable(LogIndex applied) {
  const env::MonotonicTime now = services_.now();
  if (!state_machine_->in_memory()) {
    services_.request_flush(services_.options().engine(id()));
    return;
  }
  if (saving_state_ || applied <= state_saved_index_ || now < save_not_before_) return;
  auto reader = state_machine_->snapshot();
  if (!reader) return;
  saving_state_ = true;
  bytes_applied_at_save_ = bytes_applied_;
  const raft::Snapshot position{applied, state_machine_->applied_term(), conf_history_.at(applied)};
  services_.save_state(*this, position, std::move(*reader));
}

void Replica::cut_log(LogIndex through) {
  auto term = log_.term(through);
  if (!term) return;
  services_.log().compact(id(), raft::Snapshot{through, *term, conf_history_.at(through)});
  conf_history_.forget_before(through);
}

}  // namespace multiraft::host
