#pragma once
// Watches the room on the disk of the state directory, so that the node never stands with a full
// one: it stops taking what makes its state grow while there still is room for all that gives room
// back (design: docs/operations.md, "A full disk").
//
// Below `low_bytes` clients' writes that grow the state are refused; deletes, reads, membership and
// the upkeep of the state go on. Below `critical_bytes` the reserve file goes, too, so that the
// upkeep has room. Above `ok_bytes` all is as before: nobody has to restart anything. A file system
// that can hold only so many files (inodes) is low on these as well: with bytes left but no file to
// put them in, the engine stops just the same.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/env.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::host {

enum class DiskState : uint8_t {
  kOk,
  kLow,       ///< Nothing that grows the state.
  kCritical,  ///< And the reserve is given back to the disk.
};
std::string_view disk_state_name(DiskState state);

/// Free bytes. reserve < critical < low < ok.
struct DiskThresholds {
  uint64_t reserve_bytes = 0;
  uint64_t critical_bytes = 0;
  uint64_t low_bytes = 0;
  uint64_t ok_bytes = 0;
  /// Files that can still be created; 0: the file system has no such limit.
  uint64_t low_files = 0;
  uint64_t ok_files = 0;
  /// In proportion to a small disk, absolute on a large one. There has to be room for the log's
  /// next segment before it is low: the log must be able to go on.
  static DiskThresholds of(uint64_t total_bytes, uint64_t segment_bytes, uint64_t total_files = 0);
};

/// What follows from one reading after another: with a distance between going and coming back, so
/// that writes are not refused and taken in turns.
class DiskGauge {
 public:
  explicit DiskGauge(const DiskThresholds& thresholds) : thresholds_(thresholds) {}
  DiskState update(uint64_t free_bytes, uint64_t free_files = UINT64_MAX);
  DiskState state() const;
  bool files_low() const { return files_low_; }

 private:
  DiskThresholds thresholds_;
  DiskState bytes_state_ = DiskState::kOk;
  bool files_low_ = false;
};

class DiskGuard {
 public:
  struct Hooks {
    /// The state changed; the text is for the log. On the guard's thread.
    std::function<void(DiskState, const std::string&)> changed;
    /// Called again and again, with pauses, while there is little room: to give back what is not
    /// needed. On a thread of its own; may take long.
    std::function<void()> reclaim;
    /// The state directory is gone, or cannot be looked at: the process must end (status 5).
    std::function<void(const Status&)> lost;
  };

  DiskGuard(env::Environment& env, std::string state_dir, uint64_t segment_bytes, NodeId node,
            Hooks hooks);
  ~DiskGuard();

  /// Takes the first reading before it returns, and goes on by itself.
  void start();
  /// Waits for what is under way. Not from the hooks.
  void stop();

  // Any thread.
  bool low() const { return state_.load(std::memory_order_relaxed) != DiskState::kOk; }
  DiskState state() const { return state_.load(std::memory_order_relaxed); }
  uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }
  /// Files that can still be created; nothing where the file system has no such limit.
  std::optional<uint64_t> free_files() const;
  /// kNoSpace while there is so little that only the logs and what gives room back may take more.
  /// Looks at the disk at once: what asks fills it faster than the guard looks.
  Status spare_room() const;
  /// kNoSpace, for a client whose write is refused.
  Status refusal() const;

 private:
  void poll();
  void read();
  void keep_reserve();
  void ask_to_reclaim();
  std::string describe() const;

  env::Environment& env_;
  const std::string state_dir_;
  const std::string reserve_path_;
  const uint64_t segment_bytes_;
  const NodeId node_;
  const Hooks hooks_;
  std::string marker_path_;  ///< Exists as long as the directory is the one that was opened.
  DiskThresholds thresholds_;
  std::unique_ptr<DiskGauge> gauge_;
  std::atomic<DiskState> state_{DiskState::kOk};
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<uint64_t> free_files_{UINT64_MAX};
  std::atomic<bool> files_low_{false};
  std::atomic<bool> reclaiming_{false};
  env::MonotonicTime reclaim_asked_;
  bool lost_ = false;
  bool reserve_held_ = false;
  std::atomic<bool> stopped_{false};
  std::unique_ptr<env::Executor> thread_;
  std::unique_ptr<env::Executor> reclaim_thread_;
};

}  // namespace multiraft::host
