#include "host/node_host.h"

#include <algorithm>
#include <atomic>

#include "base/coverage.h"
#include "host/worker.h"
#include "raft/entry_checksum.h"

namespace multiraft::host {
namespace {

/// Runs `done(args...)` on `executor`, always as a task of its own: who calls this may be in the
/// middle of a replica, and the callback may destroy it.
template <class Done, class... Args>
void reply(env::Executor& executor, Done done, Args... args) {
  executor.post(
      [done = std::move(done), ... args = std::move(args)]() mutable { done(std::move(args)...); });
}

constexpr uint32_t kWorkersMax = 64;
/// For work that waits for the disk: cold reads, removals.
constexpr size_t kPoolThreads = 4;

/// A group stays on its worker's log for good, so the number of workers that the state directory
/// was made with is kept.
Result<uint32_t> fixed_worker_count(env::FileSystem& fs, const HostOptions& options) {
  const std::string path = options.state_dir + "/log/workers";
  MR_RETURN_IF_ERROR(fs.create_directories(options.state_dir + "/log"));
  // Before anything in it counts: what is synced in a directory goes with the directory's own name.
  MR_RETURN_IF_ERROR(fs.sync_directory(options.state_dir));
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (*exists) {
    auto text = fs.read_file(path);
    if (!text) return text.status();
    uint32_t count = 0;
    for (char c : *text) {
      if (c >= '0' && c <= '9' && count <= kWorkersMax)
        count = count * 10 + static_cast<uint32_t>(c - '0');
    }
    if (count == 0 || count > kWorkersMax) {
      return Status(StatusCode::kCorruption, path + ": offset 0: not a number of workers");
    }
    return count;
  }
  const uint32_t count = std::clamp<uint32_t>(options.workers, 1, kWorkersMax);
  MR_RETURN_IF_ERROR(fs.write_file_atomically(path, std::to_string(count) + "\n"));
  return count;
}

void add(const HostStats& part, HostStats& sum) {
  sum.groups += part.groups;
  sum.groups_led += part.groups_led;
  sum.groups_without_leader += part.groups_without_leader;
  sum.groups_unfilled += part.groups_unfilled;
  sum.turns += part.turns;
  sum.groups_visited += part.groups_visited;
  sum.entries_applied += part.entries_applied;
  sum.writes += part.writes;
  sum.reads += part.reads;
  sum.writes_forwarded += part.writes_forwarded;
  sum.stray_messages += part.stray_messages;
  sum.checksum_failures += part.checksum_failures;
  sum.replicas_stopped += part.replicas_stopped;
  sum.replicas_to_upgrade += part.replicas_to_upgrade;
  sum.snapshots_sent += part.snapshots_sent;
  sum.snapshots_installed += part.snapshots_installed;
  sum.worker_pause_ns_max = std::max(sum.worker_pause_ns_max, part.worker_pause_ns_max);
  sum.disk_stalls += part.disk_stalls;
  sum.disk_stalled_ns = std::max(sum.disk_stalled_ns, part.disk_stalled_ns);
  sum.engine_stalls += part.engine_stalls;
  sum.engine_stalled_ns = std::max(sum.engine_stalled_ns, part.engine_stalled_ns);
  sum.log.batches += part.log.batches;
  sum.log.records += part.log.records;
  sum.log.bytes_written += part.log.bytes_written;
  sum.log.syncs += part.log.syncs;
  sum.log.no_space |= part.log.no_space;
  sum.log.segments += part.log.segments;
  sum.log.segments_recycled += part.log.segments_recycled;
  sum.log.entries_rewritten += part.log.entries_rewritten;
  sum.log.cache_bytes += part.log.cache_bytes;
  sum.log.index_bytes += part.log.index_bytes;
  sum.log.entries += part.log.entries;
  sum.log.entry_bytes += part.log.entry_bytes;
  sum.log.read_bytes += part.log.read_bytes;
  sum.log.cache_misses += part.log.cache_misses;
  sum.log.torn_bytes_cut += part.log.torn_bytes_cut;
  sum.log.sync_ns_total += part.log.sync_ns_total;
  sum.log.sync_ns_max = std::max(sum.log.sync_ns_max, part.log.sync_ns_max);
}

/// A mixer, so that groups spread over workers whatever pattern their numbers follow.
uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

class NodeHostImpl final : public NodeHost, public SiblingWorkers {
 public:
  NodeHostImpl(HostOptions options, env::Environment& env, HostObserver& observer)
      : options_(std::move(options)), env_(env), observer_(observer) {}
  ~NodeHostImpl() override { stop(); }

