// Any bytes, cut into chunks in any way: a restore refuses them or stands where they say, with
// exactly the records that they hold. The first byte: the lower bits say how the rest is cut; with
// the highest one the end, its count and hash, stays as it is, else it is put right.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "kv/kv_engine.h"
#include "kv/snapshot_format.h"

using namespace multiraft;

namespace {

/// The position that the begin item claims, so that the fuzzer need not guess it.
void claimed_position(std::string_view bytes, LogIndex& index, Term& term) {
  ByteReader in(bytes);
  in.bytes(7);
  index = LogIndex(in.u64());
  term = Term(in.u64());
}

/// Along the layout of docs/formats/kv.md, up to an end item that fits.
void mend_end(std::string& bytes, LogIndex index) {
  constexpr size_t kBeginBytes = 23;
  constexpr uint8_t kRecord = 2, kEnd = 3;
  if (bytes.size() < kBeginBytes) return;
  ByteReader in(bytes);
  in.bytes(kBeginBytes);
  uint64_t records = 0;
  uint64_t hash = 0;
  for (;;) {
    const size_t start = in.position();
    const uint8_t item = in.u8();
    if (in.failed()) return;
    if (item == kEnd) break;
    if (item != kRecord) return;
    const size_t key_bytes = in.u16();
    const size_t value_bytes = in.u32();
    in.u64();
    in.bytes(key_bytes);
    in.bytes(value_bytes);
    if (in.failed()) return;
    hash = kv::crc64(std::string_view(bytes).substr(start, in.position() - start), hash);
    ++records;
  }
  if (in.remaining() < 2 * sizeof(uint64_t)) return;
  std::string end;
  ByteWriter(end).u64(index.value);
  hash = kv::crc64(end, hash);
  end.clear();
  ByteWriter out(end);
  out.u64(records);
  out.u64(hash);
  bytes.replace(in.position(), end.size(), end);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t chunk_bytes = size_t{data[0]} % 128 + 1;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  LogIndex index;
  Term term;
  claimed_position(bytes, index, term);
  if (data[0] < 128) mend_end(bytes, index);

  const std::unique_ptr<kv::KvEngine> engine = kv::make_memory_engine();
  auto machine = engine->open_kv(GroupId(1));
  auto writer = (*machine)->restore(index, term);
  std::string_view rest = bytes;
  Status status;
  // Chunks hold whole items, so cutting elsewhere only makes errors; most inputs go in whole.
  while (!rest.empty() && status.is_ok()) {
    const size_t n = chunk_bytes == 1 ? rest.size() : std::min(chunk_bytes * 64, rest.size());
    status = (*writer)->append(rest.substr(0, n));
    rest.remove_prefix(n);
  }
  if (status.is_ok()) status = (*writer)->finish();
  if (!status.is_ok()) {
    MR_ASSERT(status.code() == StatusCode::kCorruption ||
              status.code() == StatusCode::kUnsupported);
    MR_ASSERT((*machine)->applied_index() == LogIndex(0));
    return 0;
  }
  // What was taken gives the same snapshot back.
  MR_ASSERT((*machine)->applied_index() == index);
  auto reader = (*machine)->snapshot();
  std::string again;
  std::string chunk;
  do {
    MR_ASSERT((*reader)->next(size_t{1} << 20, chunk).is_ok());
    again += chunk;
  } while (!chunk.empty());
  MR_ASSERT(again == bytes);
  return 0;
}
