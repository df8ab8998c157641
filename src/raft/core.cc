#include "raft/core.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::raft {
namespace {

/// Positions above this are nobody's: it keeps sums of what the network says from wrapping around.
constexpr uint64_t kPositionMax = uint64_t{1} << 62;

Status invalid(const char* why) { return Status(StatusCode::kInvalidArgument, why); }

LogIndex start_commit(const Config& config, const Storage& storage) {
  // A commit index is not synced by itself, so what the state machine has applied, or a snapshot
  // holds, may be ahead of it: both are committed.
  const LogIndex saved = storage.initial_state().hard_state.commit;
  return std::max({saved, config.applied, storage.first_index() - 1});
}

LogIndex start_applied(const Config& config, const Storage& storage) {
  return std::max(config.applied, storage.first_index() - 1);
}

bool is_leaders(MessageType type) {
  return type == MessageType::kApp || type == MessageType::kHeartbeat || type == MessageType::kSnap;
}

bool is_vote_request(MessageType type) {
  return type == MessageType::kVote || type == MessageType::kPreVote;
}

Status check_entry_types(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.type == EntryType::kNormal) continue;
    if (entry.type > EntryType::kConfChangeV2) return invalid("an entry of an unknown type");
    if (!decode_conf_change(entry.type, entry.data)) return invalid("a malformed change");
  }
  return Status::ok();
}

Status check_append(const Message& message) {
  LogPosition previous{message.log_term, message.index};
  for (const Entry& entry : message.entries) {
    if (entry.index != previous.index + 1) return invalid("entries with a gap");
    if (entry.term < previous.term || entry.term > message.term) {
      return invalid("entries whose terms fall or exceed their leader's");
    }
    previous = {entry.term, entry.index};
  }
  return check_entry_types(message.entries);
}

Status check_snapshot(const Message& message) {
  if (!message.snapshot || message.snapshot->empty()) return invalid("no snapshot");
  const Snapshot& snapshot = *message.snapshot;
  if (snapshot.index.value > kPositionMax || snapshot.term > message.term) {
    return invalid("a snapshot of nowhere");
  }
  return check_conf_state(snapshot.conf_state);
}

}  // namespace

Status Raft::check_start(const Config& config, const Storage& storage) {
  if (config.id == kNoReplica || config.id >= kLocalApply) return invalid("id");
  if (config.heartbeat_ticks == 0 || config.election_ticks <= config.heartbeat_ticks) {
    return invalid("the election timeout is not longer than the heartbeat interval");
  }
  if (config.inflight_messages_max == 0 || config.inflight_bytes_max == 0 ||
      config.committed_bytes_per_ready_max == 0) {
    return invalid("a limit of zero lets nothing through");
  }
  if (config.promise_ms > 0 && !config.check_quorum) {
    return invalid("leases need check_quorum");
  }
  if (config.lease && config.promise_ms == 0) {
    return invalid("a lease of a leader that would promise nothing itself");
  }
  const InitialState initial = storage.initial_state();
  MR_RETURN_IF_ERROR(check_conf_state(initial.conf_state));
  if (start_commit(config, storage) > storage.last_index()) {
    return Status(StatusCode::kCorruption, "the log ends before what is known to be committed");
  }
  if (storage.last_index() >= storage.first_index()) {
    // A term is saved with its first entry at the latest; without it the replica could vote once
    // more in a term that it has taken part in. (A log of no entries may start at a snapshot of a
    // newer term.)
    const Result<Term> last = storage.term(storage.last_index());
    if (last && *last > initial.hard_state.term) {
      return Status(StatusCode::kCorruption,
                    "the saved term is older than that of the last entry of the log");
    }
  }
  if (start_applied(config, storage) > start_commit(config, storage)) {
    return Status(StatusCode::kCorruption, "applied beyond the commit index");
  }
  return Status::ok();
}

