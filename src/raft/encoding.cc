#include "raft/encoding.h"

#include <algorithm>

namespace multiraft::raft {
namespace {

void encode_ids(const std::vector<ReplicaId>& ids, ByteWriter& out) {
  for (ReplicaId id : ids) out.u64(id.value);
}

bool decode_ids(ByteReader& in, size_t count, std::vector<ReplicaId>& ids) {
  ids.clear();
  if (in.remaining() / sizeof(uint64_t) < count) return false;
  ids.reserve(count);
  for (size_t i = 0; i < count; ++i) ids.emplace_back(in.u64());
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
}

}  // namespace

void encode(const ConfState& state, ByteWriter& out) {
  out.u16(static_cast<uint16_t>(state.voters.size()));
  out.u16(static_cast<uint16_t>(state.voters_outgoing.size()));
  out.u16(static_cast<uint16_t>(state.learners.size()));
  out.u16(static_cast<uint16_t>(state.learners_next.size()));
  out.u8(state.auto_leave ? 1 : 0);
  encode_ids(state.voters, out);
  encode_ids(state.voters_outgoing, out);
  encode_ids(state.learners, out);
  encode_ids(state.learners_next, out);
}

bool decode(ByteReader& in, ConfState& state) {
  const size_t voters = in.u16();
  const size_t outgoing = in.u16();
  const size_t learners = in.u16();
  const size_t next = in.u16();
  const uint8_t auto_leave = in.u8();
  state.auto_leave = auto_leave == 1;
  return auto_leave <= 1 && decode_ids(in, voters, state.voters) &&
         decode_ids(in, outgoing, state.voters_outgoing) &&
         decode_ids(in, learners, state.learners) && decode_ids(in, next, state.learners_next) &&
         !in.failed();
}

void encode(const Snapshot& snapshot, ByteWriter& out) {
  out.u64(snapshot.index.value);
  out.u64(snapshot.term.value);
  encode(snapshot.conf_state, out);
}

bool decode(ByteReader& in, Snapshot& snapshot) {
  snapshot.index = LogIndex(in.u64());
  snapshot.term = Term(in.u64());
  return decode(in, snapshot.conf_state);
}

void encode(const HardState& state, ByteWriter& out) {
  out.u64(state.term.value);
  out.u64(state.vote.value);
  out.u64(state.commit.value);
}

bool decode(ByteReader& in, HardState& state) {
  state.term = Term(in.u64());
  state.vote = ReplicaId(in.u64());
  state.commit = LogIndex(in.u64());
  return !in.failed();
}

}  // namespace multiraft::raft
