// Any bytes as one of the node's small files. The first byte: bit 0, the node file or the peers
// file; bit 1, the checksum at the end is put right; bit 2, the plan of a new registry instead.
// What decodes encodes to the same bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/crc32c.h"
#include "fuzz/input.h"
#include "meta/address_book.h"
#include "meta/node_identity.h"
#include "meta/registry_restore.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const uint8_t flags = input.u8();
  std::string file(input.rest());
  if ((flags & 2U) == 0 && file.size() >= sizeof(uint32_t)) {
    const size_t at = file.size() - sizeof(uint32_t);
    fuzz::mend_checksum(file, at, crc32c(std::string_view(file).substr(0, at)));
  }
  if ((flags & 4U) != 0) {
    if (auto plan = meta::decode_plan(file)) MR_ASSERT(meta::encode_plan(*plan) == file);
  } else if ((flags & 1U) == 0) {
    if (auto facts = meta::decode_facts(file)) MR_ASSERT(meta::encode_facts(*facts) == file);
  } else {
    if (auto book = meta::decode_addresses(file)) MR_ASSERT(meta::encode_addresses(*book) == file);
  }
  return 0;
}
