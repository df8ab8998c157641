#pragma once
// An open file on Linux.

#include <atomic>
#include <string>

#include "env/file_system.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {

class PosixFile final : public File {
 public:
  PosixFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override;
  Status write_at(uint64_t offset, std::span<const std::string_view> parts) override;
  Status sync_data() override;
  Status sync_all() override;
  Status truncate(uint64_t size) override;
  Status zero(uint64_t offset, uint64_t size) override;
  Result<uint64_t> size() override;
  const std::string& path() const override { return path_; }
  int descriptor() const override { return fd_.get(); }

 private:
  Status check_sync(int result, const char* call);
  Status refuse_after_failed_sync() const;

  const std::string path_;
  const UniqueFd fd_;
  /// After a failed sync the kernel may have dropped the dirty pages and report success next time
  /// (trap 30), so that nothing written here can be promised any more.
  std::atomic<bool> sync_failed_{false};
};

}  // namespace multiraft::env
