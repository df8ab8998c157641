#include "wire/frame.h"

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "wire/boot_record.h"

namespace multiraft::wire {
namespace {

constexpr uint32_t kMagic = 0x4657'524d;  // "MRWF"
constexpr size_t kCheckedHeaderBytes = 12;
constexpr size_t kSmallPayloadBytesMax = 4 * limits::kKiB;
/// Thousands of members, which no group has.
constexpr size_t kSnapshotHeaderBytesMax = 64 * limits::kKiB;

/// As it lies in memory, on a little-endian machine.
struct RawHeader {
  uint32_t magic;
  uint16_t version;
  uint8_t kind;
  uint8_t reserved;
  uint32_t payload_bytes;
  uint32_t header_checksum;
  uint32_t payload_checksum;
};
static_assert(sizeof(RawHeader) == kFrameHeaderBytes);
static_assert(offsetof(RawHeader, header_checksum) == kCheckedHeaderBytes);

bool is_known(uint8_t kind) {
  switch (static_cast<FrameKind>(kind)) {
    case FrameKind::kHello:
    case FrameKind::kHelloReply:
    case FrameKind::kBatch:
    case FrameKind::kReceived:
    case FrameKind::kLives:
    case FrameKind::kSnapshotHeader:
    case FrameKind::kSnapshotChunk:
    case FrameKind::kSnapshotEnd:
    case FrameKind::kSnapshotAck:
      return true;
  }
  return false;
}

bool is_handshake(FrameKind kind) {
  return kind == FrameKind::kHello || kind == FrameKind::kHelloReply;
}

}  // namespace

std::string_view frame_kind_name(FrameKind kind) {
  switch (kind) {
    case FrameKind::kHello:
      return "hello";
    case FrameKind::kHelloReply:
      return "hello reply";
    case FrameKind::kBatch:
      return "batch";
    case FrameKind::kReceived:
      return "received";
    case FrameKind::kLives:
      return "lives";
    case FrameKind::kSnapshotHeader:
      return "snapshot header";
    case FrameKind::kSnapshotChunk:
      return "snapshot chunk";
    case FrameKind::kSnapshotEnd:
      return "snapshot end";
    case FrameKind::kSnapshotAck:
      return "snapshot ack";
  }
  return "unknown";
}

size_t payload_bytes_max(FrameKind kind) {
  switch (kind) {
    case FrameKind::kBatch:
    case FrameKind::kSnapshotChunk:
      return kFramePayloadBytesMax;
    case FrameKind::kSnapshotHeader:
      return kSnapshotHeaderBytesMax;
    case FrameKind::kLives:
      return kBootRecordsBytesMax;
    case FrameKind::kHello:
    case FrameKind::kHelloReply:
    case FrameKind::kReceived:
    case FrameKind::kSnapshotEnd:
    case FrameKind::kSnapshotAck:
      return kSmallPayloadBytesMax;
  }
  return 0;
}

Status decode_frame_header(std::string_view in, FrameHeader& header) {
  RawHeader raw;
  if (in.size() < sizeof raw) return {StatusCode::kCorruption, "a cut-off frame header"};
  std::memcpy(&raw, in.data(), sizeof raw);
  if (raw.magic != kMagic) return {StatusCode::kCorruption, "not a frame of multiraft"};
  if (crc32c(in.substr(0, kCheckedHeaderBytes)) != raw.header_checksum) {
    return {StatusCode::kCorruption, "a frame header does not match its checksum"};
  }
  header.version = raw.version;
  header.kind = static_cast<FrameKind>(raw.kind);
  header.payload_bytes = raw.payload_bytes;
  header.header_checksum = raw.header_checksum;
  header.payload_checksum = raw.payload_checksum;
  if (raw.version != kProtocolVersion && !is_handshake(header.kind)) {
    return {StatusCode::kInvalidArgument,
            "a frame of protocol version " + std::to_string(raw.version) +
                "; this node speaks version " + std::to_string(kProtocolVersion)};
  }
  if (!is_known(raw.kind) || raw.reserved != 0) {
    return {StatusCode::kInvalidArgument, "a frame of unknown kind " + std::to_string(raw.kind)};
  }
  if (raw.payload_bytes > payload_bytes_max(header.kind)) {
    return {StatusCode::kTooLarge, "a " + std::string(frame_kind_name(header.kind)) + " frame of " +
                                       std::to_string(raw.payload_bytes) + " bytes"};
  }
  return Status::ok();
}

Status check_frame_payload(const FrameHeader& header, std::string_view payload) {
  MR_ASSERT(payload.size() == header.payload_bytes);
  if (crc32c(payload, header.header_checksum) == header.payload_checksum) return Status::ok();
  return {StatusCode::kCorruption,
          "a " + std::string(frame_kind_name(header.kind)) + " frame does not match its checksum"};
}

namespace internal {

uint32_t begin_frame_header(FrameKind kind, size_t payload_bytes, char* out) {
  MR_ASSERT(payload_bytes <= payload_bytes_max(kind));
  RawHeader raw{};
  raw.magic = kMagic;
  raw.version = kProtocolVersion;
  raw.kind = static_cast<uint8_t>(kind);
  raw.payload_bytes = static_cast<uint32_t>(payload_bytes);
  std::memcpy(out, &raw, kCheckedHeaderBytes);
  raw.header_checksum = crc32c({out, kCheckedHeaderBytes});
  std::memcpy(out, &raw, sizeof raw);
  return raw.header_checksum;
}

void finish_frame_header(uint32_t payload_checksum, char* out) {
  std::memcpy(out + offsetof(RawHeader, payload_checksum), &payload_checksum,
              sizeof payload_checksum);
}

}  // namespace internal

void encode_frame_header(FrameKind kind, std::string_view payload, std::string_view rest,
                         char* out) {
  const uint32_t seed = internal::begin_frame_header(kind, payload.size() + rest.size(), out);
  internal::finish_frame_header(crc32c(rest, crc32c(payload, seed)), out);
}

std::string make_frame(FrameKind kind, std::string_view payload, std::string_view rest) {
  std::string frame(kFrameHeaderBytes, '\0');
  encode_frame_header(kind, payload, rest, frame.data());
  frame.append(payload);
  return frame;
}

}  // namespace multiraft::wire
