// Two sides of the codec of snapshot chunks. An even first byte: the rest are chunk frames'
// payloads, numbered right, that a receiver unpacks. An odd one: contents that are packed, sent and
// unpacked.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "fuzz/input.h"
#include "transport/snapshot/chunk_codec.h"

using namespace multiraft;

namespace {

void unpack(fuzz::Input& input) {
  transport::ChunkUnpacker unpacker;
  wire::SnapshotChunk chunk;
  while (!input.done()) {
    if (!wire::decode(input.sized(), chunk)) return;
    chunk.number = unpacker.totals().chunks;
    auto content = unpacker.unpack(chunk);
    if (!content) {
      MR_ASSERT(content.status().code() == StatusCode::kCorruption);
      return;
    }
    MR_ASSERT(content->size() == chunk.content_bytes);
    MR_ASSERT(content->size() <= wire::SnapshotChunk::kContentBytesMax);
  }
  MR_ASSERT(unpacker.check(unpacker.totals().end()).is_ok());
}

void send(fuzz::Input& input) {
  transport::ChunkPacker packer;
  transport::ChunkUnpacker unpacker;
  while (!input.done()) {
    // A piece of the input, several times in a row: something to compress.
    const size_t times = input.u8() % 16 + 1;
    const std::string_view piece = input.sized();
    std::string content;
    for (size_t i = 0; i < times; ++i) content += piece;
    if (content.empty()) continue;
    const wire::SnapshotChunk packed = packer.pack(content);
    const std::string frame = wire::encode_head(packed) + std::string(packed.data);
    wire::SnapshotChunk chunk;
    MR_ASSERT(wire::decode(std::string_view(frame).substr(wire::kFrameHeaderBytes), chunk).is_ok());
    auto unpacked = unpacker.unpack(chunk);
    MR_ASSERT(unpacked && *unpacked == content);
  }
  MR_ASSERT(unpacker.check(packer.totals().end()).is_ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  if (input.u8() % 2 == 0) {
    unpack(input);
  } else {
    send(input);
  }
  return 0;
}
