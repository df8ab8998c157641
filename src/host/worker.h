#pragma once
// One worker: a thread with its groups, their shared log and its connections to other nodes.
//
// A turn takes all that arrived, steps every touched replica, makes one log write and one batch a
// destination of what came out, applies what is committed, and answers clients. Replicas that
// nothing happened to cost nothing. Everything here runs on the worker's executor, unless it says
// otherwise.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "host/answers.h"
#include "host/arrival_check.h"
#include "host/campaign_queue.h"
#include "host/core_log.h"
#include "host/disk_stall_detector.h"
#include "host/engine_lane.h"
#include "host/flush_pacer.h"
#include "host/node_host.h"
#include "host/replica.h"
#include "host/replica_context.h"
#include "host/request_table.h"
#include "host/snapshot_store.h"
#include "host/state_remover.h"
#include "host/succession.h"
#include "log/log.h"
#include "transport/transport.h"

namespace multiraft::host {

class Worker;

/// The other workers and the node, as a worker sees them. Any thread.
class SiblingWorkers {
 public:
  virtual ~SiblingWorkers() = default;
  virtual uint32_t worker_of(GroupId group) const = 0;
  virtual Worker& worker(uint32_t index) = 0;
  virtual transport::Transport& transport() = 0;
  virtual SnapshotStore& snapshots() = 0;
  virtual StateRemover& remover() = 0;
  virtual env::BlockingPool& pool() = 0;
  virtual const DiskGuard& disk() const = 0;
  virtual FlushPacer& flushes() = 0;
  /// Snapshots that are being sent, by all workers.
  virtual std::atomic<uint32_t>& snapshots_sending() = 0;
};

class Worker final : public ReplicaContext, public transport::Receiver {
 public:
  Worker(uint32_t index, const HostOptions& options, env::Environment& env, env::Executor& executor,
         SiblingWorkers& peers, HostObserver& observer);
  ~Worker() override;

  /// Recovers the log and the state machines of its groups. Blocks.
  Status open();
  /// From here on messages are taken and time passes.
  void start();
  /// Fails what waits and closes the log. Blocks.
  void close();

  env::Executor& executor() { return executor_; }
  uint32_t index() const { return index_; }
  std::vector<std::pair<GroupId, ReplicaId>> replicas() const;
  /// Null where there is none.
  Replica* group(GroupId id);
  void for_each_group(const std::function<void(Replica&)>& visit);