  Status open();

  // -- NodeHost
  uint32_t workers() const override { return static_cast<uint32_t>(workers_.size()); }
  uint32_t worker_of(GroupId group) const override {
    return static_cast<uint32_t>(mix(group.value) % workers_.size());
  }
  env::Executor& executor(uint32_t worker) override { return *executors_[worker]; }
  transport::Transport& transport() override { return *transport_; }
  env::BlockingPool& pool() override { return *pool_; }  // And for the workers.
  std::vector<std::pair<GroupId, ReplicaId>> recovered() const override { return recovered_; }

  void create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                      env::Executor& reply_on, Callback<void(Status)> done) override;
  void destroy_replica(GroupId group, ReplicaId replica, env::Executor& reply_on,
                       Callback<void(Status)> done) override;
  void write(GroupId group, SharedBytes command, env::Executor& reply_on,
             Callback<void(WriteResult)> done) override;
  void read(GroupId group, ReadMode mode, Callback<void(ReadPermit)> done) override;
  void change_membership(GroupId group, Term term, raft::ConfChange change, env::Executor& reply_on,
                         Callback<void(Status)> done) override;
  void barrier(GroupId group, env::Executor& reply_on, Callback<void(Status)> done) override;
  void transfer_leadership(GroupId group, ReplicaId to) override;
  void status(GroupId group, env::Executor& reply_on,
              Callback<void(Result<ReplicaStatus>)> done) override;
  void unapplied_entries(GroupId group, env::Executor& reply_on,
                         Callback<void(Result<std::vector<raft::Entry>>)> done) override;
  void list(env::Executor& reply_on, Callback<void(std::vector<ReplicaStatus>)> done) override;
  void stats(env::Executor& reply_on, Callback<void(HostStats)> done) override;
  void ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
           env::Executor& reply_on, Callback<void(Result<SharedBytes>)> done) override;
  void drain(int64_t timeout_ns, env::Executor& reply_on, Callback<void()> done) override;
  void stop() override;

  // -- SiblingWorkers
  Worker& worker(uint32_t index) override { return *workers_[index]; }
  std::optional<int64_t> disk_stalled_ns() const override;
  std::optional<int64_t> engine_stalled_ns() const override;
  uint64_t replicas_to_upgrade() const override;
  SnapshotStore& snapshots() override { return *snapshots_; }
  StateRemover& remover() override { return *remover_; }
  const DiskGuard& disk() const override { return *disk_; }
  FlushPacer& flushes() override { return flushes_; }
  std::atomic<uint32_t>& snapshots_sending() override { return snapshots_sending_; }

 private:
  Worker& owner(GroupId group) { return *workers_[worker_of(group)]; }
  /// Runs task(worker) on the group's worker's thread, as a task of its own: it adds or removes a
  /// replica, and the caller may be in the middle of one.
  template <class F>
  void post_to_owner(GroupId group, F task) {
    Worker& worker = owner(group);
    worker.executor().post([&worker, task = std::move(task)]() mutable { task(worker); });
  }
  /// Runs task(worker) on the group's worker's thread, at once if this is it.
  template <class F>
  void on_owner(GroupId group, F task) {
    Worker& worker = owner(group);
    if (worker.executor().in_executor()) {
      task(worker);
    } else {
      worker.executor().post([&worker, task = std::move(task)]() mutable { task(worker); });
    }
  }
  /// Calls visit(worker, sum) on every worker's thread in turn, then done(sum) on `reply_on`.
  template <class Sum, class Visit>
  void gather(env::Executor& reply_on, Visit visit, Callback<void(Sum)> done);
  Status open_workers();
  void make_disk_guard();
  void disk_changed(DiskState state, const std::string& text);
  void make_snapshot_store();
  void find_leftovers();
  Status start_transport();
  void check_drained(env::MonotonicTime deadline, std::shared_ptr<Callback<void()>> done);

