#pragma once
// The vocabulary of the consensus core: entries, hard state, configurations, messages.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/types.h"

namespace multiraft::raft {

/// Addresses of the two local threads in asynchronous storage writes; never nodes.
inline constexpr ReplicaId kNoReplica{0};
inline constexpr ReplicaId kLocalAppend{~uint64_t{0}};
inline constexpr ReplicaId kLocalApply{~uint64_t{0} - 1};

enum class EntryType : uint8_t {
  kNormal = 0,
  kConfChange = 1,    ///< One operation (thesis 4.1).
  kConfChangeV2 = 2,  ///< Any number of operations, joint consensus (thesis 4.3).
};

/// One log entry. `data` is opaque to the core unless `type` is a configuration change, whose
/// encoding is conf_change.h's.
struct Entry {
  Term term;
  LogIndex index;
  EntryType type = EntryType::kNormal;
  SharedBytes data;
  /// entry_checksum.h. Of the payload alone as long as the entry has no place in a log (kProp).
  uint32_t checksum = 0;

  /// The checksum follows from the rest.
  friend bool operator==(const Entry& a, const Entry& b) {
    return a.term == b.term && a.index == b.index && a.type == b.type && a.data == b.data;
  }
};

/// What must be durable before a message that depends on it leaves (thesis 3.8). `commit` need not
/// be synced by itself.
struct HardState {
  Term term;
  ReplicaId vote;
  LogIndex commit;

  bool empty() const { return *this == HardState{}; }
  friend bool operator==(const HardState&, const HardState&) = default;
};

/// A membership configuration (thesis 4). Ids ascend within each list. `voters_outgoing` is not
/// empty only while joint; `learners_next` are voters of the outgoing half that become learners
/// when the joint configuration is left.
struct ConfState {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> voters_outgoing;
  std::vector<ReplicaId> learners;
  std::vector<ReplicaId> learners_next;
  bool auto_leave = false;

  bool empty() const { return *this == ConfState{}; }
  friend bool operator==(const ConfState&, const ConfState&) = default;
};

/// Where a snapshot stands in the log and which configuration holds there. The content travels
/// beside the core: the host streams it, and steps MsgSnap only once it has arrived and checked.
struct Snapshot {
  LogIndex index;
  Term term;
  ConfState conf_state;

  bool empty() const { return index == LogIndex{}; }
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

enum class MessageType : uint8_t {
  // Local: never on the wire.
  kHup = 0,
  kBeat = 1,
  kUnreachable = 2,
  kSnapStatus = 3,
  kCheckQuorum = 4,
  kTransferLeader = 5,
  kForgetLeader = 6,
  kStorageAppend = 7,
  kStorageAppendResp = 8,
  kStorageApply = 9,
  kStorageApplyResp = 10,
  // Between members.
  kProp = 16,
  kApp = 17,
  kAppResp = 18,
  kVote = 19,
  kVoteResp = 20,
  kPreVote = 21,
  kPreVoteResp = 22,
  kSnap = 23,
  kHeartbeat = 24,
  kHeartbeatResp = 25,
  kTimeoutNow = 26,
  kReadIndex = 27,
  kReadIndexResp = 28,  ///< With `reject`: the read failed; the asker tries again with a new id.
};

/// "MsgApp" etc.: the names of the literature and of the scenario files.
std::string_view message_type_name(MessageType type);

/// Names one attempt of a read (or one round of heartbeats that confirms reads). Never reused, so a
/// late answer cannot be taken for the answer to a newer question.
using ReadId = StrongId<struct ReadIdTag>;

/// How the leader makes sure that it still leads before it answers a read.
enum class ReadMode : uint8_t {
  kConfirmed,  ///< A quorum answers a heartbeat that was sent after the question (thesis 6.4).
  kLease,      ///< Its lease spares that round where it holds (6.4.1), see lease.h.
};

struct Message {
  MessageType type = MessageType::kHup;
  bool reject = false;
  /// On a vote request: it comes from a leadership transfer and overrides leader stickiness.
  bool leadership_transfer = false;
  /// On kReadIndex: ReadMode::kLease is enough.
  bool lease = false;
  /// On kHeartbeatResp: see Config::promise_ms.
  uint32_t promise_ms = 0;
  ReplicaId from;
  ReplicaId to;
  Term term;
  Term log_term;
  LogIndex index;
  LogIndex commit;
  ReplicaId vote;
  LogIndex reject_hint;
  ReadId read_id;
  std::vector<Entry> entries;
  /// Set on kSnap, kStorageAppend and kStorageAppendResp that carry one.
  std::shared_ptr<const Snapshot> snapshot;
  /// On kStorageAppend and kStorageApply: what to step or send once the work is durable or done.
  std::vector<Message> responses;
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
std::string_view role_name(Role role);  ///< "StateFollower" etc.

/// Size of an entry as limits count it: payload and fixed fields.
inline size_t entry_bytes(const Entry& e) { return e.data.size() + 24; }

}  // namespace multiraft::raft
