// Start and snapshots of one replica: where the log and the state machine meet.

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"
#include "host/replica.h"
#include "raft/conf_change.h"
#include "raft/entry_checksum.h"

namespace multiraft::host {
namespace {

/// Where the logs of a group's founders start. Nothing precedes it, so an empty state machine fits.
constexpr LogIndex kFounderIndex{1};
/// How long a snapshot that finds no room waits before it is tried again: doubles up to the
/// maximum.
constexpr int64_t kRoomWaitMinNs = 1 * env::kSecond;
constexpr int64_t kRoomWaitMaxNs = 30 * env::kSecond;
/// The most that a member waits for the next snapshot after some that failed.
constexpr int64_t kResendWaitMaxNs = 10 * env::kSecond;

int64_t doubled(int64_t first_ns, uint32_t times, int64_t most_ns) {
  for (; times > 0 && first_ns > 0 && first_ns < most_ns; --times) first_ns *= 2;
  return std::min(first_ns, most_ns);
}

}  // namespace

Result<std::unique_ptr<Replica>> Replica::start(ReplicaContext& services, log::GroupLog& log,
                                                std::unique_ptr<StateMachine> state_machine,
                                                LogIndex saved) {
  std::unique_ptr<Replica> group(new Replica(services, log, std::move(state_machine)));
  group->state_saved_index_ = saved;
  MR_RETURN_IF_ERROR(group->recover());
  return group;
}

Result<std::unique_ptr<Replica>> Replica::start_over(std::unique_ptr<Replica> stuck) {
  // The announcement came behind all appends, and none came behind it: no callback of the log's is
  // left that could reach the new one.
  MR_ASSERT(stuck->installing_ && stuck->appends_staged_ == stuck->appends_durable_);
  stuck->fail_all(Status(StatusCode::kUnavailable, "the replica starts over"));
  auto restarted = start(stuck->services_, stuck->log_, std::move(stuck->state_machine_),
                         stuck->state_saved_index_);
  if (!restarted) return restarted;
  (*restarted)->installs_without_room_ = stuck->installs_without_room_;
  (*restarted)->no_snapshot_before_ = stuck->no_snapshot_before_;
  (*restarted)->saving_state_ = stuck->saving_state_;
  return restarted;
}

Status Replica::recover() {
  const LogIndex state_at = state_machine_->applied_index();
  MR_RETURN_IF_ERROR(complete_announced_install(state_at));
  const raft::Snapshot& mark = log_.mark();
  LogIndex applied = state_at;
  if (applied == LogIndex{} && mark.index == kFounderIndex) applied = mark.index;
  if (applied < mark.index || applied > log_.last_index()) {
    return Status(
        StatusCode::kCorruption,
        "group " + to_string(id()) + ": the state machine stands at index " + to_string(state_at) +
            " but its log holds " + to_string(log_.first_index()) + ".." +
            to_string(log_.last_index()) +
            ". Part of the state directory is missing or older than the rest. Remove this "
            "node from the cluster, wipe its state directory and join it again");
  }
  MR_RETURN_IF_ERROR(recover_configuration(applied));

  raft::InitialState initial = log_.initial_state();
  hard_state_saved_ = initial.hard_state;
  // What is applied was committed, even where the commit index on disk is older.
  initial.hard_state.commit = std::max(initial.hard_state.commit, applied);
  initial.conf_state = conf_history_.latest();
  hard_state_ = initial.hard_state;
  storage_ = std::make_unique<ReplicaStorage>(log_, std::move(initial),
                                              [this] { return offer_snapshot(); });

  const HostOptions& options = services_.options();
  raft::Config config;
  config.id = replica();
  config.election_ticks = static_cast<uint32_t>(options.election_ns / options.heartbeat_ns);
  config.heartbeat_ticks = 1;
  // Group 0 decides over all others: one round more costs less there than trust in clocks.
  const int64_t promise_ms =
      raft::promise_ns(config.election_ticks, options.heartbeat_ns) / env::kMillisecond;
  if (options.leases && id() != GroupId{} && promise_ms > 0) {
    config.promise_ms = static_cast<uint32_t>(promise_ms);
    lease_ =
        std::make_unique<ReplicaLease>(services_, raft::lease_ns(promise_ms * env::kMillisecond));
    config.lease = lease_.get();
  }
  config.applied = applied;
  config.message_bytes_max = limits::kMessageBytesMax;
  config.committed_bytes_per_ready_max = limits::kCommittedBytesPerReadyMax;
  config.uncommitted_bytes_max = limits::kUncommittedBytesMax;
  config.inflight_messages_max = limits::kInflightMessagesMax;
  config.inflight_bytes_max = limits::kInflightBytesMax;
  config.shared_window = &services_.admission().window();
  config.disable_proposal_forwarding = true;
  config.checksum_seed = raft::group_checksum_seed(id());
  config.random_seed = services_.random_u64();
  config.logger = &core_logger_;
  // What the disk says is not to be trusted blindly: the constructor would abort.
  MR_RETURN_IF_ERROR(raft::Raft::check_start(config, *storage_));
  core_ = std::make_unique<raft::Raft>(config, *storage_);
  // A group of one voter has nobody to wait for.
  const raft::ConfState& conf = conf_history_.latest();
  if (conf.voters_outgoing.empty() && conf.voters == std::vector<ReplicaId>{replica()}) {
    core_->campaign();
  }
  services_.activate(*this);
  return Status::ok();
}

Status Replica::complete_announced_install(LogIndex applied) {
  auto announced = log_.announced_install();
  if (!announced || announced->index != applied) return Status::ok();
  auto term = log_.term(applied);
  if (term && *term == announced->term) return Status::ok();  // The log reached it by itself.
  MR_COVERAGE("announced install completed at restart");
  log::GroupAppend record;
  record.group = id();
  record.snapshot = announced;
  services_.log().stage(record, nullptr);
  return Status::ok();
}

Status Replica::recover_configuration(LogIndex applied) {
  conf_history_.reset(log_.mark().index, log_.mark().conf_state);
  for (LogIndex index : log_.conf_change_indexes(log_.mark().index + 1, applied + 1)) {
    auto entries = log_.entries_now(index, index + 1, SIZE_MAX);
    if (!entries) return entries.status();
    auto change = raft::decode_conf_change(entries->front().type, entries->front().data);
    if (!change) return change.status();
    MR_RETURN_IF_ERROR(conf_history_.apply(index, *change));
  }
  return Status::ok();
}

// -- Sending.

Result<std::shared_ptr<const raft::Snapshot>> Replica::offer_snapshot() {
  const LogIndex applied = state_machine_->applied_index();
  // What is applied but not committed to the engine cannot be read consistently yet.
  if (applying || has_apply() || installing_ || applied < log_.mark().index ||
      applied == LogIndex{} || !services_.may_send_snapshot()) {
    return Status(StatusCode::kUnavailable, "no snapshot can be taken right now");
  }
  auto snapshot = std::make_shared<raft::Snapshot>();
  snapshot->index = applied;
  snapshot->term = state_machine_->applied_term();
  snapshot->conf_state = conf_history_.at(applied);
  return std::shared_ptr<const raft::Snapshot>(std::move(snapshot));
}

void Replica::snapshot_sent(ReplicaId to, uint64_t stream, const Status& status) {
  const auto ended =
      std::find_if(snapshots_in_flight_.begin(), snapshots_in_flight_.end(),
                   [&](const SnapshotInFlight& s) { return s.stream == stream && !s.arrived; });
  if (ended == snapshots_in_flight_.end()) {
    // Reporting it would end the wait for the newer one, and start a third, which would displace
    // the second, and so on for ever.
    MR_COVERAGE("outcome of a displaced snapshot ignored");
    return;
  }
  if (status) {
    // What was written while it was on its way is still needed: without it the member would be sent
    // another snapshot at once, and so on for ever (trap 43).
    ended->arrived = true;
    ended->progress_at = services_.now();
    snapshot_failures_.erase(to.value);
    core_->report_snapshot(to, true);
    services_.activate(*this);
    return;
  }
  snapshots_in_flight_.erase(ended);
  // The core asks for another one as soon as it hears of it. A member whose disk is full, say,
  // would be sent most of a snapshot again and again.
  if (status.code() == StatusCode::kOverloaded) {
    // Too many groups want to refill the same node. That says nothing about this one: it asks
    // again soon, and not in step with the others.
    const int64_t pause_ns = services_.options().heartbeat_ns;
    services_.run_later(
        id(), replica(),
        pause_ns + static_cast<int64_t>(services_.random_u64() % static_cast<uint64_t>(pause_ns)),
        [to](Replica& group) { group.resend_snapshot(to); });
    return;
  }
  const uint32_t failures = snapshot_failures_[to.value]++;
  const int64_t first_ns = status.code() == StatusCode::kNoSpace ? kRoomWaitMinNs
                           : failures == 0                       ? 0
                                                                 : services_.options().heartbeat_ns;
  services_.run_later(id(), replica(), doubled(first_ns, failures, kResendWaitMaxNs),
                      [to](Replica& group) { group.resend_snapshot(to); });
}

void Replica::resend_snapshot(ReplicaId to) {
  const bool another = std::any_of(
      snapshots_in_flight_.begin(), snapshots_in_flight_.end(),
      [&](const SnapshotInFlight& snapshot) { return snapshot.to == to && !snapshot.arrived; });
  if (another) return;
  core_->report_snapshot(to, false);
  services_.activate(*this);
}

// -- Installing.

Status Replica::judge_snapshot(Term term, const raft::Snapshot& snapshot) const {
  if (stopped()) return stop_;
  if (term < core_->term()) {
    MR_COVERAGE("snapshot of a leader whose term is over");
    return {StatusCode::kConflict, "the term of the snapshot's leader is over"};
  }
  if (snapshot.index <= core_->commit_index()) {
    MR_COVERAGE("snapshot of what is here already");
    return {StatusCode::kAlreadyExists, "the replica has all that the snapshot holds"};
  }
  if (installing_) return {StatusCode::kUnavailable, "another snapshot is being installed"};
  if (services_.now() < no_snapshot_before_) {
    return {StatusCode::kNoSpace, "the last one found no room to be installed a moment ago"};
  }
  return Status::ok();
}

Status Replica::snapshot_received(raft::Message message, std::unique_ptr<SnapshotWriter> writer) {
  MR_RETURN_IF_ERROR(judge_snapshot(message.term, *message.snapshot));
  received_ = std::move(writer);
  received_position_ = *message.snapshot;
  (void)core_->step(std::move(message));
  process_ready();
  services_.activate(*this);
  if (installing_) return Status::ok();
  received_.reset();
  return {StatusCode::kConflict, "the replica does not want the snapshot"};
}

void Replica::install(std::shared_ptr<raft::StorageAppend> append) {
  MR_ASSERT_MSG(received_ && received_position_ == *append->snapshot,
                "the core installs a snapshot that did not arrive");
  installing_ = true;
  // Three durable steps: announce, replace the state, replace the log. A crash between any two is
  // completed or undone at restart (complete_announced_install).
  services_.log().announce_install(
      id(), *append->snapshot,
      [&services = services_, group = id(), replica = replica(), append]() mutable {
        if (Replica* self = services.find(group, replica)) self->replace_state(std::move(append));
      });
}

void Replica::replace_state(std::shared_ptr<raft::StorageAppend> append) {
  if (applying || has_apply()) {  // Older entries first; the engine pushes back.
    services_.run_later(id(), replica(), services_.options().heartbeat_ns / 10,
                        [append](Replica& group) { group.replace_state(append); });
    return;
  }
  services_.install_received(
      *this, std::move(received_),
      [append](Replica& group, const Status& status) { group.finish_install(append, status); });
}

void Replica::finish_install(const std::shared_ptr<raft::StorageAppend>& append,
                             const Status& status) {
  if (status.code() == StatusCode::kNoSpace) {
    abort_install(*append->snapshot, status);
    return;
  }
  if (!status) {
    services_.fatal(status);
    return;
  }
  installs_without_room_ = 0;
  const raft::Snapshot& snapshot = *append->snapshot;
  MR_COVERAGE("snapshot installed");
  services_.count_install();
  if (state_machine_->in_memory()) state_saved_index_ = snapshot.index;
  conf_history_.reset(snapshot.index, snapshot.conf_state);
  writes_.skipped_to(snapshot.index);
  std::vector<raft::Message> responses = std::move(append->responses);
  stage(*append, std::move(responses));
  installing_ = false;
  release_held();
  services_.observer().on_conf_state(id(), snapshot.conf_state);
  services_.observer().on_applied(id(), snapshot.index);
  serve_reads();
  services_.activate(*this);
}

void Replica::abort_install(const raft::Snapshot& snapshot, const Status& why) {
  // The core has taken the snapshot and cannot give it back, but nothing was announced: what is on
  // disk is as after a crash between the announcement and the installation. So the replica starts
  // over from that, takes part with its old state, and is sent another snapshot, perhaps a smaller
  // one.
  MR_COVERAGE("snapshot given up without room");
  const int64_t wait_ns = doubled(kRoomWaitMinNs, installs_without_room_++, kRoomWaitMaxNs);
  no_snapshot_before_ = services_.now() + wait_ns;
  services_.warn("group " + to_string(id()) + ": no room to install the snapshot at index " +
                 to_string(snapshot.index) + "; it is given up, and another one is taken in " +
                 std::to_string(wait_ns / env::kSecond) + " s: " + why.message());
  start_over_when_durable();
}

void Replica::start_over_when_durable() {
  // A vote may be on its way to the disk. Its callback would reach the new replica, which counts
  // its appends from the beginning.
  if (appends_staged_ == appends_durable_) {
    starting_over_ = true;
    services_.start_over(*this);
    return;
  }
  MR_COVERAGE("starting over waits for a vote");
  services_.run_later(id(), replica(), services_.options().heartbeat_ns / 10,
                      [](Replica& group) { group.start_over_when_durable(); });
}

}  // namespace multiraft::host
