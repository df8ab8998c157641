#pragma once
// Frames: what a connection between nodes is made of (docs/formats/wire.md). A header with length
// and checksum, then a payload. Decoders take untrusted bytes: they never overread and never trust
// a length before it is checked against base/limits.h.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/limits.h"
#include "base/status.h"
#include "wire/messages.h"

namespace multiraft::peer {

using namespace wire;

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 16;

enum class FrameKind : uint16_t {
  kHello = 1,
  kHelloReply = 2,
  kBatch = 3,
  kSnapshotHeader = 4,
  kSnapshotChunk = 5,
  kSnapshotEnd = 6,
  kSnapshotAck = 7,
};

struct FrameHeader {
  FrameKind kind = FrameKind::kHello;
  uint32_t payload_bytes = 0;
  uint32_t checksum = 0;
};

/// Room for the header at the front of `out`, to be filled by end_frame().
void begin_frame(std::string& out);
/// Fills in the header of the frame that begins at `start` and ends at the end of `out`.
void end_frame(std::string& out, size_t start, FrameKind kind);
/// The header of a payload whose CRC-32C continued from frame_seed() is `checksum`.
std::string encode_frame_header(FrameKind kind, uint32_t payload_bytes, uint32_t checksum);
/// Checksum of the header's own fields: where the payload's checksum goes on.
uint32_t frame_seed(FrameKind kind, uint32_t payload_bytes);

/// From exactly kFrameHeaderBytes. kInvalidArgument names what is wrong: no peer of ours, another
/// version, an unknown kind, a payload above the limit.
Result<FrameHeader> decode_frame_header(std::string_view bytes);
/// kCorruption where the payload does not match its header.
Status check_payload(const FrameHeader& header, std::string_view payload);

// -- Handshake.

enum class ConnectionKind : uint8_t {
  kMessages = 1,
  kSnapshot = 2,
  kCall = 3,  ///< One request, one response; open to nodes that are no members yet.
};

struct Hello {
  ConnectionKind kind = ConnectionKind::kMessages;
  ClusterId cluster;
  NodeId node;
  NodeId expected;  ///< Whom the sender means to reach; 0: whoever it is.
  uint64_t incarnation = 0;
  uint32_t worker = 0;
  uint32_t workers = 0;
};

struct HelloReply {
  bool accepted = false;
  bool retry = false;  ///< Refused for now only.
  ClusterId cluster;
  NodeId node;
  uint64_t incarnation = 0;
  std::string text;  ///< Why refused.
};

std::string encode_hello(const Hello& hello);
Result<Hello> decode_hello(std::string_view payload);
std::string encode_hello_reply(const HelloReply& reply);
Result<HelloReply> decode_hello_reply(std::string_view payload);

}  // namespace multiraft::peer
