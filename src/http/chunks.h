#pragma once
// The chunked transfer coding (RFC 9112 section 7.1), decoded as it arrives.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/body_buffer.h"

namespace multiraft::http {

/// One body. Strict: CRLF only, no blanks around the size. Extensions and trailers are skipped,
/// together at most kHttpHeaderBytesMax bytes. Beast's decoder is not used: it wants the last chunk
/// contiguous, and asserts on the ways in which it may be split.
class ChunkDecoder {
 public:
  enum class State : uint8_t { kMore, kDone, kMalformed, kTooLarge, kNoMemory };

  struct Step {
    State state = State::kMore;
    size_t used = 0;  ///< Bytes of the input that belong to the body.
  };
  /// Appends the content of `bytes` to `body`, at most `bytes_max` in all.
  Step feed(std::string_view bytes, BodyBuffer& body, size_t bytes_max);

 private:
  enum class At : uint8_t {
    kSize,       ///< Within the digits.
    kExtension,  ///< After them, before the CR.
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,  ///< At the beginning of a trailer line or of the last line.
    kTrailer,
    kTrailerLf,
    kLastLf,
  };

  State take(char c, const BodyBuffer& body, size_t bytes_max);
  State take_size(char c);
  State take_skipped(char c, At line_feed);
  State size_ended(const BodyBuffer& body, size_t bytes_max);

  At at_ = At::kSize;
  uint64_t size_ = 0;  ///< Of the chunk; in kData what is left of it.
  int digits_ = 0;
  size_t skipped_ = 0;
};

}  // namespace multiraft::http
