#include "cluster/messages.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "state_dir/known_nodes.h"

namespace multiraft::cluster {
namespace {

const JoinRequest kRequest{ClusterId(1), NodeId(2), {3, 4}, "raft:1", "api:2", GroupId(5)};

JoinAnswer answer() {
  JoinAnswer a;
  a.kind = JoinAnswer::Kind::kAccepted;
  a.cluster = ClusterId(7);
  a.registry_replica = ReplicaId::make(NodeId(2), 9);
  a.serial_floor = 8;
  a.nodes = {{NodeId(1), "one:1", {5, 6}}, {NodeId(2), "two:2"}};
  a.text = "text";
  a.leader_address = "leader:3";
  return a;
}

std::vector<AdminRequest> admin_requests() {
  return {MembershipCheck{GroupId(1), ReplicaId(2)},
          RemovedNotice{GroupId(3), ReplicaId(4)},
          LeaderQuery{GroupId(5)},
          IdentityProbe{},
          MembersQuery{},
          LeaderHint{GroupId(6)},
          RegistryQuery{}};
}

/// Everything shorter and longer is refused.
template <class Decode>
void expect_exact(std::string_view bytes, Decode decode) {
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode(bytes.substr(0, size)));
  EXPECT_FALSE(decode(std::string(bytes) + "x"));
}

TEST(Messages, Join_ComesBackEqual) {
  EXPECT_EQ(*decode_join_request(encode(kRequest)), kRequest);
  EXPECT_EQ(*decode_join_answer(encode(answer())), answer());
  expect_exact(encode(kRequest), decode_join_request);
  expect_exact(encode(answer()), decode_join_answer);
}

TEST(Messages, Admin_ComesBackEqual) {
  for (const AdminRequest& request : admin_requests()) {
    EXPECT_EQ(*decode_admin_request(encode(request)), request);
    expect_exact(encode(request), decode_admin_request);
  }
  for (Verdict verdict : {Verdict::kUnknown, Verdict::kMember, Verdict::kRemoved,
                          Verdict::kReplaced, Verdict::kSuperseded}) {
    EXPECT_EQ(*decode_verdict(encode(verdict)), verdict);
  }
  const Members members{LogIndex(4), NodeId(2), answer().nodes};
  EXPECT_EQ(*decode_members(encode(members)), members);
  expect_exact(encode(members), decode_members);
  EXPECT_TRUE(*decode_leader_known(encode_leader_known(true)));
  EXPECT_FALSE(*decode_leader_known(encode_leader_known(false)));
  EXPECT_EQ(*decode_leader_hint(encode_leader_hint(NodeId(3))), NodeId(3));
  expect_exact(encode_leader_hint(NodeId(3)), decode_leader_hint);
  EXPECT_EQ(*decode_uuid(encode(StateDirId{1, 2})), (StateDirId{1, 2}));
  for (const char* bad : {"", "\5", "\1\1", "\xff"}) {
    EXPECT_FALSE(decode_verdict(bad));
    EXPECT_FALSE(decode_leader_known(bad));
    EXPECT_FALSE(decode_uuid(bad));
  }
}

TEST(Messages, OtherVersion_IsRefusedAndNamed) {
  std::string bytes(encode(kRequest).view());
  bytes[0] = 9;
  EXPECT_NE(decode_join_request(bytes).status().message().find("version 9"), std::string::npos);
  EXPECT_FALSE(decode_admin_request("\x02\x04"));
}

TEST(Messages, RandomBytes_NeverCrash) {
  Prng random(3);
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes = "\1";
    for (uint64_t n = random.below(90); n > 0; --n) {
      bytes += static_cast<char>(random.chance(0.7) ? random.below(4) : random.below(256));
    }
    if (auto m = decode_join_request(bytes)) {
      EXPECT_EQ(encode(*m).view(), bytes);
    }
    if (auto m = decode_join_answer(bytes)) {
      EXPECT_EQ(encode(*m).view(), bytes);
    }
    if (auto m = decode_admin_request(bytes)) {
      EXPECT_EQ(encode(*m).view(), bytes);
    }
    EXPECT_FALSE(state_dir::decode_known_nodes(bytes));
  }
}

