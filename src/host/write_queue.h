#pragma once
// The writes of one replica's clients, from arrival to the answer. Knows which of them can be
// answered "applied", "certainly not applied" or only "unknown" (docs/guarantees.md, "Writes").

#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "host/requests.h"
#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::host {

class WriteQueue {
 public:
  /// Waits to be proposed or forwarded.
  void add(PendingWrite write) { waiting_.push_back(std::move(write)); }
  bool waiting() const { return !waiting_.empty(); }
  size_t size() const { return waiting_.size() + proposed_.size(); }
  /// Takes everything that waits, oldest first.
  std::deque<PendingWrite> take_waiting() { return std::exchange(waiting_, {}); }
  /// As many as fit, oldest first; with `one_at_least` the oldest even if it does not fit.
  std::deque<PendingWrite> take_waiting(size_t bytes_max, bool one_at_least);

  /// `writes` were appended to the leader's log from `index` on, in `term`.
  void proposed(std::deque<PendingWrite> writes, LogIndex index, Term term);

  /// The entry at (index, term) has been applied. Returns the write that it is, if it is one of
  /// ours. Writes that this entry proves lost (another term at their index, or a newer term
  /// before it: terms never fall along a log) were certainly not applied: they go back to waiting,
  /// or are refused where they came from another node.
  bool applied(LogIndex index, Term term, PendingWrite& out);
  /// A snapshot replaced the log up to `index`: what became of writes up to there is unknown.
  void skipped_to(LogIndex index);

  /// The outcome of what was proposed will not be known here for a while: `text` says why.
  void give_up_proposed(std::string_view text);

  /// Answers those whose time is over: waiting ones were not applied, proposed ones are unknown.
  void expire(env::MonotonicTime now, std::string_view no_leader_text);
  /// The replica ends. `not_applied` answers waiting ones; proposed ones are unknown.
  void fail_all(const Status& not_applied);

 private:
  void lost(PendingWrite write);

  std::deque<PendingWrite> waiting_;
  std::deque<PendingWrite> proposed_;  ///< Ascending index.
};

}  // namespace multiraft::host
