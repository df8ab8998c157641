#include "host/worker.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/limits.h"
#include "host/propose_codec.h"

namespace multiraft::host {
namespace {

/// Feeds the transport from a state machine's view, on the snapshot thread.
class ReaderSource final : public transport::ChunkSource {
 public:
  explicit ReaderSource(std::unique_ptr<SnapshotReader> reader) : reader_(std::move(reader)) {}
  Status next(size_t bytes_target, std::string& chunk) override {
    return reader_->next(bytes_target, chunk);
  }

 private:
  std::unique_ptr<SnapshotReader> reader_;
};

/// From so many groups on they tick in slices.
constexpr size_t kGroupsToSpread = 64;

/// Counts what is read.
class CountingReader final : public SnapshotReader {
 public:
  CountingReader(std::unique_ptr<SnapshotReader> inner,
                 std::shared_ptr<std::atomic<uint64_t>> bytes)
      : inner_(std::move(inner)), bytes_(std::move(bytes)) {}
  LogIndex applied_index() const override { return inner_->applied_index(); }
  Term applied_term() const override { return inner_->applied_term(); }
  Status next(size_t bytes_target, std::string& chunk) override {
    MR_RETURN_IF_ERROR(inner_->next(bytes_target, chunk));
    *bytes_ += chunk.size();
    return Status::ok();
  }

