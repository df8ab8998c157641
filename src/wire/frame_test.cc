#include "wire/frame.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "wire/handshake.h"
#include "wire/testing/samples.h"

namespace multiraft::wire {
namespace {

Hello a_hello() {
  Hello hello;
  hello.kind = ConnectionKind::kSnapshot;
  hello.worker = 1;
  hello.workers = 4;
  hello.cluster = ClusterId(0x1122334455667788);
  hello.node = NodeId(3);
  hello.incarnation = 0xa1a2a3a4a5a6a7a8;
  hello.to = NodeId(2);
  hello.state = {0xb1, 0xb2};
  hello.life = 0xb3;
  hello.recovered = {0xc1, 0xc2};
  hello.raft_address = "h:1";
  return hello;
}

HelloReply a_refusal() {
  HelloReply reply;
  reply.code = StatusCode::kConflict;
  reply.cluster = ClusterId(7);
  reply.node = NodeId(2);
  reply.incarnation = 9;
  reply.text = "no";
  reply.known = {NodeId(3), {0xb1, 0xb2}, 0xb3, 0xb4, {0xc1}};
  return reply;
}

TEST(Frame, Hello_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode(a_hello())),
            "4d 52 57 46 01 00 01 00 63 00 00 00 7c 38 d2 a1 94 e3 b4 11 "
            "02 00 00 00 01 00 04 00 01 00 01 00 00 00 00 00 88 77 66 55 44 33 22 11 03 00 00 00 "
            "00 00 00 00 "
            "a8 a7 a6 a5 a4 a3 a2 a1 02 00 00 00 00 00 00 00 "
            "b1 00 00 00 00 00 00 00 b2 00 00 00 00 00 00 00 b3 00 00 00 00 00 00 00 "
            "02 00 00 00 c1 00 00 00 00 00 00 00 c2 00 00 00 00 00 00 00 "
            "03 00 00 00 68 3a 31");
}

TEST(Frame, HelloReply_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode(a_refusal())),
            "4d 52 57 46 01 00 02 00 56 00 00 00 5b cd 48 0d 13 af c4 a6 "
            "04 00 01 00 07 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 "
            "09 00 00 00 00 00 00 00 02 00 00 00 6e 6f "
            "03 00 00 00 00 00 00 00 b1 00 00 00 00 00 00 00 b2 00 00 00 00 00 00 00 "
            "b3 00 00 00 00 00 00 00 b4 00 00 00 00 00 00 00 01 00 00 00 c1 00 00 00 00 00 00 00");
}

TEST(Frame, Received_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode(Received{0x0102030405060708})),
            "4d 52 57 46 01 00 04 00 08 00 00 00 a1 c5 f2 14 7f d9 e1 f7 "
            "08 07 06 05 04 03 02 01");
}

TEST(Frame, Handshake_RoundTrip_Same) {
  Hello hello;
  ASSERT_TRUE(decode(payload_of(encode(a_hello()), FrameKind::kHello), hello).is_ok());
  EXPECT_EQ(hello, a_hello());
  HelloReply reply;
  ASSERT_TRUE(decode(payload_of(encode(a_refusal()), FrameKind::kHelloReply), reply).is_ok());
  EXPECT_EQ(reply, a_refusal());
  Received received;
  ASSERT_TRUE(decode(payload_of(encode(Received{5}), FrameKind::kReceived), received).is_ok());
  EXPECT_EQ(received, Received{5});
}

TEST(Frame, HelloReply_LongText_IsCut) {
  HelloReply reply = a_refusal();
  reply.text.assign(5000, 'x');
  HelloReply decoded;
  ASSERT_TRUE(decode(payload_of(encode(reply), FrameKind::kHelloReply), decoded).is_ok());
  EXPECT_EQ(decoded.text, std::string(HelloReply::kTextBytesMax, 'x'));
}

TEST(Frame, HelloPayload_CutAnywhereOrLonger_IsCorruption) {
  const std::string frame = encode(a_hello());
  const std::string payload(payload_of(frame, FrameKind::kHello));
  Hello hello;
  for (size_t n = 0; n < payload.size(); ++n) {
    EXPECT_EQ(decode(payload.substr(0, n), hello).code(), StatusCode::kCorruption) << n;
  }
  EXPECT_EQ(decode(payload + '\0', hello).code(), StatusCode::kCorruption);
}

