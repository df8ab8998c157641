// The first byte is the kind of a frame, the rest its payload, whose checksum is taken for granted.
// What decodes encodes to the same bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/batch.h"
#include "wire/handshake.h"
#include "wire/snapshot_frames.h"

using namespace multiraft;

namespace {

void expect_same(const std::string& frame, std::string_view payload) {
  MR_ASSERT(std::string_view(frame).substr(wire::kFrameHeaderBytes) == payload);
}

template <class Decoded>
void round_trip(std::string_view payload) {
  Decoded decoded;
  if (wire::decode(payload, decoded)) expect_same(wire::encode(decoded), payload);
}

void chunk(std::string_view payload) {
  wire::SnapshotChunk decoded;
  if (!wire::decode(payload, decoded)) return;
  expect_same(wire::encode_head(decoded) + std::string(decoded.data), payload);
}

void batch(std::string_view payload) {
  using Item = wire::BatchReader::Item;
  wire::BatchReader reader(SharedBytes::copy_of(payload));
  wire::BatchEncoder encoder;
  for (;;) {
    const Item item = reader.next();
    if (item == Item::kMalformed) {
      MR_ASSERT(!reader.status().is_ok());
      return;
    }
    if (item == Item::kEnd) break;
    if (item == Item::kMessage) encoder.add(reader.message());
    if (item == Item::kRequest) encoder.add(reader.request());
    if (item == Item::kResponse) encoder.add(reader.response());
    if (item == Item::kDurable) encoder.add(reader.durable());
  }
  std::string frame;
  for (const std::string_view part : encoder.finish()) frame += part;
  expect_same(frame, payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto kind = static_cast<wire::FrameKind>(data[0]);
  const std::string_view payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (payload.size() > wire::payload_bytes_max(kind)) return 0;
  switch (kind) {
    case wire::FrameKind::kHello:
      round_trip<wire::Hello>(payload);
      break;
    case wire::FrameKind::kHelloReply:
      round_trip<wire::HelloReply>(payload);
      break;
    case wire::FrameKind::kBatch:
      batch(payload);
      break;
    case wire::FrameKind::kReceived:
      round_trip<wire::Received>(payload);
      break;
    case wire::FrameKind::kLives:
      round_trip<std::vector<wire::BootRecord>>(payload);
      break;
    case wire::FrameKind::kSnapshotHeader:
      round_trip<wire::SnapshotHeader>(payload);
      break;
    case wire::FrameKind::kSnapshotChunk:
      chunk(payload);
      break;
    case wire::FrameKind::kSnapshotEnd:
      round_trip<wire::SnapshotEnd>(payload);
      break;
    case wire::FrameKind::kSnapshotAck:
      round_trip<wire::SnapshotAck>(payload);
      break;
  }
  return 0;
}
