#pragma once
// A file system in which nothing can be changed: what a tool that only looks runs on, so that it
// cannot do harm by mistake, and works on read-only copies.

#include "env/file_system.h"

namespace multiraft::inspect {

/// Opens every file for reading, whatever the mode asked for; everything that would change
/// something fails with kConflict. Locks are not taken. As thread-safe as what is below, which
/// outlives it.
class ReadOnlyFiles final : public env::FileSystem {
 public:
  explicit ReadOnlyFiles(env::FileSystem& below) : below_(below) {}

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode,
                                          bool direct) override;
  Status create_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_all(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override;
  Result<env::SpaceInfo> space(const std::string& path) override;

 private:
  env::FileSystem& below_;
};

}  // namespace multiraft::inspect
