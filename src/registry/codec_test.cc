#include "registry/codec.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "registry/command.h"
#include "registry/testing/commands.h"

namespace multiraft::registry {
namespace {

using namespace testing;

std::vector<RegistryCommand> one_of_each() {
  return {bootstrap(),
          join(2, 3, 4, uuid_of(2, 3)),
          create(9, {1, 2, 3}),
          AddMember{GroupId(1), NodeId(2), false},
          remove(1, 2),
          ReplicaRemoved{GroupId(1), ReplicaId::make(NodeId(2), 7)},
          SetRole{GroupId(1), ReplicaId::make(NodeId(2), 7), true},
          UpdateNode{NodeId(2), uuid_of(2), "a:1", "b:2"},
          MarkNodeLeaving{NodeId(5)},
          SetRegistryVoters{{ReplicaId::make(NodeId(2), 7)}},
          MemberSettled{GroupId(1), ReplicaId::make(NodeId(2), 7), true},
          RaiseClusterVersion{3},
          RestoreRegistry{NodeId(2), uuid_of(2), ReplicaId::make(NodeId(2), 7), "state"}};
}

std::string encoded_state() {
  Applied apply;
  apply(bootstrap());
  apply(join(2));
  apply(create(400, {1, 2}));
  apply(remove(400, 2));
  RegistryWriter writer(apply.registry.share());
  std::string all;
  for (std::string piece;;) {
    writer.next(50, piece);
    if (piece.empty()) return all;
    all += piece;
  }
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

TEST(RegistryCommandCodec, EveryCommand_ComesBackEqual) {
  for (const RegistryCommand& command : one_of_each()) {
    auto decoded = decode_command(encode_command(command).view());
    ASSERT_TRUE(decoded) << decoded.status().to_string();
    EXPECT_EQ(*decoded, command) << "kind " << command.index();
  }
}

TEST(RegistryCommandCodec, Bytes_AreTheDocumentedOnes) {
  EXPECT_EQ(hex(encode_command(remove(1, 2)).view()),
            "0105"
            "0100000000000000"
            "0200000000000000");
  EXPECT_EQ(hex(encode_command(AddMember{GroupId(3), NodeId(4), true}).view()),
            "0104"
            "0300000000000000"
            "0400000000000000"
            "01");
  EXPECT_EQ(hex(encode_command(create(2, {1, 3})).view()),
            "0103"
            "0200000000000000"
            "02000000"
            "0100000000000000"
            "0300000000000000");
  EXPECT_EQ(hex(encode_command(UpdateNode{NodeId(5), {1, 2}, "a:1", "b", {2, 4}}).view()),
            "0108"
            "0500000000000000"
            "01000000000000000200000000000000"
            "03000000613a31"
            "0100000062"
            "0200000004000000");
  EXPECT_EQ(
      hex(encode_command(Bootstrap{ClusterId(7), NodeId(1), {2, 3}, "a", "b", GroupId(4), {1, 2}})),
      "0101"
      "0700000000000000"
      "0100000000000000"
      "02000000000000000300000000000000"
      "0100000061"
      "0100000062"
      "0400000000000000"
      "0100000002000000");
  EXPECT_EQ(
      hex(encode_command(RegisterNode{NodeId(1), {2, 3}, {4, 5}, "a", "b", GroupId(6), {1, 1}})),
      "0102"
      "0100000000000000"
      "02000000000000000300000000000000"
      "04000000000000000500000000000000"
      "0100000061"
      "0100000062"
      "0600000000000000"
      "0100000001000000");
  const ReplicaId replica = ReplicaId::make(NodeId(2), 9);
  EXPECT_EQ(hex(encode_command(ReplicaRemoved{GroupId(1), replica})),
            "0106"
            "0100000000000000"
            "0900000002000000");
  EXPECT_EQ(hex(encode_command(SetRole{GroupId(1), replica, false})),
            "0107"
            "0100000000000000"
            "0900000002000000"
            "00");
  EXPECT_EQ(hex(encode_command(MarkNodeLeaving{NodeId(5)})),
            "0109"
            "0500000000000000");
  EXPECT_EQ(hex(encode_command(MemberSettled{GroupId(1), replica, true})),
            "010b"
            "0100000000000000"
            "0900000002000000"
            "01");
  EXPECT_EQ(hex(encode_command(RaiseClusterVersion{2})), "010c02000000");
  EXPECT_EQ(hex(encode_command(RestoreRegistry{NodeId(2), {1, 2}, replica, "s"})),
            "010d"
            "0200000000000000"
            "01000000000000000200000000000000"
            "0900000002000000"
            "0100000073");
  EXPECT_EQ(hex(encode_command(SetRegistryVoters{{replica}})),
            "010a"
            "01000000"
            "0900000002000000");
}

TEST(RegistryOutcomeCodec, Bytes_AreTheDocumentedOnes) {
  RegistryOutcome outcome;
  outcome.replica = ReplicaId::make(NodeId(2), 9);
  outcome.serial_floor = 3;
  ApplyResult result = encode_outcome(outcome);
  EXPECT_EQ(result.code, 0u);
  EXPECT_EQ(hex(result.data), "090000000200000003000000");
  const RegistryCode codes[] = {RegistryCode::kInvalid, RegistryCode::kNotFound,
                                RegistryCode::kConflict, RegistryCode::kExhausted,
                                RegistryCode::kStaleDecision};
  for (uint64_t number = 1; number <= 5; ++number) {
    outcome.code = codes[number - 1];
    outcome.text = "why";
    result = encode_outcome(outcome);
    EXPECT_EQ(result.code, number);
    EXPECT_EQ(result.data.view(), "why");
  }
}

TEST(RegistryCommandCodec, CutOrExtended_IsCorrupt) {
  for (const RegistryCommand& command : one_of_each()) {
    const std::string bytes(encode_command(command).view());
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_command(std::string_view(bytes).substr(0, size)));
    }
    EXPECT_FALSE(decode_command(bytes + "x"));
  }
}

TEST(RegistryCommandCodec, RandomBytes_NeverCrash) {
  Prng random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = "\1";
    bytes += static_cast<char>(random.below(16));
    for (uint64_t n = random.below(80); n > 0; --n) {
      bytes += static_cast<char>(random.chance(0.6) ? 0 : random.below(256));
    }
    if (auto decoded = decode_command(bytes)) {
      EXPECT_EQ(encode_command(*decoded).view(), bytes);
    }
  }
}