 private:
  const std::unique_ptr<SnapshotReader> inner_;
  const std::shared_ptr<std::atomic<uint64_t>> bytes_;
};

}  // namespace

Worker::Worker(uint32_t index, const HostOptions& options, env::Environment& env,
               env::Executor& executor, SiblingWorkers& peers, HostObserver& observer)
    : index_(index),
      options_(options),
      env_(env),
      executor_(executor),
      peers_(peers),
      observer_(observer),
      random_(env.random_u64()),
      campaigns_(3 * options.heartbeat_ns),
      mail_(options.workers),
      arrival_([this](const std::string& text) { warn(text); }),
      forwarding_(index, random_.next(),
                  [this](GroupId group, PendingWrite write) {
                    if (Replica* owner = this->group(group)) {
                      owner->write_again(std::move(write));
                    } else {
                      WriteResult result;
                      result.status =
                          Status(StatusCode::kUnavailable, "the replica left this node");
                      write.done(std::move(result));
                    }
                  }),
      stall_(options.election_ns) {}

Worker::~Worker() { *alive_ = false; }

// -- Life.

Status Worker::open() {
  log::LogOptions options;
  options.directory = options_.state_dir + "/log/" + std::to_string(index_);
  options.writer = options_.log_writer;
  options.segment_bytes = options_.log_segment_bytes;
  options.segments_kept = options_.log_segments_kept;
  options.spares_max = options_.log_spares_max;
  options.thread_name = "log-" + std::to_string(index_);
  auto opened = log::Log::open(options, env_, executor_, [this](Status status) { fatal(status); });
  if (!opened) return opened.status();
  log_ = std::move(*opened);
  log_->notify_when_read([this](GroupId id) {
    if (Replica* found = group(id)) found->retry_reads();
  });
  warn_of(log_->stats());
  for (GroupId group : log_->groups()) MR_RETURN_IF_ERROR(open_group(group));
  recovered_any_ = !in_order_.empty();
  return Status::ok();
}

void Worker::warn_of(const log::LogStats& stats) const {
  if (!options_.on_warning) return;
  const std::string where = options_.state_dir + "/log/" + std::to_string(index_);
  if (stats.torn_bytes_cut > 0) {
    options_.on_warning(where + ": cut a torn tail of " + std::to_string(stats.torn_bytes_cut) +
                        " bytes at offset " + std::to_string(stats.torn_offset) + " of " +
                        stats.torn_file + ": a write that was under way when the process ended");
  }
  if (!stats.writer_note.empty()) {
    options_.on_warning(
        where +
        ": written with pwrite and fdatasync, since io_uring does not work: " + stats.writer_note);
  }
}

void Worker::warn_of_snapshot(const wire::SnapshotHeader& header, const Status& why) {
  // It is tried again, and fails again as often; it is reported once.
  std::string text = "snapshot of group " + to_string(header.group) + " to node " +
                     to_string(header.to.node()) + " failed: " + why.message();
  if (!options_.on_warning || text == last_snapshot_warning_) return;
  options_.on_warning(text);
  last_snapshot_warning_ = std::move(text);
}

Status Worker::open_group(GroupId id) {
  auto state_machine = options_.engine(id).open(id);
  if (!state_machine) return state_machine.status();
  if ((*state_machine)->in_memory()) {
    MR_RETURN_IF_ERROR(
        peers_.snapshots().load_state(id, log_->group(id)->replica(), **state_machine));
  }
  // What a state in memory was read from is saved.
  const LogIndex saved =
      (*state_machine)->in_memory() ? (*state_machine)->applied_index() : LogIndex{};
  auto group = Replica::start(*this, *log_->group(id), std::move(*state_machine), saved);
  if (!group) return group.status();
  remember(std::move(*group));
  return Status::ok();
}

void Worker::start() {
  transport_ = &peers_.transport().worker(index_);
  started_ = true;
  next_tick_ = now();
  schedule_tick(options_.heartbeat_ns);
  // After a restart of everything nobody leads: elect soon, spread so that ten thousand groups do
  // not do it at once (trap 48).
  const int64_t spread_ns =
      3 * options_.heartbeat_ns + static_cast<int64_t>(groups_.size()) * env::kMillisecond / 4;
  for (Replica* group : in_order_) {
    group->campaign_later(static_cast<int64_t>(random_.below(static_cast<uint64_t>(spread_ns))));
  }
  if (!active_.empty()) schedule_turn();
}

void Worker::close() {
  if (closed_) return;
  closed_ = true;
  const Status stopping(StatusCode::kUnavailable, "this node stops");
  for (auto& [id, leaving] : std::exchange(leaving_, {})) {
    for (auto& done : leaving.done) done(stopping);
  }
  for (Replica* group : in_order_) group->fail_all(stopping);
  forwarding_.fail_all();
  if (log_) log_->close();
  in_order_.clear();
  for (auto& slice : tick_slices_) slice.clear();
  groups_.clear();
  while (!answers_.empty()) run_answers();
}

std::vector<std::pair<GroupId, ReplicaId>> Worker::replicas() const {
  std::vector<std::pair<GroupId, ReplicaId>> out;
  for (const Replica* group : in_order_) out.emplace_back(group->id(), group->replica());
  return out;
}

Replica* Worker::group(GroupId id) {
  auto found = groups_.find(id.value);
  return found == groups_.end() ? nullptr : found->second.get();
}

void Worker::for_each_group(const std::function<void(Replica&)>& visit) {
  for (Replica* group : in_order_) visit(*group);
}

Replica* Worker::find(GroupId id, ReplicaId replica) {
  Replica* found = group(id);
  return found && found->replica() == replica ? found : nullptr;
}

void Worker::fatal(const Status& status) {
  if (failed_) return;
  failed_ = true;
  observer_.on_fatal(status);
}

// -- Turns.

void Worker::schedule_turn() {
  if (turn_scheduled_ || !started_ || closed_) return;
  turn_scheduled_ = true;
  executor_.defer([this, alive = alive_] {
    if (*alive) turn();
  });
}

void Worker::activate(Replica& group) {
  if (!group.active) {
    group.active = true;
    active_.push_back(&group);
  }
  schedule_turn();
}

void Worker::turn() {
  turn_scheduled_ = false;
  if (closed_ || failed_) return;
  const env::MonotonicTime began = now();
  ++counters_.turns;
  if (stall_.stalled()) watch_disk();  // Nobody is refused over a stall that has ended.
  turn_budget_.begin_turn();
  visiting_.swap(active_);
  for (Replica* group : visiting_) {
    group->active = false;
    ++counters_.groups_visited;
    group->begin_turn();
    group->process_ready();
    if (!group->applying && group->begin_apply()) group->lane->add(*group);
  }
  visiting_.clear();
  log_->flush();
  transport_->flush();
  apply_phase();
  run_answers();
  note_pause(began);
}

void Worker::note_pause(env::MonotonicTime since) {
  counters_.worker_pause_ns_max = std::max(counters_.worker_pause_ns_max, now() - since);
}

void Worker::answer(Answers::Write write) {
  answers_.add(std::move(write));
  schedule_turn();
}

void Worker::answer(Answers::Read read) {
  answers_.add(std::move(read));
  schedule_turn();
}

void Worker::run_answers() {
  answers_.run([this](GroupId id, ReplicaId replica) -> StateMachine* {
    Replica* self = find(id, replica);
    return self ? &self->state_machine() : nullptr;
  });
  // Those that a callback gave rise to, by a read of what is here, say.
  if (!answers_.empty()) schedule_turn();
}

void Worker::apply_phase() {
  bool ran = false;
  size_t bytes_left = limits::kApplyBytesPerTurnMax;
  // Answers may make replicas, and these a lane. Each turn begins with another one: where the first
  // use up what a turn may apply, the others are not always those that wait.
  ++first_lane_;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    EngineLane* const lane = lanes_[(first_lane_ + i) % lanes_.size()].get();
    if (!lane->has_work() && !lane->refusing()) continue;
    ran = true;
    const Status status = lane->run(now(), bytes_left);
    if (!status) return fatal(status);
    if (lane->take_resumed()) lane_resumed(*lane);
    if (lane->refusing()) retry_at(lane->retry_at());
    if (lane->has_work()) schedule_turn();
  }
  if (ran) transport_->flush();  // Answers to forwarded writes.
}

