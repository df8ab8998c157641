#pragma once
// Whether the database's background work keeps up with what is written.
//
// RocksDB's own pacing is switched off: with writes that must not wait it turns a slow-down into a
// full stop, because each refused attempt is charged for the delay. Writes are refused at the door
// instead, early enough that the database itself rarely has to stop.

#include <atomic>
#include <cstdint>

#include "base/limits.h"

namespace multiraft::kv {

/// Level 0 files at which RocksDB takes no more writes; see rocks_options.cc.
inline constexpr int kLevel0FilesStop = 36;

/// Thread-safe.
class WritePressure {
 public:
  /// As background work begins and ends. High and low have a distance, so that a database at the
  /// limit does not refuse and take writes in turns.
  void update(uint64_t l0_files, uint64_t pending_bytes) {
    if (l0_files >= kFilesHigh || pending_bytes >= kPendingHigh) {
      high_.store(true, std::memory_order_relaxed);
    } else if (l0_files < kFilesLow && pending_bytes < kPendingLow) {
      high_.store(false, std::memory_order_relaxed);
    }
  }
  bool high() const { return high_.load(std::memory_order_relaxed); }

  static constexpr uint64_t kFilesHigh = 28;
  static constexpr uint64_t kFilesLow = 20;
  static constexpr uint64_t kPendingHigh = uint64_t{192} << 30;
  static constexpr uint64_t kPendingLow = uint64_t{128} << 30;
  static_assert(kFilesHigh < kLevel0FilesStop);

 private:
  std::atomic<bool> high_{false};
};

}  // namespace multiraft::kv
