#include "transport/snapshot/chunk_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "base/crc32c.h"

namespace multiraft::transport {
namespace {

/// 500 times an "a", as an encoder of zstd level 1 writes it. What it writes is its own business;
/// that a receiver understands this frame is not.
constexpr std::string_view kCompressed(
    "\x28\xb5\x2f\xfd\x60\xf4\x00\x4d\x00\x00\x10\x61\x61\x01\x00\xef\x2a\xc0\x02", 19);
const std::string kContent(500, 'a');

wire::SnapshotChunk golden() {
  wire::SnapshotChunk chunk;
  chunk.content_bytes = 500;
  chunk.content_checksum = 0x4e423582;
  chunk.compression = wire::Compression::kZstd;
  chunk.data = kCompressed;
  return chunk;
}

TEST(ChunkCodec, Zstd_GoldenBytes_AreUnderstood) {
  ChunkUnpacker unpacker;
  auto content = unpacker.unpack(golden());
  ASSERT_TRUE(content) << content.status().to_string();
  EXPECT_EQ(*content, kContent);
  EXPECT_EQ(unpacker.totals().end(), (wire::SnapshotEnd{1, 500, 0x4e423582}));
}

TEST(ChunkCodec, Totals_AreOverTheContentsInARow) {
  ChunkPacker packer;
  (void)packer.pack("one");
  (void)packer.pack("two");
  EXPECT_EQ(packer.totals().end(), (wire::SnapshotEnd{2, 6, crc32c("onetwo")}));
}

TEST(ChunkCodec, AnyFlippedBitOrCut_IsCorruption) {
  for (size_t i = 0; i < kCompressed.size() * 8; ++i) {
    std::string bytes(kCompressed);
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << i % 8));
    wire::SnapshotChunk chunk = golden();
    chunk.data = bytes;
    ChunkUnpacker unpacker;
    auto content = unpacker.unpack(chunk);
    // Some bits of a frame of zstd mean nothing; then the content is what it was.
    if (content) {
      EXPECT_EQ(*content, kContent);
    } else {
      EXPECT_EQ(content.status().code(), StatusCode::kCorruption);
    }
  }
  for (size_t size = 0; size < kCompressed.size(); ++size) {
    wire::SnapshotChunk chunk = golden();
    chunk.data = kCompressed.substr(0, size);
    EXPECT_EQ(ChunkUnpacker().unpack(chunk).status().code(), StatusCode::kCorruption);
  }
}

TEST(ChunkCodec, ContentOfAnotherLength_IsCorruption) {
  for (const uint32_t bytes : {1U, 499U, 501U, 100'000U}) {
    wire::SnapshotChunk chunk = golden();
    chunk.content_bytes = bytes;
    EXPECT_EQ(ChunkUnpacker().unpack(chunk).status().code(), StatusCode::kCorruption);
  }
}

TEST(ChunkCodec, ChunkOutOfOrder_IsCorruption) {
  wire::SnapshotChunk chunk = golden();
  chunk.number = 1;
  EXPECT_EQ(ChunkUnpacker().unpack(chunk).status().code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace multiraft::transport
