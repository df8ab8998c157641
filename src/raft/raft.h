#pragma once
// The consensus core of one replica of one group: a pure state machine (thesis chapters 3, 4, 6).
//
// Messages, ticks and proposals go in; a Ready comes out: what to persist, to send, to apply. There
// is no clock, thread, lock, file, socket or global random generator inside. One thread drives an
// instance; it holds no reference to anything but its Storage, its Logger and its configuration.
//
// Order of work with asynchronous storage writes (the only mode of the product; the synchronous
// mode serves scenario files and simple embedders):
//   1. step()/tick()/propose()/...      any number
//   2. if has_ready(): rd = ready()
//   3. send rd.messages at once; start rd.append (if any) behind earlier appends of this replica,
//      in order; start rd.apply (if any) likewise
//   4. when an append is durable: step() those of its responses addressed to this replica, send the
//      others. When an apply is done: step() its responses.
// A response that asserts durability (append accepted, vote granted) is only ever in
// rd.append->responses, so it cannot leave early.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/conf_change.h"
#include "raft/storage.h"
#include "raft/types.h"

namespace multiraft::raft {

/// Says whether a leader's lease holds. A lease is real time, of which the core knows nothing;
/// lease.h has what is needed to implement it.
class LeaseJudge {
 public:
  virtual ~LeaseJudge() = default;
  /// A quorum has answered round `round` of heartbeats of `term` or a later one, each member with a
  /// promise of at least Config::promise_ms. Whether the promises are still in force at this very
  /// moment, which becomes the moment at which the read takes place.
  virtual bool holds(Term term, uint64_t round) = 0;
};

/// kRoutine: what happens all the time while all is well. Scenario files print it as INFO.
enum class LogLevel : uint8_t { kDebug, kRoutine, kInfo, kWarn, kError, kFatal };

/// Sink of the core's log lines. Called from the thread that drives the core. May be null.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void log(LogLevel level, std::string_view line) = 0;
};

/// The part of the windows of all members of all groups of a thread that is in use: bytes that were
/// sent and not acknowledged. Where it is full a member is sent nothing beyond one message.
struct SharedWindow {
  size_t bytes_max = SIZE_MAX;
  size_t bytes = 0;

  bool full() const { return bytes >= bytes_max; }
};

struct Config {
  ReplicaId id;
  uint32_t election_ticks = 10;
  uint32_t heartbeat_ticks = 1;
  bool pre_vote = true;
  bool check_quorum = true;
  bool step_down_on_removal = true;
  /// A rejected vote says how far the voter knows the log to be committed. A voter that applied its
  /// own removal is needed as long as others have not heard that it is committed; where it also has
  /// entries that a crashed leader lost, it can neither vote for that leader nor be elected, and
  /// only this lets the others go on.
  bool commit_in_rejections = true;
  bool async_storage_writes = true;
  bool disable_proposal_forwarding = false;
  bool disable_conf_change_validation = false;
  /// Not 0: each answer to a heartbeat promises that this replica, for election_ticks from then on,
  /// neither votes nor campaigns, unless the leader hands over; also across a restart, which is why
  /// a replica that starts does neither for that time, unless it is the only voter. The number
  /// tells the leader how long that is at least. Needs check_quorum.
  uint32_t promise_ms = 0;
  /// Outlives the core. Null: there are no leases, and all reads are confirmed by a round.
  LeaseJudge* lease = nullptr;
  /// Already applied by the state machine; 0 = what the storage's snapshot says.
  LogIndex applied;
  size_t message_bytes_max = SIZE_MAX;
  size_t committed_bytes_per_ready_max = SIZE_MAX;
  size_t uncommitted_bytes_max = SIZE_MAX;
  size_t inflight_messages_max = 256;
  size_t inflight_bytes_max = SIZE_MAX;
  /// Beside the limits per member; outlives the core. May be null.
  SharedWindow* shared_window = nullptr;
  /// Reads that wait here for an answer; more are refused.
  size_t pending_reads_max = limits::kPendingReadsPerGroupMax;
  /// What the checksums of this group's payloads start from (entry_checksum.h).
  uint32_t checksum_seed = 0;
  /// Seeds this replica's own generator of election timeouts.
  uint64_t random_seed = 0;
  Logger* logger = nullptr;
};

