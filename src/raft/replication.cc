#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "raft/core.h"
#include "raft/entry_checksum.h"

namespace multiraft::raft {
namespace {

Status dropped(const char* why) { return Status(StatusCode::kUnavailable, why); }

}  // namespace

// -- Proposals.

Result<ProposalPosition> Core::propose(std::vector<Entry> entries) {
  MR_ASSERT(!entries.empty());
  if (leader_role()) return propose_at_leader(std::move(entries), nullptr);
  Message message;
  message.type = MessageType::kProp;
  message.from = id();
  message.entries = std::move(entries);
  MR_RETURN_IF_ERROR(handle_proposal(std::move(message)));
  return ProposalPosition{};
}

Status Core::handle_proposal(Message message) {
  if (leader_role()) return propose_at_leader(std::move(message.entries), nullptr).status();
  FollowerRole* follower = following();
  if (follower == nullptr || follower->leader == kNoReplica) {
    return dropped("raft proposal dropped: no leader");
  }
  if (config_.disable_proposal_forwarding) {
    return dropped("raft proposal dropped: not the leader");
  }
  message.to = follower->leader;
  send(std::move(message));
  return Status::ok();
}

Result<ProposalPosition> Core::propose_at_leader(std::vector<Entry> entries, bool* replaced) {
  LeaderRole& leader = *leading();
  if (find_progress(leader.progress, id()) == nullptr) {
    return dropped("raft proposal dropped: this replica left the group");
  }
  if (leader.transfer_target) {
    return dropped("raft proposal dropped: leadership is being transferred");
  }
  LogIndex pending = leader.pending_conf_index;
  const bool all_kept = screen_conf_changes(leader, entries, &pending);
  const Result<ProposalPosition> first = append_own(leader, std::move(entries));
  if (!first.is_ok()) return first;
  leader.pending_conf_index = pending;
  if (replaced != nullptr) *replaced = !all_kept;
  broadcast_appends(leader);
  return first;
}

Entry Core::make_entry(EntryType type, SharedBytes data) const {
  Entry entry;
  entry.type = type;
  entry.checksum = payload_checksum(config_.checksum_seed, data);
  entry.data = std::move(data);
  return entry;
}

Result<ProposalPosition> Core::append_own(LeaderRole& leader, std::vector<Entry> entries) {
  // One oversized proposal may enter an empty tail, or it never could. Entries without payload
  // always may: a new leader's first entry, and the way out of a joint configuration.
  const size_t bytes = payload_bytes(entries);
  const size_t limit = config_.uncommitted_bytes_max;
  if (leader.uncommitted_bytes > 0 && bytes > 0 &&
      (leader.uncommitted_bytes > limit || bytes > limit - leader.uncommitted_bytes)) {
    MR_COVERAGE("raft: proposal refused, the uncommitted tail is full");
    return Status(StatusCode::kOverloaded, "raft proposal dropped: too much is uncommitted");
  }
  leader.uncommitted_bytes += bytes;

  LogIndex index = log_.last_index();
  const ProposalPosition first{index + 1, term_};
  for (Entry& entry : entries) {
    entry.term = term_;
    entry.index = ++index;
    entry.checksum =
        entry_checksum(entry.checksum, entry.term, entry.index, entry.type, entry.data.size());
  }
  log_.append(std::move(entries));
  // The leader's own copy counts once it is durable, which may be later than the others' (thesis
  // 10.2.1).
  Message own;
  own.type = MessageType::kAppResp;
  own.to = id();
  own.index = index;
  send(std::move(own));
  return first;
}

// -- Sending.

void Core::broadcast_appends(LeaderRole& leader) {
  for (Progress& member : leader.progress) {
    if (member.id != id()) send_append(member, true);
  }
}

void Core::broadcast_pending(LeaderRole& leader) {
  for (Progress& member : leader.progress) {
    if (member.id != id()) send_append(member, false);
  }
}

void Core::retry_reads() {
  log_.retry_reads();
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  for (Progress& member : leader->progress) {
    if (member.id == id()) continue;
    // As much as the window takes: otherwise each portion would wait for the answer to the last.
    while (send_append(member, false)) {
    }
  }
}

bool Core::send_append(Progress& member, bool even_if_empty) {
  if (member.paused()) return false;
  const LogIndex previous = member.next - 1;
  const Result<Term> previous_term = log_.term(previous);
  if (!previous_term.is_ok()) return send_snapshot(member);

  // With a full window an empty append still goes out: its answer shows whether the window was
  // lost, which nothing else would.
  std::vector<Entry> entries;
  if (member.state() != ProgressState::kReplicate || !member.inflights.full()) {
    Result<std::vector<Entry>> read = log_.entries(member.next, config_.message_bytes_max);
    if (!read.is_ok()) {
      if (read.status().code() == StatusCode::kNotFound) return send_snapshot(member);
      return false;  // Not in memory, or unreadable: retry_reads() or the next heartbeat.
    }
    entries = std::move(*read);
  }
  if (entries.empty() && !even_if_empty) return false;

  const size_t count = entries.size();
  const size_t bytes = payload_bytes(entries);
  Message message;
  message.type = MessageType::kApp;
  message.to = member.id;
  message.index = previous;
  message.log_term = *previous_term;
  message.commit = log_.committed();
  message.entries = std::move(entries);
  send(std::move(message));
  member.sent_entries(count, bytes);
  member.sent_commit(log_.committed());
  return true;
}

bool Core::send_snapshot(Progress& member) {
  // A snapshot is expensive: it waits until the member shows that it lives.
  if (!member.recent_active) return false;
  Result<std::shared_ptr<const Snapshot>> snapshot = log_.storage().snapshot();
  if (!snapshot.is_ok() || *snapshot == nullptr || (*snapshot)->empty()) return false;
  log_debug(id(), " sends ", member.id, " a snapshot at ", (*snapshot)->index);
  member.become_snapshot((*snapshot)->index);
  Message message;
  message.type = MessageType::kSnap;
  message.to = member.id;
  message.snapshot = std::move(*snapshot);
  send(std::move(message));
  return true;
}

void Core::broadcast_heartbeats(LeaderRole& leader) {
  note_round_sent(leader);
  for (Progress& member : leader.progress) {
    if (member.id == id()) continue;
    // Not beyond what the member is known to have: the rest of its log may differ from this one.
    const LogIndex commit = std::min(member.match, log_.committed());
    Message message;
    message.type = MessageType::kHeartbeat;
    message.to = member.id;
    message.commit = commit;
    message.read_id = ReadId(leader.reads.last_round);
    send(std::move(message));
    member.sent_commit(commit);
  }
}

// -- Answers.

void Core::handle_append_response(const Message& message) {
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  Progress* member = find_progress(leader->progress, message.from);
  if (member == nullptr) return;
  member->recent_active = true;
  if (message.reject) {
    handle_rejection(*member, message);
  } else if (message.index <= log_.last_index()) {
    handle_acceptance(*leader, *member, message.index);
  }
}

void Core::handle_rejection(Progress& member, const Message& message) {
  // The member names the end of its log, and its term there. Entries of this log with a newer
  // term cannot be in the member's log at or below that place, so a whole term is skipped at a time
  // (thesis 3.5, "if desired").
  LogIndex hint = message.reject_hint;
  if (message.log_term > Term()) hint = log_.find_conflict(hint, message.log_term).index;
  const LogIndex acknowledged = member.match;
  if (!member.maybe_decrease(message.index, hint)) return;
  if (member.match < acknowledged) {
    log_error(id(), ": member ", member.id, " refuses entry ", acknowledged,
              " that it has acknowledged: it lost a part of its log");
  }
  log_debug(id(), " probes ", member.id, " at ", member.next, " after a rejection of ",
            message.index);
  if (member.state() == ProgressState::kReplicate) member.become_probe();
  send_append(member, true);
}

void Core::handle_acceptance(LeaderRole& leader, Progress& member, LogIndex index) {
  // An answer that tells nothing new still ends probing: the member has what it was asked for.
  const bool news = member.maybe_update(index);
  const bool probed = member.match == index && member.state() == ProgressState::kProbe;
  if (!news && !probed) return;
  switch (member.state()) {
    case ProgressState::kProbe:
      member.become_replicate();
      break;
    case ProgressState::kSnapshot:
      // Whatever it was sent: what it has reaches what this log still holds.
      if (member.match + 1 >= log_.first_index()) {
        member.become_probe();
        member.become_replicate();
      }
      break;
    case ProgressState::kReplicate:
      member.inflights.free_up_to(index);
      break;
  }

  const bool self = member.id == id();
  if (maybe_commit(leader)) {
    release_held_reads(leader);
    broadcast_appends(leader);
  } else if (!self && member.can_bump_commit(log_.committed())) {
    send_append(member, true);
  }
  if (self) return;
  // The window has room again.
  while (send_append(member, false)) {
  }
  if (leader.transfer_target == member.id && member.match == log_.last_index()) {
    send_timeout_now(leader);
  }
}

void Core::handle_heartbeat_response(const Message& message) {
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  Progress* member = find_progress(leader->progress, message.from);
  if (member == nullptr) return;
  member->recent_active = true;
  member->unpause();
  // A heartbeat's answer is the retransmission timer: what was lost is sent, or found missing, now.
  if (member->match < log_.last_index() || member->state() == ProgressState::kProbe) {
    send_append(*member, true);
  }
  const uint64_t round = message.read_id.value;
  if (round > member->acked_round && round <= leader->reads.last_round) {
    member->acked_round = round;
    // Members may be configured differently, say while leases are being switched on.
    if (message.promise_ms >= config_.promise_ms) member->promised_round = round;
    release_confirmed_reads(*leader);
  }
}

bool Core::maybe_commit(LeaderRole& leader) {
  const LogIndex index(quorum_index(conf_, [&](ReplicaId voter) {
    const Progress* member = find_progress(leader.progress, voter);
    return member == nullptr ? uint64_t{0} : member->match.value;
  }));
  // Only entries of its own term are committed by counting; those before them are committed along
  // with them (thesis 3.6.2, figure 3.7; trap 5).
  if (index <= log_.committed() || index < leader.term_start) return false;
  log_.commit_to(index);
  return true;
}

void Core::report_unreachable(ReplicaId id_of_member) {
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  Progress* member = find_progress(leader->progress, id_of_member);
  // Optimistic appends were probably lost: find out where the member stands.
  if (member != nullptr && member->state() == ProgressState::kReplicate) member->become_probe();
}

void Core::report_snapshot(ReplicaId id_of_member, bool ok) {
  LeaderRole* leader = leading();
  if (leader == nullptr) return;
  Progress* member = find_progress(leader->progress, id_of_member);
  if (member == nullptr || member->state() != ProgressState::kSnapshot) return;
  if (!ok) member->snapshot_failed();
  member->become_probe();
  // Sent: the member's own answer tells that it is installed. Failed: it gets a moment.
  member->pause();
}

}  // namespace multiraft::raft
