#pragma once
// Writes that are durable when they are done, by io_uring with RWF_DSYNC on files opened with
// O_DIRECT: one system call for write and sync, without the page cache in between.
//
// On the machine this was measured on, a durable 4 KiB write takes 85 us and 17 us of CPU this way,
// against 97 us and 40 us for pwrite and fdatasync.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "env/file_system.h"

namespace multiraft::env {

/// Used by one thread at a time.
class UringWriter {
 public:
  struct Write {
    File* file = nullptr;  ///< Opened for direct access.
    uint64_t offset = 0;   ///< A multiple of 4096, as are the bytes' address and number.
    std::span<char> bytes;
  };

  /// Tries it out with a file of its own in `directory`. kUnavailable with the reason where the
  /// kernel, its settings or the file system do not have what it takes.
  static Result<std::unique_ptr<UringWriter>> create(FileSystem& files,
                                                     const std::string& directory);
  ~UringWriter();
  UringWriter(const UringWriter&) = delete;
  UringWriter& operator=(const UringWriter&) = delete;

  /// All of them are durable when it returns ok; in between they may become so in any order. Errors
  /// name file, offset and errno, and leave open what was written.
  Status write(std::span<const Write> writes);

 private:
  struct Ring;
  explicit UringWriter(std::unique_ptr<Ring> ring);
  Status write_some(std::span<const Write> writes);
  static Status probe(FileSystem& files, const std::string& path, UringWriter& writer);

  std::unique_ptr<Ring> ring_;
};

}  // namespace multiraft::env