  /// `done` comes when it is durable, or with the reason why there is no replica.
  void create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                      Callback<void(Status)> done);
  /// `done` comes when log and state are gone durably, and at once where there is no such replica
  /// and no state. A state that cannot be dropped for want of space is tried again, with the
  /// group's number out of use, until that succeeds.
  void destroy_replica(GroupId group, ReplicaId replica, Callback<void(Status)> done);
  void ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
           Callback<void(Result<SharedBytes>)> done);
  /// The log held groups at the start. One that held none may have been lost: what lies beside it
  /// is kept, since it may be all that is left.
  bool recovered_any() const { return recovered_any_; }
  /// Drops the states of those of these groups that have no replica here: a crash came between the
  /// removals from log and engine.
  void drop_leftovers(const std::vector<GroupId>& groups);
  /// Whether a snapshot that another node wants to send is of any use. kAlreadyExists: all of it is
  /// here.
  Status judge_snapshot(const wire::SnapshotHeader& header);
  /// A snapshot that has arrived whole and lies in the store. Ok: it is being installed.
  Status snapshot_arrived(const wire::SnapshotHeader& header,
                          std::unique_ptr<SnapshotWriter> writer);
  /// Where a received snapshot goes to; null: nobody here wants it.
  std::unique_ptr<SnapshotWriter> writer_for(const wire::SnapshotHeader& header);
  /// This worker's share, but for the transport's.
  HostStats stats();
  /// When the write of the log that hangs was submitted; see DiskStallDetector. Any thread.
  std::optional<env::MonotonicTime> stalled_since() const { return stall_.since(); }
  /// The same for the engine that has been refusing batches for longest.
  std::optional<env::MonotonicTime> engine_stalled_since() const;
  /// Replicas that have stopped at a command that this program does not know. Any thread.
  uint64_t replicas_to_upgrade() const {
    return static_cast<uint64_t>(std::max<int64_t>(0, to_upgrade_.load(std::memory_order_relaxed)));
  }
  void count_write() { ++counters_.writes; }
  void count_read() { ++counters_.reads; }
  /// Runs the callback at the end of the turn, outside of all replicas.
  void answer(Answers::Write write);
  void answer(Answers::Read read);

  // -- ReplicaContext
  bool disk_low() const override { return peers_.disk().low(); }
  bool disk_stalled() const override { return stall_.stalled(); }
  bool disk_stall_is_long() const override;
  std::string disk_stall_message() const override;
  std::string engine_stall_text(const EngineLane& lane) const override;
  const HostOptions& options() const override { return options_; }
  HostObserver& observer() override { return observer_; }
  log::Log& log() override { return *log_; }
  Admission& admission() override { return admission_; }
  TurnBudget& turn_budget() override { return turn_budget_; }
  env::MonotonicTime now() const override { return env_.clock().now(); }
  env::MonotonicTime now_since_boot() const override { return env_.clock().now_since_boot(); }
  uint64_t random_u64() override { return random_.next(); }
  Replica* find(GroupId group, ReplicaId replica) override;
  void activate(Replica& group) override;
  void send(GroupId group, raft::Message message) override;
  void forward(GroupId group, NodeId leader, PendingWrite write) override;
  void run_later(GroupId group, ReplicaId replica, int64_t delay_ns,
                 Callback<void(Replica&)> task) override;
  void campaign(Replica& group) override;
  void leadership_changed(Replica& group, ReplicaId leader_before) override;
  void run_blocking(Replica& group, Task work, Callback<void(Replica&)> done) override;
  void send_snapshot(Replica& group, const raft::Message& message, uint64_t stream,
                     std::unique_ptr<SnapshotReader> reader) override;
  bool may_send_snapshot() const override;
  void request_flush(StateMachineEngine& engine) override;
  void save_state(Replica& group, const raft::Snapshot& position,
                  std::unique_ptr<SnapshotReader> reader) override;
  void install_received(Replica& group, std::unique_ptr<SnapshotWriter> writer,
                        Callback<void(Replica&, const Status&)> done) override;
  void start_over(Replica& group) override;
  void note_stopped(const Replica& group) override { stopped_.insert(group.id()); }
  void warn(const std::string& text) override;
  bool takes_line(raft::LogLevel level) override;
  void log_line(raft::LogLevel level, const std::string& line) override;
  void count_applied(uint64_t entries) override;
  void count_install() override;
  void count_to_upgrade(int change) override;
  void fatal(const Status& status) override;

  // -- transport::Receiver
  void on_message(NodeId from, wire::GroupMessage message) override;
  void on_request(const transport::Process& from, wire::Request request) override;
  void on_response(NodeId from, wire::Response response) override;
  void on_batch_end(NodeId from) override;
  void on_disconnected(NodeId node, bool ever_connected) override;
  uint64_t durable_sequence() override { return log_ ? log_->durable_sequence() : 0; }

 private:
  struct Mail {
    NodeId from;
    wire::GroupMessage message;
  };

  void warn_of(const log::LogStats& stats) const;
  void warn_of_snapshot(const wire::SnapshotHeader& header, const Status& why);
  Status open_group(GroupId group);
  Status check_create(GroupId group);
  Status make_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark);
  void remove_from_log(GroupId group, ReplicaId replica);
  Callback<void(Status)> when_dropped(GroupId group);
  void state_dropped(GroupId group, const Status& status);
  void remember(std::unique_ptr<Replica> group);
  void forget(const Replica& group);
  void deliver(NodeId from, wire::GroupMessage message);
  void propose_for(const transport::Process& from, wire::Request request);
  void respond(const transport::Process& to, uint64_t request_id, StatusCode code,
               SharedBytes payload);
  void run_answers();
  void schedule_turn();
  void start_campaigns();
  std::vector<Replica*>& tick_slice(GroupId id) {
    return tick_slices_[succession_score(id, NodeId()) % kTickSlices];
  }
  std::vector<Replica*> led_by(NodeId node);
  void leaders_down(NodeId node);
  void turn();
  void apply_phase();
  void note_pause(env::MonotonicTime since);
  void lane_resumed(const EngineLane& lane);
  void retry_at(env::MonotonicTime when);
  EngineLane& lane_of(GroupId group);
  void schedule_tick(int64_t after_ns);
  void tick();
  void watch_disk();
  void watch_log();
  void watch_engines();
  void watch(EngineLane& lane);
  bool is_held_back(const raft::Message& message);

  const uint32_t index_;
  const HostOptions& options_;
  env::Environment& env_;
  env::Executor& executor_;
  SiblingWorkers& peers_;
  HostObserver& observer_;
  Prng random_;

  Admission admission_;  ///< Outlives the groups.
  TurnBudget turn_budget_;
  std::unique_ptr<log::Log> log_;
  transport::WorkerTransport* transport_ = nullptr;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Replica>> groups_;
  /// The same by number: whoever visits all does it in an order that a simulation can repeat.
  std::vector<Replica*> in_order_;
  /// Groups tick in slices, spread over the interval, so that many of them do not all do it in one
  /// turn. In the order of numbers each.
  static constexpr size_t kTickSlices = 16;
  std::array<std::vector<Replica*>, kTickSlices> tick_slices_;
  size_t next_slice_ = 0;
  /// The groups that a node leads, as far as this one knows.
  absl::flat_hash_map<uint64_t, absl::flat_hash_set<GroupId>> led_by_;
  /// Replicas that were unfilled when looked at last.
  std::set<GroupId> unfilled_;
  std::set<GroupId> stopped_;  ///< Take no further part.
  CampaignQueue campaigns_;
  /// A group whose former state may still be there: its number is not used until that is dropped.
  struct Leaving {
    bool creating = false;  ///< For a creation, which does not try again.
    std::vector<Callback<void(Status)>> done;
    bool warned = false;
  };
  std::map<GroupId, Leaving> leaving_;
  bool recovered_any_ = false;  ///< The log held a group at the start.
  bool started_ = false;
  bool closed_ = false;
  bool failed_ = false;

  bool turn_scheduled_ = false;
  std::vector<Replica*> active_;
  std::vector<Replica*> visiting_;
  /// One per engine that holds a replica's state here; they stay for good.
  std::vector<std::unique_ptr<EngineLane>> lanes_;
  size_t first_lane_ = 0;
  std::optional<env::MonotonicTime> retry_scheduled_;
  std::vector<std::vector<Mail>> mail_;  ///< For other workers, sent at the end of a batch.

  ArrivalCheck arrival_;
  Answers answers_;
  RequestTable forwarding_;
  DiskStallDetector stall_;
  std::string stalled_access_ = "a write to ";       ///< Which began the present or last stall.
  std::atomic<int64_t> engine_stalled_since_ns_{0};  ///< 0: no engine is stalled.
  std::atomic<int64_t> to_upgrade_{0};
  std::string last_snapshot_warning_;
  LineLimiter info_lines_;
  LineLimiter warning_lines_;  ///< Of their own: elections do not drown them.
  env::MonotonicTime next_tick_;
  env::MonotonicTime no_log_cut_before_;
  size_t next_to_trim_ = 0;  ///< In in_order_.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  HostStats counters_;
};

}  // namespace multiraft::host
