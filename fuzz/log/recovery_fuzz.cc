// Any log directory: it opens, or is refused as corrupt; never an assertion, never memory beyond
// what is in it. What opened takes new entries, and a second start finds the same and those.
//
// The first byte: bit 0, whether old segments are opened by their footers.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "env/sim/sim_environment.h"
#include "fuzz/input.h"
#include "fuzz/log/directory.h"
#include "log/log.h"
#include "log/testing/simulated_log.h"

using namespace multiraft;

namespace {

constexpr uint64_t kNewGroup = 1'000'000'007;
constexpr uint64_t kIndexMax = uint64_t{1} << 62;

/// One life of the process on the machine.
class Process {
 public:
  Process(env::SimEnvironment& env, bool by_footers) : env_(env), owner_(env.start_executor("o")) {
    options_.directory = "log";
    options_.segment_bytes = 16 * log::kBlockBytes;
    options_.full_scan_bytes = by_footers ? 0 : std::numeric_limits<uint64_t>::max();
  }
  /// After a fatal error the process ends as it is.
  ~Process() {
    if (log_ && fatal_) log_->close();
  }

  Status open() {
    auto opened =
        log::Log::open(options_, env_, *owner_, [this](Status status) { fatal_ = status; });
    if (!opened) return opened.status();
    log_ = std::move(*opened);
    return Status::ok();
  }
  log::Log& log() { return *log_; }
  const Status& fatal() const { return fatal_; }
  void append(GroupId group, uint64_t first, uint64_t term) {
    const auto entries = log::sealed(group, log::make_entries(first, 3, term));
    log_->stage(
        {group, raft::HardState{Term(term), ReplicaId(1), LogIndex(0)}, nullptr, entries, true},
        nullptr);
  }
  void settle() {
    log_->flush();
    env_.run_until_idle();
    env_.advance(3 * env::kSecond);
  }

 private:
  env::SimEnvironment& env_;
  log::LogOptions options_;
  std::unique_ptr<env::Executor> owner_;
  std::unique_ptr<log::Log> log_;
  Status fatal_;
};

/// A new group, and more entries in those that are there.
void write(Process& process) {
  log::Log& log = process.log();
  for (GroupId id : log.groups()) {
    log::GroupLog& group = *log.group(id);
    const uint64_t last = group.last_index().value;
    const uint64_t term = group.initial_state().hard_state.term.value;
    if (last < kIndexMax && term < kIndexMax) process.append(id, last + 1, term + 1);
  }
  if (!log.group(GroupId(kNewGroup))) {
    MR_ASSERT(log.create_group(GroupId(kNewGroup), ReplicaId(7), {}).is_ok());
    process.append(GroupId(kNewGroup), 1, 1);
  }
  process.settle();
}

/// Damage that shows only when an entry is read, or behind a footer, is told then.
void expect_corruption(const Status& status) {
  MR_ASSERT(status.is_ok() || status.code() == StatusCode::kCorruption);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const bool by_footers = (input.u8() & 1U) != 0;
  env::SimEnvironment env(1);
  fuzz::LogDirectory(env.file_system(), "log").build(input);

  log::Model model;
  {
    Process process(env, by_footers);
    const Status opened = process.open();
    expect_corruption(opened);
    if (!opened) return 0;
    write(process);
    expect_corruption(process.fatal());
    if (!process.fatal()) return 0;
    auto read = log::read_model(process.log());
    expect_corruption(read.status());
    if (!read) return 0;
    model = std::move(*read);
  }
  Process process(env, by_footers);
  const Status opened = process.open();
  expect_corruption(opened);
  // Footers that say another thing than the records are believed only until they are checked.
  if (by_footers) return 0;
  MR_ASSERT_MSG(opened.is_ok(), opened.message().c_str());
  auto read = log::read_model(process.log());
  MR_ASSERT(read.is_ok());
  const std::string difference = log::difference(model, *read);
  MR_ASSERT_MSG(difference.empty(), difference.c_str());
  return 0;
}
