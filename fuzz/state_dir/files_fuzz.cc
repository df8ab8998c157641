// Any bytes as one of the node's small files. The first byte: bit 0, the node file or the peers
// file; bit 1, the checksum at the end is put right; bit 2, the plan of a new registry instead.
// What decodes encodes to the same bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/crc32c.h"
#include "cluster/registry_restore.h"
#include "fuzz/input.h"
#include "state_dir/known_nodes.h"
#include "state_dir/node_identity.h"

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
    if (auto plan = cluster::decode_plan(file)) MR_ASSERT(cluster::encode_plan(*plan) == file);
  } else if ((flags & 1U) == 0) {
    if (auto facts = state_dir::decode_facts(file))
      MR_ASSERT(state_dir::encode_facts(*facts) == file);
  } else {
    if (auto book = state_dir::decode_known_nodes(file))
      MR_ASSERT(state_dir::encode_known_nodes(*book) == file);
  }
  return 0;
}
