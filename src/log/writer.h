#pragma once
// The log thread's side: completes batches, writes them, syncs. One job at a time.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "env/clock.h"
#include "env/posix/uring_writer.h"
#include "log/batch.h"
#include "log/segment_table.h"

namespace multiraft::log {

/// Consecutive batches that are made durable together.
struct WriteJob {
  struct Item {
    std::unique_ptr<Batch> batch;
    std::shared_ptr<SegmentFile> segment;
  };
  std::vector<Item> items;
  bool sync = true;  ///< Also set by a writer that makes all durable anyway.
  env::MonotonicTime submitted;
  uint64_t pending_bytes = 0;

  // Outcome, set by BatchWriter::write().
  Status status;
  uint64_t bytes = 0;
  int64_t write_ns = 0;
  uint64_t marked = 0;  ///< The synced mark of the last batch.
};

/// Where the chain of batches stands.
struct ChainPosition {
  uint64_t epoch = 0;
  uint64_t sequence = 0;  ///< Of the last batch, written and synced.
  uint32_t checksum = 0;  ///< Of its header.
};

/// Used by one thread at a time: the log thread, and the owner once that has ended.
class BatchWriter {
 public:
  /// Without `uring` it writes and syncs through env::File.
  BatchWriter(env::Clock& clock, const ChainPosition& start,
              std::unique_ptr<env::UringWriter> uring)
      : clock_(clock),
        epoch_(start.epoch),
        previous_(start.checksum),
        synced_(start.sequence),
        uring_(std::move(uring)) {}

  /// Fills the job's outcome. After a failure every later job fails too, without touching the disk
  /// (trap 30).
  void write(WriteJob& job);

 private:
  void finish(WriteJob& job, WriteJob::Item& item);
  std::span<char> trailer(const WriteJob::Item& item);
  Status write_all(WriteJob& job);
  Status write_directly(WriteJob& job);
  Status sync(SegmentFile& segment);

  env::Clock& clock_;
  uint64_t epoch_;
  uint32_t previous_;
  uint64_t synced_;
  /// Written to since its last sync.
  std::shared_ptr<SegmentFile> dirty_;
  std::unique_ptr<env::UringWriter> uring_;
  BlockBuffer trailer_;
  Status failure_;
};

}  // namespace multiraft::log