TEST(KnownNodes, ComesBackEqualAndAnyDamageIsNoticed) {
  const state_dir::KnownNodes book{LogIndex(44),
                                   {{NodeId(1), "one:1"}, {NodeId(3), ":8080"}},
                                   {{NodeId(3), {1, 2}, 3, 4, {5, 6}}}};
  const std::string bytes = state_dir::encode_known_nodes(book);
  EXPECT_EQ(*state_dir::decode_known_nodes(bytes), book);
  expect_exact(bytes, state_dir::decode_known_nodes);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_FALSE(state_dir::decode_known_nodes(damaged)) << at;
  }
}

TEST(KnownNodes, Bytes_AreTheDocumentedOnes) {
  const std::string bytes = state_dir::encode_known_nodes(
      {LogIndex(5), {{NodeId(2), "h:1", {8, 9}}}, {{NodeId(2), {3, 4}, 5, 6, {7}}}});
  EXPECT_EQ(bytes.substr(0, 8), "RMFTPEER");
  EXPECT_EQ(bytes.substr(8, 4), std::string("\3\0\0\0", 4));
  EXPECT_EQ(bytes.substr(12, 8), std::string("\5\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(20, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes.substr(24, 8), std::string("\2\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(32, 7), std::string("\3\0\0\0h:1", 7));
  EXPECT_EQ(bytes[39], 8);
  EXPECT_EQ(bytes[47], 9);
  EXPECT_EQ(bytes.substr(55, 4), std::string("\1\0\0\0", 4));
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(bytes[59 + 8 * i], static_cast<char>(2 + i));
  EXPECT_EQ(bytes.substr(99, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes[103], 7);
  EXPECT_EQ(bytes.size(), 115u);
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

TEST(Messages, JoinBytes_AreTheDocumentedOnes) {
  EXPECT_EQ(hex(encode(kRequest)),
            "01"
            "0100000000000000"
            "0200000000000000"
            "03000000000000000400000000000000"
            "06000000726166743a31"
            "050000006170693a32"
            "0500000000000000"
            "00"
            "0100000001000000");
  EXPECT_EQ(hex(encode(answer())),
            "01"
            "01"
            "0400000074657874"
            "080000006c65616465723a33"
            "0700000000000000"
            "0900000002000000"
            "08000000"
            "02000000"
            "0100000000000000050000006f6e653a31"
            "05000000000000000600000000000000"
            "02000000000000000500000074776f3a32"
            "00000000000000000000000000000000");
}

TEST(Messages, AdminBytes_AreTheDocumentedOnes) {
  const std::vector<AdminRequest> requests = admin_requests();
  EXPECT_EQ(hex(encode(requests[0])), "010101000000000000000200000000000000");
  EXPECT_EQ(hex(encode(requests[1])), "010203000000000000000400000000000000");
  EXPECT_EQ(hex(encode(requests[2])), "01030500000000000000");
  EXPECT_EQ(hex(encode(requests[3])), "0104");
  EXPECT_EQ(hex(encode(requests[4])), "0105");
  EXPECT_EQ(hex(encode(requests[5])), "01060600000000000000");
  EXPECT_EQ(hex(encode(requests[6])), "0107");
  const RegistryPosition position{1, true, Term(2), LogIndex(3)};
  EXPECT_EQ(hex(encode(position)),
            "0101000000"
            "01"
            "0200000000000000"
            "0300000000000000");
  EXPECT_EQ(*decode_registry_position(encode(position)), position);
  expect_exact(encode(position), decode_registry_position);
  EXPECT_EQ(hex(encode(Verdict::kUnknown)), "00");
  EXPECT_EQ(hex(encode(Verdict::kMember)), "01");
  EXPECT_EQ(hex(encode(Verdict::kRemoved)), "02");
  EXPECT_EQ(hex(encode_leader_known(true)), "01");
  EXPECT_EQ(hex(encode(StateDirId{1, 2})), "01000000000000000200000000000000");
}

}  // namespace
}  // namespace multiraft::cluster
