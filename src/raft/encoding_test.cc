#include "raft/encoding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace multiraft::raft {
namespace {

std::vector<ReplicaId> any_ids() {
  std::vector<ReplicaId> ids;
  for (uint64_t id : *rc::gen::arbitrary<std::set<uint64_t>>()) ids.emplace_back(id);
  return ids;
}

template <class T>
std::string encoded(const T& value) {
  std::string bytes;
  ByteWriter out(bytes);
  encode(value, out);
  return bytes;
}

template <class T>
bool decodes(std::string_view bytes, T& value) {
  ByteReader in(bytes);
  return decode(in, value) && in.complete();
}

RC_GTEST_PROP(Encoding, Snapshot_AnyValue_SurvivesTheRoundTripAndNoPrefixDecodes, ()) {
  Snapshot snapshot;
  snapshot.index = LogIndex(*rc::gen::arbitrary<uint64_t>());
  snapshot.term = Term(*rc::gen::arbitrary<uint64_t>());
  snapshot.conf_state = {any_ids(), any_ids(), any_ids(), any_ids(), *rc::gen::arbitrary<bool>()};
  const std::string bytes = encoded(snapshot);
  Snapshot decoded;
  RC_ASSERT(decodes(bytes, decoded));
  RC_ASSERT(decoded == snapshot);
  for (size_t size = 0; size < bytes.size(); ++size) {
    RC_ASSERT(!decodes(std::string_view(bytes).substr(0, size), decoded));
  }
}

RC_GTEST_PROP(Encoding, AnyBytes_AreDecodedOrRefused, (std::string bytes)) {
  Snapshot snapshot;
  if (decodes(bytes, snapshot)) RC_ASSERT(encoded(snapshot) == bytes);
  HardState state;
  if (decodes(bytes, state)) RC_ASSERT(encoded(state) == bytes);
}

TEST(Encoding, KnownValues_GoldenBytes) {
  EXPECT_EQ(encoded(HardState{Term(3), ReplicaId(2), LogIndex(0x0102)}),
            std::string("\x03\0\0\0\0\0\0\0"
                        "\x02\0\0\0\0\0\0\0"
                        "\x02\x01\0\0\0\0\0\0",
                        24));
  EXPECT_EQ(encoded(ConfState{{ReplicaId(1)}, {ReplicaId(2)}, {}, {ReplicaId(2)}, true}),
            std::string("\x01\0\x01\0\0\0\x01\0\x01"
                        "\x01\0\0\0\0\0\0\0"
                        "\x02\0\0\0\0\0\0\0"
                        "\x02\0\0\0\0\0\0\0",
                        33));
}

TEST(Encoding, ConfState_UnsortedDuplicateOrHuge_IsRefused) {
  ConfState state;
  EXPECT_FALSE(decodes(encoded(ConfState{{ReplicaId(2), ReplicaId(1)}, {}, {}, {}, false}), state));
  EXPECT_FALSE(decodes(encoded(ConfState{{ReplicaId(1), ReplicaId(1)}, {}, {}, {}, false}), state));
  EXPECT_FALSE(decodes(std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x00", 9), state));
  EXPECT_FALSE(decodes(std::string("\0\0\0\0\0\0\0\0\x02", 9), state));
}

}  // namespace
}  // namespace multiraft::raft
