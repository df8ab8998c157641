#include "env/posix/process.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace multiraft::env {
namespace {

/// notify() is this signal sent to ourselves: one thing to wait for instead of two.
constexpr int kNotifySignal = SIGUSR1;

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, kNotifySignal);
  return set;
}

/// Empty for what is no request to stop, and for none at all.
std::string name_of(int signal) {
  if (signal == SIGTERM) return "SIGTERM";
  return signal == SIGINT ? "SIGINT" : "";
}

int64_t to_ns(const timeval& t) {
  return int64_t{t.tv_sec} * 1'000'000'000 + int64_t{t.tv_usec} * 1'000;
}

rlimit open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit = {1024, 1024};  // What every system grants.
  return limit;
}

uint64_t count_open_files() {
  DIR* directory = opendir("/proc/self/fd");
  if (!directory) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(directory);
  return count > 0 ? count - 1 : 0;  // Without the one that was open for the listing.
}

uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  unsigned long total = 0;
  unsigned long resident = 0;
  const int fields = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return fields == 2 ? uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

StopSignal::StopSignal() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

std::string StopSignal::wait() {
  const sigset_t set = stop_signals();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return name_of(number);
}

std::string StopSignal::wait_for(int64_t timeout_ns) {
  const sigset_t set = stop_signals();
  const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  return name_of(sigtimedwait(&set, nullptr, &timeout));
}

void StopSignal::notify() { kill(getpid(), kNotifySignal); }

void notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // An abstract name.
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  (void)!sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
}

ProcessUsage process_usage() {
  ProcessUsage usage;
  rusage r{};
  if (getrusage(RUSAGE_SELF, &r) == 0) {
    usage.cpu_user_ns = to_ns(r.ru_utime);
    usage.cpu_system_ns = to_ns(r.ru_stime);
  }
  usage.resident_bytes = resident_bytes();
  usage.open_files = open_files();
  usage.open_files_max = open_files_max();
  return usage;
}

uint64_t open_files() {
  struct stat info;
  // Since Linux 6.2 the size is the number, without a walk through all of them.
  if (::stat("/proc/self/fd", &info) == 0 && info.st_size > 0) {
    return static_cast<uint64_t>(info.st_size);
  }
  return count_open_files();
}

uint64_t open_files_max() { return open_files_limit().rlim_cur; }

uint64_t raise_open_files_limit() {
  rlimit limit = open_files_limit();
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

uint64_t memory_bytes() {
  const auto pages = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
  uint64_t bytes = pages * static_cast<uint64_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
  const auto limit = [&bytes](const std::string& path) {
    std::ifstream file(path);
    uint64_t group = 0;
    if (file >> group && group > 0) bytes = std::min(bytes, group);  // "max": no limit.
  };
  // The process's own group and all above it; inside of a container the own one is the root.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    std::string path = line.substr(3);
    while (!path.empty()) {
      limit("/sys/fs/cgroup" + path + "/memory.max");
      path.resize(path.rfind('/'));
    }
  }
  limit("/sys/fs/cgroup/memory.max");
  limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");  // Of the older version.
  return bytes;
}

uint32_t processor_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
  }
  return 1;
}

}  // namespace multiraft::env
