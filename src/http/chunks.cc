#include "http/chunks.h"

#include <algorithm>

#include "base/limits.h"

namespace multiraft::http {
namespace {

constexpr int kSizeDigitsMax = 15;  // Far beyond any limit, and cannot overflow.

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkDecoder::Step ChunkDecoder::feed(std::string_view bytes, BodyBuffer& body, size_t bytes_max) {
  size_t used = 0;
  while (used < bytes.size()) {
    if (at_ == At::kData) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(size_, bytes.size() - used));
      if (!body.append(bytes.substr(used, n))) return {State::kNoMemory, used};
      used += n;
      size_ -= n;
      if (size_ == 0) at_ = At::kDataCr;
      continue;
    }
    const State state = take(bytes[used++], body, bytes_max);
    if (state != State::kMore) return {state, used};
  }
  return {State::kMore, used};
}

ChunkDecoder::State ChunkDecoder::take(char c, const BodyBuffer& body, size_t bytes_max) {
  switch (at_) {
    case At::kSize:
      return take_size(c);
    case At::kExtension:
      return take_skipped(c, At::kSizeLf);
    case At::kSizeLf:
      return c == '\n' ? size_ended(body, bytes_max) : State::kMalformed;
    case At::kData:
      break;
    case At::kDataCr:
      at_ = At::kDataLf;
      return c == '\r' ? State::kMore : State::kMalformed;
    case At::kDataLf:
      at_ = At::kSize;
      digits_ = 0;
      return c == '\n' ? State::kMore : State::kMalformed;
    case At::kTrailerStart:
      at_ = At::kTrailer;
      return take_skipped(c, At::kLastLf);
    case At::kTrailer:
      return take_skipped(c, At::kTrailerLf);
    case At::kTrailerLf:
      at_ = At::kTrailerStart;
      return c == '\n' ? State::kMore : State::kMalformed;
    case At::kLastLf:
      return c == '\n' ? State::kDone : State::kMalformed;
  }
  return State::kMalformed;
}

ChunkDecoder::State ChunkDecoder::take_size(char c) {
  const int digit = hex_digit(c);
  if (digit >= 0) {
    if (++digits_ > kSizeDigitsMax) return State::kTooLarge;
    size_ = size_ * 16 + static_cast<uint64_t>(digit);
    return State::kMore;
  }
  if (digits_ == 0 || (c != '\r' && c != ';')) return State::kMalformed;
  at_ = At::kExtension;
  return take_skipped(c, At::kSizeLf);
}

/// A byte of an extension or trailer, whose line ends with CR and then the state `line_feed`.
ChunkDecoder::State ChunkDecoder::take_skipped(char c, At line_feed) {
  if (c == '\r') {
    at_ = line_feed;
    return State::kMore;
  }
  // A bare LF would be the end of the line for others.
  if (c == '\n' || c == '\0') return State::kMalformed;
  return ++skipped_ > limits::kHttpHeaderBytesMax ? State::kMalformed : State::kMore;
}

ChunkDecoder::State ChunkDecoder::size_ended(const BodyBuffer& body, size_t bytes_max) {
  if (size_ == 0) {
    at_ = At::kTrailerStart;
    return State::kMore;
  }
  if (size_ > bytes_max - body.size()) return State::kTooLarge;
  at_ = At::kData;
  return State::kMore;
}

}  // namespace multiraft::http
