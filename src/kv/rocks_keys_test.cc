#include "kv/rocks_keys.h"

#include <gtest/gtest.h>

namespace multiraft::kv {
namespace {

TEST(RocksKeys, Keys_GoldenBytes) {
  EXPECT_EQ(GroupPrefix(GroupId(0x0102), KeySpace::kPosition).view(),
            std::string("\0\0\0\0\0\0\x01\x02\0", 9));
  EXPECT_EQ(GroupPrefix(GroupId(0x0102), KeySpace::kData).with("key"),
            std::string("\0\0\0\0\0\0\x01\x02\x01key", 12));
  EXPECT_EQ(GroupPrefix(GroupId(0x0102), KeySpace::kEnd).view(),
            std::string("\0\0\0\0\0\0\x01\x02\x02", 9));
}

TEST(RocksKeys, Position_GoldenBytes) {
  const std::string bytes = encode_position({LogIndex(0x0102), Term(3)});
  EXPECT_EQ(bytes, std::string("\x01\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0", 17));
  const auto position = decode_position(bytes);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->index, LogIndex(0x0102));
  EXPECT_EQ(position->term, Term(3));
}

TEST(RocksKeys, PositionCutOffTooLongOrOfAnotherVersion_IsRefused) {
  const std::string bytes = encode_position({LogIndex(5), Term(3)});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_position(bytes.substr(0, size)));
  }
  EXPECT_FALSE(decode_position(bytes + "x"));
  EXPECT_FALSE(decode_position("\x02" + bytes.substr(1)));
}

TEST(RocksKeys, Value_GoldenBytes) {
  const std::string bytes("\x02\x01\0\0\0\0\0\0value", 13);
  const auto stored = decode_value(bytes);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->modified_index, LogIndex(0x0102));
  EXPECT_EQ(stored->value, "value");
  EXPECT_FALSE(decode_value("1234567"));
}

}  // namespace
}  // namespace multiraft::kv
