#include "wire/boot_record.h"

#include <gtest/gtest.h>

#include "wire/testing/samples.h"

namespace multiraft::wire {
namespace {

BootRecord a_life() { return {NodeId(3), {0x11, 0x22}, 5, 0x33, {0x44, 0x55}}; }

TEST(BootRecord, Lives_Encoded_GoldenBytes) {
  const std::string frame = encode(std::vector<BootRecord>{a_life()});
  EXPECT_EQ(to_hex(payload_of(frame, FrameKind::kLives)),
            "01 00 00 00 "
            "03 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 22 00 00 00 00 00 00 00 "
            "05 00 00 00 00 00 00 00 33 00 00 00 00 00 00 00 "
            "02 00 00 00 44 00 00 00 00 00 00 00 55 00 00 00 00 00 00 00");
}

TEST(BootRecord, Lives_RoundTrip_Same) {
  const std::vector<BootRecord> boots = {a_life(), {NodeId(1), {1, 2}, 1, 2, {}}};
  std::vector<BootRecord> decoded;
  ASSERT_TRUE(decode(payload_of(encode(boots), FrameKind::kLives), decoded).is_ok());
  EXPECT_EQ(decoded, boots);
}

TEST(BootRecord, Lives_MoreThanAFrameHolds_TakeSeveral) {
  const std::vector<BootRecord> boots(10'000, {NodeId(1), {1, 2}, 1, 2, std::vector<uint64_t>(64)});
  const std::string frames = encode(boots);
  size_t count = 0;
  size_t decoded_count = 0;
  for (size_t at = 0; at < frames.size(); ++count) {
    FrameHeader header;
    ASSERT_TRUE(decode_frame_header(frames.substr(at, kFrameHeaderBytes), header).is_ok());
    const std::string payload = frames.substr(at + kFrameHeaderBytes, header.payload_bytes);
    ASSERT_TRUE(check_frame_payload(header, payload).is_ok());
    std::vector<BootRecord> decoded;
    ASSERT_TRUE(decode(payload, decoded).is_ok());
    decoded_count += decoded.size();
    at += kFrameHeaderBytes + payload.size();
  }
  EXPECT_GT(count, 1u);
  EXPECT_EQ(decoded_count, boots.size());
}

TEST(BootRecord, Payload_CutOrLongerOrWithTooManyWorkers_IsCorruption) {
  const std::string frame = encode(std::vector<BootRecord>{a_life()});
  const std::string good(payload_of(frame, FrameKind::kLives));
  std::vector<BootRecord> boots;
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_EQ(decode(good.substr(0, n), boots).code(), StatusCode::kCorruption) << n;
  }
  EXPECT_EQ(decode(good + '\0', boots).code(), StatusCode::kCorruption);
  std::string bad = good;
  bad[44] = 65;
  EXPECT_EQ(decode(bad, boots).code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace multiraft::wire
