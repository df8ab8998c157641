#include "host/propose_codec.h"

#include <gtest/gtest.h>

#include <string>

namespace multiraft::host {
namespace {

WriteResult applied() {
  WriteResult result;
  result.index = LogIndex(0x0102);
  result.term = Term(3);
  result.leader = ReplicaId::make(NodeId(2), 9);
  result.result.code = 1;
  result.result.data = SharedBytes::copy_of("data");
  return result;
}

TEST(ProposeCodec, Applied_Encoded_GoldenBytes) {
  EXPECT_EQ(encode_write_result(applied()).view(), std::string("\x09\0\0\0\x02\0\0\0"
                                                               "\x02\x01\0\0\0\0\0\0"
                                                               "\x03\0\0\0\0\0\0\0"
                                                               "\x01\0\0\0\0\0\0\0"
                                                               "data",
                                                               36));
}

TEST(ProposeCodec, Error_Encoded_GoldenBytes) {
  WriteResult result = applied();
  result.status = Status(StatusCode::kNotLeader, "elsewhere");
  EXPECT_EQ(encode_write_result(result).view(), std::string("\x09\0\0\0\x02\0\0\0elsewhere", 17));
}

TEST(ProposeCodec, Results_ComeBackEqual) {
  const WriteResult sent = applied();
  const WriteResult ok = decode_write_result(StatusCode::kOk, encode_write_result(sent).view());
  EXPECT_TRUE(ok.status.is_ok());
  EXPECT_EQ(ok.index, sent.index);
  EXPECT_EQ(ok.term, sent.term);
  EXPECT_EQ(ok.leader, sent.leader);
  EXPECT_EQ(ok.result.code, sent.result.code);
  EXPECT_EQ(ok.result.data.view(), "data");

  WriteResult refused = applied();
  refused.status = Status(StatusCode::kOverloaded, "too much");
  const WriteResult back =
      decode_write_result(StatusCode::kOverloaded, encode_write_result(refused).view());
  EXPECT_EQ(back.status, refused.status);
  EXPECT_EQ(back.leader, refused.leader);
}

/// A write that a leader took and whose answer is broken may have happened.
TEST(ProposeCodec, CutOffAnswer_IsAnUnknownOutcome) {
  const SharedBytes whole = encode_write_result(applied());
  for (size_t size = 0; size < 32; ++size) {
    EXPECT_EQ(decode_write_result(StatusCode::kOk, whole.view().substr(0, size)).status.code(),
              StatusCode::kUnknownOutcome);
  }
}

}  // namespace
}  // namespace multiraft::host
