#include "wire/snapshot_frames.h"

#include <gtest/gtest.h>

#include "wire/testing/samples.h"

namespace multiraft::wire {
namespace {

SnapshotHeader a_header() {
  SnapshotHeader header;
  header.group = GroupId(5);
  header.from = ReplicaId::make(NodeId(1), 11);
  header.to = ReplicaId::make(NodeId(2), 12);
  header.term = Term(4);
  header.stream = 0x0807060504030201;
  header.snapshot.index = LogIndex(1000);
  header.snapshot.term = Term(3);
  header.snapshot.conf_state.voters = {ReplicaId::make(NodeId(1), 11)};
  header.snapshot.conf_state.learners = {ReplicaId::make(NodeId(2), 12)};
  return header;
}

SnapshotChunk a_chunk() {
  SnapshotChunk chunk;
  chunk.number = 6;
  chunk.data = "abc";
  chunk.content_bytes = 3;
  chunk.content_checksum = 0x364b3fb7;
  return chunk;
}

std::string frame_of(const SnapshotChunk& chunk) {
  return encode_head(chunk) + std::string(chunk.data);
}

TEST(SnapshotFrames, Header_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode(a_header())),
            "4d 52 57 46 01 00 08 00 51 00 00 00 4d cd c2 af a7 93 4b dc "
            "05 00 00 00 00 00 00 00 0b 00 00 00 01 00 00 00 0c 00 00 00 02 00 00 00 "
            "04 00 00 00 00 00 00 00 01 02 03 04 05 06 07 08 e8 03 00 00 00 00 00 00 03 00 00 00 "
            "00 00 00 00 "
            "01 00 00 00 01 00 00 00 00 0b 00 00 00 01 00 00 00 0c 00 00 00 02 00 00 00");
}

TEST(SnapshotFrames, Chunk_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(frame_of(a_chunk())),
            "4d 52 57 46 01 00 09 00 1b 00 00 00 d4 b9 77 a2 b7 0e 7b 7c "
            "06 00 00 00 00 00 00 00 03 00 00 00 b7 3f 4b 36 00 00 00 00 03 00 00 00 "
            "61 62 63");
}

TEST(SnapshotFrames, EndAndAck_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode(SnapshotEnd{2, 300, 0x01020304})),
            "4d 52 57 46 01 00 0a 00 14 00 00 00 22 a9 8f 79 01 f4 42 bb "
            "02 00 00 00 00 00 00 00 2c 01 00 00 00 00 00 00 04 03 02 01");
  EXPECT_EQ(to_hex(encode(SnapshotAck{3, true, StatusCode::kNoSpace, "full"})),
            "4d 52 57 46 01 00 0b 00 14 00 00 00 3b c2 bf 96 12 b6 1a 4b "
            "03 00 00 00 00 00 00 00 01 0c 00 00 04 00 00 00 66 75 6c 6c");
}

TEST(SnapshotFrames, All_RoundTrip_Same) {
  SnapshotHeader header;
  ASSERT_TRUE(decode(payload_of(encode(a_header()), FrameKind::kSnapshotHeader), header).is_ok());
  EXPECT_EQ(header, a_header());

  const std::string frame = frame_of(a_chunk());
  SnapshotChunk chunk;
  ASSERT_TRUE(decode(payload_of(frame, FrameKind::kSnapshotChunk), chunk).is_ok());
  EXPECT_EQ(chunk.number, 6u);
  EXPECT_EQ(chunk.content_bytes, 3u);
  EXPECT_EQ(chunk.content_checksum, 0x364b3fb7u);
  EXPECT_EQ(chunk.data, "abc");

  SnapshotEnd end;
  ASSERT_TRUE(
      decode(payload_of(encode(SnapshotEnd{1, 2, 3}), FrameKind::kSnapshotEnd), end).is_ok());
  EXPECT_EQ(end, (SnapshotEnd{1, 2, 3}));
  const SnapshotAck sent{3, true, StatusCode::kNoSpace, "full"};
  SnapshotAck ack;
  ASSERT_TRUE(decode(payload_of(encode(sent), FrameKind::kSnapshotAck), ack).is_ok());
  EXPECT_EQ(ack, sent);
}

template <class Frame>
void expect_cut_is_corruption(const std::string& frame, FrameKind kind) {
  const std::string payload(payload_of(frame, kind));
  Frame decoded;
  for (size_t n = 0; n < payload.size(); ++n) {
    EXPECT_EQ(decode(std::string_view(payload).substr(0, n), decoded).code(),
              StatusCode::kCorruption)
        << n;
  }
  EXPECT_EQ(decode(payload + 'x', decoded).code(), StatusCode::kCorruption);
}

TEST(SnapshotFrames, Payload_CutAnywhereOrLonger_IsCorruption) {
  expect_cut_is_corruption<SnapshotHeader>(encode(a_header()), FrameKind::kSnapshotHeader);
  expect_cut_is_corruption<SnapshotChunk>(frame_of(a_chunk()), FrameKind::kSnapshotChunk);
  expect_cut_is_corruption<SnapshotEnd>(encode(SnapshotEnd{1, 2, 3}), FrameKind::kSnapshotEnd);
  expect_cut_is_corruption<SnapshotAck>(encode(SnapshotAck{1, true, StatusCode::kOk, "x"}),
                                        FrameKind::kSnapshotAck);
}

/// The chunk's payload with some bytes replaced.
Status decode_chunk_with(size_t at, std::string_view bytes) {
  std::string payload(frame_of(a_chunk()).substr(kFrameHeaderBytes));
  payload.replace(at, bytes.size(), bytes);
  SnapshotChunk chunk;
  return decode(payload, chunk);
}

TEST(SnapshotFrames, Chunk_SizesThatCannotBe_AreCorruption) {
  EXPECT_TRUE(decode_chunk_with(0, "\x07").is_ok());
  // Empty, or larger than a frame can carry: a few bytes must not become gigabytes.
  EXPECT_FALSE(decode_chunk_with(8, std::string_view("\0\0\0\0", 4)).is_ok());
  EXPECT_FALSE(decode_chunk_with(8, "\xff\xff\xff\xff").is_ok());
  // Uncompressed, of another size than announced.
  EXPECT_FALSE(decode_chunk_with(8, "\x04").is_ok());
  // Compressed, but not smaller; and as it should be.
  EXPECT_FALSE(decode_chunk_with(16, "\x01").is_ok());
  // Reserved bytes and unknown compression.
  EXPECT_FALSE(decode_chunk_with(16, "\x02").is_ok());
  EXPECT_FALSE(decode_chunk_with(17, "\x01").is_ok());
  EXPECT_FALSE(decode_chunk_with(18, "\x01").is_ok());
}

TEST(SnapshotFrames, Ack_ErrorThatIsNotTheLast_IsCorruption) {
  std::string payload(encode(SnapshotAck{1, true, StatusCode::kIoError, ""}).substr(20));
  SnapshotAck ack;
  EXPECT_TRUE(decode(payload, ack).is_ok());
  payload[8] = 0;
  EXPECT_EQ(decode(payload, ack).code(), StatusCode::kCorruption);
  // But for a header that waits for its turn.
  payload[9] = static_cast<char>(StatusCode::kOverloaded);
  EXPECT_TRUE(decode(payload, ack).is_ok());
  EXPECT_EQ(ack.code, StatusCode::kOverloaded);
  payload[8] = 2;
  EXPECT_EQ(decode(payload, ack).code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace multiraft::wire
