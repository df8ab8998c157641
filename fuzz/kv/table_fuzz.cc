// Any bytes as the values of the two kinds of rows in the database.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "fuzz/input.h"
#include "kv/rocks_keys.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::view_of(data, size);
  if (const auto position = kv::decode_position(bytes)) {
    MR_ASSERT(kv::encode_position(*position) == bytes);
  }
  if (const auto stored = kv::decode_value(bytes)) {
    MR_ASSERT(stored->value.size() + kv::kModifiedIndexBytes == size);
  }
  return 0;
}
