// How the log of one replica is cut, and how the state is made durable so that it can be.

#include <algorithm>

#include "base/coverage.h"
#include "host/group.h"

namespace multiraft::host {
namespace {

constexpr int64_t kFlushIntervalNs = 2 * env::kSecond;
/// Between two attempts to save a state in memory while there is no room, or little.
constexpr int64_t kSaveIntervalNs = 2 * env::kSecond;

}  // namespace

void Group::state_saved(LogIndex index, bool ok) {
  saving_state_ = false;
  if (!ok || services_.disk_low()) save_not_before_ = services_.now() + kSaveIntervalNs;
  if (!ok) {
    // Not at once: what found no room would be written again and again, as fast as the disk goes.
    MR_COVERAGE("state found no room to be saved");
    return;
  }
  state_saved_index_ = std::max(state_saved_index_, index);
  compact();
}

LogIndex Group::wanted_by_snapshots() const {
  LogIndex wanted = state_machine_->applied_index();
  if (services_.disk_low()) return wanted;
  for (const SnapshotInFlight& snapshot : snapshots_in_flight_) {
    // A crawling one no longer holds it back (trap 43).
    if (services_.now() - snapshot.started < services_.options().snapshot_protects_log_ns) {
      wanted = std::min(wanted, snapshot.index);
    }
  }
  return wanted;
}

void Group::compact() {
  if (installing_ || applying) return;
  LogHeld held;
  held.first = log_.first_index();
  held.applied = state_machine_->applied_index();
  if (held.applied < held.first) return;
  held.bytes = log_.bytes();
  held.durable = state_machine_->in_memory() ? state_saved_index_ : state_machine_->durable_index();
  held.wanted = wanted_by_snapshots();
  held.disk_low = services_.disk_low();
  const LogCut cut = decide_log_cut(services_.options().log_cut, held, [&](LogIndex index) {
    return log_.data_bytes(index, index + 1);
  });
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

void Group::make_state_durable(LogIndex applied) {
  const env::MonotonicTime now = services_.now();
  if (!state_machine_->in_memory()) {
    if (now - flush_asked_ <= kFlushIntervalNs) return;
    flush_asked_ = now;
    services_.options().engine(id()).request_flush();
    return;
  }
  if (saving_state_ || applied <= state_saved_index_ || now < save_not_before_) return;
  auto reader = state_machine_->snapshot();
  if (!reader) return;
  saving_state_ = true;
  const raft::Snapshot position{applied, state_machine_->applied_term(), conf_history_.at(applied)};
  services_.save_state(*this, position, std::move(*reader));
}

void Group::cut_log(LogIndex through) {
  auto term = log_.term(through);
  if (!term) return;
  services_.log().compact(id(), raft::Snapshot{through, *term, conf_history_.at(through)});
  conf_history_.forget_before(through);
}

}  // namespace multiraft::host
