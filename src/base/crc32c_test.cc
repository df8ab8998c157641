#include "base/crc32c.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace multiraft {
namespace {

/// Bit by bit, straight from the definition: reflected polynomial 0x82f63b78.
uint32_t crc32c_by_definition(std::string_view bytes) {
  uint32_t crc = 0xffff'ffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f6'3b78u : 0);
  }
  return ~crc;
}

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe306'9283u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a91'36aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8'ab43u);
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending += c;
  EXPECT_EQ(crc32c(ascending), 0x46dd'794eu);
}

RC_GTEST_PROP(Crc32c, IsTheDefinition, (const std::string& bytes)) {
  RC_ASSERT(crc32c(bytes) == crc32c_by_definition(bytes));
}

RC_GTEST_PROP(Crc32c, OfParts_IsThatOfTheWhole, (const std::string& a, const std::string& b)) {
  RC_ASSERT(crc32c(b, crc32c(a)) == crc32c(a + b));
}

// Short and long input take different ways.
TEST(Crc32c, OfAnyLengthAndAlignment_IsTheDefinition) {
  std::string bytes;
  for (int i = 0; i < 600; ++i) bytes += static_cast<char>(i * 31 + i / 7);
  for (size_t from = 0; from < 9; ++from) {
    for (size_t size = 0; from + size <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(from, size);
      ASSERT_EQ(crc32c(part), crc32c_by_definition(part)) << from << " " << size;
    }
  }
}

TEST(Crc32c, AnyFlippedBit_ChangesIt) {
  std::string bytes(300, 'x');
  const uint32_t before = crc32c(bytes);
  for (char& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte = static_cast<char>(byte ^ (1 << bit));
      EXPECT_NE(crc32c(bytes), before);
      byte = static_cast<char>(byte ^ (1 << bit));
    }
  }
}

}  // namespace
}  // namespace multiraft
