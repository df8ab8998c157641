#pragma once
// The first two frames on a connection. Their layout is the same in every version of the protocol,
// so that nodes of two versions can at least tell each other why they part.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/status.h"
#include "multiraft/types.h"
#include "wire/boot_record.h"
#include "wire/frame.h"

namespace multiraft::wire {

enum class ConnectionKind : uint8_t {
  kMessages = 1,  ///< Batches, from the one who connects to the other.
  kSnapshot = 2,  ///< One snapshot, likewise.
  kCall = 3,      ///< One request and its response.
};

/// Who connects, to whom, for what.
struct Hello {
  ConnectionKind kind = ConnectionKind::kMessages;
  uint16_t worker = 0;  ///< Of the one who connects.
  uint16_t workers = 1;
  /// The versions of the protocol that the node speaks, both included. The other side chooses the
  /// newest that both know.
  uint16_t version_min = kProtocolVersion;
  uint16_t version_max = kProtocolVersion;
  ClusterId cluster;  ///< 0: not a member yet.
  NodeId node;
  uint64_t incarnation = 0;
  NodeId to;  ///< Who is meant to answer; 0: whoever is there (calls).
  // How much of its past the node has (life.h).
  StateDirId state;  ///< Of its state directory. 0: it has none that could be too old.
  uint64_t life = 0;
  /// The sequence up to which the log of each worker was found when this process started.
  std::vector<uint64_t> recovered;
  /// Where others reach the node, as it advertises it: it may have moved since they last heard of
  /// it. At most kAddressBytesMax; empty: it does not say.
  std::string raft_address;
  static constexpr size_t kAddressBytesMax = 300;
  friend bool operator==(const Hello&, const Hello&) = default;
};

struct HelloReply {
  static constexpr size_t kTextBytesMax = 1024;

  StatusCode code = StatusCode::kOk;    ///< Otherwise the connection is refused, and closed.
  uint16_t version = kProtocolVersion;  ///< Of the protocol, for the rest of the connection.
  /// 0 towards those who did not name it themselves: the id is what members have in common.
  ClusterId cluster;
  NodeId node;
  uint64_t incarnation = 0;
  std::string text;  ///< Reason of a refusal, for the log. Cut at kTextBytesMax.
  /// With kStateRollback: what is known of the one who connects. Otherwise empty.
  BootRecord known = {};
  friend bool operator==(const HelloReply&, const HelloReply&) = default;
};

/// How far a receiver of batches has come: bytes read from the connection.
struct Received {
  uint64_t bytes = 0;
  friend bool operator==(const Received&, const Received&) = default;
};

/// Whole frames.
std::string encode(const Hello& hello);
std::string encode(const HelloReply& reply);
std::string encode(const Received& received);
/// From a frame's payload. kCorruption: malformed.
Status decode(std::string_view payload, Hello& hello);
Status decode(std::string_view payload, HelloReply& reply);
Status decode(std::string_view payload, Received& received);

}  // namespace multiraft::wire
