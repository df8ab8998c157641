#pragma once
// What a replica asks of the worker it lives on.

#include <memory>
#include <string>

#include "env/clock.h"
#include "host/admission.h"
#include "host/node_host.h"
#include "host/requests.h"
#include "host/turn_budget.h"
#include "log/log.h"
#include "raft/types.h"

namespace multiraft::host {

class EngineLane;
class Replica;

class ReplicaContext {
 public:
  virtual ~ReplicaContext() = default;
  /// The disk is nearly full: logs are cut as far as they can be.
  virtual bool disk_low() const = 0;
  /// A write of the log has been under way for an election timeout: nothing here becomes durable
  /// for now.
  virtual bool disk_stalled() const = 0;
  /// It has lasted so long that nobody is kept waiting for its end.
  virtual bool disk_stall_is_long() const = 0;
  /// For callers that wait for it.
  virtual std::string disk_stall_message() const = 0;
  /// The same for an engine that takes no batch.
  virtual std::string engine_stall_text(const EngineLane& lane) const = 0;

  virtual const HostOptions& options() const = 0;
  virtual HostObserver& observer() = 0;
  virtual log::Log& log() = 0;
  /// What may wait in the worker, and what this turn may do.
  virtual Admission& admission() = 0;
  virtual TurnBudget& turn_budget() = 0;
  virtual env::MonotonicTime now() const = 0;
  /// Of Clock::now_since_boot().
  virtual env::MonotonicTime now_since_boot() const { return now(); }
  virtual uint64_t random_u64() = 0;

  /// Null where the replica is gone.
  virtual Replica* find(GroupId group, ReplicaId replica) = 0;
  /// The replica has something to do: it is visited in the next turn.
  virtual void activate(Replica& group) = 0;
  /// Queues a Raft message; it leaves at the end of the turn.
  virtual void send(GroupId group, raft::Message message) = 0;
  /// Asks the leader's node to propose. The write comes back through Replica::write_again() where
  /// it was certainly not applied, and is answered otherwise.
  virtual void forward(GroupId group, NodeId leader, PendingWrite write) = 0;
  /// Runs `task` with the replica, if it still lives, `delay_ns` from now.
  virtual void run_later(GroupId group, ReplicaId replica, int64_t delay_ns,
                         Callback<void(Replica&)> task) = 0;

  /// Lets the replica campaign() when its turn has come: a few groups at a time.
  virtual void campaign(Replica& group) = 0;
  /// Its role or leader is another one now.
  virtual void leadership_changed(Replica& group, ReplicaId leader_before) = 0;

  /// Runs `work`, which waits for the disk, on the pool, and then `done` here with the replica, if
  /// it still lives.
  virtual void run_blocking(Replica& group, Task work, Callback<void(Replica&)> done) = 0;

  /// A stream to a member that is too far behind. Ends with Replica::snapshot_sent().
  virtual void send_snapshot(Replica& group, const raft::Message& message, uint64_t stream,
                             std::unique_ptr<SnapshotReader> reader) = 0;
  virtual bool may_send_snapshot() const = 0;
  /// A log waits to be cut until more of the engine's state is durable. One flush serves all groups
  /// of the node, so it is asked for no more often than makes sense for all of them.
  virtual void request_flush(StateMachineEngine& engine) = 0;
  /// Keeps the state of an in-memory state machine on disk. Ends with Replica::state_saved().
  virtual void save_state(Replica& group, const raft::Snapshot& position,
                          std::unique_ptr<SnapshotReader> reader) = 0;
  /// Replaces the state by a received snapshot, away from the worker's thread: it waits for the
  /// disk. Ends with `done`; after an error the former state is whole.
  virtual void install_received(Replica& group, std::unique_ptr<SnapshotWriter> writer,
                                Callback<void(Replica&, const Status&)> done) = 0;
  /// Soon puts Replica::start_over() of this replica in its place.
  virtual void start_over(Replica& group) = 0;

  /// Replica::stopped() from now on.
  virtual void note_stopped(const Replica& group) = 0;
  /// For the log.
  virtual void warn(const std::string& text) = 0;
  /// The core's log lines: whether one more is taken now, which counts it, and the line.
  virtual bool takes_line(raft::LogLevel level) = 0;
  virtual void log_line(raft::LogLevel level, const std::string& line) = 0;
  virtual void count_applied(uint64_t entries) = 0;
  virtual void count_install() = 0;
  /// A replica has stopped at a command that this program does not know (+1), or went away (-1).
  virtual void count_to_upgrade(int change) = 0;
  /// The disk or an invariant of the state failed: the process ends.
  virtual void fatal(const Status& status) = 0;
};

}  // namespace multiraft::host