  HostOptions options_;
  env::Environment& env_;
  HostObserver& observer_;
  std::vector<std::unique_ptr<env::Executor>> executors_;
  std::unique_ptr<env::Executor> snapshot_executor_;
  std::unique_ptr<SnapshotStore> snapshots_;
  std::unique_ptr<DiskGuard> disk_;
  FlushPacer flushes_;
  std::atomic<uint32_t> snapshots_sending_{0};
  std::unique_ptr<env::BlockingPool> pool_;
  std::unique_ptr<StateRemover> remover_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<transport::Transport> transport_;
  std::vector<std::pair<GroupId, ReplicaId>> recovered_;
  std::atomic<bool> draining_{false};
  bool stopped_ = false;
};

// -- Start and stop.

Status NodeHostImpl::open() {
  auto count = fixed_worker_count(env_.file_system(), options_);
  if (!count) return count.status();
  options_.workers = *count;
  for (uint32_t i = 0; i < options_.workers; ++i) {
    executors_.push_back(env_.start_executor("worker-" + std::to_string(i)));
  }
  pool_ = std::make_unique<env::BlockingPool>(env_, "pool", kPoolThreads);
  remover_ = std::make_unique<StateRemover>(*pool_);
  make_snapshot_store();
  MR_RETURN_IF_ERROR(snapshots_->open());
  for (uint32_t i = 0; i < options_.workers; ++i) {
    workers_.push_back(
        std::make_unique<Worker>(i, options_, env_, *executors_[i], *this, observer_));
  }
  make_disk_guard();  // The workers ask it from their first moment on.
  MR_RETURN_IF_ERROR(open_workers());
  MR_RETURN_IF_ERROR(snapshots_->retain(
      recovered_, [this](GroupId group) { return !workers_[worker_of(group)]->recovered_any(); }));
  disk_->start();
  MR_RETURN_IF_ERROR(start_transport());
  find_leftovers();
  return Status::ok();
}

/// Behind the start, which they do not hold up: listing the groups of an engine reads its disk.
void NodeHostImpl::find_leftovers() {
  pool_->post(env::BlockingPool::Lane::kBulk, [this] {
    std::vector<std::vector<GroupId>> found(workers_.size());
    for (StateMachineEngine* engine : options_.engines) {
      auto groups = engine->groups();
      if (!groups) {
        if (options_.on_warning) options_.on_warning(groups.status().message());
        continue;
      }
      for (const GroupId group : *groups) found[worker_of(group)].push_back(group);
    }
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i].empty()) continue;
      Worker& worker = *workers_[i];
      worker.executor().post(
          [&worker, groups = std::move(found[i])] { worker.drop_leftovers(groups); });
    }
  });
}

void NodeHostImpl::make_disk_guard() {
  DiskGuard::Hooks hooks;
  hooks.changed = [this](DiskState state, const std::string& text) { disk_changed(state, text); };
  hooks.reclaim = options_.reclaim;
  hooks.lost = [this](const Status& status) { observer_.on_fatal(status); };
  disk_ = std::make_unique<DiskGuard>(env_, options_.state_dir, options_.log_segment_bytes,
                                      options_.identity.node, std::move(hooks));
}

