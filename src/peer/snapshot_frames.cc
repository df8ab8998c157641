// The frames of a snapshot stream.

#include <zstd.h>

#include "base/bytes.h"
#include "peer/batch.h"
#include "raft/encoding.h"

namespace multiraft::peer {
namespace {

constexpr int kCompressionLevel = 1;
constexpr size_t kWorthCompressing = 512;
/// A chunk holds one record of a state machine at least, so it may exceed its target by a value.
constexpr size_t kChunkBytesMax = limits::kFrameBytesMax - 1024;

enum class Compression : uint8_t { kNone = 0, kZstd = 1 };

Status malformed(const char* what) {
  return Status(StatusCode::kInvalidArgument, std::string("malformed ") + what);
}

}  // namespace

std::string encode_snapshot_header(const SnapshotHeader& header) {
  std::string out;
  begin_frame(out);
  ByteWriter w(out);
  w.u64(header.group.value);
  w.u64(header.from.value);
  w.u64(header.to.value);
  w.u64(header.term.value);
  raft::encode(header.snapshot, w);
  end_frame(out, 0, FrameKind::kSnapshotHeader);
  return out;
}

Result<SnapshotHeader> decode_snapshot_header(std::string_view payload) {
  ByteReader in(payload);
  SnapshotHeader header;
  header.group = GroupId(in.u64());
  header.from = ReplicaId(in.u64());
  header.to = ReplicaId(in.u64());
  header.term = Term(in.u64());
  if (!raft::decode(in, header.snapshot) || !in.complete() || header.snapshot.empty()) {
    return malformed("snapshot header");
  }
  return header;
}

std::string encode_snapshot_chunk(uint64_t number, std::string_view bytes) {
  std::string out;
  begin_frame(out);
  ByteWriter w(out);
  w.u64(number);
  w.u32(static_cast<uint32_t>(bytes.size()));
  const size_t flag_at = out.size();
  w.u8(static_cast<uint8_t>(Compression::kNone));
  const size_t data_at = out.size();
  if (bytes.size() >= kWorthCompressing) {
    out.resize(data_at + ZSTD_compressBound(bytes.size()));
    const size_t size = ZSTD_compress(out.data() + data_at, out.size() - data_at, bytes.data(),
                                      bytes.size(), kCompressionLevel);
    if (!ZSTD_isError(size) && size < bytes.size()) {
      out.resize(data_at + size);
      out[flag_at] = static_cast<char>(Compression::kZstd);
      end_frame(out, 0, FrameKind::kSnapshotChunk);
      return out;
    }
    out.resize(data_at);
  }
  w.bytes(bytes);
  end_frame(out, 0, FrameKind::kSnapshotChunk);
  return out;
}

Result<SnapshotChunk> decode_snapshot_chunk(std::string_view payload) {
  ByteReader in(payload);
  SnapshotChunk chunk;
  chunk.number = in.u64();
  const size_t size = in.u32();
  const uint8_t compression = in.u8();
  const std::string_view data = in.bytes(in.remaining());
  if (in.failed() || size == 0 || size > kChunkBytesMax) return malformed("snapshot chunk");
  if (compression == static_cast<uint8_t>(Compression::kNone)) {
    if (data.size() != size) return malformed("snapshot chunk");
    chunk.bytes = std::string(data);
    return chunk;
  }
  if (compression != static_cast<uint8_t>(Compression::kZstd)) return malformed("snapshot chunk");
  chunk.bytes.resize(size);
  const size_t got = ZSTD_decompress(chunk.bytes.data(), size, data.data(), data.size());
  if (ZSTD_isError(got) || got != size) {
    return Status(StatusCode::kCorruption, "a snapshot chunk does not decompress");
  }
  return chunk;
}

std::string encode_snapshot_end(const SnapshotEnd& end) {
  std::string out;
  begin_frame(out);
  ByteWriter w(out);
  w.u64(end.chunks);
  w.u64(end.bytes);
  w.u32(end.checksum);
  end_frame(out, 0, FrameKind::kSnapshotEnd);
  return out;
}

Result<SnapshotEnd> decode_snapshot_end(std::string_view payload) {
  ByteReader in(payload);
  SnapshotEnd end;
  end.chunks = in.u64();
  end.bytes = in.u64();
  end.checksum = in.u32();
  if (!in.complete()) return malformed("end of a snapshot");
  return end;
}

std::string encode_snapshot_ack(const Status& status) {
  std::string out;
  begin_frame(out);
  ByteWriter w(out);
  w.u8(static_cast<uint8_t>(status.code()));
  w.bytes(status.message());
  end_frame(out, 0, FrameKind::kSnapshotAck);
  return out;
}

Status decode_snapshot_ack(std::string_view payload) {
  ByteReader in(payload);
  const uint8_t code = in.u8();
  const std::string text(in.bytes(in.remaining()));
  if (in.failed() || code > static_cast<uint8_t>(StatusCode::kInternal)) {
    return malformed("answer to a snapshot");
  }
  if (code == static_cast<uint8_t>(StatusCode::kOk)) return Status::ok();
  return Status(static_cast<StatusCode>(code), text);
}

}  // namespace multiraft::peer
