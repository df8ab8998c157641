#pragma once
// FileSystem on Linux: pread, pwritev, fdatasync, flock.

#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "env/file_system.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {

/// More than a worker opens for one segment; several workers may do so at once.
inline constexpr size_t kReservedDescriptors = 16;

/// Descriptors that are kept for files, so that what uses up the others (connections, mostly)
/// cannot keep the log from opening its next segment. Thread-safe.
class DescriptorReserve {
 public:
  explicit DescriptorReserve(size_t count);
  /// Closes one of them. False where none is left.
  bool release_one();
  /// Takes back what was released, as far as there are descriptors.
  void refill();

 private:
  const size_t count_;
  Mutex mutex_;
  std::vector<UniqueFd> held_ MR_GUARDED_BY(mutex_);
};

/// Thread-safe.
class PosixFileSystem final : public FileSystem {
 public:
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

 private:
  /// As open(2); uses the reserve where descriptors have run out.
  UniqueFd open_descriptor(const std::string& path, int flags);

  DescriptorReserve reserve_{kReservedDescriptors};
};

}  // namespace multiraft::env
