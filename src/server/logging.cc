#include "server/logging.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <mutex>

#include "env/clock.h"
#include "env/posix/line_writer.h"

namespace multiraft::server {
namespace {

/// Enough for whoever reads standard error to write down the last lines; no more if nobody reads.
constexpr int64_t kFlushNs = 200 * env::kMillisecond;

std::atomic<bool> g_json{false};
/// Never destroyed: threads may log until the process is gone.
env::LineWriter* g_writer = nullptr;

class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    g_writer->write(std::string(text.data(), text.size()));
  }
  void flush_() override {}
};

spdlog::level::level_enum to_spdlog(Severity severity) {
  switch (severity) {
    case Severity::kTrace:
      return spdlog::level::trace;
    case Severity::kDebug:
      return spdlog::level::debug;
    case Severity::kInfo:
      return spdlog::level::info;
    case Severity::kWarn:
      return spdlog::level::warn;
    case Severity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void append_escaped(std::string& out, std::string_view text) {
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      out += buffer;
    } else {
      out += c;
    }
  }
}

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"\\=\n\t") != std::string_view::npos;
}

std::string as_json(std::string_view event, std::initializer_list<LogField> fields) {
  std::string out = "\"event\":\"";
  append_escaped(out, event);
  out += '"';
  for (const LogField& field : fields) {
    out += ",\"";
    append_escaped(out, field.name);
    out += "\":\"";
    append_escaped(out, field.value);
    out += '"';
  }
  return out;
}

std::string as_text(std::string_view event, std::initializer_list<LogField> fields) {
  std::string out;
  append_escaped(out, event);
  for (const LogField& field : fields) {
    out += ' ';
    append_escaped(out, field.name);
    out += '=';
    const bool quoted = needs_quotes(field.value);
    if (quoted) out += '"';
    append_escaped(out, field.value);
    if (quoted) out += '"';
  }
  return out;
}

/// Formatted by hand: it is made on the writer's own thread, while the queue is full.
std::string lost_line(uint64_t lost) {
  const std::string count = std::to_string(lost);
  if (g_json) {
    return R"({"level":"warning","event":"log lines lost","lines":")" + count + "\"}\n";
  }
  return "warning log lines lost lines=" + count + "\n";
}

}  // namespace

void start_logging(std::string_view level, bool json) {
  g_json = json;
  if (g_writer == nullptr) {
    g_writer = new env::LineWriter({.lost_line = lost_line});
  }
  auto logger = std::make_shared<spdlog::logger>("multiraft", std::make_shared<QueueSink>());
  logger->set_pattern(json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"level\":\"%l\",%v}"
                           : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                      spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(std::string(level)));
  spdlog::set_default_logger(std::move(logger));
}

void log_event(Severity severity, std::string_view event, std::initializer_list<LogField> fields) {
  const auto level = to_spdlog(severity);
  if (!spdlog::default_logger_raw()->should_log(level)) return;
  spdlog::default_logger_raw()->log(level, "{}",
                                    g_json ? as_json(event, fields) : as_text(event, fields));
}

void flush_log() {
  if (g_writer != nullptr) (void)g_writer->flush(kFlushNs);
}

uint64_t log_lines_lost() { return g_writer != nullptr ? g_writer->lost() : 0; }

}  // namespace multiraft::server
