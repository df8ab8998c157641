#pragma once
// What is written at once: a batch gathers records on the owner's thread, then moves to the log
// thread, which completes its header and writes it.

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "log/format.h"
#include "multiraft/bytes.h"

namespace multiraft::log {

/// Memory that starts and ends on a block boundary, as direct I/O wants it. Grows by doubling.
class BlockBuffer {
 public:
  BlockBuffer() = default;
  BlockBuffer(const BlockBuffer&) = delete;
  BlockBuffer& operator=(const BlockBuffer&) = delete;

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }
  /// Keeps the first `keep` bytes.
  void grow(size_t capacity, size_t keep);

 private:
  struct Free {
    void operator()(char* p) const { ::operator delete(p, std::align_val_t(kBlockBytes)); }
  };
  std::unique_ptr<char, Free> data_;
  size_t capacity_ = 0;
};

class Batch {
 public:
  void reset(uint64_t sequence, uint64_t segment, uint64_t offset);

  uint64_t sequence() const { return sequence_; }
  uint64_t segment() const { return segment_; }
  uint64_t offset() const { return offset_; }  ///< In the segment.
  /// Header and records so far; also where in the batch the next byte comes to lie.
  uint64_t size() const { return used_ + spliced_bytes_; }
  uint64_t total_bytes() const { return round_up_to_block(size()); }
  uint32_t records() const { return records_; }

  /// Room for `bytes` more in one piece. What is written there counts after commit().
  char* reserve(size_t bytes);
  void commit(size_t bytes) { used_ += bytes; }
  /// A large payload is not copied into the buffer but written from where it is.
  void splice(const SharedBytes& data);
  void count_records(uint32_t n) { records_ += n; }

  /// Completes header and padding, as the last step before the write. `header` brings what the
  /// batch does not know: synced, epoch, previous; gets its checksum.
  void finish(uint32_t seed, BatchHeader& header);
  /// What to write at offset(), total_bytes() altogether.
  std::vector<std::string_view> parts() const;
  /// The same in one piece on a block boundary; only without splices.
  std::span<char> block();

  bool must_sync = false;
  uint64_t needed_segment = 0;
  BatchKind kind = BatchKind::kRecords;
  std::vector<Callback<void()>> callbacks;

 private:
  struct Splice {
    size_t at;  ///< Position in the buffer before which the data goes.
    SharedBytes data;
  };
  uint64_t sequence_ = 0;
  uint64_t segment_ = 0;
  uint64_t offset_ = 0;
  BlockBuffer buffer_;
  size_t used_ = 0;
  size_t padding_ = 0;
  std::vector<Splice> splices_;
  uint64_t spliced_bytes_ = 0;
  uint32_t records_ = 0;
};

}  // namespace multiraft::log
