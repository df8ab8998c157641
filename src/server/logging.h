#pragma once
// The server's log lines: one event per line, with fields, as text for operators or JSON for
// programs. Thread-safe.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace multiraft::server {

struct LogField {
  std::string_view name;
  std::string value;
};

enum class Severity : unsigned char { kTrace, kDebug, kInfo, kWarn, kError };

/// Once, before the first line. Lines go to standard error, by way of a queue and a thread of its
/// own: no caller ever waits for whoever reads them. Lines that find the queue full are lost, and
/// counted.
void start_logging(std::string_view level, bool json);
/// Drops what the level excludes. Control characters in values are escaped.
void log_event(Severity severity, std::string_view event,
               std::initializer_list<LogField> fields = {});
/// Before the process ends. Waits for a moment, not for a reader that has stopped.
void flush_log();
uint64_t log_lines_lost();

}  // namespace multiraft::server
