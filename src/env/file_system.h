#pragma once
// Files and directories. All calls block; callers choose a thread for which that is right. Every
// error message names the file, the offset where there is one, and errno in words.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/status.h"

namespace multiraft::env {

enum class OpenMode : uint8_t {
  kRead,
  kReadWrite,  ///< Must exist.
  kCreate,     ///< Read and write; created where it does not exist.
  kCreateNew,  ///< kAlreadyExists where it exists.
};

/// An open file. Safe for concurrent reads; writes by one thread at a time. Closed by destruction.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to buffer.size() bytes at `offset`; fewer only at end of file.
  virtual Result<size_t> read_at(uint64_t offset, std::span<char> buffer) = 0;
  /// Writes all or fails (short writes are continued). Volatile until a sync. kNoSpace on ENOSPC
  /// and EDQUOT.
  virtual Status write_at(uint64_t offset, std::span<const std::string_view> parts) = 0;
  /// Data and the size needed to read it back are durable (fdatasync). A failure is final: nobody
  /// may retry (trap 30).
  virtual Status sync_data() = 0;
  virtual Status sync_all() = 0;  ///< fsync: also times and permissions.
  virtual Status truncate(uint64_t size) = 0;
  /// Writes zeros over [offset, offset + size): blocks are allocated and written, so that a later
  /// overwrite changes no metadata.
  virtual Status zero(uint64_t offset, uint64_t size) = 0;
  virtual Result<uint64_t> size() = 0;
  virtual const std::string& path() const = 0;
  /// The descriptor for io_uring; -1 where there is none (simulation).
  virtual int descriptor() const = 0;
};

/// Held while alive; released by destruction and by the end of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct SpaceInfo {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
  /// Files that can still be created, and that can exist; a total of 0: there is no such limit.
  uint64_t free_files = 0;
  uint64_t total_files = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                             bool direct = false) = 0;
  virtual Status create_directories(const std::string& path) = 0;
  /// Names, not paths, in no particular order, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  /// Atomic; durable after sync_directory of the parent (of both).
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;      ///< A file; kNotFound where none.
  virtual Status remove_all(const std::string& path) = 0;  ///< A tree; ok where none.
  virtual Status sync_directory(const std::string& path) = 0;
  /// kUnavailable where another process holds it; the message says so.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  virtual Result<SpaceInfo> space(const std::string& path) = 0;

  /// The whole file, for small ones.
  Result<std::string> read_file(const std::string& path);
  /// Replaces `path` by `content`, atomically and durably (temporary file, sync, rename, directory
  /// sync): after a crash either the old or the new content is there.
  Status write_file_atomically(const std::string& path, std::string_view content);
};

}  // namespace multiraft::env
