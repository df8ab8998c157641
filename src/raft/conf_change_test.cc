#include "raft/conf_change.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace multiraft::raft {
namespace {

ConfChange any_change() {
  ConfChange change;
  change.v1 = *rc::gen::arbitrary<bool>();
  const size_t count = change.v1 ? 1 : *rc::gen::inRange<size_t>(0, 6);
  for (size_t i = 0; i < count; ++i) {
    change.changes.push_back({static_cast<ConfChangeOp>(*rc::gen::inRange(0, 4)),
                              ReplicaId(*rc::gen::arbitrary<uint64_t>())});
  }
  if (!change.v1) change.transition = static_cast<ConfChangeTransition>(*rc::gen::inRange(0, 3));
  change.context = SharedBytes::copy_of(*rc::gen::arbitrary<std::string>());
  return change;
}

EntryType type_of(const ConfChange& change) {
  return change.v1 ? EntryType::kConfChange : EntryType::kConfChangeV2;
}

RC_GTEST_PROP(ConfChange, Decode_OfEncode_IsTheSame, ()) {
  const ConfChange change = any_change();
  const auto decoded = decode_conf_change(type_of(change), encode_conf_change(change));
  RC_ASSERT(decoded.is_ok());
  RC_ASSERT(*decoded == change);
}

RC_GTEST_PROP(ConfChange, Decode_OfAnyBytes_FailsOrSurvivesTheRoundTrip, (std::string bytes)) {
  const EntryType type = *rc::gen::element(EntryType::kConfChange, EntryType::kConfChangeV2);
  const auto decoded = decode_conf_change(type, bytes);
  if (!decoded.is_ok()) return;
  RC_ASSERT(decode_conf_change(type, encode_conf_change(*decoded)).is_ok());
}

TEST(ConfChange, Encode_KnownChange_GoldenBytes) {
  ConfChange change;
  change.transition = ConfChangeTransition::kJointExplicit;
  change.changes = {{ConfChangeOp::kAddVoter, ReplicaId(4)}, {ConfChangeOp::kRemove, ReplicaId(1)}};
  change.context = SharedBytes::copy_of("x");
  const std::string expected(
      "\x02"
      "\x02\x00"
      "\x00\x04\x00\x00\x00\x00\x00\x00\x00"
      "\x01\x01\x00\x00\x00\x00\x00\x00\x00"
      "x",
      22);
  EXPECT_EQ(encode_conf_change(change).view(), expected);
}

TEST(ConfChange, Encode_EmptyChange_IsNoBytes) {
  EXPECT_TRUE(encode_conf_change({}).empty());
  const auto decoded = decode_conf_change(EntryType::kConfChangeV2, {});
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(*decoded, ConfChange{});
}

TEST(ConfChange, Decode_Malformed_IsCorruption) {
  const std::string two_ops = encode_conf_change({ConfChangeTransition::kAuto,
                                                  false,
                                                  {{ConfChangeOp::kAddVoter, ReplicaId(1)},
                                                   {ConfChangeOp::kRemove, ReplicaId(2)}},
                                                  {}})
                                  .view()
                                  .data();
  for (const std::string& bad :
       {std::string("\x03\x00\x00", 3), std::string("\x00\x01\x00", 3), std::string("\x00", 1),
        std::string("\x00\x01\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00", 12),
        std::string("\x00\xff\xff\x00", 4)}) {
    const auto decoded = decode_conf_change(EntryType::kConfChangeV2, bad);
    ASSERT_FALSE(decoded.is_ok());
    EXPECT_EQ(decoded.status().code(), StatusCode::kCorruption);
  }
  EXPECT_FALSE(decode_conf_change(EntryType::kConfChange, {}).is_ok());
  EXPECT_FALSE(decode_conf_change(EntryType::kConfChange, two_ops).is_ok());
  EXPECT_FALSE(decode_conf_change(EntryType::kNormal, two_ops).is_ok());
}

}  // namespace
}  // namespace multiraft::raft
