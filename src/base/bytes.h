#pragma once
// Little-endian encoding and bounds-checked decoding: what every format of this project is made of.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace multiraft {

static_assert(std::endian::native == std::endian::little,
              "formats are written as the CPU has them");

/// Appends fixed-width little-endian numbers and raw bytes to a string that it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(uint16_t v) { raw(&v, sizeof v); }
  void u32(uint32_t v) { raw(&v, sizeof v); }
  void u64(uint64_t v) { raw(&v, sizeof v); }
  void bytes(std::string_view v) { out_.append(v); }
  /// A u32 length, then the bytes.
  void sized(std::string_view v) {
    MR_ASSERT(v.size() <= UINT32_MAX);
    u32(static_cast<uint32_t>(v.size()));
    bytes(v);
  }
  size_t size() const { return out_.size(); }
  /// Overwrites four bytes written before, for lengths and checksums known only at the end.
  void patch_u32(size_t at, uint32_t v) {
    MR_ASSERT(at <= out_.size() && sizeof v <= out_.size() - at);
    std::memcpy(out_.data() + at, &v, sizeof v);
  }

 private:
  void raw(const void* p, size_t n) { out_.append(static_cast<const char*>(p), n); }
  std::string& out_;
};

/// Reads what ByteWriter wrote. A read past the end yields zero or nothing and sets failed(), which
/// the caller checks once at the end: untrusted input can never be read out of bounds.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  uint8_t u8() { return number<uint8_t>(); }
  uint16_t u16() { return number<uint16_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }
  std::string_view bytes(size_t n) {
    if (n > remaining()) {
      fail();
      return {};
    }
    std::string_view v = in_.substr(pos_, n);
    pos_ += n;
    return v;
  }
  std::string_view sized() { return bytes(u32()); }

  size_t position() const { return pos_; }
  size_t remaining() const { return in_.size() - pos_; }
  bool failed() const { return failed_; }
  /// All read, nothing left, nothing failed.
  bool complete() const { return !failed_ && remaining() == 0; }
  void fail() {
    failed_ = true;
    pos_ = in_.size();
  }

 private:
  template <class T>
  T number() {
    T v{};
    if (sizeof(T) > remaining()) {
      fail();
      return v;
    }
    std::memcpy(&v, in_.data() + pos_, sizeof v);
    pos_ += sizeof v;
    return v;
  }
  std::string_view in_;
  size_t pos_ = 0;
  bool failed_ = false;
};

}  // namespace multiraft
