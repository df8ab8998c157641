#pragma once
// A snapshot on disk: what arrives from a leader before it is installed, and where the state of an
// in-memory state machine is kept (docs/formats/snapshot_file.md).
//
// Survives a crash: a file that SnapshotFileWriter::finish() or keep_snapshot() has put in place,
// whole. Anything else
// under a temporary name is garbage that remove_temporary_snapshots() clears at start.

#include <cstdint>
#include <memory>
#include <string>

#include "env/file_system.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::host {

struct SnapshotFileHeader {
  GroupId group;
  ReplicaId replica;  ///< Whose state it is, or is to become.
  raft::Snapshot snapshot;
};

/// Writes chunks to PATH.tmp; finish() makes it durable and renames it to PATH. Blocks; any thread.
class SnapshotFileWriter {
 public:
  static Result<std::unique_ptr<SnapshotFileWriter>> create(env::FileSystem& fs, std::string path,
                                                            const SnapshotFileHeader& header);
  ~SnapshotFileWriter();

  Status append(std::string_view chunk);
  /// Whole, durable and in its place.
  Status finish();
  /// Whole and in its place, but a crash of the machine may take it: nothing waits for the disk.
  Status finish_volatile();

 private:
  Status write_trailer();
  Status put_in_place();
  SnapshotFileWriter(env::FileSystem& fs, std::string path, std::unique_ptr<env::File> file)
      : fs_(fs), path_(std::move(path)), file_(std::move(file)) {}
  Status write(std::string_view bytes);

  env::FileSystem& fs_;
  std::string path_;
  std::unique_ptr<env::File> file_;
  uint64_t offset_ = 0;
  uint64_t chunks_ = 0;
  uint64_t bytes_ = 0;
  bool finished_ = false;
};

/// Reads and checks. kCorruption names the file and the offset. Blocks; any thread.
class SnapshotFileReader {
 public:
  static Result<std::unique_ptr<SnapshotFileReader>> open(env::FileSystem& fs,
                                                          const std::string& path);
  const SnapshotFileHeader& header() const { return header_; }
  /// The next chunk; empty at the (verified) end.
  Status next(std::string& chunk);

 private:
  explicit SnapshotFileReader(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
  Status read_header();
  Status read(size_t size, std::string& out);
  Status corrupt(std::string_view what) const;

  std::unique_ptr<env::File> file_;
  SnapshotFileHeader header_;
  uint64_t offset_ = 0;
  uint64_t chunks_ = 0;
  uint64_t bytes_ = 0;
};

/// Makes what finish_volatile() left at `from` durable and renames it to `to`, in one directory.
Status keep_snapshot(env::FileSystem& fs, const std::string& from, const std::string& to);

/// Of a path without a trailing slash.
std::string directory_of(const std::string& path);

/// Removes what an earlier process left half-written in `directory`.
Status remove_temporary_snapshots(env::FileSystem& fs, const std::string& directory);

}  // namespace multiraft::host