void Worker::lane_resumed(const EngineLane& lane) {
  // Nobody is refused over a stall that has ended, and what was held back can be applied.
  watch_engines();
  for (Replica* group : in_order_) {
    if (group->lane == &lane) activate(*group);
  }
}

void Worker::retry_at(env::MonotonicTime when) {
  if (retry_scheduled_ && *retry_scheduled_ <= when && *retry_scheduled_ > now()) return;
  retry_scheduled_ = when;
  executor_.run_at(when, [this, alive = alive_] {
    if (*alive && !closed_) schedule_turn();
  });
}

EngineLane& Worker::lane_of(GroupId group) {
  StateMachineEngine& engine = options_.engine(group);
  for (const auto& lane : lanes_) {
    if (&lane->engine() == &engine) return *lane;
  }
  EngineLane::Options options;
  options.worker = index_;
  options.stall_ns = options_.election_ns;
  options.retry_min_ns = options_.heartbeat_ns / 10;
  options.retry_max_ns = options_.heartbeat_ns;
  lanes_.push_back(std::make_unique<EngineLane>(engine, options));
  return *lanes_.back();
}

void Worker::schedule_tick(int64_t after_ns) {
  next_tick_ = std::max(next_tick_ + after_ns, now());
  executor_.run_at(next_tick_, [this, alive = alive_] {
    if (*alive) tick();
  });
}

void Worker::tick() {
  if (closed_ || failed_) return;
  note_pause(next_tick_);
  if (next_slice_ == 0) {
    watch_disk();
    watch_log();
    forwarding_.expire(
        now(), [this](NodeId node, uint64_t id) { return transport_->take_back(node, id); });
  }
  if (now() - next_tick_ > options_.heartbeat_ns) {
    // This thread, or the whole machine, stood still. Leases go by the clock and would notice, but
    // they need not be the ones to find out that a clock stood still with it.
    for (Replica* group : in_order_) group->drop_lease();
  }
  watch_engines();
  // A few groups all tick at once: waking up more often would cost more than it spreads.
  const size_t slices = next_slice_ == 0 && groups_.size() < kGroupsToSpread ? kTickSlices : 1;
  for (size_t i = 0; i < slices; ++i) {
    for (Replica* group : tick_slices_[next_slice_]) group->tick();
    next_slice_ = (next_slice_ + 1) % kTickSlices;
  }
  if (!campaigns_.empty()) start_campaigns();
  schedule_turn();
  schedule_tick(options_.heartbeat_ns / static_cast<int64_t>(kTickSlices) *
                static_cast<int64_t>(slices));
}

// -- ReplicaContext.

void Worker::send(GroupId group, raft::Message message) {
  if (stall_.stalled() && is_held_back(message)) return;
  const NodeId to = message.to.node();
  transport_->send(to, wire::GroupMessage{group, std::move(message)});
}