TEST(RegistryOutcomeCodec, ComesBackEqual) {
  RegistryOutcome ok;
  ok.replica = ReplicaId::make(NodeId(3), 9);
  ok.serial_floor = 8;
  auto decoded = decode_outcome(encode_outcome(ok));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->replica, ok.replica);
  EXPECT_EQ(decoded->serial_floor, 8u);

  RegistryOutcome refused;
  refused.code = RegistryCode::kConflict;
  refused.text = "no";
  decoded = decode_outcome(encode_outcome(refused));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->status(), Status(StatusCode::kConflict, "no"));
  EXPECT_FALSE(decode_outcome(ApplyResult{}));
  EXPECT_EQ(decode_outcome(ApplyResult{99, {}})->status().code(), StatusCode::kInternal);
}

TEST(RegistrySnapshot, State_ComesBackEqual) {
  const std::string bytes = encoded_state();
  auto view = RegistryReader::read(bytes);
  ASSERT_TRUE(view) << view.status().to_string();
  EXPECT_EQ(view->nodes().size(), 2u);
  EXPECT_EQ(view->group(GroupId(400))->founders.size(), 2u);
  EXPECT_EQ(view->version(), LogIndex(5));
  RegistryWriter writer(std::make_shared<const RegistryView>(std::move(*view)));
  std::string again;
  writer.next(1 << 20, again);
  EXPECT_EQ(again, bytes);
}

TEST(RegistrySnapshot, Bytes_AreTheDocumentedOnes) {
  Applied apply;
  Bootstrap first = bootstrap(1, 2);
  first.versions = {1, 2};
  first.raft_address = "a:1";
  first.api_address = "b";
  apply(first);
  RegistryWriter writer(apply.registry.share());
  std::string bytes;
  writer.next(1000, bytes);
  EXPECT_EQ(hex(bytes),
            "03000000"
            "4d00000000000000"
            "02000000"
            "03000000"
            "0200000000000000"
            "0000000000000000"
            "00000000"
            "01000000"
            "02000000"
            // The node.
            "0100000000000000"
            "01000000000000000100000000000000"
            "01"
            "00000000"
            "03000000613a31"
            "0100000062"
            "0100000002000000"
            // Group 0.
            "0000000000000000"
            "01000000"
            "0100000001000000"
            "05"
            "01000000"
            "0100000001000000"
            // Group 2.
            "0200000000000000"
            "01000000"
            "0200000001000000"
            "05"
            "01000000"
            "0200000001000000");
}

TEST(RegistrySnapshot, RestoredState_ComesBackEqual) {
  const std::string former = encoded_state();
  Applied apply;
  const ReplicaId replica = restored_replica(*RegistryReader::read(former), NodeId(1));
  ASSERT_EQ(apply(RestoreRegistry{NodeId(1), uuid_of(1), replica, former}).code, RegistryCode::kOk);
  RegistryWriter writer(apply.registry.share());
  std::string bytes;
  writer.next(1 << 20, bytes);
  auto view = RegistryReader::read(bytes);
  ASSERT_TRUE(view) << view.status().to_string();
  EXPECT_EQ(view->restorations(), 1u);
  RegistryWriter again(std::make_shared<const RegistryView>(std::move(*view)));
  std::string same;
  again.next(1 << 20, same);
  EXPECT_EQ(same, bytes);
}

TEST(RegistrySnapshot, EmptyState_ComesBackEmpty) {
  RegistryWriter writer(std::make_shared<const RegistryView>());
  std::string bytes;
  writer.next(1000, bytes);
  auto view = RegistryReader::read(bytes);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->empty());
}

TEST(RegistrySnapshot, CutOrExtended_IsCorrupt) {
  const std::string bytes = encoded_state();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(RegistryReader::read(std::string_view(bytes).substr(0, size)).status().code(),
              StatusCode::kCorruption);
  }
  EXPECT_FALSE(RegistryReader::read(bytes + "x"));
}

TEST(RegistrySnapshot, OfANewerProgram_IsUnsupportedAndSaysSo) {
  std::string bytes = encoded_state();
  bytes[0] = 4;
  const Status status = RegistryReader::read(bytes).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("upgrade this node"), std::string::npos);
}

TEST(RegistrySnapshot, FlippedBytes_NeverCrash) {
  const std::string bytes = encoded_state();
  Prng random(2);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = bytes;
    for (uint64_t n = random.between(1, 4); n > 0; --n) {
      damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    }
    // Whatever is accepted must be fit to work with.
    if (auto view = RegistryReader::read(damaged)) {
      Applied apply;
      apply.registry = Registry(std::move(*view));
      apply(join(9, 1));
      apply(remove(400, 1));
      apply.confirm_all();
    }
  }
}

}  // namespace
}  // namespace multiraft::registry
