#pragma once
// A file system that cannot change anything: what the tools give to code that also writes.

#include <memory>
#include <string>
#include <vector>

#include "env/file_system.h"

namespace multiraft::inspect {

/// `files` outlives this. Files are opened for reading only, whatever is asked for; everything that
/// would change something is refused with kInvalidArgument.
class ReadOnlyFiles final : public env::FileSystem {
 public:
  explicit ReadOnlyFiles(env::FileSystem& files) : files_(files) {}

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode,
                                          bool direct) override {
    if (mode == env::OpenMode::kCreate || mode == env::OpenMode::kCreateNew) return refuse(path);
    return files_.open(path, env::OpenMode::kRead, direct);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return files_.list(path);
  }
  Result<bool> exists(const std::string& path) override { return files_.exists(path); }
  Result<env::SpaceInfo> space(const std::string& path) override { return files_.space(path); }

  Status create_directories(const std::string& path) override { return refuse(path); }
  Status rename(const std::string& from, const std::string&) override { return refuse(from); }
  Status remove(const std::string& path) override { return refuse(path); }
  Status remove_all(const std::string& path) override { return refuse(path); }
  Status sync_directory(const std::string& path) override { return refuse(path); }
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override {
    return refuse(path);
  }

 private:
  static Status refuse(const std::string& path) {
    return {StatusCode::kInvalidArgument, path + ": is only read, never changed"};
  }

  env::FileSystem& files_;
};

}  // namespace multiraft::inspect
