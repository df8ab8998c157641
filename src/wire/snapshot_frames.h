#pragma once
// The frames of a snapshot stream: header, ack, then chunks with acks, end, last ack.

#include <cstdint>
#include <string>
#include <string_view>

#include "multiraft/status.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace multiraft::wire {

enum class Compression : uint8_t { kNone = 0, kZstd = 1 };

/// One piece of a snapshot. `data` is its content as it travels: compressed or not.
struct SnapshotChunk {
  static constexpr size_t kHeadBytes = 24;
  /// Also of an uncompressed content, so that a small frame cannot grow without bound.
  static constexpr size_t kContentBytesMax = kFramePayloadBytesMax - kHeadBytes;

  uint64_t number = 0;            ///< 0, 1, ... : none is missing, doubled or out of order.
  uint32_t content_bytes = 0;     ///< Uncompressed.
  uint32_t content_checksum = 0;  ///< CRC-32C, uncompressed.
  Compression compression = Compression::kNone;
  std::string_view data;
};

/// Must agree with what came.
struct SnapshotEnd {
  uint64_t chunks = 0;
  uint64_t content_bytes = 0;
  uint32_t content_checksum = 0;  ///< Of all contents in a row.
  friend bool operator==(const SnapshotEnd&, const SnapshotEnd&) = default;
};

/// From the receiver: after the header (0 chunks, or what it has of a stream that broke), after
/// each chunk, now and then while it is busy, and once at last with what became of the snapshot. A
/// `last` one may come at any time: a refusal, or an error. One with kOverloaded that is not the
/// last says that the header waits for its turn.
struct SnapshotAck {
  static constexpr size_t kTextBytesMax = 1024;

  uint64_t chunks = 0;  ///< Taken so far.
  bool last = false;
  StatusCode code = StatusCode::kOk;
  std::string text;  ///< Of an error. Cut at kTextBytesMax.
  friend bool operator==(const SnapshotAck&, const SnapshotAck&) = default;
};

/// Whole frames.
std::string encode(const SnapshotHeader& header);
std::string encode(const SnapshotEnd& end);
std::string encode(const SnapshotAck& ack);
/// The frame without chunk.data, which follows it.
std::string encode_head(const SnapshotChunk& chunk);

/// From a frame's payload. kCorruption: malformed. chunk.data is a view into the payload.
Status decode(std::string_view payload, SnapshotHeader& header);
Status decode(std::string_view payload, SnapshotChunk& chunk);
Status decode(std::string_view payload, SnapshotEnd& end);
Status decode(std::string_view payload, SnapshotAck& ack);

}  // namespace multiraft::wire