void NodeHostImpl::disk_changed(DiskState state, const std::string& text) {
  if (options_.on_disk_state) options_.on_disk_state(state, text);
  if (state != DiskState::kLow) return;
  // Others may have room: once, and whoever takes over does the same if it has none either.
  for (auto& worker : workers_) {
    worker->executor().post([&worker = *worker] {
      worker.for_each_group([](Replica& group) { (void)group.hand_over(); });
    });
  }
}

/// All at once: each has its own log to read.
Status NodeHostImpl::open_workers() {
  std::vector<Status> opened(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->executor().post([&, i] { opened[i] = workers_[i]->open(); });
  }
  for (auto& worker : workers_) worker->executor().run_and_wait([] {});
  for (size_t i = 0; i < workers_.size(); ++i) {
    MR_RETURN_IF_ERROR(opened[i]);
    for (const auto& replica : workers_[i]->replicas()) recovered_.push_back(replica);
  }
  return Status::ok();
}

void NodeHostImpl::make_snapshot_store() {
  snapshot_executor_ = env_.start_executor("snapshots");
  SnapshotStore::Hooks hooks;
  hooks.writer_for = [this](const wire::SnapshotHeader& header,
                            Callback<void(std::unique_ptr<SnapshotWriter>)> done) {
    on_owner(header.group, [header, done = std::move(done)](Worker& worker) mutable {
      done(worker.writer_for(header));
    });
  };
  hooks.judge = [this](const wire::SnapshotHeader& header, Callback<void(Status)> done) {
    on_owner(header.group, [header, done = std::move(done)](Worker& worker) mutable {
      done(worker.judge_snapshot(header));
    });
  };
  hooks.arrived = [this](const wire::SnapshotHeader& header, std::unique_ptr<SnapshotWriter> writer,
                         Callback<void(Status)> taken) {
    on_owner(header.group, [header, writer = std::move(writer),
                            taken = std::move(taken)](Worker& worker) mutable {
      taken(worker.snapshot_arrived(header, std::move(writer)));
    });
  };
  hooks.room = [this] { return disk_->spare_room(); };
  snapshots_ = std::make_unique<SnapshotStore>(env_.file_system(), options_.state_dir + "/snap",
                                               *snapshot_executor_, std::move(hooks));
}

Status NodeHostImpl::start_transport() {
  transport::TransportOptions options;
  if (options_.on_warning) {
    options.on_problem = [this](const Status& status) { options_.on_warning(status.message()); };
  }
  options.identity = options_.identity;
  options.listen = options_.listen;
  for (auto& worker : workers_) {
    options.workers.push_back(&worker->executor());
    options.receivers.push_back(worker.get());
    options.recovered.push_back(worker->durable_sequence());  // Its thread does nothing yet.
  }
  options.boots = options_.boots;
  options.on_boots_changed = options_.on_boots_changed;
  options.on_state_rollback = options_.on_state_rollback;
  options.raft_address = options_.raft_address;
  options.on_address = options_.on_address;
  options.on_unknown_caller = options_.on_unknown_caller;
  options.connections_max = options_.connections_max;
  options.snapshot_receiver = snapshots_.get();
  options.snapshot_executor = snapshot_executor_.get();
  options.snapshot_bytes_per_second = options_.snapshot_bytes_per_second;
  auto transport = transport::Transport::start(std::move(options), env_);
  if (!transport) return transport.status();
  transport_ = std::move(*transport);
  for (auto& worker : workers_) {
    worker->executor().run_and_wait([&] { worker->start(); });
  }
  return Status::ok();
}

void NodeHostImpl::stop() {
  if (stopped_) return;
  stopped_ = true;
  if (disk_) disk_->stop();
  for (auto& worker : workers_) {
    worker->executor().run_and_wait([&] { worker->close(); });
  }
  if (transport_) transport_->stop();
  if (pool_) pool_->stop();
  if (snapshot_executor_) snapshot_executor_->stop();
  for (auto& executor : executors_) executor->stop();
  transport_.reset();
  workers_.clear();
  snapshots_.reset();
}

// -- Life of replicas.

