#pragma once
// For tests of the codec: bytes as hexadecimal text, and frames in one piece.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/batch.h"

namespace multiraft::wire {

/// "4d 52 .." with any spaces; for golden bytes.
inline std::string from_hex(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    MR_ASSERT(digit >= 0 && digit < 16);
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high * 16 + digit));
      high = -1;
    }
  }
  MR_ASSERT(high < 0);
  return bytes;
}

inline std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    if (!text.empty()) text += ' ';
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

inline std::string joined(std::span<const std::string_view> parts) {
  std::string bytes;
  for (const std::string_view part : parts) bytes += part;
  return bytes;
}

/// The payload of a frame made here, which must check.
inline std::string_view payload_of(std::string_view frame, FrameKind kind) {
  FrameHeader header;
  MR_ASSERT(decode_frame_header(frame, header).is_ok());
  MR_ASSERT(header.kind == kind && header.payload_bytes == frame.size() - kFrameHeaderBytes);
  const std::string_view payload = frame.substr(kFrameHeaderBytes);
  MR_ASSERT(check_frame_payload(header, payload).is_ok());
  return payload;
}

}  // namespace multiraft::wire