/// A command with the checksum that it got where it entered the system: payload_checksum().
struct Payload {
  SharedBytes data;
  uint32_t checksum = 0;
};

struct SoftState {
  ReplicaId leader;
  Role role = Role::kFollower;
  friend bool operator==(const SoftState&, const SoftState&) = default;
};

/// The answer to read_index(id): reads at or after `index` see every write that was acknowledged
/// before the question. `failed`: leadership unknown or lost; ask again with a new id.
struct ReadState {
  ReadId id;
  LogIndex index;
  bool failed = false;
};

/// Work for the log writer. Appends of one replica complete in order.
struct StorageAppend {
  std::optional<HardState> hard_state;       ///< Set when it changed.
  std::shared_ptr<const Snapshot> snapshot;  ///< Install first: it replaces the whole log.
  std::vector<Entry> entries;      ///< Then these, replacing any tail from their first index.
  std::vector<Message> responses;  ///< Then these may leave.
  /// False: only a commit index or nothing but responses; the order matters, a sync does not.
  bool must_sync = false;
};

/// Work for the state machine: committed entries in order, then step the response. A snapshot in a
/// later StorageAppend supersedes it: what is not applied when the snapshot is installed is
/// dropped.
struct StorageApply {
  std::vector<Entry> entries;
  std::vector<Message> responses;
};

struct Ready {
  std::optional<SoftState> soft_state;  ///< When it changed.
  std::vector<ReadState> read_states;
  std::vector<Message> messages;  ///< May leave at once.
  std::optional<StorageAppend> append;
  std::optional<StorageApply> apply;
};

/// Where an accepted proposal stands. It is committed if and only if an entry with exactly this
/// (index, term) is applied.
struct ProposalPosition {
  LogIndex index;
  Term term;
};

enum class ProgressState : uint8_t { kProbe, kReplicate, kSnapshot };

/// One member as its leader sees it.
struct MemberProgress {
  ReplicaId id;
  LogIndex match_index;
  LogIndex next_index;
  ProgressState state = ProgressState::kProbe;
  bool learner = false;
  bool paused = false;
  bool recent_active = false;
  LogIndex pending_snapshot;
  size_t inflight_messages = 0;
  bool inflight_full = false;
};

/// A view of one replica, for status reports and for the host's decisions.
struct RaftStatus {
  ReplicaId id;
  SoftState soft_state;
  HardState hard_state;
  LogIndex applied_index;
  ReplicaId transfer_target;  ///< 0: none under way.
  ConfState conf_state;
  std::vector<MemberProgress> members;  ///< Leader only, self included, ids ascend.
};

class Core;

class Raft {
 public:
  /// Why a core cannot start from this: a wrong configuration, or a storage whose parts do not fit
  /// (kCorruption). Checked by the constructor as well, which aborts.
  static Status check_start(const Config& config, const Storage& storage);

  /// Starts as a follower, from what `storage` holds. `storage` outlives the core.
  Raft(const Config& config, Storage& storage);
  ~Raft();
  Raft(Raft&&) noexcept;

