#include "raft/progress.h"

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::raft {

void Progress::reset(ProgressState state) {
  state_ = state;
  append_paused_ = false;
  pending_snapshot_ = LogIndex();
  inflights.reset();
}

void Progress::become_probe() {
  // A snapshot that was taken makes its index the best guess, even where its acknowledgement is not
  // here yet.
  const LogIndex after_snapshot =
      state_ == ProgressState::kSnapshot ? pending_snapshot_ + 1 : LogIndex();
  if (state_ == ProgressState::kReplicate && inflights.full()) {
    MR_COVERAGE("raft: a full window was lost");
  }
  reset(ProgressState::kProbe);
  next = std::max(match + 1, after_snapshot);
  sent_commit_ = std::min(sent_commit_, next - 1);
}

void Progress::become_replicate() {
  reset(ProgressState::kReplicate);
  next = match + 1;
}

void Progress::become_snapshot(LogIndex snapshot_index) {
  reset(ProgressState::kSnapshot);
  pending_snapshot_ = snapshot_index;
  next = snapshot_index + 1;
  sent_commit_ = snapshot_index;
}

bool Progress::maybe_update(LogIndex index) {
  if (index <= match) return false;
  match = index;
  next = std::max(next, index + 1);
  append_paused_ = false;
  return true;
}

bool Progress::maybe_decrease(LogIndex rejected, LogIndex hint) {
  if (state_ == ProgressState::kReplicate) {
    // What is acknowledged cannot be refused later: the refusal is from before.
    if (rejected <= match) return false;
    // The window is not replayed entry by entry: probing from what is known restarts it.
    next = match + 1;
    sent_commit_ = std::min(sent_commit_, next - 1);
    return true;
  }
  // Only one probe is under way; a refusal of any other is stale.
  if (next - 1 != rejected) return false;
  if (rejected == match && match > LogIndex()) {
    // It refuses the very entry that it acknowledged: its disk has lost it. (Or the refusal is from
    // before, and very late: to count less than there is does no harm.)
    MR_COVERAGE("raft: a member refuses what it acknowledged");
    match = std::min(hint, match - 1);
  }
  next = std::max(std::min(rejected, hint + 1), match + 1);
  sent_commit_ = std::min(sent_commit_, next - 1);
  append_paused_ = false;
  return true;
}

void Progress::sent_entries(size_t count, size_t bytes) {
  switch (state_) {
    case ProgressState::kReplicate:
      if (count > 0) {
        next += count;
        inflights.add(next - 1, bytes);
      }
      append_paused_ = inflights.full();
      return;
    case ProgressState::kProbe:
      if (count > 0) append_paused_ = true;
      return;
    case ProgressState::kSnapshot:
      MR_UNREACHABLE("nothing is appended at a member that waits for a snapshot");
  }
}

MemberProgress describe(const Progress& progress) {
  MemberProgress out;
  out.id = progress.id;
  out.match_index = progress.match;
  out.next_index = progress.next;
  out.state = progress.state();
  out.learner = progress.learner;
  out.paused = progress.paused();
  out.recent_active = progress.recent_active;
  out.pending_snapshot = progress.pending_snapshot();
  out.inflight_messages = progress.inflights.count();
  out.inflight_full = progress.inflights.full();
  return out;
}

}  // namespace multiraft::raft
