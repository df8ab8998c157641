#pragma once
// One replica: the Raft core, its log, its state machine and the clients that wait for it.
//
// Owned by a Worker and touched on its thread only. A worker's turn calls, in this order,
// begin_turn(), process_ready(), apply(), and after the engines' commit finish_apply().

#include <absl/container/flat_hash_map.h>

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "host/conf_history.h"
#include "host/core_log.h"
#include "host/engine_lane.h"
#include "host/log_retention.h"
#include "host/node_host.h"
#include "host/replica_context.h"
#include "host/replica_lease.h"
#include "host/replica_storage.h"
#include "host/requests.h"
#include "host/write_pace.h"
#include "host/write_queue.h"
#include "multiraft/state_machine.h"
#include "raft/raft.h"

namespace multiraft::host {

class Replica {
 public:
  /// Starts a replica whose log and state machine are open. `saved`: where a state in memory was
  /// last saved. kCorruption where the two do not fit: the message says what is missing and how to
  /// heal.
  static Result<std::unique_ptr<Replica>> start(ReplicaContext& services, log::GroupLog& log,
                                                std::unique_ptr<StateMachine> state_machine,
                                                LogIndex saved);
  /// The replica as a restart of the process would find it, in place of one that cannot install
  /// the snapshot that its core has taken. What waits in that one fails.
  static Result<std::unique_ptr<Replica>> start_over(std::unique_ptr<Replica> stuck);
  ~Replica();

  GroupId id() const { return log_.group(); }
  ReplicaId replica() const { return log_.replica(); }
  const raft::Raft& core() const { return *core_; }
  StateMachine& state_machine() { return *state_machine_; }
  ReplicaStatus status() const;
  Result<std::vector<raft::Entry>> unapplied_entries() const;
  /// It serves nobody any more: it has heard what cannot be, or has met a command that this program
  /// does not know.
  bool stopped() const { return !stop_.is_ok(); }

  // -- Input.
  void step(raft::Message message);
  void tick();
  void write(PendingWrite write);
  /// A forwarded write that was certainly not applied: it waits for the next tick or leader.
  void write_again(PendingWrite write);
  void read(ReadMode mode, PendingRead read);
  /// Time went on without this worker: reads by lease need another round first.
  void drop_lease() {
    if (lease_) lease_->drop();
  }
  void change_membership(Term term, raft::ConfChange change, Callback<void(Status)> done);
  void transfer_leadership(ReplicaId to);
  /// Elects after `delay_ns` if no leader is known by then, instead of waiting for the election
  /// timeout. Pre-vote keeps this from disturbing a leader that is there.
  void campaign_later(int64_t delay_ns);
  /// The process of a node ended. For a leader: what was on its way to a member there is lost.
  void member_down(NodeId node);
  /// Entries are in memory that the log did not have there when the core asked.
  void retry_reads();
  /// It ended, and led this group as far as this replica knows: the rank of this replica among
  /// those who may take over. nullopt: it may not, or the leader is another.
  std::optional<size_t> leader_down(NodeId node);
  /// Starts an election unless there is a leader, or one is under way. Whether it has.
  bool campaign();
  /// Clients wait for it.
  bool busy() const;
  /// As last reported to the worker.
  ReplicaId known_leader() const { return soft_state_.leader; }
  /// It is to be a member, and nobody has told it of what and with whom: it serves nothing.
  bool unfilled() const { return core_->conf_state().empty(); }
  LogTail log_tail() const;
  /// The worker keeps too much log: this one is cut as far as a restart of this replica allows, and
  /// members that lag get snapshots.
  void cut_for_room();
  /// To be called now and then: where nothing was appended since the last call, entries that nobody
  /// needs any more go.
  void trim_if_idle();
  /// The stream has ended; it counts if it is the newest to that member.
  void snapshot_sent(ReplicaId to, uint64_t stream, const Status& status);
  /// Not `ok`: there was no room. The last saved state stays, and so does the log behind it.
  /// `bytes`: what saving it wrote.
  void state_saved(LogIndex index, bool ok, uint64_t bytes = 0);
  /// What is to become of a snapshot that a leader of `term` wants to send.
  Status judge_snapshot(Term term, const raft::Snapshot& snapshot) const;
  /// A snapshot of this group has arrived whole; `writer` has taken all of its chunks. Ok: it is
  /// being installed.
  Status snapshot_received(raft::Message message, std::unique_ptr<SnapshotWriter> writer);

