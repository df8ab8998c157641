#pragma once
// A file system in memory that forgets, tears and fails like a real one, on demand and repeatably.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/file_system.h"

namespace multiraft::env {

/// What survives a power loss of what was not synced. What was synced always survives.
enum class CrashMode : uint8_t {
  kKeepAll,
  kKeepNone,
  /// Each unsynced sector, and each unsynced creation, renaming and removal, is kept or lost
  /// independently of the others, in any order.
  kRandomSubset,
  // All changes up to a random one are kept in order; that one is cut at a multiple of so many
  // bytes; later ones are lost.
  kTornByte,
  kTornSector,  ///< 512 B
  kTornPage,    ///< 4 KiB
};
inline constexpr CrashMode kAllCrashModes[] = {
    CrashMode::kKeepAll,  CrashMode::kKeepNone,   CrashMode::kRandomSubset,
    CrashMode::kTornByte, CrashMode::kTornSector, CrashMode::kTornPage,
};
std::string_view crash_mode_name(CrashMode mode);

/// What an injected fault does to the operation that meets it.
enum class SimFault : uint8_t {
  kIoError,     ///< EIO. A write writes nothing; a sync loses the dirty pages of its file.
  kShortWrite,  ///< A write writes half and then fails with EIO; others as kIoError.
  kNoSpace,     ///< A write writes half and then fails with ENOSPC; others as kIoError.
};

/// The disk model:
/// - A write, truncation or zeroing is volatile until a sync of its file; it is seen by reads at
///   once. The unit that survives or not is a sector of 512 bytes.
/// - Creating, renaming and removing a file or directory is volatile until a sync of the directory
///   it happened in (for a rename between two: of either); a file's sync does not save its name.
/// - A failed sync of a file loses what it should have written, and the next one succeeds.
/// - Direct files refuse unaligned access (EINVAL), as O_DIRECT does.
///
/// Operations are numbered from 1: every write, zeroing, sync, truncation, creation (a directory
/// counts one), renaming, removal (each file of a tree counts one) and directory sync that is
/// tried. Reads and failed lookups are not operations. Thread-safe; deterministic where its use is.
/// Paths are names separated by slashes; "a", "/a" and "./a" are the same.
class SimFileSystem final : public FileSystem {
 public:
  SimFileSystem();
  ~SimFileSystem() override;

  // FileSystem.
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                     bool direct = false) override;
  Status create_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_all(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;

  // Crashes.
  uint64_t operation_count() const;
  /// Operation number `operations` + 1 and everything after it, reads included, fails with
  /// kIoError "simulated crash" and has no effect.
  void crash_after(uint64_t operations);
  bool crashed() const;  ///< Whether something has failed for this reason.
  /// The disk as a machine would find it if it lost power now; this one is unchanged. Carries over
  /// the space limit, but neither faults nor locks.
  std::unique_ptr<SimFileSystem> crash_image(CrashMode mode, uint64_t seed) const;

  // Faults. Numbers count from now: 1 is the next one.
  void fail_operation(uint64_t nth, SimFault fault);
  void fail_sync(uint64_t nth);  ///< Of a file or directory.
  void fail_read(uint64_t nth);
  /// Files may hold `bytes` together; a write past it writes what fits and then fails with
  /// kNoSpace. Raising it, or removing files, is the relief. nullopt = no limit.
  void set_space_limit(std::optional<uint64_t> bytes);
  /// What space() says of a disk of a million files. Creating one is not held to it.
  void report_free_files(std::optional<uint64_t> files);
  uint64_t used_bytes() const;

  // Damage: changes stored bytes, durable ones too. kNotFound; kInvalidArgument past the end.
  Status flip_bit(const std::string& path, uint64_t offset, unsigned bit);
  Status overwrite(const std::string& path, uint64_t offset, std::string_view bytes);

  class Disk;  ///< Everything, shared with open files.

 private:
  explicit SimFileSystem(std::shared_ptr<Disk> disk);
  const std::shared_ptr<Disk> disk_;
};

}  // namespace multiraft::env
