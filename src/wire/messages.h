#pragma once
// What travels between nodes, decoded. The encoding is documented in docs/formats/wire.md.

#include <cstdint>
#include <string>

#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::wire {

/// A Raft message of one group. from/to inside it are replica ids, so a message of a removed
/// replica is distinguished from one of its successor on the same node.
struct GroupMessage {
  GroupId group;
  raft::Message message;
};

/// Questions from node to node beside Raft. `kind` belongs to host/ and cluster/; the payload is
/// theirs.
enum class RequestKind : uint8_t {
  kJoin = 1,     ///< The only kind that a node without a cluster may send.
  kPropose = 2,  ///< A write forwarded to the leader.
  kAdmin = 3,    ///< Membership and registry work.
};
struct Request {
  uint64_t id = 0;  ///< Of the asking worker's choice; the response repeats it.
  RequestKind kind = RequestKind::kAdmin;
  GroupId group;
  SharedBytes payload;
  /// Of a kPropose: raft::payload_checksum() of the command, as made where it entered the system.
  uint32_t checksum = 0;
};
struct Response {
  uint64_t id = 0;
  StatusCode code = StatusCode::kOk;
  SharedBytes payload;  ///< On error: the message, UTF-8.
  /// Incarnation of the process that asked. Another process of the same node drops the answer: its
  /// own question may have the same id.
  uint64_t asker = 0;
};

/// How far the log of the sending worker was durable when the batch left: an acknowledgement never
/// arrives without the sequence number of the log batch that made it durable.
struct Durable {
  uint64_t sequence = 0;  ///< Not 0.
};

/// Opens a snapshot stream.
struct SnapshotHeader {
  GroupId group;
  ReplicaId from;
  ReplicaId to;
  Term term;  ///< Of the leader that sends.
  /// Drawn for every view that is sent. A connection that names the stream of one that broke goes
  /// on with the same bytes.
  uint64_t stream = 0;
  raft::Snapshot snapshot;
  friend bool operator==(const SnapshotHeader&, const SnapshotHeader&) = default;
};

}  // namespace multiraft::wire
