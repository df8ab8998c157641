#pragma once
// CRC-32C (Castagnoli), hardware-accelerated by ISA-L.

#include <cstdint>
#include <string_view>

namespace multiraft {

/// Checksum of `bytes`, continuing from `seed` (the checksum of what came before, or 0).
/// crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace multiraft