  // -- A turn.
  void begin_turn();
  void process_ready();
  bool has_apply() const { return !to_apply_.empty(); }
  /// True: apply() has something to do and does not wait for the disk. False also while what the
  /// next entries need is read in; the replica is activated when that is done.
  bool begin_apply();
  /// Applies what begin_apply() has found ready until `bytes_left` is used up, one entry at least.
  /// What is left waits.
  void apply(size_t& bytes_left);
  void finish_apply();

  /// Answers everything that waits: the replica goes away or the node stops.
  void fail_all(const Status& not_applied);
  /// Nothing is under way.
  bool idle() const;
  /// For a node that stops: gives leadership to the member that has caught up furthest. True once
  /// this replica is idle and does not lead, or nobody could take over.
  bool hand_over();

  /// Where it is in the lists of its worker and its lane.
  bool active = false;            ///< To be visited.
  bool waiting_to_apply = false;  ///< Has entries to apply.
  bool applying = false;          ///< Has effects that the engine has not committed.
  EngineLane* lane = nullptr;     ///< Of its engine; null where the worker has none (in tests).

 private:
  struct WaitingRead {
    LogIndex index;
    std::vector<PendingRead> reads;
  };
  struct ReadRound {
    raft::ReadId id;
    env::MonotonicTime started;
    std::vector<PendingRead> reads;
  };
  struct PendingConfChange {
    LogIndex index;
    Term term;
    Callback<void(Status)> done;
  };

  Replica(ReplicaContext& services, log::GroupLog& log,
          std::unique_ptr<StateMachine> state_machine);
  Status recover();
  Status complete_announced_install(LogIndex applied);
  Status recover_configuration(LogIndex applied);
  Result<std::shared_ptr<const raft::Snapshot>> offer_snapshot();

  void stop_taking_part(ReplicaId from, raft::MessageType type, const Status& why);
  /// Before an entry with a command that the state machine does not know.
  void stop_before(const raft::Entry& entry, const Status& why);
  void tick_stopped();
  /// It neither hears nor says anything.
  bool silent() const { return stopped() && !handing_over_; }
  const Status& stop_status() const { return stop_; }
  bool refuse_if_stopped(PendingWrite& write);
  Status admit_backlog(size_t bytes);
  /// All but writes that are applied and not committed.
  void fail_waiting(const Status& not_applied);
  void propose_gathered();
  /// The writes that this turn proposes: as many as there is room for.
  std::deque<PendingWrite> take_proposals();
  void note_uncommitted();
  void refuse_stalled(std::deque<PendingWrite> writes);
  void start_read_rounds();
  void start_read_round(raft::ReadMode mode, std::vector<PendingRead> reads);
  /// Returns those that are not refused.
  std::deque<PendingWrite> refuse_overload(std::deque<PendingWrite> writes, const Status& why);
  void handle_soft_state(const raft::SoftState& state);
  void handle_read_state(const raft::ReadState& state);
  void handle_message(raft::Message message);
  void handle_append(raft::StorageAppend append);
  void stage(const raft::StorageAppend& append, std::vector<raft::Message> responses);
  void stage_hard_state(const raft::HardState& state, std::vector<raft::Message> responses);
  void stage_record(const log::GroupAppend& record, std::vector<raft::Message> responses);
  void hold(raft::StorageAppend append);
  void release_held();
  void release_behind(std::vector<raft::Message> responses);
  void on_durable(uint64_t append, std::vector<raft::Message> responses);
  void release(std::vector<raft::Message> responses);
  void save_commit();
  void install(std::shared_ptr<raft::StorageAppend> append);
  void replace_state(std::shared_ptr<raft::StorageAppend> append);
  void finish_install(const std::shared_ptr<raft::StorageAppend>& append, const Status& status);
  void start_over_when_durable();
  void abort_install(const raft::Snapshot& snapshot, const Status& why);
  void resend_snapshot(ReplicaId to);

  void apply_entries(std::span<const raft::Entry> entries);
  /// Answers writes that are applied and not committed: whether they will be is not known here.
  template <class Which>
  void give_up_applied(const Which& which, std::string_view text);
  void expire_applied(env::MonotonicTime now);
  void give_up_all_applied(std::string_view text);
  bool stalled() const;
  bool stall_lasts() const;
  /// What the replica waits for: the disk of the log, or its engine.
  Status stall_status() const;
  void flush_commands(LogIndex last_index, Term last_term);
  void apply_conf_change(const raft::Entry& entry);
  void resolve_conf_change(const raft::Entry& entry);
  void serve_reads();
  void serve(PendingRead read);
  void fail_read(PendingRead read, StatusCode code, std::string_view why);
  void expire(env::MonotonicTime now);
  void handle_disk_stall();
  bool only_voter() const;
  void compact();
  LogIndex snapshot_floor();
  void follow_catch_up();
  void make_state_durable(LogIndex applied);
  void cut_log(LogIndex through);
  /// The last entry that no other member needs from this one, as far as it knows.
  LogIndex had_by_others() const;
  std::string no_leader_text() const;

