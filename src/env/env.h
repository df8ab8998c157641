#pragma once
// The world: one object through which time, randomness, disks, sockets and threads are reached, so
// that whole nodes also run in simulation. env/posix/ implements it on Linux.

#include <cstdint>
#include <memory>
#include <string>

#include "env/clock.h"
#include "env/direct_writer.h"
#include "env/executor.h"
#include "env/file_system.h"
#include "env/network.h"

namespace multiraft::env {

/// Outlives everything made by it. Thread-safe.
class Environment {
 public:
  virtual ~Environment() = default;

  virtual Clock& clock() = 0;
  virtual FileSystem& file_system() = 0;
  virtual Network& network() = 0;
  /// 64 unpredictable bits (getrandom), to seed generators and to draw identities.
  virtual uint64_t random_u64() = 0;
  /// Starts a thread named `name` (at most 15 characters) for short tasks, timers and streams.
  virtual std::unique_ptr<Executor> start_executor(const std::string& name) = 0;
  /// Starts a thread for blocking work (file writes): post() and stop() only, without a poller.
  virtual std::unique_ptr<Executor> start_blocking_executor(const std::string& name) = 0;
  /// For files in `directory`, tried out there. On the thread of `owner`, which start_executor()
  /// made. kUnavailable with the reason where the system, its settings or the file system do not
  /// have what it takes.
  virtual Result<std::unique_ptr<DirectWriter>> make_direct_writer(
      Executor& owner, const std::string& directory) = 0;
};

}  // namespace multiraft::env
