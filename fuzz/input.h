#pragma once
// What a fuzz target reads its input with, and what it mends in it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/crc32c.h"

namespace multiraft::fuzz {

inline std::string_view view_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Zeros and empty views once the input is used up.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }
  uint8_t u8() { return number<uint8_t>(); }
  uint16_t u16() { return number<uint16_t>(); }
  uint64_t u64() { return number<uint64_t>(); }
  /// At most n bytes.
  std::string_view bytes(size_t n) {
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  /// A u16 length, then so many bytes.
  std::string_view sized() { return bytes(u16()); }
  std::string_view rest() { return bytes(rest_.size()); }

 private:
  template <class T>
  T number() {
    T value = 0;
    const std::string_view taken = bytes(sizeof value);
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }

  std::string_view rest_;
};

inline uint32_t u32_at(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// A checksum keeps a fuzzer out: it is put right, so that what it covers is what is tested. No
/// effect where the bytes do not reach so far.
inline void mend_checksum(std::string& bytes, size_t at, uint32_t checksum) {
  if (at + sizeof checksum <= bytes.size()) std::memcpy(&bytes[at], &checksum, sizeof checksum);
}

}  // namespace multiraft::fuzz
