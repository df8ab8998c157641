#pragma once
// The envelope of everything that travels between nodes (docs/formats/wire.md): a header that
// checks by itself, so that its length can be believed, and a checksum over header and payload.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "multiraft/status.h"

namespace multiraft::wire {

/// What this code speaks. Nodes of different versions refuse each other in the handshake.
inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 20;
inline constexpr size_t kFramePayloadBytesMax = limits::kFrameBytesMax - kFrameHeaderBytes;

enum class FrameKind : uint8_t {
  kHello = 1,       ///< The first frame on every connection.
  kHelloReply = 2,  ///< Its answer: welcome, or why not.
  kBatch = 3,       ///< Records: messages, requests, responses.
  kReceived = 4,    ///< From the receiver of batches: how far it has come.
  kLives = 5,       ///< What is known of other nodes, from both sides.
  kSnapshotHeader = 8,
  kSnapshotChunk = 9,
  kSnapshotEnd = 10,
  kSnapshotAck = 11,  ///< From the receiver of a snapshot.
};
std::string_view frame_kind_name(FrameKind kind);
/// The largest payload of that kind which is accepted.
size_t payload_bytes_max(FrameKind kind);

struct FrameHeader {
  uint16_t version = kProtocolVersion;
  FrameKind kind = FrameKind::kBatch;
  uint32_t payload_bytes = 0;
  uint32_t header_checksum = 0;
  uint32_t payload_checksum = 0;  ///< Of header and payload.
};

/// Decodes the first kFrameHeaderBytes of `in`. kCorruption: not a frame, or a damaged one.
/// kInvalidArgument: another version or kind; only handshake frames pass in any version, because
/// the refusal of a stranger has to be readable. kTooLarge: more than the kind may carry.
Status decode_frame_header(std::string_view in, FrameHeader& header);
/// Whether `payload` is what the header announced.
Status check_frame_payload(const FrameHeader& header, std::string_view payload);

/// Writes a header to `out` (kFrameHeaderBytes) for a payload that is the concatenation of two
/// pieces.
void encode_frame_header(FrameKind kind, std::string_view payload, std::string_view rest,
                         char* out);
/// A whole frame, but for the last `rest.size()` bytes of its payload, which the caller sends
/// behind it without having copied them.
std::string make_frame(FrameKind kind, std::string_view payload, std::string_view rest = {});

namespace internal {
/// For payloads of many pieces: the checksum that theirs continues from, and the last step.
uint32_t begin_frame_header(FrameKind kind, size_t payload_bytes, char* out);
void finish_frame_header(uint32_t payload_checksum, char* out);
}  // namespace internal

}  // namespace multiraft::wire
