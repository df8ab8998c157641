// Any bytes, cut into chunks in any way: a restore refuses them or stands where they say, with
// exactly the records that they hold. The first byte says how the rest is cut.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "kv/kv_engine.h"

using namespace multiraft;

namespace {

/// The position that the begin item claims, so that the fuzzer need not guess it.
void claimed_position(std::string_view bytes, LogIndex& index, Term& term) {
  ByteReader in(bytes);
  in.bytes(7);
  index = LogIndex(in.u64());
  term = Term(in.u64());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t chunk_bytes = size_t{data[0]} + 1;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  LogIndex index;
  Term term;
  claimed_position(bytes, index, term);

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
    MR_ASSERT(status.code() == StatusCode::kCorruption);
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