void NodeHostImpl::create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                                  env::Executor& reply_on, Callback<void(Status)> done) {
  post_to_owner(group,
                [group, replica, mark, &reply_on, done = std::move(done)](Worker& worker) mutable {
                  worker.create_replica(group, replica, mark,
                                        [&reply_on, done = std::move(done)](Status status) mutable {
                                          reply(reply_on, std::move(done), std::move(status));
                                        });
                });
}

void NodeHostImpl::destroy_replica(GroupId group, ReplicaId replica, env::Executor& reply_on,
                                   Callback<void(Status)> done) {
  post_to_owner(group, [group, replica, &reply_on, done = std::move(done)](Worker& worker) mutable {
    worker.destroy_replica(group, replica,
                           [&reply_on, done = std::move(done)](Status status) mutable {
                             reply(reply_on, std::move(done), std::move(status));
                           });
  });
}

// -- Data.

void NodeHostImpl::write(GroupId group, SharedBytes command, env::Executor& reply_on,
                         Callback<void(WriteResult)> done) {
  auto refuse = [&](StatusCode code, const char* why) {
    WriteResult result;
    result.status = Status(code, why);
    reply(reply_on, std::move(done), std::move(result));
  };
  if (draining_.load(std::memory_order_relaxed)) {
    refuse(StatusCode::kUnavailable, "this node is shutting down: ask another member");
    return;
  }
  if (command.empty() || command.size() > limits::kProposalBytesMax) {
    refuse(StatusCode::kTooLarge, "the command is empty or above the limit of one proposal");
    return;
  }
  if (disk_->low() && options_.grows && options_.grows(group, command.view())) {
    MR_COVERAGE("write refused over a full disk");
    WriteResult result;
    result.status = disk_->refusal();
    reply(reply_on, std::move(done), std::move(result));
    return;
  }
  // It waits for a leader, is replicated and stays in the log's cache.
  command = std::move(command).trimmed();
  Worker& worker = owner(group);
  const uint32_t checksum =
      raft::payload_checksum(raft::group_checksum_seed(group), command.view());
  auto submit = [this, &worker, group, checksum](SharedBytes bytes,
                                                 Callback<void(WriteResult)> answer) {
    Replica* replica = worker.group(group);
    if (!replica) {
      WriteResult result;
      result.status = Status(StatusCode::kNotFound, "this node has no replica of the group");
      answer(std::move(result));
      return;
    }
    worker.count_write();
    PendingWrite write;
    write.command = std::move(bytes);
    write.checksum = checksum;
    write.deadline = env_.clock().now() + options_.request_timeout_ns;
    write.done = std::move(answer);
    replica->write(std::move(write));
  };
  if (&reply_on == &worker.executor() && reply_on.in_executor()) {
    submit(std::move(command), [&worker, done = std::move(done)](WriteResult result) mutable {
      worker.answer(Answers::Write{std::move(done), std::move(result)});
    });
    return;
  }
  worker.executor().post(
      [submit, command = std::move(command), &reply_on, done = std::move(done)]() mutable {
        submit(std::move(command), [&reply_on, done = std::move(done)](WriteResult result) mutable {
          reply(reply_on, std::move(done), std::move(result));
        });
      });
}

void NodeHostImpl::read(GroupId group, ReadMode mode, Callback<void(ReadPermit)> done) {
  on_owner(group, [this, group, mode, done = std::move(done)](Worker& worker) mutable {
    Replica* replica = worker.group(group);
    if (!replica) {
      ReadPermit permit;
      permit.status = Status(StatusCode::kNotFound, "this node has no replica of the group");
      done(permit);
      return;
    }
    worker.count_read();
    PendingRead read;
    read.deadline = env_.clock().now() + options_.request_timeout_ns;
    read.done = [&worker, group, id = replica->replica(),
                 done = std::move(done)](ReadPermit permit) mutable {
      worker.answer(Answers::Read{group, id, std::move(permit), std::move(done)});
    };
    replica->read(mode, std::move(read));
  });
}

// -- Membership, leadership, status.

