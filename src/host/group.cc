#include "host/group.h"

#include <algorithm>

#include "base/coverage.h"
#include "raft/conf_change.h"

namespace multiraft::host {
namespace {

/// A turn goes on to the next replica after this many rounds of one.
constexpr int kReadyRoundsPerTurn = 4;

}  // namespace

Group::Group(GroupServices& services, log::GroupLog& log,
             std::unique_ptr<StateMachine> state_machine)
    : services_(services),
      log_(log),
      state_machine_(std::move(state_machine)),
      next_read_id_(services.random_u64() >> 1) {}

Group::~Group() = default;

ReplicaStatus Group::status() const {
  ReplicaStatus status;
  status.group = id();
  status.raft = core_->status();
  status.first_index = log_.first_index();
  status.last_index = core_->last_index();
  status.log_bytes = log_.bytes();
  return status;
}

bool Group::idle() const {
  return writes_.size() == 0 && !has_apply() && !applying && !installing_ &&
         behind_appends_.empty() && appends_staged_ == appends_durable_;
}

bool Group::hand_over() {
  if (core_->role() != raft::Role::kLeader) return idle();
  const raft::RaftStatus status = core_->status();
  if (status.transfer_target != raft::kNoReplica) return false;
  ReplicaId best = raft::kNoReplica;
  LogIndex best_match;
  for (const raft::MemberProgress& member : status.members) {
    if (member.learner || member.id == replica() || !member.recent_active) continue;
    if (best == raft::kNoReplica || member.match_index > best_match) {
      best = member.id;
      best_match = member.match_index;
    }
  }
  if (best == raft::kNoReplica) return idle();
  transfer_leadership(best);
  return false;
}

void Group::step(raft::Message message) {
  // An error here is a message that means nothing to this replica: a member it does not know yet or
  // any more. Raft's retries cope.
  (void)core_->step(std::move(message));
  services_.activate(*this);
}

void Group::tick() {
  // Nothing may arrive to apply any more, and the log may wait for just this.
  if (services_.disk_low()) compact();
  const env::MonotonicTime now = services_.now();
  const bool stalled = services_.disk_stalled();
  // What it would need to win, its own vote, does not become durable.
  core_->set_electable(!stalled);
  if (stalled) endure_stall();
  core_->tick();
  expire(now);
  if (!stalled) {
    yielded_ = false;
    save_commit();
  }
  if (core_->has_ready() || writes_.waiting() || !gathered_reads_.empty())
    services_.activate(*this);
}

bool Group::only_voter() const {
  const raft::ConfState& conf = core_->conf_state();
  return conf.voters_outgoing.empty() && conf.voters == std::vector<ReplicaId>{replica()};
}

void Group::endure_stall() {
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
  if (!services_.disk_stall_lasts()) return;
  const std::string why = services_.disk_stall_text();
  for (WaitingRead& waiting : std::exchange(waiting_reads_, {})) {
    // What they wait for was committed by others and is not applied before it is durable here.
    for (PendingRead& read : waiting.reads) {
      fail_read(std::move(read), StatusCode::kUnavailable, why);
    }
  }
  writes_.give_up_proposed(why);
}

void Group::write(PendingWrite write) {
  if (writes_.size() >= limits::kPendingRequestsPerWorkerMax) {
    WriteResult result;
    result.status = Status(StatusCode::kOverloaded, "too many writes wait in this group");
    write.done(std::move(result));
    return;
  }
  writes_.add(std::move(write));
  services_.activate(*this);
}

void Group::write_again(PendingWrite write) {
  // Not activated: the next tick or change of leader tries again, so that two nodes that both
  // believe the other leads do not throw a write back and forth at full speed.
  writes_.add(std::move(write));
}

void Group::change_membership(Term term, raft::ConfChange change, Callback<void(Status)> done) {
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

void Group::transfer_leadership(ReplicaId to) {
  core_->transfer_leadership(to);
  services_.activate(*this);
}

void Group::node_down(NodeId node) {
  if (core_->role() == raft::Role::kLeader) {
    for (const raft::MemberProgress& member : core_->status().members) {
      // What was on its way to it is lost: start again from what it has.
      if (member.id.node() == node && member.id != replica()) core_->report_unreachable(member.id);
    }
    return;
  }
  const ReplicaId leader = core_->leader();
  if (leader == raft::kNoReplica || leader == replica() || leader.node() != node) return;
  // The leader's process is gone, or at least its connection: do not wait for the election timeout.
  // Pre-vote makes a false alarm harmless: members that still hear the leader refuse.
  MR_COVERAGE("leader's node went down");
  core_->forget_leader();
  services_.activate(*this);
  const int64_t spread_ns = services_.options().heartbeat_ns;
  const int64_t delay_ns =
      spread_ns / 20 +
      static_cast<int64_t>(services_.random_u64() % static_cast<uint64_t>(spread_ns / 2));
  campaign_later(delay_ns);
}

void Group::campaign_later(int64_t delay_ns) {
  services_.run_later(id(), replica(), delay_ns, [](Group& group) {
    if (group.core_->leader() != raft::kNoReplica) return;
    if (group.core_->role() != raft::Role::kFollower) return;
    group.core_->campaign();
    group.services_.activate(group);
  });
}

// -- A turn.

void Group::begin_turn() {
  if (writes_.waiting()) propose_gathered();
  if (!gathered_reads_.empty()) start_read_rounds();
}

void Group::propose_gathered() {
  const ReplicaId leader = core_->leader();
  if (leader == raft::kNoReplica) return;
  std::deque<PendingWrite> writes = writes_.take_waiting();
  if (core_->role() != raft::Role::kLeader) {
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
  if (services_.disk_stalled()) {
    refuse_stalled(std::move(writes));
    return;
  }
  std::vector<SharedBytes> payloads;
  payloads.reserve(writes.size());
  for (const PendingWrite& write : writes) payloads.push_back(write.command);
  auto position = core_->propose(std::move(payloads));
  if (position) {
    writes_.proposed(std::move(writes), position->index, position->term);
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

void Group::refuse_stalled(std::deque<PendingWrite> writes) {
  const bool nobody_else = only_voter();
  for (PendingWrite& write : writes) {
    if (!write.forwarded && !(nobody_else && services_.disk_stall_lasts())) {
      writes_.add(std::move(write));  // The next leader takes it, or this one later.
      continue;
    }
    WriteResult result;
    result.status = Status(write.forwarded ? StatusCode::kNotLeader : StatusCode::kUnavailable,
                           services_.disk_stall_text());
    write.done(std::move(result));
  }
}

void Group::process_ready() {
  for (int round = 0; round < kReadyRoundsPerTurn; ++round) {
    if (installing_ || !core_->has_ready()) break;
    if (lease_) lease_->about_to_send(*core_);
    raft::Ready ready = core_->ready();
    if (ready.soft_state) handle_soft_state(*ready.soft_state);
    for (const raft::ReadState& state : ready.read_states) handle_read_state(state);
    for (raft::Message& message : ready.messages) handle_message(std::move(message));
    if (ready.append) handle_append(std::move(*ready.append));
    if (ready.apply) to_apply_.push_back(std::move(*ready.apply));
  }
  if (core_->term() != announced_term_) handle_soft_state(soft_state_);
  if (!installing_ && core_->has_ready()) services_.activate(*this);
}

void Group::handle_soft_state(const raft::SoftState& state) {
  soft_state_ = state;
  announced_term_ = core_->term();
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

void Group::handle_message(raft::Message message) {
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
  snapshots_in_flight_.push_back({message.to, message.snapshot->index, stream, services_.now()});
  services_.send_snapshot(*this, message, stream, std::move(*reader));
}

// -- Durability.

void Group::handle_append(raft::StorageAppend append) {
  if (append.hard_state) hard_state_ = *append.hard_state;
  if (append.snapshot) {
    install(std::make_shared<raft::StorageAppend>(std::move(append)));
    return;
  }
  if (!append.must_sync) {
    // Only the commit index moved. It need not be durable; what the responses assert is older.
    if (appends_staged_ == appends_durable_) {
      release(std::move(append.responses));
    } else if (!append.responses.empty()) {
      behind_appends_.push_back({appends_staged_, std::move(append.responses)});
    }
    return;
  }
  std::vector<raft::Message> responses = std::move(append.responses);
  stage(append, std::move(responses));
}

void Group::stage(const raft::StorageAppend& append, std::vector<raft::Message> responses) {
  log::GroupAppend record;
  record.group = id();
  record.snapshot = append.snapshot;
  record.entries = append.entries;
  record.must_sync = append.must_sync || append.snapshot != nullptr;
  if (hard_state_ != hard_state_saved_) {
    record.hard_state = hard_state_;
    hard_state_saved_ = hard_state_;
  }
  const uint64_t number = ++appends_staged_;
  // The replica may be gone when the disk answers, so the callback finds it anew.
  services_.log().stage(record, [&services = services_, group = id(), replica = replica(), number,
                                 responses = std::move(responses)]() mutable {
    if (Group* self = services.find(group, replica)) self->on_durable(number, std::move(responses));
  });
}

void Group::on_durable(uint64_t append, std::vector<raft::Message> responses) {
  appends_durable_ = append;
  release(std::move(responses));
  while (!behind_appends_.empty() && behind_appends_.front().append <= append) {
    std::vector<raft::Message> behind = std::move(behind_appends_.front().responses);
    behind_appends_.pop_front();
    release(std::move(behind));
  }
}

void Group::release(std::vector<raft::Message> responses) {
  for (raft::Message& message : responses) {
    if (message.to == replica()) {
      (void)core_->step(std::move(message));
    } else {
      services_.send(id(), std::move(message));
    }
  }
  services_.activate(*this);
}

void Group::save_commit() {
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

void Group::fail_all(const Status& not_applied) {
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

void Group::expire(env::MonotonicTime now) {
  writes_.expire(now, no_leader_text());
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
  // id: an old answer must never confirm a younger question (trap 15).
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

std::string Group::no_leader_text() const {
  if (services_.disk_stalled()) return services_.disk_stall_text();
  return core_->leader() == raft::kNoReplica
             ? "group " + to_string(id()) +
                   " has no leader: a majority of its voters is not reachable"
             : "group " + to_string(id()) + " could not confirm its leader in time";
}

}  // namespace multiraft::host