void Worker::run_later(GroupId group, ReplicaId replica, int64_t delay_ns,
                       Callback<void(Replica&)> task) {
  executor_.run_at(now() + delay_ns,
                   [this, alive = alive_, group, replica, task = std::move(task)]() mutable {
                     if (!*alive || closed_) return;
                     if (Replica* self = find(group, replica)) task(*self);
                   });
}

void Worker::run_blocking(Replica& group, Task work, Callback<void(Replica&)> done) {
  group.lane->read_began(group, now());
  peers_.pool().post(env::BlockingPool::Lane::kUrgent,
                     [this, alive = alive_, id = group.id(), replica = group.replica(),
                      work = std::move(work), done = std::move(done)]() mutable {
                       work();
                       executor_.post([this, alive, id, replica, done = std::move(done)]() mutable {
                         if (!*alive || closed_) return;
                         Replica* self = find(id, replica);
                         if (!self) return;
                         self->lane->read_ended(*self);
                         done(*self);
                       });
                     });
}

void Worker::forward(GroupId group, NodeId leader, PendingWrite write) {
  ++counters_.writes_forwarded;
  wire::Request request;
  request.kind = wire::RequestKind::kPropose;
  request.group = group;
  request.payload = write.command;
  request.checksum = write.checksum;
  const uint64_t id = forwarding_.add_write(group, leader, std::move(write));
  request.id = id;
  if (const Status sent = transport_->send(leader, std::move(request)); !sent) {
    // Unlike a leader that cannot be reached now, a queue that is full is no reason to wait.
    if (sent.code() == StatusCode::kUnavailable) {
      forwarding_.not_sent(id);
    } else {
      forwarding_.refused(id, sent);
    }
  }
}

void Worker::ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
                 Callback<void(Result<SharedBytes>)> done) {
  const uint64_t id = forwarding_.add_question(node, now() + timeout_ns, std::move(done));
  wire::Request request;
  request.id = id;
  request.kind = kind;
  request.payload = std::move(payload);
  if (const Status sent = transport_->send(node, std::move(request)); !sent) {
    forwarding_.refused(id, sent);
    return;
  }
  schedule_turn();
}

// -- Leaders.

void Worker::leadership_changed(Replica& group, ReplicaId leader_before) {
  const ReplicaId leader = group.known_leader();
  if (leader != leader_before) {
    if (leader_before != raft::kNoReplica) led_by_[leader_before.node().value].erase(group.id());
    if (leader != raft::kNoReplica) led_by_[leader.node().value].insert(group.id());
  }
  if (leader != raft::kNoReplica || group.core().role() == raft::Role::kFollower) {
    campaigns_.ended(group.id());
    start_campaigns();
  }
}

std::vector<Replica*> Worker::led_by(NodeId node) {
  std::vector<Replica*> groups;
  auto led = led_by_.find(node.value);
  if (led == led_by_.end()) return groups;
  for (GroupId id : led->second) groups.push_back(group(id));
  // In an order that a simulation can repeat.
  std::sort(groups.begin(), groups.end(),
            [](const Replica* a, const Replica* b) { return a->id() < b->id(); });
  return groups;
}

void Worker::campaign(Replica& group) {
  campaigns_.add({group.id(), group.replica()}, group.busy());
  start_campaigns();
}

void Worker::start_campaigns() {
  while (auto next = campaigns_.next(now())) {
    Replica* group = find(next->group, next->replica);
    if (!group || !group->campaign()) campaigns_.ended(next->group);
  }
}

void Worker::leaders_down(NodeId node) {
  // Each group has one heir that campaigns at once. Those after it do only if nothing has come of
  // that in the time that so many elections may take.
  std::map<size_t, std::vector<CampaignQueue::Entry>> heirs;
  const std::vector<Replica*> orphans = led_by(node);
  for (Replica* group : orphans) {
    if (auto rank = group->leader_down(node)) {
      heirs[*rank].push_back({group->id(), group->replica()});
    }
  }
  const int64_t step_ns =
      3 * options_.heartbeat_ns + static_cast<int64_t>(orphans.size()) * env::kMillisecond / 4;
  for (auto& [rank, entries] : heirs) {
    // The others have to notice as well before they grant a vote.
    const int64_t delay_ns = options_.heartbeat_ns / 10 + static_cast<int64_t>(rank) * step_ns;
    executor_.run_at(now() + delay_ns, [this, alive = alive_, entries = std::move(entries)] {
      if (!*alive || closed_) return;
      for (const CampaignQueue::Entry& entry : entries) {
        Replica* group = find(entry.group, entry.replica);
        if (group && group->core().leader() == raft::kNoReplica) {
          campaigns_.add(entry, group->busy());
        }
      }
      start_campaigns();
    });
  }
}

