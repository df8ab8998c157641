#pragma once
// NodeHost: all Raft replicas of one node, on its workers, over one transport (design: README.md).
//
// A group lives on one worker for good: worker_of(group). Calls that take a group may be made from
// any thread; they run on the group's worker. Nothing here blocks.
//
// Callbacks come exactly once, on `reply_on` (read(): on the group's worker), never from within the
// call, and always outside of all replicas: from a task of their own, or at the end of a worker's
// turn. A callback may therefore do anything with the host, also create replicas and destroy the
// one that it is about. It runs on a worker's thread if `reply_on` is a worker's executor: what
// blocks it, or takes long, delays all groups of that worker.
// HostObserver is different: it is called in the middle of a replica.
//
// What survives a crash: what the log and the state machines made durable; see log.h and
// state_machine.h. A write whose callback said ok is durable on a quorum and applied here or at the
// leader.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/task.h"
#include "env/blocking_pool.h"
#include "env/env.h"
#include "host/compaction.h"
#include "host/disk_guard.h"
#include "host/log_retention.h"
#include "log/log.h"
#include "multiraft/bytes.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/raft.h"
#include "transport/transport.h"

namespace multiraft::host {

struct HostOptions {
  std::string state_dir;
  transport::Identity identity;
  /// What an earlier process of this node knew of others (Transport::lives()).
  std::vector<wire::BootRecord> boots;
  /// Any thread. May be null: that there is more to know, and that this node's state is too old.
  std::function<void()> on_boots_changed;
  std::function<void(const transport::StateRollback&)> on_state_rollback;
  std::string raft_address;  ///< Where others reach this node.
  std::function<void(NodeId, const env::Address&)> on_address;
  std::function<void(const transport::UnknownCaller&)> on_unknown_caller;
  env::Address listen;
  /// That others have to this node.
  size_t connections_max = transport::TransportOptions().connections_max;
  uint32_t workers = 1;
  int64_t heartbeat_ns = 100 * env::kMillisecond;   ///< One core tick.
  int64_t election_ns = 1'000 * env::kMillisecond;  ///< A multiple of it.
  int64_t request_timeout_ns = 5 * env::kSecond;    ///< Writes and reads give up after this.
  /// Replicas promise to stay with their leader (raft::Config::promise_ms), so that a leader whose
  /// members all do has a lease and ReadMode::kLease spares a round. In exchange nobody is elected
  /// before the promises have lapsed, though the leader's process may be known to have ended.
  bool leases = false;
  log::WriterKind log_writer = log::WriterKind::kAuto;
  uint64_t log_segment_bytes = limits::kLogSegmentBytes;
  uint32_t log_segments_kept = 3;
  uint32_t log_spares_max = 2;
  LogCutLimits compaction;           ///< Of each group.
  LogRetentionLimits log_retention;  ///< Of each worker.
  /// A snapshot that a member takes holds back the cutting of the log until the member has caught
  /// up with what was written meanwhile, unless it makes no progress for so long.
  int64_t catch_up_silence_ns = limits::kCatchUpSilenceSeconds * env::kSecond;
  uint64_t snapshot_bytes_per_second = 0;  ///< Of all that leave this node. 0: no throttle.
  /// Which engine holds a group's state. Outlives the host.
  std::function<StateMachineEngine&(GroupId)> engine;
  /// All that it names: asked after the start for states of replicas that are not here any more,
  /// which are dropped.
  std::vector<StateMachineEngine*> engines;
  /// Whether a client's command makes the state grow: such are refused while the disk is low. Null:
  /// none does. Any thread.
  std::function<bool(GroupId, std::string_view command)> grows;
  /// Gives back room on the disk. Called again and again while it is low, on a thread of its own;
  /// may take long. May be null.
  std::function<void()> reclaim;
  /// The state of the disk changed; the text is for the log. Any thread.
  std::function<void(DiskState, const std::string&)> on_disk_state;
  /// What the cores of the groups log: elections, changes of leadership, refusals. Limited to a few
  /// lines per second and worker. Any thread. May be null.
  std::function<void(raft::LogLevel, const std::string&)> on_core_log;
  /// What an operator should know although all goes on: a torn tail was cut, io_uring does not
  /// work, a node was refused. Any thread. May be null.
  std::function<void(const std::string&)> on_warning;
};

/// How a write ended. The outcome is in the status: ok = applied; kUnknownOutcome = it may have
/// happened or may still; anything else = certainly not applied.
struct WriteResult {
  Status status;
  ApplyResult result;
  LogIndex index;
  Term term;
  ReplicaId leader;
};

/// What a read may miss. The choice of who asks.
enum class ReadMode : uint8_t {
  kLinearizable,  ///< Nothing that was acknowledged before: a quorum confirms the leader.
  /// Nothing either, as long as clocks go at nearly the same rate (raft/lease.h): the leader's
  /// lease spares the round where it holds. Group 0, which decides over the others, is read as by
  /// kLinearizable.
  kLease,
  kLocal,  ///< Whatever this replica has not applied yet.
};

/// A read may be served from the state machine that is passed, now, on this thread.
struct ReadPermit {
  Status status;  ///< kUnavailable: no leader in time. kNotFound: no such replica.
  StateMachine* state_machine = nullptr;
  LogIndex applied_index;
  Term term;
  ReplicaId leader;
};

struct ReplicaStatus {
  GroupId group;
  raft::RaftStatus raft;
  LogIndex first_index, last_index;
  Term last_term;  ///< Of the entry at last_index.
  uint64_t log_bytes = 0;
  std::string stopped;  ///< Why it takes no further part; empty: it does.
};

/// Sums over the node's workers since it started, for metrics.
struct HostStats {
  uint64_t groups = 0;
  uint64_t groups_led = 0;
  uint64_t groups_without_leader = 0;
  uint64_t groups_unfilled = 0;  ///< Their replicas here wait for their first snapshot.
  uint64_t turns = 0;
  uint64_t groups_visited = 0;  ///< By turns; divided by turns: how much one turn batches.
  uint64_t entries_applied = 0;
  uint64_t writes = 0;  ///< Of clients of this node, and forwarded to it.
  uint64_t reads = 0;
  uint64_t writes_forwarded = 0;  ///< To leaders elsewhere.
  uint64_t stray_messages = 0;    ///< For replicas that are not here.
  /// Entries and forwarded commands that came in intact frames and failed their own checksums.
  uint64_t checksum_failures = 0;
  uint64_t replicas_stopped = 0;     ///< That take no further part.
  uint64_t replicas_to_upgrade = 0;  ///< Of these: at a command that this program does not know.
  uint64_t snapshots_sent = 0;
  uint64_t snapshots_installed = 0;
  uint64_t disk_free_bytes = 0;
  DiskState disk_state = DiskState::kOk;
  /// The longest time for which a worker did nothing else: one turn, or what made a tick late.
  int64_t worker_pause_ns_max = 0;
  uint64_t disk_stalls = 0;       ///< How often a log's disk hung.
  int64_t disk_stalled_ns = 0;    ///< How long the oldest write has been hanging; 0: none does.
  uint64_t engine_stalls = 0;     ///< How often an engine took no batch for an election timeout.
  int64_t engine_stalled_ns = 0;  ///< How long it has been taking none; 0: none is stalled.
  std::optional<uint64_t> disk_free_files;  ///< Nothing: the file system has no such limit.
  log::LogStats log;
  transport::TransportStats transport;
};

/// Told what happens in groups. Called on the group's worker's thread, in the middle of a replica's
/// work; must not block. It may call the host, whose answers come later as always.
class HostObserver {
 public:
  virtual ~HostObserver() = default;
  /// Role, term or leader of a replica changed.
  virtual void on_leadership(GroupId group, const raft::SoftState& state, Term term) = 0;
  /// A configuration change (or a snapshot) was applied here.
  virtual void on_conf_state(GroupId group, const raft::ConfState& state) = 0;
  /// Entries were applied here up to `applied`.
  virtual void on_applied(GroupId group, LogIndex applied) = 0;
  /// A message for a replica that this node does not host, or from one that its group does not
  /// know.
  virtual void on_stray_message(GroupId group, NodeId from_node, ReplicaId from, ReplicaId to) = 0;
  /// A question of kind kJoin or kAdmin from another node. `respond` is called once, on any thread.
  virtual void on_request(NodeId from, wire::Request request,
                          Callback<void(StatusCode, SharedBytes)> respond) = 0;
  /// A node's process ended or started again (connection refused, or a new incarnation).
  virtual void on_node_down(NodeId node) = 0;
  /// The disk failed: nothing more can be promised. The process must end, with status 5, or with 3
  /// where the code is kCorruption.
  virtual void on_fatal(const Status& status) = 0;
};

class NodeHost {
 public:
  virtual ~NodeHost() = default;