Core::Core(const Config& config, Storage& storage)
    : config_(config),
      log_(storage, start_commit(config, storage), start_applied(config, storage),
           config.committed_bytes_per_ready_max),
      random_(config.random_seed) {
  InitialState initial = storage.initial_state();
  conf_ = std::move(initial.conf_state);
  term_ = initial.hard_state.term;
  vote_ = initial.hard_state.vote;
  // An earlier process may have answered a heartbeat just before it ended.
  if (config_.promise_ms > 0 && term_ > Term()) promised_until_tick_ = config_.election_ticks;
  become_follower(term_, kNoReplica);
  reported_soft_state_ = soft_state();
  reported_hard_state_ = hard_state();
  log_info(id(), " starts at term ", term_, " with commit ", log_.committed(), ", applied ",
           log_.applied(), ", last entry ", log_.last().term, "/", log_.last_index(), ", ", conf_);
}

Role Core::role() const { return static_cast<Role>(role_.index()); }

static_assert(
    std::is_same_v<std::variant_alternative_t<size_t(Role::kFollower), RoleState>, FollowerRole>);
static_assert(std::is_same_v<std::variant_alternative_t<size_t(Role::kPreCandidate), RoleState>,
                             PreCandidateRole>);
static_assert(
    std::is_same_v<std::variant_alternative_t<size_t(Role::kCandidate), RoleState>, CandidateRole>);
static_assert(
    std::is_same_v<std::variant_alternative_t<size_t(Role::kLeader), RoleState>, LeaderRole>);

ReplicaId Core::leader() const {
  if (const auto* follower = follower_role()) return follower->leader;
  return leader_role() ? id() : kNoReplica;
}

bool Core::committed_in_term() const {
  if (const LeaderRole* leader = leader_role()) return log_.committed() >= leader->term_start;
  return log_.matches({term_, log_.committed()});
}

// -- Messages in.

Status Core::check(const Message& message) const {
  switch (message.type) {
    case MessageType::kStorageAppendResp:
      if (message.from == kLocalAppend && message.to == id() && message.term <= term_) {
        return Status::ok();
      }
      return invalid("raft: cannot step raft local message");
    case MessageType::kStorageApplyResp:
      if (message.from == kLocalApply && message.to == id()) return Status::ok();
      return invalid("raft: cannot step raft local message");
    case MessageType::kAppResp:
    case MessageType::kVoteResp:
    case MessageType::kPreVoteResp:
    case MessageType::kHeartbeatResp:
    case MessageType::kReadIndexResp:
      if (!is_member(conf_, message.from)) return invalid("raft: cannot step as peer not found");
      break;
    case MessageType::kProp:
    case MessageType::kApp:
    case MessageType::kVote:
    case MessageType::kPreVote:
    case MessageType::kSnap:
    case MessageType::kHeartbeat:
    case MessageType::kTimeoutNow:
    case MessageType::kReadIndex:
      break;
    default:
      return invalid("raft: cannot step raft local message");
  }
  if (message.to != id()) return invalid("a message to somebody else");
  if (message.from == kNoReplica || message.from >= kLocalApply) return invalid("no sender");
  const bool durable_own = message.type == MessageType::kAppResp ||
                           message.type == MessageType::kVoteResp ||
                           message.type == MessageType::kPreVoteResp;
  if (message.from == id() && (!durable_own || message.reject)) {
    return invalid("what it does not say to itself");
  }
  for (uint64_t number : {message.term.value, message.log_term.value, message.index.value,
                          message.commit.value, message.reject_hint.value}) {
    if (number > kPositionMax) return invalid("a position of nowhere");
  }
  const bool termless =
      message.type == MessageType::kProp || message.type == MessageType::kReadIndex;
  const bool may_be_zero = message.type == MessageType::kPreVoteResp && message.reject;
  if (termless != (message.term == Term()) && !may_be_zero) return invalid("a term is missing");
  if (message.type == MessageType::kApp) return check_append(message);
  if (message.type == MessageType::kSnap) return check_snapshot(message);
  if (message.type == MessageType::kProp) {
    return message.entries.empty() ? invalid("an empty proposal")
                                   : check_entry_types(message.entries);
  }
  return Status::ok();
}

