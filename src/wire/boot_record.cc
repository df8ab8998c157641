#include "wire/boot_record.h"

#include "base/assert.h"
#include "wire/frame.h"

namespace multiraft::wire {

void encode_sequences(const std::vector<uint64_t>& sequences, ByteWriter& out) {
  MR_ASSERT(sequences.size() <= kWorkersMax);
  out.u32(static_cast<uint32_t>(sequences.size()));
  for (const uint64_t sequence : sequences) out.u64(sequence);
}

bool decode_sequences(ByteReader& in, std::vector<uint64_t>& sequences) {
  const uint32_t count = in.u32();
  sequences.clear();
  if (in.failed() || count > kWorkersMax) return false;
  for (uint32_t i = 0; i < count; ++i) sequences.push_back(in.u64());
  return !in.failed();
}

void encode(const BootRecord& life, ByteWriter& out) {
  out.u64(life.node.value);
  out.u64(life.state.high);
  out.u64(life.state.low);
  out.u64(life.number);
  out.u64(life.incarnation);
  encode_sequences(life.durable, out);
}

bool decode(ByteReader& in, BootRecord& life) {
  life.node = NodeId(in.u64());
  life.state.high = in.u64();
  life.state.low = in.u64();
  life.number = in.u64();
  life.incarnation = in.u64();
  return decode_sequences(in, life.durable);
}

std::string encode(const std::vector<BootRecord>& boots) {
  std::string frames;
  size_t next = 0;
  do {
    std::string payload;
    ByteWriter out(payload);
    uint32_t count = 0;
    out.u32(0);
    for (; next < boots.size(); ++next, ++count) {
      const size_t before = payload.size();
      encode(boots[next], out);
      if (payload.size() <= kBootRecordsBytesMax) continue;
      payload.resize(before);
      break;
    }
    out.patch_u32(0, count);
    frames += make_frame(FrameKind::kLives, payload);
  } while (next < boots.size());
  return frames;
}

Status decode(std::string_view payload, std::vector<BootRecord>& boots) {
  ByteReader in(payload);
  const uint32_t count = in.u32();
  boots.clear();
  for (uint32_t i = 0; i < count; ++i) {
    BootRecord life;
    if (!decode(in, life)) return {StatusCode::kCorruption, "a malformed account of lives"};
    boots.push_back(std::move(life));
  }
  if (!in.complete()) return {StatusCode::kCorruption, "a malformed account of lives"};
  return Status::ok();
}

}  // namespace multiraft::wire