// -- Snapshots.

bool Worker::may_send_snapshot() const {
  return peers_.snapshots_sending().load(std::memory_order_relaxed) < limits::kSnapshotsSendingMax;
}

void Worker::request_flush(StateMachineEngine& engine) {
  if (peers_.flushes().take(engine, now(), disk_low())) engine.request_flush();
}

void Worker::send_snapshot(Replica& group, const raft::Message& message, uint64_t stream,
                           std::unique_ptr<SnapshotReader> reader) {
  ++peers_.snapshots_sending();
  const wire::SnapshotHeader header{group.id(),   message.from, message.to,
                                    message.term, stream,       *message.snapshot};
  peers_.transport().send_snapshot(
      message.to.node(), header, std::make_unique<ReaderSource>(std::move(reader)), executor_,
      [this, alive = alive_, header](Status status) {
        if (!*alive || closed_) return;
        --peers_.snapshots_sending();
        // Who has all of it already needs the log next.
        const bool taken = status || status.code() == StatusCode::kAlreadyExists;
        if (status) ++counters_.snapshots_sent;
        if (!taken) warn_of_snapshot(header, status);
        if (Replica* self = find(header.group, header.from)) {
          self->snapshot_sent(header.to, header.stream, taken ? Status::ok() : status);
        }
      });
}

void Worker::save_state(Replica& group, const raft::Snapshot& position,
                        std::unique_ptr<SnapshotReader> reader) {
  auto bytes = std::make_shared<std::atomic<uint64_t>>(0);
  peers_.snapshots().save_state(
      group.id(), group.replica(), position,
      std::make_unique<CountingReader>(std::move(reader), bytes),
      [this, alive = alive_, id = group.id(), replica = group.replica(), index = position.index,
       bytes](Status status) {
        executor_.post([this, alive, id, replica, index, bytes, status = std::move(status)] {
          if (!*alive || closed_) return;
          if (!status && status.code() != StatusCode::kNoSpace) {
            fatal(status);
          } else if (Replica* self = find(id, replica)) {
            self->state_saved(index, status.is_ok(), *bytes);
          }
        });
      });
}

void Worker::install_received(Replica& group, std::unique_ptr<SnapshotWriter> writer,
                              Callback<void(Replica&, const Status&)> done) {
  peers_.snapshots().install_received(
      group.id(), group.replica(), group.state_machine().in_memory(), std::move(writer),
      [this, alive = alive_, id = group.id(), replica = group.replica(),
       done = std::move(done)](Status status) mutable {
        executor_.post([this, alive, id, replica, done = std::move(done),
                        status = std::move(status)]() mutable {
          if (!*alive || closed_) return;
          if (Replica* self = find(id, replica)) done(*self, status);
        });
      });
}

void Worker::start_over(Replica& group) {
  executor_.post([this, alive = alive_, id = group.id(), replica = group.replica()] {
    if (!*alive || closed_ || !find(id, replica)) return;
    auto found = groups_.find(id.value);
    forget(*found->second);
    std::unique_ptr<Replica> old = std::move(found->second);
    groups_.erase(found);
    auto restarted = Replica::start_over(std::move(old));
    if (!restarted) return fatal(restarted.status());
    remember(std::move(*restarted));
    schedule_turn();
  });
}

void Worker::remember(std::unique_ptr<Replica> group) {
  const GroupId id = group->id();
  group->lane = &lane_of(id);
  const auto after = [](GroupId wanted, const Replica* g) { return wanted < g->id(); };
  for (std::vector<Replica*>* list : {&in_order_, &tick_slice(id)}) {
    list->insert(std::upper_bound(list->begin(), list->end(), id, after), group.get());
  }
  if (group->unfilled()) unfilled_.insert(id);
  groups_[id.value] = std::move(group);
}

