#include "transport/snapshot/chunk_codec.h"

#include "base/assert.h"
#include "base/coverage.h"
#include "base/crc32c.h"

namespace multiraft::transport {
namespace {

/// Several hundred MB/s: the network, not this, is what limits a snapshot.
constexpr int kCompressionLevel = 1;
/// A chunk that has not shrunk by an eighth travels as it is, and so do the next ones.
constexpr size_t kGainMin = 8;
constexpr uint32_t kSkipAfterMiss = 7;

}  // namespace

void ChunkTotals::add(std::string_view content) {
  ++chunks;
  content_bytes += content.size();
  content_checksum = crc32c(content, content_checksum);
}

ChunkPacker::ChunkPacker() : zstd_(ZSTD_createCCtx()) { MR_ASSERT(zstd_ != nullptr); }

wire::SnapshotChunk ChunkPacker::pack(std::string_view content) {
  MR_ASSERT(!content.empty() && content.size() <= wire::SnapshotChunk::kContentBytesMax);
  wire::SnapshotChunk chunk;
  chunk.number = totals_.chunks;
  chunk.content_bytes = static_cast<uint32_t>(content.size());
  chunk.content_checksum = crc32c(content);
  if (compress(content)) {
    chunk.compression = wire::Compression::kZstd;
    chunk.data = compressed_;
  } else {
    chunk.data = content;
  }
  totals_.add(content);
  return chunk;
}

bool ChunkPacker::compress(std::string_view content) {
  if (skip_ > 0) {
    --skip_;
    return false;
  }
  // More room would only hold what is thrown away.
  compressed_.resize(content.size() - content.size() / kGainMin);
  const size_t size = ZSTD_compressCCtx(zstd_.get(), compressed_.data(), compressed_.size(),
                                        content.data(), content.size(), kCompressionLevel);
  if (ZSTD_isError(size) || size >= content.size()) {
    skip_ = kSkipAfterMiss;
    return false;
  }
  compressed_.resize(size);
  return true;
}

ChunkUnpacker::ChunkUnpacker() : zstd_(ZSTD_createDCtx()) { MR_ASSERT(zstd_ != nullptr); }

Result<std::string_view> ChunkUnpacker::unpack(const wire::SnapshotChunk& chunk) {
  if (chunk.number != totals_.chunks) {
    return Status(StatusCode::kCorruption, "chunk " + std::to_string(chunk.number) +
                                               " instead of " + std::to_string(totals_.chunks));
  }
  std::string_view content = chunk.data;
  if (chunk.compression == wire::Compression::kZstd) {
    content_.resize(chunk.content_bytes);
    const size_t size = ZSTD_decompressDCtx(zstd_.get(), content_.data(), content_.size(),
                                            chunk.data.data(), chunk.data.size());
    if (ZSTD_isError(size) || size != chunk.content_bytes) {
      return Status(StatusCode::kCorruption,
                    "chunk " + std::to_string(chunk.number) + " cannot be decompressed");
    }
    content = content_;
  }
  if (crc32c(content) != chunk.content_checksum) {
    return Status(StatusCode::kCorruption,
                  "chunk " + std::to_string(chunk.number) + " does not match its checksum");
  }
  totals_.add(content);
  return content;
}

Status ChunkUnpacker::check(const wire::SnapshotEnd& end) const {
  if (end == totals_.end()) return Status::ok();
  return {StatusCode::kCorruption, "the chunks that came are not those that were sent"};
}

}  // namespace multiraft::transport
