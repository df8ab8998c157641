#include "wire/snapshot_frames.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "raft/encoding.h"
#include "wire/status_code.h"

namespace multiraft::wire {
namespace {

Status malformed(std::string_view what) {
  return {StatusCode::kCorruption, "a malformed snapshot " + std::string(what)};
}

}  // namespace

std::string encode(const SnapshotHeader& header) {
  std::string payload;
  ByteWriter out(payload);
  out.u64(header.group.value);
  out.u64(header.from.value);
  out.u64(header.to.value);
  out.u64(header.term.value);
  out.u64(header.stream);
  raft::encode(header.snapshot, out);
  return make_frame(FrameKind::kSnapshotHeader, payload);
}

Status decode(std::string_view payload, SnapshotHeader& header) {
  ByteReader in(payload);
  header.group = GroupId(in.u64());
  header.from = ReplicaId(in.u64());
  header.to = ReplicaId(in.u64());
  header.term = Term(in.u64());
  header.stream = in.u64();
  const bool ok = raft::decode(in, header.snapshot);
  return ok && in.complete() ? Status::ok() : malformed("header");
}

std::string encode_head(const SnapshotChunk& chunk) {
  MR_ASSERT(chunk.content_bytes > 0 && chunk.content_bytes <= SnapshotChunk::kContentBytesMax);
  MR_ASSERT(chunk.compression == Compression::kNone ? chunk.data.size() == chunk.content_bytes
                                                    : chunk.data.size() < chunk.content_bytes);
  std::string head;
  ByteWriter out(head);
  out.u64(chunk.number);
  out.u32(chunk.content_bytes);
  out.u32(chunk.content_checksum);
  out.u8(static_cast<uint8_t>(chunk.compression));
  out.u8(0);
  out.u16(0);
  out.u32(static_cast<uint32_t>(chunk.data.size()));
  MR_ASSERT(head.size() == SnapshotChunk::kHeadBytes);
  return make_frame(FrameKind::kSnapshotChunk, head, chunk.data);
}

Status decode(std::string_view payload, SnapshotChunk& chunk) {
  ByteReader in(payload);
  chunk.number = in.u64();
  chunk.content_bytes = in.u32();
  chunk.content_checksum = in.u32();
  const uint8_t compression = in.u8();
  const bool zero = (in.u8() | in.u16()) == 0;
  chunk.data = in.sized();
  if (!in.complete() || !zero || chunk.content_bytes == 0 ||
      chunk.content_bytes > SnapshotChunk::kContentBytesMax) {
    return malformed("chunk");
  }
  switch (compression) {
    case static_cast<uint8_t>(Compression::kNone):
      if (chunk.data.size() != chunk.content_bytes) return malformed("chunk");
      break;
    case static_cast<uint8_t>(Compression::kZstd):
      if (chunk.data.size() >= chunk.content_bytes) return malformed("chunk");
      break;
    default:
      return malformed("chunk");
  }
  chunk.compression = static_cast<Compression>(compression);
  return Status::ok();
}

std::string encode(const SnapshotEnd& end) {
  std::string payload;
  ByteWriter out(payload);
  out.u64(end.chunks);
  out.u64(end.content_bytes);
  out.u32(end.content_checksum);
  return make_frame(FrameKind::kSnapshotEnd, payload);
}

Status decode(std::string_view payload, SnapshotEnd& end) {
  ByteReader in(payload);
  end.chunks = in.u64();
  end.content_bytes = in.u64();
  end.content_checksum = in.u32();
  return in.complete() ? Status::ok() : malformed("end");
}

std::string encode(const SnapshotAck& ack) {
  std::string payload;
  ByteWriter out(payload);
  out.u64(ack.chunks);
  out.u8(ack.last ? 1 : 0);
  out.u8(static_cast<uint8_t>(ack.code));
  out.u16(0);
  out.sized(std::string_view(ack.text).substr(0, SnapshotAck::kTextBytesMax));
  return make_frame(FrameKind::kSnapshotAck, payload);
}

Status decode(std::string_view payload, SnapshotAck& ack) {
  ByteReader in(payload);
  ack.chunks = in.u64();
  const uint8_t last = in.u8();
  const uint8_t code = in.u8();
  const bool zero = in.u16() == 0;
  const std::string_view text = in.sized();
  if (!in.complete() || !zero || last > 1 || !is_status_code(code) ||
      text.size() > SnapshotAck::kTextBytesMax) {
    return malformed("ack");
  }
  ack.last = last == 1;
  ack.code = static_cast<StatusCode>(code);
  if (!ack.last && ack.code != StatusCode::kOk && ack.code != StatusCode::kOverloaded) {
    return malformed("ack");
  }
  ack.text = text;
  return Status::ok();
}

}  // namespace multiraft::wire
