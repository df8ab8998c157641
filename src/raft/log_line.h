#pragma once
// Log lines of the core: built only where somebody listens.

#include <charconv>
#include <string>
#include <string_view>

#include "multiraft/types.h"
#include "raft/raft.h"

namespace multiraft::raft {

/// "voters=(1 2)&&(2 3) learners=(4) learners_next=(1) autoleave", ids in hexadecimal.
std::string describe(const ConfState& conf);

inline void append_part(std::string& line, std::string_view text) { line += text; }
inline void append_part(std::string& line, uint64_t number) { line += std::to_string(number); }
inline void append_part(std::string& line, ReplicaId id) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, id.value, 16).ptr;
  line.append(digits, end);
}
template <class Tag>
void append_part(std::string& line, StrongCounter<Tag> number) {
  line += std::to_string(number.value);
}
inline void append_part(std::string& line, const ConfState& conf) { line += describe(conf); }

/// Replica ids are written in hexadecimal, everything else in decimal.
template <class... Parts>
void log_line(Logger* logger, LogLevel level, const Parts&... parts) {
  if (logger == nullptr || !logger->enabled(level)) return;
  std::string line;
  (append_part(line, parts), ...);
  logger->log(level, line);
}

}  // namespace multiraft::raft
