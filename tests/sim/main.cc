// raft_sim: runs seeds of the core's simulation. A failure prints one line that replays it.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/coverage.h"
#include "world.h"

namespace multiraft::sim {
namespace {

struct Arguments {
  uint64_t seeds = 1'000;
  uint64_t first = 1;
  std::optional<Schedule> schedule;
  bool trace = false;
  bool coverage = false;
  bool require_coverage = false;
  bool keep_going = false;
};

/// Rare situations that a batch must have met; a mark that was not reached fails it.
constexpr const char* kRequiredMarks[] = {
    "leader lost with an uncommitted tail",
    "snapshot installed",
    "snapshot installed during a configuration change",
    "joint configuration",
    "raft: both halves of a joint quorum needed",
    "raft: a full window was lost",
    "raft: lease refused",
    "raft: elected before the own vote is durable",
    "figure 8",
    "slow log writer over changes of leader",
    "membership changes over a stalled apply",
    "leader paused with reads outstanding",
    "leader with a lease stands still",
    "leader with a lease is cut off",
    "member restarts within its promise",
    "raft: campaign refused over a promise",
};
/// Seeds that run twice: the same seed must give the same trace.
constexpr uint64_t kDeterminismSeeds = 20;

int usage() {
  std::fprintf(stderr,
               "usage: raft_sim [--seeds N] [--first S] [--schedule NAME] [--trace] [--coverage]\n"
               "                [--require-coverage] [--keep-going]\n"
               "schedules:");
  for (size_t i = 0; i < kSchedules; ++i) {
    std::fprintf(stderr, " %s", std::string(schedule_name(static_cast<Schedule>(i))).c_str());
  }
  std::fprintf(stderr, "\n");
  return 2;
}

bool parse_number(const char* text, uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return *text != '\0' && *end == '\0';
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (arg == "--seeds" || arg == "--first") {
      if (!parse_number(value, arg == "--seeds" ? a.seeds : a.first)) return std::nullopt;
      ++i;
    } else if (arg == "--schedule") {
      a.schedule = schedule_by_name(value);
      if (!a.schedule) return std::nullopt;
      ++i;
    } else if (arg == "--trace") {
      a.trace = true;
    } else if (arg == "--coverage") {
      a.coverage = true;
    } else if (arg == "--require-coverage") {
      a.require_coverage = true;
    } else if (arg == "--keep-going") {
      a.keep_going = true;
    } else {
      return std::nullopt;
    }
  }
  return a;
}

// What runs now, for the line that a failed assertion prints.
uint64_t current_seed = 0;
Schedule current_schedule = Schedule::kSwarm;

RunResult run_seed(uint64_t seed, const Arguments& a) {
  const Schedule schedule = a.schedule.value_or(schedule_of_seed(seed));
  current_seed = seed;
  current_schedule = schedule;
  std::function<void(const std::string&)> trace;
  if (a.trace) trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  World world(Settings::of(seed, schedule), std::move(trace));
  return world.run();
}

void print_failure(uint64_t seed, Schedule schedule, uint64_t step, const std::string& what) {
  std::printf(
      "FAILED seed %llu, step %llu: %s\n  replay: raft_sim --first %llu --seeds 1 --schedule %s "
      "--trace\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(step), what.c_str(),
      static_cast<unsigned long long>(seed), std::string(schedule_name(schedule)).c_str());
  std::fflush(stdout);
}

extern "C" void on_abort(int) {
  print_failure(current_seed, current_schedule, 0, "an assertion failed (assertion)");
}

int run(const Arguments& a) {
  std::signal(SIGABRT, on_abort);
  const std::clock_t start = std::clock();
  uint64_t failures = 0;
  uint64_t hazards = 0;
  uint64_t steps = 0;
  for (uint64_t seed = a.first; seed < a.first + a.seeds; ++seed) {
    const RunResult result = run_seed(seed, a);
    steps += result.steps;
    hazards += result.hazard.empty() ? 0 : 1;
    std::string violation = result.violation;
    if (violation.empty() && seed < a.first + kDeterminismSeeds &&
        run_seed(seed, a).trace_hash != result.trace_hash) {
      violation = "the same seed took another course (determinism)";
    }
    if (violation.empty()) continue;
    ++failures;
    print_failure(seed, current_schedule, result.steps, violation);
    if (!a.keep_going) break;
  }
  // Of the processor: other work on the machine does not count.
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  if (a.coverage) {
    for (const CoverageMark::Count& count : CoverageMark::all()) {
      std::printf("mark %10llu  %s\n", static_cast<unsigned long long>(count.hits),
                  std::string(count.name).c_str());
    }
  }
  if (a.require_coverage) {
    for (const char* mark : kRequiredMarks) {
      if (CoverageMark::hits_of(mark) > 0) continue;
      ++failures;
      std::printf("FAILED: no seed reached \"%s\"\n", mark);
    }
  }
  std::printf(
      "%llu seeds, %llu steps, %llu hazards of apply-time membership, %llu violations, %.1f s, "
      "%.0f seeds/s/core\n",
      static_cast<unsigned long long>(a.seeds), static_cast<unsigned long long>(steps),
      static_cast<unsigned long long>(hazards), static_cast<unsigned long long>(failures), seconds,
      static_cast<double>(a.seeds) / seconds);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace multiraft::sim

int main(int argc, char** argv) {
  const auto arguments = multiraft::sim::parse(argc, argv);
  if (!arguments) return multiraft::sim::usage();
  return multiraft::sim::run(*arguments);
}
