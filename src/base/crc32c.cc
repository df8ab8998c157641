#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <limits>

namespace multiraft {

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  // ISA-L takes an int length and leaves the customary inversions to the caller.
  uint32_t crc = ~seed;
  while (!bytes.empty()) {
    constexpr size_t kMax = static_cast<size_t>(std::numeric_limits<int>::max());
    const size_t n = bytes.size() < kMax ? bytes.size() : kMax;
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(n), crc);
    bytes.remove_prefix(n);
  }
  return ~crc;
}

}  // namespace multiraft
