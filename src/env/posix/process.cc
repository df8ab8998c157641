#include "env/posix/process.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

int64_t to_ns(const timeval& t) {
  return int64_t{t.tv_sec} * 1'000'000'000 + int64_t{t.tv_usec} * 1'000;
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
  if (number == kNotifySignal) return "";
  return number == SIGTERM ? "SIGTERM" : "SIGINT";
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
  usage.open_files = count_open_files();
  return usage;
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
