// Arguments, one a line, up to a zero byte; what follows is the file that `-config=c` names. They
// are refused with a reason, or what comes out of them is within its limits.

#include <absl/flags/reflection.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/limits.h"
#include "env/sim/sim_file_system.h"
#include "fuzz/input.h"
#include "server/options.h"

using namespace multiraft;

namespace {

/// Flags keep their values from run to run.
void forget_flags() {
  static const auto all = absl::GetAllFlags();
  for (const auto& [name, flag] : all) {
    std::string error;
    MR_ASSERT(flag->ParseFrom(flag->DefaultValue(), &error));
  }
}

void check(const server::ServerOptions& o) {
  MR_ASSERT(!o.state_dir.empty());
  MR_ASSERT(o.id.value >= 1 && o.id.value <= limits::kNodeIdMax);
  MR_ASSERT(o.initial_group.value >= 1);
  MR_ASSERT(o.workers <= 64);
  MR_ASSERT(o.heartbeat_ns > 0 && o.election_ns >= 2 * o.heartbeat_ns);
  MR_ASSERT(o.election_ns % o.heartbeat_ns == 0);
  MR_ASSERT(o.log_segment_bytes == 0 || (o.log_segment_bytes >= limits::kLogSegmentBytesMin &&
                                         o.log_segment_bytes <= 1024 * limits::kMiB));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::view_of(data, size);
  const size_t zero = std::min(text.find('\0'), size);
  std::string_view lines = text.substr(0, zero);
  std::vector<std::string> arguments = {"multiraft"};
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    arguments.emplace_back(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  env::SimFileSystem files;
  const std::string_view config = text.substr(std::min(zero + 1, size));
  MR_ASSERT(files.write_file_atomically("c", config).is_ok());
  forget_flags();
  auto line = server::parse_command_line(static_cast<int>(argv.size()), argv.data(), files);
  if (!line) {
    MR_ASSERT(line.status().code() == StatusCode::kInvalidArgument);
    MR_ASSERT(!line.status().message().empty());
    return 0;
  }
  using Action = server::CommandLine::Action;
  if (line->action == Action::kServe || line->action == Action::kCheckConfig) check(line->options);
  return 0;
}
