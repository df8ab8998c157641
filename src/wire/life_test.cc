#include "wire/life.h"

#include <gtest/gtest.h>

#include "wire/testing.h"

namespace multiraft::wire {
namespace {

Life a_life() { return {NodeId(3), {0x11, 0x22}, 5, 0x33, {0x44, 0x55}}; }

TEST(Life, Lives_Encoded_GoldenBytes) {
  const std::string frame = encode(std::vector<Life>{a_life()});
  EXPECT_EQ(to_hex(payload_of(frame, FrameKind::kLives)),
            "01 00 00 00 "
            "03 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 22 00 00 00 00 00 00 00 "
            "05 00 00 00 00 00 00 00 33 00 00 00 00 00 00 00 "
            "02 00 00 00 44 00 00 00 00 00 00 00 55 00 00 00 00 00 00 00");
}

TEST(Life, Lives_RoundTrip_Same) {
  const std::vector<Life> lives = {a_life(), {NodeId(1), {1, 2}, 1, 2, {}}};
  std::vector<Life> decoded;
  ASSERT_TRUE(decode(payload_of(encode(lives), FrameKind::kLives), decoded).is_ok());
  EXPECT_EQ(decoded, lives);
}

TEST(Life, Lives_MoreThanAFrameHolds_TakeSeveral) {
  const std::vector<Life> lives(10'000, {NodeId(1), {1, 2}, 1, 2, std::vector<uint64_t>(64)});
  const std::string frames = encode(lives);
  size_t count = 0;
  size_t decoded_count = 0;
  for (size_t at = 0; at < frames.size(); ++count) {
    FrameHeader header;
    ASSERT_TRUE(decode_frame_header(frames.substr(at, kFrameHeaderBytes), header).is_ok());
    const std::string payload = frames.substr(at + kFrameHeaderBytes, header.payload_bytes);
    ASSERT_TRUE(check_frame_payload(header, payload).is_ok());
    std::vector<Life> decoded;
    ASSERT_TRUE(decode(payload, decoded).is_ok());
    decoded_count += decoded.size();
    at += kFrameHeaderBytes + payload.size();
  }
  EXPECT_GT(count, 1u);
  EXPECT_EQ(decoded_count, lives.size());
}

TEST(Life, Payload_CutOrLongerOrWithTooManyWorkers_IsCorruption) {
  const std::string frame = encode(std::vector<Life>{a_life()});
  const std::string good(payload_of(frame, FrameKind::kLives));
  std::vector<Life> lives;
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_EQ(decode(good.substr(0, n), lives).code(), StatusCode::kCorruption) << n;
  }
  EXPECT_EQ(decode(good + '\0', lives).code(), StatusCode::kCorruption);
  std::string bad = good;
  bad[44] = 65;
  EXPECT_EQ(decode(bad, lives).code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace multiraft::wire
