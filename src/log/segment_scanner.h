#pragma once
// Reads the batches of one segment, for recovery and for the tools.

#include <cstdint>
#include <string>
#include <string_view>

#include "env/file_system.h"
#include "log/format.h"
#include "multiraft/status.h"

namespace multiraft::log {

enum class BatchState : uint8_t {
  kValid,
  kNoHeader,     ///< Nothing of this segment's life begins here, or its header is damaged.
  kBodyDamaged,  ///< The header checks, the records do not.
};

struct ScannedBatch {
  BatchHeader header;
  std::string_view body;  ///< Valid until the next read.
};

class SegmentScanner {
 public:
  /// Both outlive the scanner. `file_bytes`: its size, or more, at most what the header says.
  SegmentScanner(env::File& file, const SegmentHeader& header, uint64_t file_bytes)
      : file_(file), header_(header), file_bytes_(file_bytes) {}

  /// What is at `offset`, a block boundary. An error is the disk's.
  Result<BatchState> read(uint64_t offset, ScannedBatch& batch);
  /// Only the header at `offset`.
  Result<BatchState> read_header(uint64_t offset, BatchHeader& header);
  /// Raw bytes, fewer at the end of the file.
  Result<std::string_view> bytes(uint64_t offset, uint64_t size);
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  env::File& file_;
  const SegmentHeader& header_;
  uint64_t file_bytes_;
  std::string window_;
  uint64_t window_offset_ = 0;
};

}  // namespace multiraft::log
