#pragma once
// What a user of libmultiraft implements: a deterministic state machine, one instance per group.
//
// Determinism: apply() may depend on nothing but the state and the command. No clock, no random
// number, no setting that differs between nodes (trap 44).

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft {

/// One committed command.
struct Command {
  LogIndex index;
  Term term;
  std::string_view data;  ///< Valid during the call.
};

/// What apply() hands back to the one who proposed. Small codes travel without an allocation.
struct ApplyResult {
  uint64_t code = 0;  ///< Of the state machine's own making; 0 = done.
  SharedBytes data;
};

/// A consistent view of the state at one applied index, readable chunk by chunk on any one thread
/// while the state machine goes on.
class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  virtual LogIndex applied_index() const = 0;
  virtual Term applied_term() const = 0;
  /// Replaces `chunk` by the next piece of about `bytes_target` bytes; empty at the end.
  virtual Status next(size_t bytes_target, std::string& chunk) = 0;
};

/// Takes the chunks of a SnapshotReader, in order. The present state stays untouched until
/// finish().
class SnapshotWriter {
 public:
  virtual ~SnapshotWriter() = default;
  virtual Status append(std::string_view chunk) = 0;
  /// Replaces the whole state, atomically also against a crash: afterwards applied_index() is the
  /// snapshot's. Without it, destruction discards everything.
  virtual Status finish() = 0;
};

/// All calls but those of readers and writers come from the one worker that owns the group.
class StateMachine {
 public:
  virtual ~StateMachine() = default;

  /// Whether this program knows the version and the kind of the command; asked for each one before
  /// apply(). kUnsupported: it does not, and the replica stops before this command until the node
  /// runs a newer program. To skip what others apply would make the copies differ. A command that
  /// is malformed is known: every program refuses it alike, with a result code.
  virtual Status check(std::string_view command) const {
    (void)command;
    return Status::ok();
  }
  /// Applies commands in log order and fills one result per command. `last` is the position reached
  /// afterwards, which may be beyond the last command (entries without a command); it becomes the
  /// applied index atomically with the commands' effects. Effects may stay buffered until the
  /// engine's commit(). An error is a failing disk, never a bad command: those have result codes.
  virtual Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
                       std::span<ApplyResult> results) = 0;
  /// What has to be read from the disk before commands can be applied.
  struct Prefetch {
    /// For a thread that may wait; null where all of it is in memory. It runs while nothing is
    /// applied to this state machine, and may run or be destroyed after this one has gone, but not
    /// after the engine has.
    absl::AnyInvocable<void()> reads;
    /// How many of the commands, from the first on, may be applied after that without waiting for
    /// the disk: one at least, and no more than can be looked up quickly.
    size_t commands = 0;
  };
  /// Before apply() of these commands, of which there is one at least.
  virtual Prefetch prefetch(std::span<const Command> commands) {
    return {nullptr, commands.size()};
  }
  /// Position of the state, buffered effects included.
  virtual LogIndex applied_index() const = 0;
  virtual Term applied_term() const = 0;
  /// Up to here the state survives a crash of the machine by itself; the log must be kept from the
  /// next index on.
  virtual LogIndex durable_index() const = 0;
  /// The state lives in memory only and durable_index() is 0: the host saves snapshots to disk on
  /// its own and restores from the last one before it replays the log.
  virtual bool in_memory() const { return false; }
  virtual Result<std::unique_ptr<SnapshotReader>> snapshot() = 0;
  /// For a state that was sent by another replica and stands at this position.
  virtual Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) = 0;
  /// Equal on all replicas at the same applied index. Reads everything.
  virtual Result<uint64_t> hash() = 0;
};

/// Makes the state machines of a node and gives them a common store. Shared by all workers; open,
/// commit and request_flush may be called from any of them, each for its own groups, and must not
/// wait for the disk. destroy and groups come from threads that may wait.
class StateMachineEngine {
 public:
  virtual ~StateMachineEngine() = default;

  /// The state of the group as it was left, or empty at index 0.
  virtual Result<std::unique_ptr<StateMachine>> open(GroupId group) = 0;
  /// Drops all state of groups that have no open state machine; those without any are no error.
  /// Durable before it returns. After an error any of them may still be there, or come back after a
  /// crash; kOverloaded and kNoSpace are tried again later. Any thread, also several calls at once
  /// for different groups.
  virtual Status destroy(std::span<const GroupId> groups) = 0;
  /// The groups that have a state here, so that one whose removal was cut short by a crash is
  /// found. Any thread. Empty where no state outlives the process.
  virtual Result<std::vector<GroupId>> groups() { return std::vector<GroupId>(); }
  /// Ends a worker's turn: what its state machines buffered since the last call becomes visible and
  /// answers may go out. `worker` numbers the caller, from 0.
  virtual Status commit(uint32_t worker) = 0;
  /// Asks for durable_index() to move forward soon; returns at once.
  virtual void request_flush() = 0;
  /// kOverloaded while the engine's background work falls behind what is written: leaders refuse
  /// clients' writes, so that commit() need not. Asked often; any thread; never waits.
  virtual Status keeps_up() const { return Status::ok(); }
};

}  // namespace multiraft