Status Core::step(Message message) {
  MR_RETURN_IF_ERROR(check(message));
  return step_checked(std::move(message));
}

Status Core::step_checked(Message message) {
  switch (message.type) {
    case MessageType::kStorageApplyResp:
      handle_storage_apply_resp(message);
      return Status::ok();
    case MessageType::kProp:
      return handle_proposal(std::move(message));
    case MessageType::kReadIndex:
      handle_read_request(message);
      return Status::ok();
    case MessageType::kVoteResp:
    case MessageType::kPreVoteResp:
      if (message.reject) learn_commit(message);
      break;
    default:
      break;
  }
  if (message.term < term_) {
    step_in_lower_term(message);
    return Status::ok();
  }
  if (message.term > term_) {
    if (is_vote_request(message.type) && !message.leadership_transfer && keeps_its_leader()) {
      // Somebody who lost contact, or left the group, must not disturb those who are well served
      // (thesis 4.2.3, 6.2).
      log_info(id(), " ignores ", message_type_name(message.type), " of ", message.from,
               " at term ", term_, ": it has heard from a leader recently");
      // The one who asks does not hear the leader: it does with the next tick (trap 12).
      if (leader_role()) heartbeat_elapsed_ = config_.heartbeat_ticks;
      return Status::ok();
    }
    step_in_higher_term(message);
  }
  return step_in_term(std::move(message));
}

void Core::step_in_higher_term(const Message& message) {
  // A pre-vote is asked, and granted, for a term that nobody has begun.
  if (message.type == MessageType::kPreVote) return;
  if (message.type == MessageType::kPreVoteResp && !message.reject) return;
  log_info(id(), " at term ", term_, " learns of term ", message.term, " by ",
           message_type_name(message.type), " of ", message.from);
  become_follower(message.term, is_leaders(message.type) ? message.from : kNoReplica);
}

void Core::step_in_lower_term(const Message& message) {
  const bool answers_stale_leaders = config_.check_quorum || config_.pre_vote;
  if (answers_stale_leaders &&
      (message.type == MessageType::kApp || message.type == MessageType::kHeartbeat)) {
    // This replica may be at a higher term that nobody else will ever learn of, because its votes
    // are ignored or it does not campaign. Then it could never rejoin: the leader must catch up in
    // term, and a removed replica must hear that the group went on (trap 7).
    MR_COVERAGE("raft: stale leader answered");
    Message answer;
    answer.type = MessageType::kAppResp;
    answer.to = message.from;
    send(std::move(answer));
    return;
  }
  if (message.type == MessageType::kPreVote) {
    log_info(id(), " rejects MsgPreVote of ", message.from, " for term ", message.term,
             ": it is at term ", term_);
    Message answer;
    answer.type = MessageType::kPreVoteResp;
    answer.to = message.from;
    answer.term = term_;
    reject_vote(std::move(answer));
    if (leader_role()) heartbeat_elapsed_ = config_.heartbeat_ticks;
    return;
  }
  if (message.type == MessageType::kStorageAppendResp) {
    if (message.index) {
      // The same position may hold another entry by now, written again in a later term and not
      // durable yet; a third term may even restore the first one. Only answers of the present term
      // say what is durable of the present tail.
      MR_COVERAGE("raft: append response of an earlier term ignored");
      log_info(id(), " [term: ", term_, "] ignored entry appends from a ",
               message_type_name(message.type), " message with lower term [term: ", message.term,
               "]");
    }
    // A snapshot is committed state, whatever the term.
    if (message.snapshot) applied_snapshot(*message.snapshot);
    return;
  }
  log_info(id(), " at term ", term_, " ignores ", message_type_name(message.type), " of ",
           message.from, " at term ", message.term);
}

