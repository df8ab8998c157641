#pragma once
// Strings that are kept for reuse.

#include <cstddef>
#include <string>

namespace multiraft {

/// Makes `text` empty and gives its memory back if it has grown beyond `kept_bytes_max`. To assign
/// an empty string would not do that: libstdc++ then keeps the buffer.
inline void clear_for_reuse(std::string& text, size_t kept_bytes_max) {
  text.clear();
  if (text.capacity() > kept_bytes_max) std::string().swap(text);
}

}  // namespace multiraft
