// The first byte says which structure the rest is. What decodes encodes to the same bytes, and a
// configuration that decodes can be changed, or there is a reason why not.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "fuzz/input.h"
#include "raft/conf_change.h"
#include "raft/encoding.h"

using namespace multiraft;

namespace {

template <class Decoded>
void round_trip(std::string_view bytes) {
  ByteReader in(bytes);
  Decoded decoded;
  if (!raft::decode(in, decoded)) return;
  std::string again;
  ByteWriter out(again);
  raft::encode(decoded, out);
  MR_ASSERT(again == bytes.substr(0, in.position()));
}

void change(raft::EntryType type, std::string_view bytes) {
  auto change = raft::decode_conf_change(type, bytes);
  if (!change) {
    MR_ASSERT(change.status().code() == StatusCode::kCorruption);
    return;
  }
  const SharedBytes again = raft::encode_conf_change(*change);
  // One change has two encodings: the one that leaves a joint configuration.
  MR_ASSERT(again.empty() || again.view() == bytes);
  auto twice = raft::decode_conf_change(type, again.view());
  MR_ASSERT(twice && *twice == *change);
}

void apply(std::string_view bytes) {
  ByteReader in(bytes);
  raft::ConfState state;
  if (!raft::decode(in, state)) return;
  auto change =
      raft::decode_conf_change(raft::EntryType::kConfChangeV2, bytes.substr(in.position()));
  if (!change) return;
  auto next = raft::next_conf_state(state, *change);
  if (!next) return;
  std::string encoded;
  ByteWriter out(encoded);
  raft::encode(*next, out);
  ByteReader again(encoded);
  raft::ConfState decoded;
  MR_ASSERT(raft::decode(again, decoded) && decoded == *next);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const uint8_t kind = input.u8();
  const std::string_view bytes = input.rest();
  switch (kind % 6) {
    case 0:
      round_trip<raft::HardState>(bytes);
      break;
    case 1:
      round_trip<raft::ConfState>(bytes);
      break;
    case 2:
      round_trip<raft::Snapshot>(bytes);
      break;
    case 3:
      change(raft::EntryType::kConfChange, bytes);
      break;
    case 4:
      change(raft::EntryType::kConfChangeV2, bytes);
      break;
    default:
      apply(bytes);
  }
  return 0;
}
