#include "env/posix/posix_file.h"

#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <limits>

#include "env/posix/errno_text.h"

namespace multiraft::env {
namespace {

/// Far below the kernel's IOV_MAX of 1024, so that the array lives on the stack.
constexpr size_t kPartsPerCall = 64;
constexpr size_t kZeroBytes = 64 * 1024;
/// Aligned for O_DIRECT. Not const, to be in .bss instead of the binary; never written.
alignas(4096) char zeros[kZeroBytes];

std::string at(const char* call, const std::string& path, uint64_t offset, uint64_t size) {
  return std::string(call) + " " + path + " at offset " + std::to_string(offset) + " (" +
         std::to_string(size) + " bytes)";
}

/// off_t is signed: an offset past its maximum would be taken for an error or for another place.
bool representable(uint64_t offset, uint64_t size) {
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<off_t>::max());
  return offset <= kMax && size <= kMax - offset;
}

/// A gathering write that continues over short writes and many parts without copying any of them.
class GatherWrite {
 public:
  explicit GatherWrite(std::span<const std::string_view> parts) : parts_(parts) {}

  /// Fills the vector with what is still to be written; 0 = done.
  int next(std::array<iovec, kPartsPerCall>& vector) {
    skip_empty();
    size_t count = 0;
    size_t skip = skip_;
    for (size_t i = part_; i < parts_.size() && count < vector.size(); ++i) {
      const std::string_view rest = parts_[i].substr(skip);
      skip = 0;
      if (rest.empty()) continue;
      vector[count++] = {const_cast<char*>(rest.data()), rest.size()};
    }
    return static_cast<int>(count);
  }

  void advance(size_t n) {
    while (n > 0) {
      const size_t left = parts_[part_].size() - skip_;
      if (n < left) {
        skip_ += n;
        return;
      }
      n -= left;
      skip_ = 0;
      ++part_;
    }
  }

 private:
  void skip_empty() {
    while (part_ < parts_.size() && skip_ == parts_[part_].size()) {
      ++part_;
      skip_ = 0;
    }
  }

  std::span<const std::string_view> parts_;
  size_t part_ = 0;
  size_t skip_ = 0;  ///< Written bytes of parts_[part_].
};

}  // namespace

Result<size_t> PosixFile::read_at(uint64_t offset, std::span<char> buffer) {
  if (!representable(offset, buffer.size())) {
    return Status(StatusCode::kInvalidArgument,
                  at("read", path_, offset, buffer.size()) + ": past the largest offset");
  }
  size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t n = ::pread(fd_.get(), buffer.data() + filled, buffer.size() - filled,
                              static_cast<off_t>(offset + filled));
    if (n == 0) break;
    if (n > 0) {
      filled += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      return SystemError{errno, at("read", path_, offset + filled, buffer.size() - filled)}
          .status();
    }
  }
  return filled;
}

Status PosixFile::write_at(uint64_t offset, std::span<const std::string_view> parts) {
  MR_RETURN_IF_ERROR(refuse_after_failed_sync());
  uint64_t left = 0;
  for (const std::string_view part : parts) left += part.size();
  if (!representable(offset, left)) {
    return {StatusCode::kInvalidArgument,
            at("write", path_, offset, left) + ": past the largest offset"};
  }
  GatherWrite gather(parts);
  std::array<iovec, kPartsPerCall> vector;
  while (const int count = gather.next(vector)) {
    const ssize_t n = ::pwritev(fd_.get(), vector.data(), count, static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return SystemError{errno, at("write", path_, offset, left)}.status();
    }
    // Disks give no such answer; a loop on it would never end.
    if (n == 0) return SystemError{EIO, at("write", path_, offset, left)}.status();
    gather.advance(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
    left -= static_cast<uint64_t>(n);
  }
  return Status::ok();
}

Status PosixFile::check_sync(int result, const char* call) {
  if (result == 0) return Status::ok();
  const int error = errno;
  sync_failed_.store(true, std::memory_order_relaxed);
  // Never kNoSpace, even for ENOSPC: that code invites to make room and try again.
  return {StatusCode::kIoError, std::string(call) + " " + path_ + ": " + errno_text(error)};
}

Status PosixFile::refuse_after_failed_sync() const {
  if (!sync_failed_.load(std::memory_order_relaxed)) return Status::ok();
  return {StatusCode::kIoError, path_ + ": an earlier sync of this file failed"};
}

Status PosixFile::sync_data() {
  MR_RETURN_IF_ERROR(refuse_after_failed_sync());
  return check_sync(::fdatasync(fd_.get()), "fdatasync");
}

Status PosixFile::sync_all() {
  MR_RETURN_IF_ERROR(refuse_after_failed_sync());
  return check_sync(::fsync(fd_.get()), "fsync");
}

Status PosixFile::truncate(uint64_t size) {
  MR_RETURN_IF_ERROR(refuse_after_failed_sync());
  if (!representable(0, size)) {
    return {StatusCode::kInvalidArgument, "truncate " + path_ + ": past the largest offset"};
  }
  while (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) {
      return SystemError{errno, "truncate " + path_ + " to " + std::to_string(size) + " bytes"}
          .status();
    }
  }
  return Status::ok();
}

Status PosixFile::zero(uint64_t offset, uint64_t size) {
  constexpr size_t kParts = 16;
  while (size > 0) {
    std::array<std::string_view, kParts> parts;
    uint64_t n = 0;
    for (std::string_view& part : parts) {
      part = std::string_view(zeros, size - n < kZeroBytes ? size - n : kZeroBytes);
      n += part.size();
    }
    MR_RETURN_IF_ERROR(write_at(offset, parts));
    offset += n;
    size -= n;
  }
  return Status::ok();
}

Result<uint64_t> PosixFile::size() {
  struct stat info;
  if (::fstat(fd_.get(), &info) != 0) return SystemError{errno, "stat " + path_}.status();
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace multiraft::env
