#include "kv/snapshot_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace multiraft::kv {
namespace {

constexpr LogIndex kIndex(9);
constexpr Term kTerm(3);

std::string good_snapshot() {
  std::string chunk;
  SnapshotEncoder encoder(kIndex, kTerm);
  encoder.begin(chunk);
  encoder.record({"a", "1", LogIndex(4)}, chunk);
  encoder.record({"b", "", LogIndex(9)}, chunk);
  encoder.end(chunk);
  return chunk;
}

Status decode(std::string_view bytes) {
  SnapshotDecoder decoder(kIndex, kTerm);
  MR_RETURN_IF_ERROR(decoder.append(bytes, [](const Record&) { return Status::ok(); }));
  return decoder.finish();
}

/// A record with any fields.
std::string record(std::string_view key, std::string_view value, uint64_t modified) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(2);
  writer.u16(static_cast<uint16_t>(key.size()));
  writer.u32(static_cast<uint32_t>(value.size()));
  writer.u64(modified);
  writer.bytes(key);
  writer.bytes(value);
  return out;
}

std::string begin() {
  std::string chunk;
  SnapshotEncoder(kIndex, kTerm).begin(chunk);
  return chunk;
}

std::string error_of(std::string_view bytes) {
  const Status status = decode(bytes);
  EXPECT_TRUE(status.is_ok() || status.code() == StatusCode::kCorruption ||
              status.code() == StatusCode::kUnsupported);
  return status.message();
}

TEST(Crc64, CheckValue_IsCrc64Xz) {
  EXPECT_EQ(crc64("123456789"), 0x995dc9bbdf1939faULL);
  EXPECT_EQ(crc64("6789", crc64("12345")), crc64("123456789"));
}

TEST(SnapshotFormat, Encoded_GoldenBytes) {
  const std::string expected = std::string(
                                   "\x01MKV1\x01\0"
                                   "\x09\0\0\0\0\0\0\0"
                                   "\x03\0\0\0\0\0\0\0",
                                   23) +
                               std::string(
                                   "\x02\x01\0\x01\0\0\0"
                                   "\x04\0\0\0\0\0\0\0"
                                   "a1",
                                   17) +
                               std::string(
                                   "\x02\x01\0\0\0\0\0"
                                   "\x09\0\0\0\0\0\0\0"
                                   "b",
                                   16) +
                               // CRC-64/XZ over the two records and the index, 0x3f342b7743b229a9.
                               std::string(
                                   "\x03\x02\0\0\0\0\0\0\0"
                                   "\xa9\x29\xb2\x43\x77\x2b\x34\x3f",
                                   17);
  EXPECT_EQ(good_snapshot(), expected);
}

TEST(SnapshotFormat, Decoded_HasRecordsInOrder) {
  SnapshotDecoder decoder(kIndex, kTerm);
  std::string seen;
  const Status status = decoder.append(good_snapshot(), [&](const Record& record) {
    seen += std::string(record.key) + "=" + std::string(record.value) + "@" +
            to_string(record.modified_index) + " ";
    return Status::ok();
  });
  EXPECT_TRUE(status.is_ok());
  EXPECT_TRUE(decoder.finish().is_ok());
  EXPECT_EQ(seen, "a=1@4 b=@9 ");
}

TEST(SnapshotFormat, AnyBitFlipped_IsRefused) {
  const std::string good = good_snapshot();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    // The version stands behind the kind of the item and the magic number.
    const bool in_version = bit / 8 == 5 || bit / 8 == 6;
    const StatusCode code = decode(bad).code();
    EXPECT_TRUE(code == StatusCode::kCorruption || (in_version && code == StatusCode::kUnsupported))
        << bit;
  }
}

TEST(SnapshotFormat, CutAnywhere_IsRefused) {
  const std::string good = good_snapshot();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(decode(good.substr(0, size)).code(), StatusCode::kCorruption) << size;
  }
}

TEST(SnapshotFormat, RecordsOutOfBounds_AreNamed) {
  EXPECT_EQ(error_of(begin() + record("", "v", 1)), "key-value snapshot: a key of 0 bytes");
  EXPECT_EQ(error_of(begin() + record(std::string(limits::kKeyBytesMax + 1, 'k'), "v", 1)),
            "key-value snapshot: a key of 4097 bytes");
  EXPECT_EQ(error_of(begin() + record("k", std::string(limits::kValueBytesMax + 1, 'v'), 1)),
            "key-value snapshot: a value of 8388609 bytes");
  EXPECT_EQ(error_of(begin() + record("k", "v", 0)),
            "key-value snapshot: a value of index 0 in a state at 9");
  EXPECT_EQ(error_of(begin() + record("k", "v", 10)),
            "key-value snapshot: a value of index 10 in a state at 9");
  EXPECT_EQ(error_of(begin() + record("k", "v", 1) + record("k", "v", 1)),
            "key-value snapshot: keys out of order");
  EXPECT_EQ(error_of(begin() + record("k", "v", 1) + record("j", "v", 1)),
            "key-value snapshot: keys out of order");
  EXPECT_EQ(error_of(begin() + begin()), "key-value snapshot: item kind 1 has no place here");
  EXPECT_EQ(error_of(good_snapshot() + "x"), "key-value snapshot: bytes after the end");
}

TEST(SnapshotFormat, AfterAnError_EverythingIsRefused) {
  SnapshotDecoder decoder(kIndex, kTerm);
  const auto sink = [](const Record&) { return Status::ok(); };
  EXPECT_FALSE(decoder.append("rubbish", sink).is_ok());
  EXPECT_FALSE(decoder.append(good_snapshot(), sink).is_ok());
  EXPECT_FALSE(decoder.finish().is_ok());
}

}  // namespace
}  // namespace multiraft::kv