  /// Opens the logs, the state machines and the raft port, and starts all recovered replicas.
  /// `observer` outlives the host and may be called before start() returns.
  static Result<std::unique_ptr<NodeHost>> start(HostOptions options, env::Environment& env,
                                                 HostObserver& observer);

  virtual uint32_t workers() const = 0;
  virtual uint32_t worker_of(GroupId group) const = 0;
  virtual env::Executor& executor(uint32_t worker) = 0;
  virtual transport::Transport& transport() = 0;
  /// For work that waits for the disk. Stopped by stop().
  virtual env::BlockingPool& pool() = 0;
  /// The replicas that were there when the host started.
  virtual std::vector<std::pair<GroupId, ReplicaId>> recovered() const = 0;

  // -- Life of replicas. Callbacks say when it is durable.
  /// A replica whose log starts at `mark`: {1, 1, conf} for the founders of a group, who all start
  /// with the same; {0, 0, {}} for one that joins and waits for a snapshot. kAlreadyExists.
  virtual void create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                              env::Executor& reply_on, Callback<void(Status)> done) = 0;
  /// Ends and forgets the replica and its data. Pending requests fail. kNotFound is ok. The answer
  /// comes once all of it is gone: where the disk has no space for that, once it has.
  virtual void destroy_replica(GroupId group, ReplicaId replica, env::Executor& reply_on,
                               Callback<void(Status)> done) = 0;

