#pragma once
// FileSystem on Linux: pread, pwritev, fdatasync, flock.

#include <memory>
#include <string>
#include <vector>

#include "env/file_system.h"

namespace multiraft::env {

/// Stateless; thread-safe.
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
};

}  // namespace multiraft::env