Status Core::step_in_term(Message message) {
  switch (message.type) {
    case MessageType::kStorageAppendResp:
      handle_storage_append_resp(message);
      return Status::ok();
    case MessageType::kVote:
    case MessageType::kPreVote:
      handle_vote_request(message);
      return Status::ok();
    case MessageType::kVoteResp:
    case MessageType::kPreVoteResp:
      handle_vote_response(message);
      return Status::ok();
    case MessageType::kApp:
      return handle_append(std::move(message));
    case MessageType::kHeartbeat:
      return handle_heartbeat(message);
    case MessageType::kSnap:
      return handle_snapshot(std::move(message));
    case MessageType::kAppResp:
      handle_append_response(message);
      return Status::ok();
    case MessageType::kHeartbeatResp:
      handle_heartbeat_response(message);
      return Status::ok();
    case MessageType::kTimeoutNow:
      handle_timeout_now(message);
      return Status::ok();
    case MessageType::kReadIndexResp:
      handle_read_response(message);
      return Status::ok();
    default:
      MR_UNREACHABLE("check() lets no other type through");
  }
}

void Core::handle_storage_append_resp(const Message& message) {
  if (message.index) {
    switch (log_.stable_to({message.log_term, message.index})) {
      case Unstable::Stable::kDone:
        break;
      case Unstable::Stable::kMissing:
        log_routine("entry at index ", message.index, " missing from unstable log; ignoring");
        break;
      case Unstable::Stable::kIsSnapshot:
        log_info("entry at index ", message.index, " is the unstable snapshot's; ignoring");
        break;
      case Unstable::Stable::kOtherTerm:
        log_info("entry at (index,term)=(", message.index, ",", message.log_term,
                 ") mismatched with entry at (", message.index, ",",
                 *log_.unstable().term(message.index), ") in unstable log; ignoring");
        break;
    }
  }
  if (message.snapshot) applied_snapshot(*message.snapshot);
}

void Core::handle_storage_apply_resp(const Message& message) {
  if (message.index <= log_.applied() || message.index > log_.applying()) return;
  applied_to(message.index);
}

void Core::applied_snapshot(const Snapshot& snapshot) {
  log_.stable_snapshot_to(snapshot.index);
  if (snapshot.index > log_.applied() && snapshot.index <= log_.committed()) {
    applied_to(snapshot.index);
  }
}

void Core::applied_to(LogIndex index) {
  const size_t bytes = log_.applied_to(index);
  if (LeaderRole* leader = leading()) {
    // Entries of earlier terms were never counted here.
    leader->uncommitted_bytes -= std::min(bytes, leader->uncommitted_bytes);
    maybe_leave_joint();
  }
}

// -- Roles.

void Core::enter_term(Term term) {
  if (term == term_) return;
  MR_ASSERT_MSG(term > term_, "terms never fall");
  term_ = term;
  vote_ = kNoReplica;
}

void Core::reset_timers() {
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  // Drawn again for each term, so that a split vote does not repeat itself (thesis 3.4).
  randomized_election_timeout_ =
      config_.election_ticks + static_cast<uint32_t>(random_.below(config_.election_ticks));
}

void Core::become_follower(Term term, ReplicaId leader) {
  fail_reads();
  enter_term(term);
  reset_timers();
  role_ = FollowerRole{leader, {}};
  log_info(id(), " is follower at term ", term_);
}

void Core::become_pre_candidate() {
  MR_ASSERT(!leader_role());
  // Neither the term nor the vote changes: a pre-vote that fails leaves no trace. The leader is
  // forgotten and earlier votes are dropped, so that this replica takes part in others' rounds.
  fail_reads();
  role_ = PreCandidateRole{};
  log_info(id(), " is pre-candidate at term ", term_);
}

void Core::become_candidate() {
  MR_ASSERT(!leader_role());
  fail_reads();
  enter_term(term_ + 1);
  reset_timers();
  vote_ = id();
  role_ = CandidateRole{};
  log_info(id(), " is candidate at term ", term_);
}