template <class Sum, class Visit>
void NodeHostImpl::gather(env::Executor& reply_on, Visit visit, Callback<void(Sum)> done) {
  struct Step {
    NodeHostImpl& host;
    env::Executor& reply_on;
    Visit visit;
    Callback<void(Sum)> done;
    Sum sum{};
    static void at(std::shared_ptr<Step> step, size_t index) {
      if (index == step->host.workers_.size()) {
        reply(step->reply_on, std::move(step->done), std::move(step->sum));
        return;
      }
      Worker& worker = *step->host.workers_[index];
      worker.executor().post([step, &worker, index] {
        step->visit(worker, step->sum);
        at(step, index + 1);
      });
    }
  };
  Step::at(std::make_shared<Step>(Step{*this, reply_on, std::move(visit), std::move(done), {}}), 0);
}

void NodeHostImpl::change_membership(GroupId group, Term term, raft::ConfChange change,
                                     env::Executor& reply_on, Callback<void(Status)> done) {
  on_owner(group, [group, term, change = std::move(change), &reply_on,
                   done = std::move(done)](Worker& worker) mutable {
    auto answer = [&reply_on, done = std::move(done)](Status status) mutable {
      reply(reply_on, std::move(done), std::move(status));
    };
    if (Replica* replica = worker.group(group)) {
      replica->change_membership(term, std::move(change), std::move(answer));
    } else {
      answer(Status(StatusCode::kNotLeader, "this node has no replica of the group"));
    }
  });
}

void NodeHostImpl::barrier(GroupId group, env::Executor& reply_on, Callback<void(Status)> done) {
  on_owner(group, [this, group, &reply_on, done = std::move(done)](Worker& worker) mutable {
    PendingWrite write;
    write.checksum = raft::payload_checksum(raft::group_checksum_seed(group), {});
    write.deadline = env_.clock().now() + options_.request_timeout_ns;
    write.forwarded = true;  // Here or not at all.
    write.done = [&reply_on, done = std::move(done)](WriteResult result) mutable {
      reply(reply_on, std::move(done), std::move(result.status));
    };
    if (Replica* replica = worker.group(group)) {
      replica->write(std::move(write));
    } else {
      write.done(WriteResult{Status(StatusCode::kNotLeader, "no replica here"), {}, {}, {}, {}});
    }
  });
}

void NodeHostImpl::transfer_leadership(GroupId group, ReplicaId to) {
  on_owner(group, [group, to](Worker& worker) {
    if (Replica* replica = worker.group(group)) replica->transfer_leadership(to);
  });
}

void NodeHostImpl::status(GroupId group, env::Executor& reply_on,
                          Callback<void(Result<ReplicaStatus>)> done) {
  on_owner(group, [group, &reply_on, done = std::move(done)](Worker& worker) mutable {
    Replica* replica = worker.group(group);
    Result<ReplicaStatus> result =
        replica ? Result<ReplicaStatus>(replica->status())
                : Result<ReplicaStatus>(
                      Status(StatusCode::kNotFound, "this node has no replica of the group"));
    reply(reply_on, std::move(done), std::move(result));
  });
}

void NodeHostImpl::unapplied_entries(GroupId group, env::Executor& reply_on,
                                     Callback<void(Result<std::vector<raft::Entry>>)> done) {
  on_owner(group, [group, &reply_on, done = std::move(done)](Worker& worker) mutable {
    const Replica* replica = worker.group(group);
    Result<std::vector<raft::Entry>> result =
        replica ? replica->unapplied_entries()
                : Result<std::vector<raft::Entry>>(
                      Status(StatusCode::kNotFound, "this node has no replica of the group"));
    reply(reply_on, std::move(done), std::move(result));
  });
}

