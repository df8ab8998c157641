#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <cstddef>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace multiraft {
namespace {

/// `crc` and the result are inverted, as the polynomial division has them.
uint32_t divide_long(std::string_view bytes, uint32_t crc) {
  while (!bytes.empty()) {
    constexpr size_t kMax = static_cast<size_t>(std::numeric_limits<int>::max());
    const size_t n = bytes.size() < kMax ? bytes.size() : kMax;
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(n), crc);
    bytes.remove_prefix(n);
  }
  return crc;
}

#if defined(__x86_64__)

/// ISA-L splits long input into streams that the processor works on at once. Up to here that takes
/// longer to set up than one instruction for every eight bytes takes: an entry's place in the log,
/// a header, a small command.
constexpr size_t kShortBytes = 192;

const bool kHasInstruction = __builtin_cpu_supports("sse4.2") != 0;

__attribute__((target("sse4.2"))) uint32_t divide_short(std::string_view bytes, uint32_t crc) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  uint64_t wide = crc;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  auto narrow = static_cast<uint32_t>(wide);
  for (; at != end; ++at) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return narrow;
}

#endif

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
#if defined(__x86_64__)
  if (bytes.size() <= kShortBytes && kHasInstruction) return ~divide_short(bytes, ~seed);
#endif
  return ~divide_long(bytes, ~seed);
}

}  // namespace multiraft