void Core::become_leader() {
  MR_ASSERT(std::holds_alternative<CandidateRole>(role_));
  reset_timers();
  const LogIndex last = log_.last_index();
  LeaderRole leader;
  for (ReplicaId member : members_of(conf_)) {
    Progress progress(member, last + 1, config_);
    progress.learner = !is_voter(conf_, member);
    if (member == id()) {
      progress.match = last;
      progress.become_replicate();
      progress.recent_active = true;
    }
    leader.progress.push_back(std::move(progress));
  }
  // Any entry of the inherited tail may be a configuration change (trap 9).
  leader.pending_conf_index = last;
  leader.term_start = last + 1;
  role_ = std::move(leader);
  log_info(id(), " is leader at term ", term_);

  // Entries of earlier terms are committed by one of this term on top of them (thesis 3.6.2).
  const auto appended = append_own(*leading(), {make_entry(EntryType::kNormal, {})});
  MR_ASSERT(appended.is_ok());
}

// -- Time.

void Core::tick() {
  ++ticks_;
  log_.retry_reads();
  if (leader_role()) {
    tick_leader();
  } else {
    tick_election();
  }
  expire_reads();
  log_.shrink();
}

void Core::tick_election() {
  ++election_elapsed_;
  if (election_elapsed_ < randomized_election_timeout_ || !promotable()) return;
  election_elapsed_ = 0;
  campaign();
}

void Core::tick_leader() {
  ++heartbeat_elapsed_;
  ++election_elapsed_;
  if (election_elapsed_ >= config_.election_ticks) {
    election_elapsed_ = 0;
    if (config_.check_quorum) check_quorum_active(*leading());
    LeaderRole* leader = leading();
    if (leader == nullptr) return;
    // The target had its time; clients have waited long enough (trap 19).
    if (leader->transfer_target) abort_transfer(*leader);
  }
  LeaderRole& leader = *leading();
  for (Progress& member : leader.progress) member.inflights.shrink();
  if (heartbeat_elapsed_ >= config_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    broadcast_heartbeats(leader);
  }
  // A proposal to leave may have been refused, say during a transfer, and nothing may be applied
  // any more that would try it again (trap 23).
  maybe_leave_joint();
}

void Core::send(Message message) {
  message.from = id();
  switch (message.type) {
    case MessageType::kVote:
    case MessageType::kPreVote:
    case MessageType::kVoteResp:
    case MessageType::kPreVoteResp:
      break;  // Carry the term of the campaign, or this replica's, as the sender decides.
    case MessageType::kProp:
    case MessageType::kReadIndex:
      break;  // Asked on behalf of somebody: no term.
    default:
      message.term = term_;
  }
  switch (message.type) {
    case MessageType::kAppResp:
    case MessageType::kVoteResp:
    case MessageType::kPreVoteResp:
      // These promise that something is durable: they leave after it is (trap 1).
      after_append_.push_back(std::move(message));
      return;
    default:
      messages_.push_back(std::move(message));
  }
}

size_t Core::memory_bytes() const {
  size_t bytes = sizeof *this;
  for (const auto* ids :
       {&conf_.voters, &conf_.voters_outgoing, &conf_.learners, &conf_.learners_next}) {
    bytes += ids->capacity() * sizeof(ReplicaId);
  }
  if (const LeaderRole* leader = leader_role()) {
    bytes += leader->progress.capacity() * sizeof(Progress);
    for (const Progress& member : leader->progress) bytes += member.inflights.memory_bytes();
    bytes +=
        (leader->reads.held.capacity() + leader->reads.waiting.capacity()) * sizeof(PendingRead);
  }
  bytes +=
      (messages_.capacity() + after_append_.capacity() + on_advance_.capacity()) * sizeof(Message);
  bytes += read_states_.capacity() * sizeof(ReadState);
  return bytes + log_.memory_bytes();
}

}  // namespace multiraft::raft