  ReplicaContext& services_;
  log::GroupLog& log_;
  std::unique_ptr<StateMachine> state_machine_;
  std::unique_ptr<ReplicaStorage> storage_;
  std::unique_ptr<ReplicaLease> lease_;  ///< Null without HostOptions::leases.
  CoreLogger<ReplicaContext> core_logger_;
  std::unique_ptr<raft::Raft> core_;
  /// Why it takes no further part; ok: it does. kUnsupported: the node is to be upgraded.
  Status stop_;
  bool handing_over_ = false;  ///< It has stopped and led: it goes on until another one leads.

  raft::SoftState soft_state_;
  Term announced_term_;

  std::shared_ptr<Admission::Account> account_;
  WritePace write_pace_;  ///< Of writes that were proposed here.
  WriteQueue writes_;
  std::optional<PendingConfChange> conf_change_;

  /// Counts from a random number: the leader may still hold a question of an earlier process, or of
  /// the replica that this one started over from, and answer it (trap 15).
  uint64_t next_read_id_;
  std::vector<PendingRead> gathered_reads_;
  std::deque<ReadRound> read_rounds_;
  std::deque<WaitingRead> waiting_reads_;

  // Log appends, numbered. Responses that need no sync of their own (commit-only) wait for the
  // newest append under way, so that they still follow what they assert.
  struct BehindAppend {
    uint64_t append = 0;
    std::vector<raft::Message> responses;
  };
  uint64_t appends_staged_ = 0;
  uint64_t appends_durable_ = 0;
  std::deque<BehindAppend> behind_appends_;
  raft::HardState hard_state_;        ///< The core's.
  raft::HardState hard_state_saved_;  ///< As staged in the log; only `commit` may lag.

  std::deque<raft::StorageApply> to_apply_;
  size_t applied_of_front_ = 0;  ///< Entries of to_apply_.front().
  size_t applicable_ = 0;        ///< Entries from there on: what they read is in memory.
  bool prefetching_ = false;     ///< For entries at the front of to_apply_.
  std::vector<Command> commands_;
  std::vector<size_t> commands_at_;
  std::vector<ApplyResult> results_;
  std::vector<raft::Message> apply_responses_;
  /// Applied, and answered once the engine has committed.
  std::vector<std::pair<PendingWrite, ApplyResult>> applied_writes_;

  ConfHistory conf_history_;    ///< From the log's mark on.
  LogIndex state_saved_index_;  ///< In-memory state machines: the snapshot on disk.
  bool saving_state_ = false;
  LogIndex last_when_trimmed_;  ///< The log's end at the last trim_if_idle().
  uint64_t state_bytes_ = 0;    ///< Of the state when it was last saved; 0: not known.
  uint64_t bytes_applied_ = 0;  ///< Of entries, since the start.
  uint64_t bytes_applied_at_save_ = 0;
  uint64_t bytes_applied_at_last_save_ = 0;  ///< Of one that succeeded.
  env::MonotonicTime save_not_before_;

  bool installing_ = false;
  bool starting_over_ = false;            ///< What it would still do is for the one in its place.
  std::deque<raft::StorageAppend> held_;  ///< What belongs behind the snapshot in the log.
  /// Installations in a row that found no room, and until when no snapshot is taken for it.
  uint32_t installs_without_room_ = 0;
  env::MonotonicTime no_snapshot_before_;
  std::unique_ptr<SnapshotWriter> received_;
  raft::Snapshot received_position_;
  struct SnapshotInFlight {
    ReplicaId to;
    LogIndex index;
    uint64_t stream;  ///< wire::SnapshotHeader::stream.
    /// The stream has ended well, and the member catches up with what was written meanwhile.
    bool arrived = false;
    LogIndex match;                    ///< Of the member, once it has arrived.
    env::MonotonicTime progress_at{};  ///< When `match` last moved.
  };
  std::vector<SnapshotInFlight> snapshots_in_flight_;
  absl::flat_hash_map<uint64_t, uint32_t> snapshot_failures_;  ///< In a row, by member.
  bool yielded_ = false;  ///< During a stall of the disk: the leadership was offered to another.
};

}  // namespace multiraft::host
