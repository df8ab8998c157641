#pragma once
// What a leader knows about one member's log, and the flow control of what it sends there.

#include <cstdint>
#include <optional>
#include <vector>

#include "multiraft/types.h"
#include "raft/inflights.h"
#include "raft/raft.h"
#include "raft/types.h"

namespace multiraft::raft {

/// Exists on leaders only.
///
///   Probe      the member's log end is not known: one append at a time, until it answers.
///   Replicate  it is known: appends are sent optimistically, as many as the window allows.
///   Snapshot   the member needs what is compacted: nothing is sent until it has the snapshot.
///
/// Invariant: match < next; entries up to `match` are durable at the member.
class Progress {
 public:
  Progress(ReplicaId member, LogIndex first_next, const Config& config)
      : id(member),
        next(first_next),
        inflights(config.inflight_messages_max, config.inflight_bytes_max, config.shared_window) {}

  void become_probe();
  void become_replicate();
  void become_snapshot(LogIndex snapshot_index);

  /// The member holds everything up to `index`. False: that is old news.
  bool maybe_update(LogIndex index);
  /// The member refused an append whose previous entry was `rejected`; `hint` is where the logs may
  /// agree. False: the refusal answers an append that does not matter any more.
  bool maybe_decrease(LogIndex rejected, LogIndex hint);
  /// Notes an append that was just sent.
  void sent_entries(size_t count, size_t bytes);
  void sent_commit(LogIndex commit) { sent_commit_ = commit; }
  /// Whether telling the member of `commit` could let it commit more of what it was already sent.
  bool can_bump_commit(LogIndex commit) const {
    return commit > sent_commit_ && sent_commit_ < next - 1;
  }

  bool paused() const { return state_ == ProgressState::kSnapshot || append_paused_; }
  /// Lets one more append through: after a sign of life, or when something new must be tried.
  void unpause() { append_paused_ = false; }
  void pause() { append_paused_ = true; }
  /// The snapshot did not arrive: probe from what the member had before.
  void snapshot_failed() { pending_snapshot_ = LogIndex(); }

  ProgressState state() const { return state_; }
  LogIndex pending_snapshot() const { return pending_snapshot_; }

  ReplicaId id;
  LogIndex match;
  LogIndex next;
  bool learner = false;
  /// Heard from since check-quorum last looked.
  bool recent_active = false;
  /// The newest round of heartbeats that the member has answered (read_index.h).
  uint64_t acked_round = 0;
  /// The newest that it has answered with a promise as long as this leader's own would be.
  uint64_t promised_round = 0;
  Inflights inflights;

 private:
  void reset(ProgressState state);

  LogIndex sent_commit_;
  LogIndex pending_snapshot_;  ///< Its index, in Snapshot.
  ProgressState state_ = ProgressState::kProbe;
  bool append_paused_ = false;
};

/// Ids ascend.
using ProgressList = std::vector<Progress>;

/// Null: not a member.
inline Progress* find_progress(ProgressList& list, ReplicaId id) {
  for (Progress& progress : list) {
    if (progress.id == id) return &progress;
  }
  return nullptr;
}
inline const Progress* find_progress(const ProgressList& list, ReplicaId id) {
  return find_progress(const_cast<ProgressList&>(list), id);
}

MemberProgress describe(const Progress& progress);

}  // namespace multiraft::raft