void NodeHostImpl::list(env::Executor& reply_on, Callback<void(std::vector<ReplicaStatus>)> done) {
  gather<std::vector<ReplicaStatus>>(
      reply_on,
      [](Worker& worker, std::vector<ReplicaStatus>& all) {
        worker.for_each_group([&](Replica& group) { all.push_back(group.status()); });
      },
      [done = std::move(done)](std::vector<ReplicaStatus> all) mutable {
        std::sort(all.begin(), all.end(),
                  [](const ReplicaStatus& a, const ReplicaStatus& b) { return a.group < b.group; });
        done(std::move(all));
      });
}

void NodeHostImpl::stats(env::Executor& reply_on, Callback<void(HostStats)> done) {
  gather<HostStats>(
      reply_on, [](Worker& worker, HostStats& sum) { add(worker.stats(), sum); },
      [this, done = std::move(done)](HostStats sum) mutable {
        if (transport_) sum.transport = transport_->stats();
        sum.disk_free_bytes = disk_->free_bytes();
        sum.disk_free_files = disk_->free_files();
        sum.disk_state = disk_->state();
        done(std::move(sum));
      });
}

void NodeHostImpl::ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
                       env::Executor& reply_on, Callback<void(Result<SharedBytes>)> done) {
  on_owner(GroupId{}, [node, kind, payload = std::move(payload), timeout_ns, &reply_on,
                       done = std::move(done)](Worker& worker) mutable {
    worker.ask(node, kind, std::move(payload), timeout_ns,
               [&reply_on, done = std::move(done)](Result<SharedBytes> answer) mutable {
                 reply(reply_on, std::move(done), std::move(answer));
               });
  });
}

std::optional<int64_t> NodeHostImpl::disk_stalled_ns() const {
  std::optional<int64_t> longest;
  for (const auto& worker : workers_) {
    const auto since = worker->stalled_since();
    if (since) longest = std::max(longest.value_or(0), env_.clock().now() - *since);
  }
  return longest;
}

std::optional<int64_t> NodeHostImpl::engine_stalled_ns() const {
  std::optional<int64_t> longest;
  for (const auto& worker : workers_) {
    const auto since = worker->engine_stalled_since();
    if (since) longest = std::max(longest.value_or(0), env_.clock().now() - *since);
  }
  return longest;
}

uint64_t NodeHostImpl::replicas_to_upgrade() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->replicas_to_upgrade();
  return sum;
}

// -- Drain.

void NodeHostImpl::drain(int64_t timeout_ns, env::Executor& reply_on, Callback<void()> done) {
  draining_.store(true);
  const env::MonotonicTime deadline = env_.clock().now() + timeout_ns;
  auto wrapped = std::make_shared<Callback<void()>>(
      [&reply_on, done = std::move(done)]() mutable { reply(reply_on, std::move(done)); });
  check_drained(deadline, std::move(wrapped));
}

void NodeHostImpl::check_drained(env::MonotonicTime deadline,
                                 std::shared_ptr<Callback<void()>> done) {
  auto busy = std::make_shared<std::atomic<size_t>>(0);
  auto missing = std::make_shared<std::atomic<size_t>>(workers_.size());
  for (auto& worker : workers_) {
    worker->executor().post([this, &worker = *worker, busy, missing, deadline, done] {
      size_t mine = 0;
      worker.for_each_group([&](Replica& group) { mine += group.hand_over() ? 0 : 1; });
      busy->fetch_add(mine);
      if (missing->fetch_sub(1) > 1) return;
      if (busy->load() == 0 || env_.clock().now() >= deadline) {
        (*done)();
        return;
      }
      worker.executor().run_at(env_.clock().now() + options_.heartbeat_ns / 5,
                               [this, deadline, done] { check_drained(deadline, done); });
    });
  }
}

}  // namespace

Result<std::unique_ptr<NodeHost>> NodeHost::start(HostOptions options, env::Environment& env,
                                                  HostObserver& observer) {
  auto host = std::make_unique<NodeHostImpl>(std::move(options), env, observer);
  MR_RETURN_IF_ERROR(host->open());
  return std::unique_ptr<NodeHost>(std::move(host));
}

}  // namespace multiraft::host
