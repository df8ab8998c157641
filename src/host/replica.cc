#include "host/replica.h"

#include <algorithm>

#include "base/coverage.h"
#include "host/succession.h"
#include "raft/conf_change.h"

namespace multiraft::host {
namespace {

/// A turn goes on to the next replica after this many rounds of one.
constexpr int kReadyRoundsPerTurn = 4;

}  // namespace

Replica::Replica(ReplicaContext& services, log::GroupLog& log,
                 std::unique_ptr<StateMachine> state_machine)
    : services_(services),
      log_(log),
      state_machine_(std::move(state_machine)),
      core_logger_(services, log.group()),
      account_(services.admission().open_account()),
      next_read_id_(services.random_u64() >> 1) {}

Replica::~Replica() {
  if (stop_.code() == StatusCode::kUnsupported) services_.count_to_upgrade(-1);
}

ReplicaStatus Replica::status() const {
  ReplicaStatus status;
  status.group = id();
  status.raft = core_->status();
  status.first_index = log_.first_index();
  status.last_index = core_->last_index();
  if (const auto term = log_.term(log_.last_index())) status.last_term = *term;
  status.log_bytes = log_.bytes();
  status.stopped = stop_.message();
  return status;
}

Result<std::vector<raft::Entry>> Replica::unapplied_entries() const {
  const LogIndex first = std::max(state_machine_->applied_index() + 1, log_.first_index());
  const LogIndex end = log_.last_index() + 1;
  if (first >= end) return std::vector<raft::Entry>();
  // All of them, also those that are not in memory: the one who asks, once in the life of a cluster
  // and while the group serves nobody, is not to take a part for the whole.
  return log_.entries_now(first, end, SIZE_MAX);
}

bool Replica::idle() const {
  return writes_.size() == 0 && !has_apply() && !applying && !installing_ &&
         behind_appends_.empty() && appends_staged_ == appends_durable_;
}

bool Replica::hand_over() {
  if (core_->role() != raft::Role::kLeader) return idle();
  const raft::RaftStatus status = core_->status();
  if (status.transfer_target != raft::kNoReplica) return false;
  ReplicaId best = raft::kNoReplica;
  LogIndex best_match;
  for (const raft::MemberProgress& member : status.members) {
    if (member.learner || member.id == replica() || !member.recent_active) continue;
    // Of equals the one that goes first anyway: the others' groups are not all led by one node
    // after a rolling restart.
    if (best == raft::kNoReplica || member.match_index > best_match ||
        (member.match_index == best_match &&
         succession_score(id(), member.id.node()) > succession_score(id(), best.node()))) {
      best = member.id;
      best_match = member.match_index;
    }
  }
  if (best == raft::kNoReplica) return idle();
  transfer_leadership(best);
  return false;
}

void Replica::step(raft::Message message) {
  if (silent()) return;
  const ReplicaId from = message.from;
  const raft::MessageType type = message.type;
  const Status stepped = core_->step(std::move(message));
  // Other errors are messages that mean nothing to this replica: of a member that it does not know
  // yet or any more. Raft's retries cope.
  if (stepped.code() == StatusCode::kCorruption) stop_taking_part(from, type, stepped);
  services_.activate(*this);
}

void Replica::tick() {
  if (stopped()) tick_stopped();
  if (silent()) return;
  // Nothing may arrive to apply any more, and the log may wait for just this.
  if (services_.disk_low()) compact();
  const env::MonotonicTime now = services_.now();
  const bool stalled = this->stalled();
  // What it would need to win, its own vote, does not become durable; or it could not serve.
  core_->set_electable(!stalled && !stopped());
  if (stalled) handle_disk_stall();
  core_->tick();
  // Most groups have nobody waiting, and there may be ten thousand of them.
  if (busy() || !waiting_reads_.empty()) expire(now);
  if (!stalled) yielded_ = false;
  if (!services_.disk_stalled()) save_commit();
  if (core_->has_ready() || writes_.waiting() || !gathered_reads_.empty())
    services_.activate(*this);
}

bool Replica::only_voter() const {
  const raft::ConfState& conf = core_->conf_state();
  return conf.voters_outgoing.empty() && conf.voters == std::vector<ReplicaId>{replica()};
}

void Replica::handle_disk_stall() {
  // Nobody else can take over a group of one voter, nor have written to it: it goes on reading.
  if (core_->role() == raft::Role::kLeader && !only_voter()) {
    if (!yielded_) {
      // Whoever has the whole log is elected at once, without waiting for an election timeout.
      MR_COVERAGE("leadership offered over a stalled disk");
      yielded_ = true;
      (void)hand_over();
    } else {
      MR_COVERAGE("leader stepped down over a stalled disk");
      core_->step_down();
    }
  }
  if (!stall_lasts()) return;
  const std::string why = stall_status().message();
  for (WaitingRead& waiting : std::exchange(waiting_reads_, {})) {
    // What they wait for was committed by others and is not applied before it is durable here.
    for (PendingRead& read : waiting.reads) {
      fail_read(std::move(read), StatusCode::kUnavailable, why);
    }
  }
  writes_.give_up_proposed(why);
  give_up_all_applied(why);
}

bool Replica::stalled() const {
  return services_.disk_stalled() || (lane != nullptr && lane->stalled());
}

bool Replica::stall_lasts() const {
  return services_.disk_stall_is_long() || (lane != nullptr && lane->stall_lasts());
}

Status Replica::stall_status() const {
  if (services_.disk_stalled() || lane == nullptr || !(lane->refusing() || lane->stalled())) {
    return {StatusCode::kUnavailable,
            services_.disk_stalled() ? services_.disk_stall_message() : ""};
  }
  const StatusCode code = lane->refusal().code() == StatusCode::kNoSpace ? StatusCode::kNoSpace
                                                                         : StatusCode::kUnavailable;
  return {code, services_.engine_stall_text(*lane)};
}

void Replica::write(PendingWrite write) {
  if (refuse_if_stopped(write)) return;
  const auto refuse = [&](const Status& why) {
    WriteResult result;
    result.status = why;
    write.done(std::move(result));
  };
  if (const Status admitted = admit_backlog(write.command.size()); !admitted) {
    return refuse(admitted);
  }
  auto ticket = services_.admission().admit_write(account_, write.command.size());
  if (!ticket) return refuse(ticket.status());
  write.ticket = std::move(*ticket);
  writes_.add(std::move(write));
  services_.activate(*this);
}

/// Whoever asks gives up after the request timeout: what would wait for half of it is refused now,
/// so that what was accepted before is in time.
Status Replica::admit_backlog(size_t bytes) {
  const Load& load = account_->load();
  if (load.writes == 0) write_pace_.begin(services_.now());
  if (load.writes == 0 || core_->role() != raft::Role::kLeader ||
      !write_pace_.is_behind(load.write_bytes + bytes,
                             services_.options().request_timeout_ns / 2)) {
    return Status::ok();
  }
  MR_COVERAGE("write refused: those before it take too long");
  return {StatusCode::kOverloaded,
          "the writes that wait in this group take seconds: it was not accepted; try again after "
          "a moment"};
}

void Replica::write_again(PendingWrite write) {
  if (refuse_if_stopped(write)) return;
  // Not activated: the next tick or change of leader tries again, so that two nodes that both
  // believe the other leads do not throw a write back and forth at full speed.
  writes_.add(std::move(write));
}

void Replica::change_membership(Term term, raft::ConfChange change, Callback<void(Status)> done) {
  if (stopped()) {
    done(stop_status());
    return;
  }
  if (core_->role() != raft::Role::kLeader || core_->term() != term) {
    done(Status(StatusCode::kNotLeader, "this replica does not lead in that term"));
    return;
  }
  if (conf_change_ || core_->pending_conf_change()) {
    done(Status(StatusCode::kConflict, "another membership change is under way"));
    return;
  }
  auto position = core_->propose_conf_change(change);
  services_.activate(*this);
  if (!position) {
    done(position.status());
    return;
  }
  conf_change_ = PendingConfChange{position->index, position->term, std::move(done)};
}

void Replica::transfer_leadership(ReplicaId to) {
  core_->transfer_leadership(to);
  services_.activate(*this);
}

void Replica::retry_reads() {
  if (stopped()) return;
  core_->retry_reads();
  services_.activate(*this);
}

void Replica::member_down(NodeId node) {
  if (core_->role() != raft::Role::kLeader) return;
  const raft::ConfState& conf = core_->conf_state();
  for (const auto* ids : {&conf.voters, &conf.voters_outgoing, &conf.learners}) {
    for (const ReplicaId member : *ids) {
      // What was on its way to it is lost: start again from what it has.
      if (member.node() == node && member != replica()) core_->report_unreachable(member);
    }
  }
}

std::optional<size_t> Replica::leader_down(NodeId node) {
  const ReplicaId leader = core_->leader();
  if (leader == raft::kNoReplica || leader == replica() || leader.node() != node) {
    return std::nullopt;
  }
  // The leader's process is gone, or at least its connection: do not wait for the election timeout.
  // Pre-vote makes a false alarm harmless: members that still hear the leader refuse.
  MR_COVERAGE("leader's node went down");
  core_->forget_leader();
  services_.activate(*this);
  const std::vector<ReplicaId>& voters = core_->conf_state().voters;
  if (!std::binary_search(voters.begin(), voters.end(), replica())) return std::nullopt;
  return succession_rank(id(), voters, replica(), node);
}

void Replica::campaign_later(int64_t delay_ns) {
  services_.run_later(id(), replica(), delay_ns,
                      [](Replica& group) { group.services_.campaign(group); });
}

bool Replica::campaign() {
  if (stopped() || core_->leader() != raft::kNoReplica) return false;
  if (core_->role() != raft::Role::kFollower) return false;
  core_->campaign();
  services_.activate(*this);
  return core_->role() != raft::Role::kFollower;
}

bool Replica::busy() const {
  return writes_.size() > 0 || !applied_writes_.empty() || !gathered_reads_.empty() ||
         !read_rounds_.empty();
}

// -- A turn.

void Replica::begin_turn() {
  if (writes_.waiting()) propose_gathered();
  if (!gathered_reads_.empty()) start_read_rounds();
}

void Replica::propose_gathered() {
  const ReplicaId leader = core_->leader();
  if (leader == raft::kNoReplica) return;
  if (core_->role() != raft::Role::kLeader) {
    std::deque<PendingWrite> writes = writes_.take_waiting();
    for (PendingWrite& write : writes) {
      if (write.forwarded) {
        WriteResult result;
        result.status = Status(StatusCode::kNotLeader, "this replica does not lead");
        write.done(std::move(result));
      } else {
        services_.forward(id(), leader.node(), std::move(write));
      }
    }
    return;
  }
  if (stalled()) {
    refuse_stalled(writes_.take_waiting());
    return;
  }
  if (lane != nullptr) {
    if (const Status behind = lane->engine().keeps_up(); !behind) {
      for (PendingWrite& write : refuse_overload(writes_.take_waiting(), behind)) {
        writes_.add(std::move(write));
      }
    }
  }
  std::deque<PendingWrite> writes = take_proposals();
  if (writes.empty()) return;
  std::vector<raft::Payload> payloads;
  payloads.reserve(writes.size());
  for (const PendingWrite& write : writes) payloads.push_back({write.command, write.checksum});
  auto position = core_->propose(std::move(payloads));
  if (position) {
    writes_.proposed(std::move(writes), position->index, position->term);
    note_uncommitted();
    return;
  }
  for (PendingWrite& write : writes) {
    if (position.status().code() == StatusCode::kUnavailable && !write.forwarded) {
      writes_.add(std::move(write));  // A transfer is under way: the next leader takes it.
    } else {
      WriteResult result;
      result.status = position.status().code() == StatusCode::kUnavailable
                          ? Status(StatusCode::kNotLeader, "leadership is being handed over")
                          : position.status();
      result.leader = leader;
      write.done(std::move(result));
    }
  }
}

std::deque<PendingWrite> Replica::take_proposals() {
  note_uncommitted();
  TurnBudget& turn = services_.turn_budget();
  const size_t room = services_.admission().proposal_room(*account_);
  const size_t bytes_max = std::min(room, turn.proposals());
  const bool one_at_least = turn.proposals() > 0 && core_->uncommitted_bytes() == 0;
  std::deque<PendingWrite> writes = writes_.take_waiting(bytes_max, one_at_least);
  for (const PendingWrite& write : writes) turn.proposed(write.command.size());
  if (!writes_.waiting()) return writes;
  if (room > bytes_max) {
    MR_COVERAGE("writes wait for the next turn");
    services_.activate(*this);
  } else {
    // finish_apply() and tick() come back to them.
    MR_COVERAGE("writes wait until others are committed");
  }
  return writes;
}

void Replica::note_uncommitted() {
  services_.admission().note_uncommitted(*account_, core_->uncommitted_bytes());
}

void Replica::refuse_stalled(std::deque<PendingWrite> writes) {
  const bool nobody_else = only_voter();
  const Status why = stall_status();
  for (PendingWrite& write : writes) {
    if (!write.forwarded && !(nobody_else && stall_lasts())) {
      writes_.add(std::move(write));  // The next leader takes it, or this one later.
      continue;
    }
    WriteResult result;
    result.status = write.forwarded ? Status(StatusCode::kNotLeader, why.message()) : why;
    write.done(std::move(result));
  }
}

std::deque<PendingWrite> Replica::refuse_overload(std::deque<PendingWrite> writes,
                                                  const Status& why) {
  MR_COVERAGE("writes refused over an engine that falls behind");
  std::deque<PendingWrite> barriers;
  for (PendingWrite& write : writes) {
    if (write.command.empty()) {
      barriers.push_back(std::move(write));  // It stores nothing.
      continue;
    }
    WriteResult result;
    result.status = why;
    result.leader = core_->leader();
    write.done(std::move(result));
  }
  return barriers;
}

void Replica::process_ready() {
  if (starting_over_) return;
  // What is handed out while the engine refuses, or its disk is waited for, would pile up here,
  // without a limit over all groups.
  core_->hold_applying(stopped() || prefetching_ || (lane != nullptr && lane->refusing()));
  for (int round = 0; round < kReadyRoundsPerTurn; ++round) {
    if (!core_->has_ready()) break;
    if (lease_) lease_->about_to_send(*core_);
    raft::Ready ready = core_->ready();
    if (ready.soft_state) handle_soft_state(*ready.soft_state);
    for (const raft::ReadState& state : ready.read_states) handle_read_state(state);
    for (raft::Message& message : ready.messages) handle_message(std::move(message));
    if (ready.append) handle_append(std::move(*ready.append));
    if (ready.apply) to_apply_.push_back(std::move(*ready.apply));
  }
  if (core_->term() != announced_term_) handle_soft_state(soft_state_);
  note_uncommitted();
  if (core_->has_ready()) services_.activate(*this);
}

void Replica::handle_soft_state(const raft::SoftState& state) {
  const ReplicaId leader_before = std::exchange(soft_state_, state).leader;
  services_.leadership_changed(*this, leader_before);
  announced_term_ = core_->term();
  if (state.leader != leader_before) write_pace_.begin(services_.now());
  if (conf_change_ && state.role != raft::Role::kLeader && conf_change_->term != core_->term()) {
    // Another leader decides now whether the entry survives.
    PendingConfChange change = std::move(*conf_change_);
    conf_change_.reset();
    change.done(
        Status(StatusCode::kUnknownOutcome, "leadership was lost before the change was committed"));
  }
  services_.observer().on_leadership(id(), state, announced_term_);
  if (state.leader != raft::kNoReplica && (writes_.waiting() || !gathered_reads_.empty())) {
    services_.activate(*this);
  }
}

void Replica::handle_message(raft::Message message) {
  if (silent()) return;
  if (message.type != raft::MessageType::kSnap) {
    services_.send(id(), std::move(message));
    return;
  }
  auto reader = state_machine_->snapshot();
  if (!reader || (*reader)->applied_index() != message.snapshot->index) {
    core_->report_snapshot(message.to, false);
    return;
  }
  // A replica that leads again may still be sending one of an earlier term: the member lets that go
  // for the newer one, and its failure says nothing about this one.
  std::erase_if(snapshots_in_flight_,
                [&](const SnapshotInFlight& s) { return s.to == message.to; });
  const uint64_t stream = services_.random_u64();
  SnapshotInFlight sent;
  sent.to = message.to;
  sent.index = message.snapshot->index;
  sent.stream = stream;
  snapshots_in_flight_.push_back(sent);
  services_.send_snapshot(*this, message, stream, std::move(*reader));
}

// -- Durability.

void Replica::handle_append(raft::StorageAppend append) {
  if (installing_) {
    hold(std::move(append));
    return;
  }
  if (append.hard_state) hard_state_ = *append.hard_state;
  if (append.snapshot) {
    install(std::make_shared<raft::StorageAppend>(std::move(append)));
    return;
  }
  if (!append.must_sync) {
    // Only the commit index moved. It need not be durable; what the responses assert is older.
    release_behind(std::move(append.responses));
    return;
  }
  std::vector<raft::Message> responses = std::move(append.responses);
  stage(append, std::move(responses));
}

void Replica::hold(raft::StorageAppend append) {
  // A snapshot is being installed, which takes as long as the disk needs. What belongs behind it in
  // the log waits. Votes do not: they rest on term and vote alone, which may become durable before,
  // and without them a group that has lost another member would have no leader so long.
  std::vector<raft::Message> votes;
  raft::StorageAppend behind;
  for (raft::Message& response : append.responses) {
    const bool vote = response.type == raft::MessageType::kVoteResp ||
                      response.type == raft::MessageType::kPreVoteResp;
    if (vote) {
      votes.push_back(std::move(response));
    } else if (response.to == replica() || !append.entries.empty()) {
      behind.responses.push_back(std::move(response));
    }  // Other answers would wait in growing number: they count as lost, and are asked for again.
  }
  if (append.hard_state) {
    hard_state_.term = append.hard_state->term;
    hard_state_.vote = append.hard_state->vote;
  }
  // Not the commit index: the log on disk does not reach so far before the snapshot is in it.
  const raft::HardState promised{hard_state_.term, hard_state_.vote, hard_state_saved_.commit};
  if (promised != hard_state_saved_) {
    MR_COVERAGE("term and vote made durable while a snapshot is installed");
    stage_hard_state(promised, std::move(votes));
  } else {
    release_behind(std::move(votes));
  }
  behind.hard_state = append.hard_state;
  behind.entries = std::move(append.entries);
  if (!behind.hard_state && behind.entries.empty() && behind.responses.empty()) return;
  if (!held_.empty() && held_.back().entries.empty() && behind.entries.empty()) {
    // The newer response names the end of the log again, and the newer commit is the larger.
    if (!behind.responses.empty()) held_.back().responses = std::move(behind.responses);
    if (behind.hard_state) held_.back().hard_state = behind.hard_state;
    return;
  }
  held_.push_back(std::move(behind));
}

void Replica::release_held() {
  for (raft::StorageAppend& append : std::exchange(held_, {})) {
    // Term and vote may have become newer since, on disk as well; only the commit index counts.
    if (append.hard_state) {
      append.hard_state->term = hard_state_.term;
      append.hard_state->vote = hard_state_.vote;
    }
    append.must_sync = !append.entries.empty();
    handle_append(std::move(append));
  }
}

void Replica::release_behind(std::vector<raft::Message> responses) {
  if (responses.empty()) return;
  if (appends_staged_ == appends_durable_) {
    release(std::move(responses));
  } else {
    behind_appends_.push_back({appends_staged_, std::move(responses)});
  }
}

void Replica::stage_hard_state(const raft::HardState& state, std::vector<raft::Message> responses) {
  log::GroupAppend record;
  record.group = id();
  record.must_sync = true;
  record.hard_state = state;
  hard_state_saved_ = state;
  stage_record(record, std::move(responses));
}

void Replica::stage(const raft::StorageAppend& append, std::vector<raft::Message> responses) {
  log::GroupAppend record;
  record.group = id();
  record.snapshot = append.snapshot;
  record.entries = append.entries;
  record.must_sync = append.must_sync || append.snapshot != nullptr;
  if (hard_state_ != hard_state_saved_) {
    record.hard_state = hard_state_;
    hard_state_saved_ = hard_state_;
  }
  stage_record(record, std::move(responses));
}

void Replica::stage_record(const log::GroupAppend& record, std::vector<raft::Message> responses) {
  const uint64_t number = ++appends_staged_;
  // The replica may be gone when the disk answers, so the callback finds it again.
  services_.log().stage(record, [&services = services_, group = id(), replica = replica(), number,
                                 responses = std::move(responses)]() mutable {
    if (Replica* self = services.find(group, replica))
      self->on_durable(number, std::move(responses));
  });
}

void Replica::on_durable(uint64_t append, std::vector<raft::Message> responses) {
  appends_durable_ = append;
  release(std::move(responses));
  while (!behind_appends_.empty() && behind_appends_.front().append <= append) {
    std::vector<raft::Message> behind = std::move(behind_appends_.front().responses);
    behind_appends_.pop_front();
    release(std::move(behind));
  }
}

void Replica::release(std::vector<raft::Message> responses) {
  for (raft::Message& message : responses) {
    if (message.to == replica()) {
      (void)core_->step(std::move(message));
    } else if (!silent()) {
      services_.send(id(), std::move(message));
    }
  }
  services_.activate(*this);
}

void Replica::save_commit() {
  // Rides along with some later sync. Without it a restarted group knows less and catches up from
  // its leader.
  if (installing_ || hard_state_ == hard_state_saved_) return;
  log::GroupAppend record;
  record.group = id();
  record.hard_state = hard_state_;
  record.must_sync = false;
  hard_state_saved_ = hard_state_;
  services_.log().stage(record, nullptr);
}

void Replica::fail_all(const Status& not_applied) {
  give_up_all_applied(not_applied.message());
  fail_waiting(not_applied);
}

void Replica::fail_waiting(const Status& not_applied) {
  writes_.fail_all(not_applied);
  auto fail = [&](std::vector<PendingRead> reads) {
    for (PendingRead& read : reads) {
      fail_read(std::move(read), not_applied.code(), not_applied.message());
    }
  };
  fail(std::exchange(gathered_reads_, {}));
  for (ReadRound& round : std::exchange(read_rounds_, {})) fail(std::move(round.reads));
  for (WaitingRead& waiting : std::exchange(waiting_reads_, {})) fail(std::move(waiting.reads));
  if (conf_change_) {
    PendingConfChange change = std::move(*conf_change_);
    conf_change_.reset();
    change.done(Status(StatusCode::kUnknownOutcome, "the replica stops"));
  }
}

void Replica::expire(env::MonotonicTime now) {
  writes_.expire(now, no_leader_text());
  expire_applied(now);
  auto expire_reads = [&](std::vector<PendingRead>& reads) {
    auto alive = std::stable_partition(reads.begin(), reads.end(),
                                       [&](const PendingRead& r) { return r.deadline <= now; });
    std::vector<PendingRead> late(std::make_move_iterator(reads.begin()),
                                  std::make_move_iterator(alive));
    reads.erase(reads.begin(), alive);
    for (PendingRead& read : late) {
      fail_read(std::move(read), StatusCode::kUnavailable, no_leader_text());
    }
  };
  // A round that got no answer (lost messages, a leader that was paused) is asked again under a new
  // id: an old answer must never confirm a newer question (trap 15).
  const int64_t round_timeout_ns = 3 * services_.options().heartbeat_ns;
  while (!read_rounds_.empty() && now - read_rounds_.front().started > round_timeout_ns) {
    MR_COVERAGE("read round repeated");
    ReadRound round = std::move(read_rounds_.front());
    read_rounds_.pop_front();
    for (PendingRead& read : round.reads) gathered_reads_.push_back(std::move(read));
  }
  // After the rounds: the next turn asks again, and what goes round like this must end as well.
  expire_reads(gathered_reads_);
  for (WaitingRead& waiting : waiting_reads_) expire_reads(waiting.reads);
}

std::string Replica::no_leader_text() const {
  if (stalled() || (lane != nullptr && lane->refusing())) return stall_status().message();
  return core_->leader() == raft::kNoReplica
             ? "group " + to_string(id()) +
                   " has no leader: a majority of its voters is not reachable"
             : "group " + to_string(id()) + " could not confirm its leader in time";
}

}  // namespace multiraft::host