TEST(Frame, HelloPayload_ImpossibleFields_AreCorruption) {
  const std::string frame = encode(a_hello());
  const std::string good(payload_of(frame, FrameKind::kHello));
  Hello hello;
  for (const auto& [at, value] : {std::pair{0, '\0'}, {0, '\4'}, {1, '\1'}, {2, '\1'}, {4, '\4'}}) {
    std::string bad = good;
    bad[static_cast<size_t>(at)] = value;
    EXPECT_EQ(decode(bad, hello).code(), StatusCode::kCorruption) << at;
  }
}

TEST(Frame, HelloReplyPayload_CutOrImpossible_IsCorruption) {
  const std::string frame = encode(a_refusal());
  const std::string payload(payload_of(frame, FrameKind::kHelloReply));
  HelloReply reply;
  for (size_t n = 0; n < payload.size(); ++n) {
    EXPECT_EQ(decode(payload.substr(0, n), reply).code(), StatusCode::kCorruption) << n;
  }
  std::string bad = payload;
  bad[0] = 0x7f;  // Beyond the last status code.
  EXPECT_EQ(decode(bad, reply).code(), StatusCode::kCorruption);
}

TEST(Frame, Header_CutAnywhere_IsCorruption) {
  const std::string frame = encode(a_hello());
  FrameHeader header;
  for (size_t n = 0; n < kFrameHeaderBytes; ++n) {
    EXPECT_EQ(decode_frame_header(frame.substr(0, n), header).code(), StatusCode::kCorruption) << n;
  }
}

// trap 38: what the network flips is never taken for what was sent.
TEST(Frame, AnyBit_Flipped_IsRefused) {
  const std::string good = encode(a_hello());
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    FrameHeader header;
    Status status = decode_frame_header(bad, header);
    if (status) {
      ASSERT_EQ(header.payload_bytes, bad.size() - kFrameHeaderBytes) << "bit " << bit;
      status = check_frame_payload(header, std::string_view(bad).substr(kFrameHeaderBytes));
    }
    EXPECT_EQ(status.code(), StatusCode::kCorruption) << "bit " << bit;
  }
}

TEST(Frame, Header_OfSomethingElse_SaysSo) {
  FrameHeader header;
  EXPECT_EQ(decode_frame_header("GET / HTTP/1.1\r\nHost: x\r\n", header),
            Status(StatusCode::kCorruption, "not a frame of multiraft"));
}

/// A header with a right checksum, made by hand.
std::string header_of(uint16_t version, uint8_t kind, uint8_t reserved, uint32_t bytes) {
  std::string out;
  ByteWriter writer(out);
  writer.bytes("MRWF");
  writer.u16(version);
  writer.u8(kind);
  writer.u8(reserved);
  writer.u32(bytes);
  writer.u32(crc32c(out));
  writer.u32(0);
  return out;
}

TEST(Frame, Header_OtherVersion_PassesInHandshakesOnly) {
  FrameHeader header;
  EXPECT_EQ(decode_frame_header(header_of(2, 3, 0, 0), header),
            Status(StatusCode::kInvalidArgument,
                   "a frame of protocol version 2; this node speaks version 1"));
  EXPECT_TRUE(decode_frame_header(header_of(2, 1, 0, 0), header).is_ok());
  EXPECT_EQ(header.version, 2);
  EXPECT_TRUE(decode_frame_header(header_of(2, 2, 0, 0), header).is_ok());
}

TEST(Frame, Header_UnknownKindOrReserved_IsRefused) {
  FrameHeader header;
  for (const uint8_t kind : std::initializer_list<uint8_t>{0, 6, 7, 12, 255}) {
    EXPECT_EQ(decode_frame_header(header_of(1, kind, 0, 0), header).code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(decode_frame_header(header_of(1, 3, 1, 0), header).code(),
            StatusCode::kInvalidArgument);
}

TEST(Frame, Header_LengthBeyondItsKind_IsTooLarge) {
  FrameHeader header;
  for (const FrameKind kind :
       {FrameKind::kHello, FrameKind::kHelloReply, FrameKind::kBatch, FrameKind::kReceived,
        FrameKind::kSnapshotHeader, FrameKind::kSnapshotChunk, FrameKind::kSnapshotEnd,
        FrameKind::kSnapshotAck}) {
    const auto number = static_cast<uint8_t>(kind);
    const auto most = static_cast<uint32_t>(payload_bytes_max(kind));
    EXPECT_TRUE(decode_frame_header(header_of(1, number, 0, most), header).is_ok());
    EXPECT_EQ(decode_frame_header(header_of(1, number, 0, most + 1), header).code(),
              StatusCode::kTooLarge);
    EXPECT_EQ(decode_frame_header(header_of(1, number, 0, UINT32_MAX), header).code(),
              StatusCode::kTooLarge);
  }
}

}  // namespace
}  // namespace multiraft::wire
