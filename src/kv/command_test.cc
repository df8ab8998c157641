#include "kv/command.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace multiraft::kv {
namespace {

ResultCode decode(std::string_view payload) {
  CommandView view;
  return decode_command(payload, view);
}

TEST(Command, Put_Encoded_GoldenBytes) {
  EXPECT_EQ(encode_put("key", std::string_view("v\0w", 3)).view(),
            std::string_view("\x01\x01\x03\x00keyv\0w", 10));
  EXPECT_EQ(encode_put("k", "").view(), std::string_view("\x01\x01\x01\x00k", 5));
}

TEST(Command, Delete_Encoded_GoldenBytes) {
  EXPECT_EQ(encode_delete("key").view(), std::string_view("\x01\x02\x03\x00key", 7));
}

RC_GTEST_PROP(Command, PutAndDelete_RoundTrip_SameKeyAndValue,
              (std::string key, std::string value)) {
  RC_PRE(!key.empty());
  CommandView view;
  const SharedBytes put = encode_put(key, value);
  RC_ASSERT(decode_command(put, view) == ResultCode::kApplied);
  RC_ASSERT(view.kind == CommandKind::kPut);
  RC_ASSERT(view.key == key);
  RC_ASSERT(view.value == value);
  const SharedBytes del = encode_delete(key);
  RC_ASSERT(decode_command(del, view) == ResultCode::kApplied);
  RC_ASSERT(view.kind == CommandKind::kDelete);
  RC_ASSERT(view.key == key);
  RC_ASSERT(view.value.empty());
}

TEST(Command, Truncated_AnywhereInHeaderOrKey_IsBad) {
  const std::string put(encode_put("key", "").view());
  for (size_t n = 0; n < put.size(); ++n) {
    EXPECT_EQ(decode(std::string_view(put).substr(0, n)), ResultCode::kBadCommand) << n;
  }
}

TEST(Command, Delete_BytesAfterKey_IsBad) {
  EXPECT_EQ(decode(std::string(encode_delete("key").view()) + "x"), ResultCode::kBadCommand);
}

TEST(Command, EmptyKey_Decoded_IsBad) {
  EXPECT_EQ(decode(std::string_view("\x01\x01\x00\x00v", 5)), ResultCode::kBadCommand);
}

TEST(Command, OtherVersionOrKind_Decoded_IsUnknown) {
  std::string put(encode_put("key", "v").view());
  put[0] = 2;
  EXPECT_EQ(decode(put), ResultCode::kUnknownCommand);
  put[0] = 1;
  for (int kind : {0, 3, 200}) {
    put[1] = static_cast<char>(kind);
    EXPECT_EQ(decode(put), ResultCode::kUnknownCommand) << kind;
  }
}

TEST(Command, OtherVersionOrKind_Checked_NeedsANewerProgram) {
  std::string put(encode_put("key", "v").view());
  EXPECT_TRUE(check_known(put));
  EXPECT_TRUE(check_known(encode_delete("key").view()));
  put[1] = 3;
  EXPECT_EQ(check_known(put).code(), StatusCode::kUnsupported);
  put[1] = 1;
  put[0] = 2;
  EXPECT_EQ(check_known(put).code(), StatusCode::kUnsupported);
  // Malformed is malformed for every program.
  for (const std::string_view payload : {"", "\x02", "\x01\x01"}) EXPECT_TRUE(check_known(payload));
}

TEST(Command, KeyOrValueAtLimit_IsTaken_BeyondIsTooLarge) {
  const std::string key(limits::kKeyBytesMax, 'k');
  const std::string value(limits::kValueBytesMax, 'v');
  std::string payload(encode_put(key, value).view());
  EXPECT_EQ(decode(payload), ResultCode::kApplied);
  EXPECT_EQ(decode(payload + "v"), ResultCode::kTooLarge);
  const auto size = static_cast<uint16_t>(limits::kKeyBytesMax + 1);
  payload[2] = static_cast<char>(size & 0xff);
  payload[3] = static_cast<char>(size >> 8);
  EXPECT_EQ(decode(payload), ResultCode::kTooLarge);
}

TEST(Command, ResultCodes_Named) {
  EXPECT_EQ(result_code_name(0), "APPLIED");
  EXPECT_EQ(result_code_name(4), "TOO_LARGE");
  EXPECT_EQ(result_code_name(99), "UNKNOWN_CODE");
}

}  // namespace
}  // namespace multiraft::kv
