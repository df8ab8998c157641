// multiraft-log on any log directory: it names what is damaged wherever a start would refuse, a log
// without damage is served, and nothing is written.
//
// The first byte: bit 0, the directory is one of a whole node, whose node file follows (u16 size).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "env/sim/sim_file_system.h"
#include "fuzz/input.h"
#include "fuzz/log/directory.h"
#include "inspect/read_only_files.h"
#include "inspect/report.h"

using namespace multiraft;

namespace {

void expect_reason(const Status& status) {
  MR_ASSERT(status.code() == StatusCode::kInvalidArgument ||
            status.code() == StatusCode::kNotFound);
  MR_ASSERT(!status.message().empty());
}

uint64_t verify(env::FileSystem& files, const std::string& path) {
  auto report = inspect::report_on(files, path, inspect::Depth::kVerify);
  if (!report) {
    expect_reason(report.status());
    return 0;
  }
  MR_ASSERT(!inspect::to_text(report->value).empty());
  if (const auto* logs = report->value.as_object().if_contains("logs")) {
    for (const auto& log : logs->as_array()) {
      const auto* served = log.as_object().if_contains("served");
      MR_ASSERT(!served || served->as_bool() || report->damages > 0);
    }
  }
  return report->damages;
}

void dump(env::FileSystem& files, const std::string& path) {
  size_t lines = 0;
  auto dumped = inspect::dump(files, path, {}, [&](const boost::json::value& line) {
    MR_ASSERT(!inspect::to_line(line).empty());
    ++lines;
  });
  if (!dumped) expect_reason(dumped.status());
  MR_ASSERT(!dumped || lines >= *dumped);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const bool whole_node = (input.u8() & 1U) != 0;
  env::SimFileSystem disk;
  MR_ASSERT(disk.create_directories("node").is_ok());
  if (whole_node) {
    MR_ASSERT(disk.write_file_atomically("node/node", input.sized()).is_ok());
  }
  fuzz::LogDirectory(disk, "node/log/0").build(input);

  const uint64_t operations = disk.operation_count();
  inspect::ReadOnlyFiles files(disk);
  const std::string path = whole_node ? "node" : "node/log/0";
  (void)verify(files, path);
  dump(files, path);
  auto names = disk.list("node/log/0");
  MR_ASSERT(names.is_ok());
  for (const std::string& name : *names) {
    (void)verify(files, "node/log/0/" + name);
    dump(files, "node/log/0/" + name);
  }
  MR_ASSERT(disk.operation_count() == operations);
  return 0;
}
