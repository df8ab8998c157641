#include "env/posix/posix_file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/assert.h"
#include "base/coverage.h"
#include "env/posix/errno_text.h"
#include "env/posix/posix_file.h"

namespace multiraft::env {
namespace {

constexpr mode_t kFileMode = 0644;

UniqueFd open_retrying(const char* path, int flags) {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  MR_UNREACHABLE("open mode");
}

/// flock() belongs to the open file description, so that a second open in this process is refused
/// as well, unlike fcntl() locks, which any close() in the process would silently give up.
class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

/// Who holds the lock, as it wrote into the file; empty where that is unknown.
std::string holder_of(int fd) {
  char text[32];
  const ssize_t n = ::pread(fd, text, sizeof text, 0);
  if (n <= 0) return "";
  long pid = 0;
  if (std::from_chars(text, text + n, pid).ec != std::errc()) return "";
  return " (process " + std::to_string(pid) + ")";
}

void write_holder(int fd) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  // Only informative, also on a full disk: the lock itself does not depend on it.
  if (::ftruncate(fd, 0) == 0) {
    [[maybe_unused]] const ssize_t n = ::pwrite(fd, pid.data(), pid.size(), 0);
  }
}

}  // namespace

DescriptorReserve::DescriptorReserve(size_t count) : count_(count) { refill(); }

bool DescriptorReserve::release_one() {
  MutexLock lock(mutex_);
  if (held_.empty()) return false;
  held_.pop_back();
  return true;
}

void DescriptorReserve::refill() {
  MutexLock lock(mutex_);
  while (held_.size() < count_) {
    UniqueFd fd = open_retrying("/", O_PATH);
    if (!fd) return;
    held_.push_back(std::move(fd));
  }
}

UniqueFd PosixFileSystem::open_descriptor(const std::string& path, int flags) {
  reserve_.refill();
  for (;;) {
    UniqueFd fd = open_retrying(path.c_str(), flags);
    const int error = errno;
    // Another thread may be faster to take what is released; the reserve is finite.
    if (fd || (error != EMFILE && error != ENFILE) || !reserve_.release_one()) {
      errno = error;
      return fd;
    }
    MR_COVERAGE("env: a file took a reserved descriptor");
  }
}

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode,
                                                    bool direct) {
  UniqueFd fd = open_descriptor(path, open_flags(mode) | (direct ? O_DIRECT : 0));
  if (!fd) {
    return SystemError{errno, "open " + path + (direct ? " for direct access" : "")}.status();
  }
  return std::unique_ptr<File>(std::make_unique<PosixFile>(path, std::move(fd)));
}

Status PosixFileSystem::create_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return SystemError{error.value(), "create directory " + path}.status();
  return Status::ok();
}

Result<std::vector<std::string>> PosixFileSystem::list(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(path, error);
  while (!error && it != std::filesystem::directory_iterator()) {
    names.push_back(it->path().filename().string());
    it.increment(error);
  }
  if (error) return SystemError{error.value(), "list directory " + path}.status();
  return names;
}

Result<bool> PosixFileSystem::exists(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return SystemError{errno, "stat " + path}.status();
}

Status PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return Status::ok();
  return SystemError{errno, "rename " + from + " to " + to}.status();
}

Status PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return Status::ok();
  return SystemError{errno, "remove " + path}.status();
}

Status PosixFileSystem::remove_all(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return SystemError{error.value(), "remove tree " + path}.status();
  return Status::ok();
}

Status PosixFileSystem::sync_directory(const std::string& path) {
  const UniqueFd fd = open_descriptor(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return SystemError{errno, "open directory " + path}.status();
  if (::fsync(fd.get()) == 0) return Status::ok();
  const int error = errno;
  return {StatusCode::kIoError, "fsync directory " + path + ": " + errno_text(error)};
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  UniqueFd fd = open_descriptor(path, O_RDWR | O_CREAT);
  if (!fd) return SystemError{errno, "open lock file " + path}.status();
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return SystemError{errno, "lock " + path}.status();
    return Status(StatusCode::kUnavailable,
                  "lock " + path + ": another process" + holder_of(fd.get()) + " holds it");
  }
  write_holder(fd.get());
  return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(fd)));
}

Result<SpaceInfo> PosixFileSystem::space(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0) return SystemError{errno, "statvfs " + path}.status();
  // f_bavail, not f_bfree: what root may use beyond it is not for us.
  return SpaceInfo{static_cast<uint64_t>(info.f_bavail) * info.f_frsize,
                   static_cast<uint64_t>(info.f_blocks) * info.f_frsize,
                   static_cast<uint64_t>(info.f_favail), static_cast<uint64_t>(info.f_files)};
}

}  // namespace multiraft::env
