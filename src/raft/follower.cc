#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "raft/core.h"

namespace multiraft::raft {

void Core::heard_from_leader(ReplicaId leader) {
  if (FollowerRole* follower = following()) {
    election_elapsed_ = 0;
    if (follower->leader == leader) return;
    fail_reads();
    follower->leader = leader;
    return;
  }
  // Somebody else won the term in which this replica campaigns.
  become_follower(term_, leader);
}

Status Core::handle_append(Message message) {
  if (leader_role()) {
    log_error(id(), " leads term ", term_, " and hears of another leader: ", message.from);
    return Status(StatusCode::kCorruption, "two leaders of one term");
  }
  heard_from_leader(message.from);
  Message answer;
  answer.type = MessageType::kAppResp;
  answer.to = message.from;
  if (message.index < log_.committed()) {
    // Old: what is committed matches, and that is all that can be said.
    answer.index = log_.committed();
    send(std::move(answer));
    return Status::ok();
  }

  const LogPosition previous{message.log_term, message.index};
  const LogView::Append append =
      log_.maybe_append(previous, std::move(message.entries), message.commit);
  switch (append.outcome) {
    case LogView::Append::Outcome::kContradiction:
      log_error(id(), " refuses entries of ", message.from, " that contradict committed ones");
      return Status(StatusCode::kCorruption, "an append contradicts committed entries");
    case LogView::Append::Outcome::kDone:
      answer.index = append.last_new;
      break;
    case LogView::Append::Outcome::kMismatch: {
      const LogPosition hint =
          log_.find_conflict(std::min(message.index, log_.last_index()), message.log_term);
      log_debug(id(), " rejects an append after ", message.log_term, "/", message.index, " of ",
                message.from);
      answer.reject = true;
      answer.index = message.index;
      answer.reject_hint = hint.index;
      answer.log_term = hint.term;
      break;
    }
  }
  send(std::move(answer));
  return Status::ok();
}

Status Core::handle_heartbeat(const Message& message) {
  if (leader_role()) return Status(StatusCode::kCorruption, "two leaders of one term");
  if (message.commit > log_.last_index()) {
    // The leader knows this replica to have more than it has: its log was lost (trap 27).
    log_error(id(), " is told of commit ", message.commit, " but its log ends at ",
              log_.last_index());
    return Status(StatusCode::kCorruption, "acknowledged entries are missing from the log");
  }
  heard_from_leader(message.from);
  log_.commit_to(message.commit);
  Message answer;
  answer.type = MessageType::kHeartbeatResp;
  answer.to = message.from;
  answer.read_id = message.read_id;
  if (config_.promise_ms > 0) {
    promised_until_tick_ = ticks_ + config_.election_ticks;
    answer.promise_ms = config_.promise_ms;
  }
  send(std::move(answer));
  return Status::ok();
}

Status Core::handle_snapshot(Message message) {
  if (leader_role()) return Status(StatusCode::kCorruption, "two leaders of one term");
  heard_from_leader(message.from);
  const bool restored = restore(message.snapshot);
  Message answer;
  answer.type = MessageType::kAppResp;
  answer.to = message.from;
  answer.index = restored ? log_.last_index() : log_.committed();
  send(std::move(answer));
  return Status::ok();
}

bool Core::restore(const std::shared_ptr<const Snapshot>& snapshot) {
  if (snapshot->index <= log_.committed()) return false;
  if (!is_member(snapshot->conf_state, id())) {
    log_warn(id(),
             " ignores a snapshot whose configuration does not name it: ", snapshot->conf_state);
    return false;
  }
  if (log_.matches({snapshot->term, snapshot->index})) {
    // The log has it all, and more perhaps: nothing to transfer, but it is committed.
    MR_COVERAGE("raft: snapshot of what the log holds");
    log_.commit_to(snapshot->index);
    return false;
  }
  log_.restore(snapshot);
  conf_ = snapshot->conf_state;
  log_info(id(), " restores a snapshot at ", snapshot->term, "/", snapshot->index,
           " with configuration ", conf_);
  return true;
}

}  // namespace multiraft::raft
