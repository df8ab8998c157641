#pragma once
// Writes that are durable when they are done, several under way at once, without a thread that
// waits for them.

#include <cstdint>
#include <memory>
#include <span>

#include "base/task.h"
#include "env/file_system.h"
#include "multiraft/status.h"

namespace multiraft::env {

/// Belongs to one executor: all calls are made on its thread, or after it has ended, and every
/// callback arrives there.
class DirectWriter {
 public:
  struct Write {
    File* file = nullptr;  ///< Opened for direct access.
    uint64_t offset = 0;   ///< A multiple of 4096, as are the bytes' address and number.
    std::span<char> bytes;
  };

  /// Waits for what is under way, as drain() does.
  virtual ~DirectWriter() = default;

  /// Starts these writes and returns at once; `done` comes once, never from within the call: ok
  /// when all of them are durable. Until then files and bytes stay where they are. Writes under
  /// way, of one call or of several, reach the disk in any order; a crash may keep any part of
  /// them. Errors name file, offset and errno, and leave open what was written: they are final
  /// (trap 30).
  virtual void submit(std::span<const Write> writes, Callback<void(Status)> done) = 0;
  /// Blocks until nothing is under way, and runs the callbacks from within the call.
  virtual void drain() = 0;
};

}  // namespace multiraft::env