  /// A message from another member or a response of a StorageAppend / StorageApply. Bytes from the
  /// network are never trusted: kInvalidArgument for local types, unknown members and what no
  /// member sends, kCorruption for what contradicts committed entries. kUnavailable, kOverloaded: a
  /// forwarded proposal was dropped. Nothing changes on error, except that a term may be learnt.
  Status step(Message message);
  /// One unit of time.
  void tick();
  /// Starts an election.
  void campaign();
  /// Appends entries at the leader; returns the position of the first, the others follow it.
  /// kUnavailable: no leader or not here, a transfer is under way, or this replica left the group;
  /// kOverloaded: too much is uncommitted. Nothing is kept on error.
  /// On a follower with forwarding on, sends kProp to the leader and returns position {0, 0}.
  Result<ProposalPosition> propose(std::vector<Payload> payloads);
  /// The same for payloads that were just made: this makes their checksums.
  Result<ProposalPosition> propose(std::vector<SharedBytes> payloads);
  /// As propose(), one entry. Where the change is not allowed now, or could not be applied, an
  /// empty entry takes its place and kConflict is returned.
  Result<ProposalPosition> propose_conf_change(const ConfChange& change);
  /// The caller tells the core of every committed change when it applies its entry, in order, and
  /// before the response of the StorageApply that held it. Returns the configuration from there on;
  /// it stays as it is where the algebra does not allow the change.
  ConfState apply_conf_change(const ConfChange& change);
  /// Asks for a read index; a ReadState with this id follows, always, within an election timeout of
  /// ticks. Ids grow per replica and are not reused.
  /// A lease that does not hold is no error: then a round confirms.
  void read_index(ReadId id, ReadMode mode = ReadMode::kConfirmed);
  /// At the leader: hands over to a voter as soon as it has the whole log (thesis 3.10). Proposals
  /// and reads are refused meanwhile. Given up after an election timeout.
  void transfer_leadership(ReplicaId to);
  /// At a follower: the leader is gone as far as this replica knows; it may grant votes at once.
  void forget_leader();
  /// At a leader or candidate: becomes a follower of nobody in the same term, for one that knows it
  /// cannot lead: its disk hangs. What it proposed may still be committed by others.
  void step_down();
  /// False: it does not campaign, by itself or when told to, until this is called with true. It
  /// follows and votes as before, and a leader stays one. True at the start.
  void set_electable(bool electable);
  /// True: no Ready has entries to apply until this is called with false, because the state machine
  /// takes no more for now. Committed entries wait in the log. False at the start.
  void hold_applying(bool hold);
  /// Storage has entries now that it did not have in memory when the core asked. They are asked for
  /// again: for what is to be applied with the next Ready, for members that lag at once.
  void retry_reads();
  /// The transport lost the connection to a member: messages in flight may be lost.
  void report_unreachable(ReplicaId member);
  /// A snapshot stream ended. The member's own answer to MsgSnap may still follow.
  void report_snapshot(ReplicaId member, bool ok);

  bool has_ready() const;
  Ready ready();
  /// Synchronous mode only: everything of the last Ready is done.
  void advance();

  ReplicaId id() const;
  Role role() const;
  ReplicaId leader() const;
  Term term() const;
  LogIndex commit_index() const;
  LogIndex applied_index() const;
  LogIndex last_index() const;
  /// True once an entry of the current term is committed here: reads may be served (trap 13).
  bool committed_in_term() const;
  /// The newest round of heartbeats that this leader has made; 0 for others. Those that the last
  /// ready() did not bring have not left yet.
  uint64_t heartbeat_round() const;
  /// As committed_in_term(), and no other leader can have been helped past the members' promise to
  /// stay with this one: no transfer is under way and none came so far in this term as to tell its
  /// target. No lease holds otherwise (trap 18).
  bool lease_possible() const;
  /// Payloads that were proposed here in this term and are not committed; 0 where it does not lead.
  size_t uncommitted_bytes() const;
  bool pending_conf_change() const;  ///< One may be unapplied; another would be refused.
  const ConfState& conf_state() const;
  RaftStatus status() const;

  /// Tests and scenario files: the timeout until the next change of role.
  void set_randomized_election_timeout(uint32_t ticks);
  /// Tests and invariants: the parts. Not for embedders.
  const Core& core() const { return *core_; }
  Core& core() { return *core_; }

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace multiraft::raft