void Worker::forget(const Replica& group) {
  if (auto led = led_by_.find(group.known_leader().node().value); led != led_by_.end()) {
    led->second.erase(group.id());
  }
  campaigns_.ended(group.id());
  unfilled_.erase(group.id());
  stopped_.erase(group.id());
  for (std::vector<Replica*>* list : {&active_, &visiting_, &in_order_, &tick_slice(group.id())}) {
    std::erase_if(*list, [&](const Replica* listed) { return listed == &group; });
  }
  group.lane->forget(group);
}

void Worker::warn(const std::string& text) {
  if (options_.on_warning) options_.on_warning(text);
}

bool Worker::takes_line(raft::LogLevel level) {
  if (!options_.on_core_log) return false;
  return (level == raft::LogLevel::kInfo ? info_lines_ : warning_lines_).take(now());
}

void Worker::log_line(raft::LogLevel level, const std::string& line) {
  LineLimiter& limiter = level == raft::LogLevel::kInfo ? info_lines_ : warning_lines_;
  const uint64_t suppressed = limiter.take_suppressed();
  options_.on_core_log(level, suppressed == 0 ? line
                                              : line + " (" + std::to_string(suppressed) +
                                                    " lines before it were suppressed)");
}

void Worker::count_applied(uint64_t entries) { counters_.entries_applied += entries; }
void Worker::count_install() { ++counters_.snapshots_installed; }
void Worker::count_to_upgrade(int change) {
  to_upgrade_.fetch_add(change, std::memory_order_relaxed);
}

/// Asked for every second, and by whoever reads the metrics: it does not look at every group.
HostStats Worker::stats() {
  HostStats stats = counters_;
  stats.groups = groups_.size();
  uint64_t with_leader = 0;
  for (const auto& [node, groups] : led_by_) {
    with_leader += groups.size();
    if (node == options_.identity.node.value) stats.groups_led = groups.size();
  }
  stats.groups_without_leader = stats.groups - with_leader;
  std::erase_if(unfilled_, [this](GroupId id) { return !group(id)->unfilled(); });
  stats.groups_unfilled = unfilled_.size();
  stats.replicas_stopped = stopped_.size();
  stats.replicas_to_upgrade = replicas_to_upgrade();
  stats.checksum_failures = arrival_.failures();
  stats.disk_stalls = stall_.count();
  if (stall_.stalled()) stats.disk_stalled_ns = stall_.lasted_ns();
  for (const auto& lane : lanes_) {
    stats.engine_stalls += lane->stall().count();
    if (lane->stalled()) {
      stats.engine_stalled_ns = std::max(stats.engine_stalled_ns, lane->stall().lasted_ns());
    }
  }
  if (log_) stats.log = log_->stats();
  return stats;
}

Status Worker::judge_snapshot(const wire::SnapshotHeader& header) {
  Replica* wanted = closed_ ? nullptr : find(header.group, header.to);
  if (!wanted) return {StatusCode::kNotFound, "this node has no such replica"};
  if (stall_.stalled()) return {StatusCode::kUnavailable, disk_stall_message()};
  return wanted->judge_snapshot(header.term, header.snapshot);
}

std::unique_ptr<SnapshotWriter> Worker::writer_for(const wire::SnapshotHeader& header) {
  if (!judge_snapshot(header)) return nullptr;
  auto writer = find(header.group, header.to)
                    ->state_machine()
                    .restore(header.snapshot.index, header.snapshot.term);
  return writer ? std::move(*writer) : nullptr;
}

Status Worker::snapshot_arrived(const wire::SnapshotHeader& header,
                                std::unique_ptr<SnapshotWriter> writer) {
  Replica* wanted = closed_ ? nullptr : find(header.group, header.to);
  if (!wanted) return {StatusCode::kNotFound, "this node has no such replica"};
  raft::Message message;
  message.type = raft::MessageType::kSnap;
  message.from = header.from;
  message.to = header.to;
  message.term = header.term;
  message.snapshot = std::make_shared<raft::Snapshot>(header.snapshot);
  return wanted->snapshot_received(std::move(message), std::move(writer));
}

}  // namespace multiraft::host
