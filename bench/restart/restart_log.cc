// The log of a worker with many groups: what opening it costs, and what an idle group costs.
//
//   bench_restart_log make DIRECTORY GROUPS MIB     writes a log and ends without closing it
//   bench_restart_log open DIRECTORY                opens it and closes it in order
//
// 1 group of 100 is hot and gets most of the bytes, in entries of 4 KiB; all others get a small
// entry now and then, so that every segment has records of many groups. Prints "name value" lines;
// bench/restart/run puts them together. Heap is what malloc counts as in use.

#include <malloc.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "env/posix/posix_env.h"
#include "env/posix/process.h"
#include "log/log.h"
#include "raft/entry_checksum.h"

namespace multiraft {
namespace {

constexpr uint64_t kHotOneOf = 100;
constexpr uint64_t kColdOneOf = 8;  ///< Of so many entries one goes to a cold group.
constexpr size_t kHotBytes = 4 * limits::kKiB;
constexpr size_t kColdBytes = 128;
constexpr size_t kBatchEntries = 64;

void print(const char* name, double value) { std::printf("%s %.6g\n", name, value); }

double heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

/// Bytes that read calls returned, from the page cache or not.
uint64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string name;
  uint64_t value = 0;
  while (io >> name >> value) {
    if (name == "rchar:") return value;
  }
  return 0;
}

std::unique_ptr<log::Log> open_log(env::Environment& env, env::Executor& owner,
                                   const std::string& directory) {
  std::unique_ptr<log::Log> log;
  owner.run_and_wait([&] {
    log::LogOptions options;
    options.directory = directory;
    auto opened = log::Log::open(options, env, owner, [](const Status& status) {
      std::fprintf(stderr, "%s\n", status.to_string().c_str());
      std::_Exit(1);
    });
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.status().to_string().c_str());
      std::_Exit(1);
    }
    log = std::move(*opened);
  });
  return log;
}

/// Writes on the owner's thread, one durable batch after the other.
class Maker {
 public:
  Maker(env::Executor& owner, log::Log& log, uint64_t groups)
      : owner_(owner), log_(log), last_(groups + 1, LogIndex(1)) {}

  void create_groups() {
    raft::Snapshot mark{LogIndex(1), Term(1), {}};
    for (uint32_t node = 1; node <= 3; ++node) {
      mark.conf_state.voters.push_back(ReplicaId::make(NodeId(node), 1));
    }
    in_batches([&](uint64_t done) {
      for (uint64_t i = done + 1; i <= done + 1'000 && i < last_.size(); ++i) {
        const ReplicaId replica = ReplicaId::make(NodeId(1), static_cast<uint32_t>(i));
        MR_ASSERT(log_.create_group(GroupId(i), replica, mark).is_ok());
        append(i, "");  // The first entry of a leader's term.
      }
      return done + 1'000 < last_.size() ? done + 1'000 : 0;
    });
  }
  void fill(uint64_t bytes) {
    const std::string hot(kHotBytes, 'h');
    const std::string cold(kColdBytes, 'c');
    in_batches([&](uint64_t done) {
      for (size_t i = 0; i < kBatchEntries; ++i) {
        const bool is_cold = ++turn_ % kColdOneOf == 0;
        const uint64_t groups = last_.size() - 1;
        const uint64_t pick = turn_ * 7919;
        append(is_cold ? 1 + pick % groups : 1 + pick % (groups / kHotOneOf) * kHotOneOf,
               is_cold ? cold : hot);
        done += is_cold ? kColdBytes : kHotBytes;
      }
      return done < bytes ? done : 0;
    });
  }

 private:
  void append(uint64_t group, std::string_view data) {
    raft::Entry entry;
    entry.index = ++last_[group];
    entry.term = Term(2);
    entry.data = SharedBytes::copy_of(data);
    raft::seal(raft::group_checksum_seed(GroupId(group)), entry);
    log::GroupAppend record;
    record.group = GroupId(group);
    record.hard_state = raft::HardState{Term(2), ReplicaId::make(NodeId(1), 1), entry.index};
    record.entries = {&entry, 1};
    log_.stage(record, nullptr);
  }
  /// Calls step(state) for one batch after the other, from state 0 on until it returns 0.
  void in_batches(const std::function<uint64_t(uint64_t)>& step) {
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    std::function<void(uint64_t)> next = [&](uint64_t state) {
      const uint64_t after = step(state);
      log::GroupAppend nothing;
      nothing.group = GroupId(1);
      log_.stage(nothing, [&, after] {
        if (after != 0) return next(after);
        const std::lock_guard lock(mutex);
        done = true;
        ended.notify_one();
      });
      log_.flush();
    };
    owner_.post([&] { next(0); });
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return done; });
  }

  env::Executor& owner_;
  log::Log& log_;
  std::vector<LogIndex> last_;
  uint64_t turn_ = 0;
};

int make(const std::string& directory, uint64_t groups, uint64_t mib) {
  auto env = env::make_posix_environment();
  auto owner = env->start_executor("owner");
  auto log = open_log(*env, *owner, directory);
  Maker maker(*owner, *log, groups);
  const double before = heap_bytes();
  maker.create_groups();
  double cached = 0;
  owner->run_and_wait([&] { cached = static_cast<double>(log->stats().cache_bytes); });
  print("created_heap_per_group_bytes",
        (heap_bytes() - before - cached) / static_cast<double>(groups));
  maker.fill(mib * limits::kMiB);
  std::fflush(stdout);
  std::_Exit(0);  // Like kill -9: nothing is closed.
}

int reopen(const std::string& directory) {
  auto env = env::make_posix_environment();
  auto owner = env->start_executor("owner");
  const double heap_before = heap_bytes();
  const uint64_t read_before = bytes_read();
  const env::ProcessUsage cpu_before = env::process_usage();
  const env::MonotonicTime start = env->clock().now();
  auto log = open_log(*env, *owner, directory);
  const int64_t took_ns = env->clock().now() - start;
  const env::ProcessUsage cpu = env::process_usage();
  print("open_seconds", static_cast<double>(took_ns) / 1e9);
  print("open_cpu_seconds", static_cast<double>(cpu.cpu_user_ns - cpu_before.cpu_user_ns +
                                                cpu.cpu_system_ns - cpu_before.cpu_system_ns) /
                                1e9);
  print("open_mib_read", static_cast<double>(bytes_read() - read_before) / limits::kMiB);
  owner->run_and_wait([&] {
    const auto groups = static_cast<double>(log->groups().size());
    print("groups", groups);
    print("segments", static_cast<double>(log->stats().segments));
    print("opened_heap_per_group_bytes",
          (heap_bytes() - heap_before - static_cast<double>(log->stats().cache_bytes)) / groups);
    log->close();
  });
  log.reset();
  owner->stop();
  return 0;
}

}  // namespace
}  // namespace multiraft

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "make" && argc == 5) {
    return multiraft::make(argv[2], std::strtoull(argv[3], nullptr, 10),
                           std::strtoull(argv[4], nullptr, 10));
  }
  if (what == "open" && argc == 3) return multiraft::reopen(argv[2]);
  std::fprintf(stderr, "usage: bench_restart_log make DIR GROUPS MIB | open DIR\n");
  return 2;
}
