#pragma once
// What a process asks of the system besides files, sockets and threads: signals to stop, the word
// to the service manager, its own CPU time.

#include <cstdint>
#include <string>
#include <string_view>

namespace multiraft::env {

/// SIGTERM and SIGINT as something to wait for. Made in main() before any other thread, so that all
/// threads inherit the blocked mask. SIGPIPE is ignored from then on.
class StopSignal {
 public:
  StopSignal();
  /// Blocks the calling thread until a signal comes or notify() is called. Returns the signal's
  /// name, or "" for notify().
  std::string wait();
  /// As wait(), but returns "" after `timeout_ns`, too.
  std::string wait_for(int64_t timeout_ns);
  /// Any thread.
  void notify();
};

/// Tells the service manager that started this process, if one did (sd_notify(3): NOTIFY_SOCKET).
void notify_service_manager(std::string_view state);

struct ProcessUsage {
  int64_t cpu_user_ns = 0;
  int64_t cpu_system_ns = 0;
  uint64_t resident_bytes = 0;
  uint64_t open_files = 0;
  uint64_t open_files_max = 0;  ///< The limit in force.
};
ProcessUsage process_usage();

/// Raises the soft limit of open files (RLIMIT_NOFILE) to the hard one, which needs no privilege.
/// Returns the limit in force afterwards.
uint64_t raise_open_files_limit();
/// Of this process, now.
uint64_t open_files();
uint64_t open_files_max();

uint32_t processor_count();
/// What this process may use: the machine's memory, or less where its control group says so.
uint64_t memory_bytes();

}  // namespace multiraft::env