  // -- Data.
  /// Proposes here or forwards to the leader; waits for a leader up to the deadline. kNoSpace: the
  /// command grows the state, and the disk of this node or of the leader's is low.
  virtual void write(GroupId group, SharedBytes command, env::Executor& reply_on,
                     Callback<void(WriteResult)> done) = 0;
  /// Finds the read index as `mode` says, waits until it is applied, and calls `done` on the
  /// GROUP'S worker's thread, where the state machine may be read.
  virtual void read(GroupId group, ReadMode mode, Callback<void(ReadPermit)> done) = 0;

  // -- Membership and leadership.
  /// Proposes here if this replica leads in `term`; ok once the change is applied here. kNotLeader,
  /// kConflict (another one under way), kUnknownOutcome (leadership lost).
  virtual void change_membership(GroupId group, Term term, raft::ConfChange change,
                                 env::Executor& reply_on, Callback<void(Status)> done) = 0;
  /// Commits an entry without a command, proposed here; ok once it is applied here. A quorum of the
  /// configuration that was applied before the call then knows durably that this configuration is
  /// committed, so that those who are not in it are not needed any more. kNotLeader,
  /// kUnknownOutcome.
  virtual void barrier(GroupId group, env::Executor& reply_on, Callback<void(Status)> done) = 0;
  virtual void transfer_leadership(GroupId group, ReplicaId to) = 0;
  /// kNotFound where there is no replica.
  virtual void status(GroupId group, env::Executor& reply_on,
                      Callback<void(Result<ReplicaStatus>)> done) = 0;
  /// What the replica's log holds behind its applied index, committed or not. kNotFound where there
  /// is no replica.
  virtual void unapplied_entries(GroupId group, env::Executor& reply_on,
                                 Callback<void(Result<std::vector<raft::Entry>>)> done) = 0;
  virtual void list(env::Executor& reply_on, Callback<void(std::vector<ReplicaStatus>)> done) = 0;

  /// The room on the disk. Any thread.
  virtual const DiskGuard& disk() const = 0;
  /// How long a write of some log has been hanging, once that is an election timeout. Any thread.
  virtual std::optional<int64_t> disk_stalled_ns() const = 0;
  /// How long an engine has been taking nothing, once that is an election timeout. Any thread.
  virtual std::optional<int64_t> engine_stalled_ns() const = 0;
  /// Replicas that have stopped at a command that this program does not know. Any thread.
  virtual uint64_t replicas_to_upgrade() const = 0;
  virtual void stats(env::Executor& reply_on, Callback<void(HostStats)> done) = 0;

  // -- Questions to other nodes.
  /// kUnavailable: certainly not delivered. kUnknownOutcome: no answer in time.
  virtual void ask(NodeId node, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
                   env::Executor& reply_on, Callback<void(Result<SharedBytes>)> done) = 0;

  /// Hands over leaderships to members that have caught up, refuses new writes with kUnavailable,
  /// waits for what is in flight (at most `timeout_ns`), then calls `done`.
  virtual void drain(int64_t timeout_ns, env::Executor& reply_on, Callback<void()> done) = 0;
  /// Closes connections, logs and threads. Not from a worker's thread.
  virtual void stop() = 0;
};

}  // namespace multiraft::host
