#pragma once
// Completes batches and brings them to the disk, in one of two ways: on a thread of its own that
// writes and syncs, or by direct writes from the owner's thread, several under way at once.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/task.h"
#include "env/clock.h"
#include "env/direct_writer.h"
#include "log/batch.h"
#include "log/segment_table.h"
#include "multiraft/status.h"

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

  // Outcome.
  bool done = false;  ///< Set on the owner's thread.
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

/// What a batch's header says of the batches before it.
class Chain {
 public:
  explicit Chain(const ChainPosition& start)
      : epoch_(start.epoch), previous_(start.checksum), synced_(start.sequence) {}
  /// The last step before the write of a batch. In the order of their sequence.
  void complete(WriteJob& job, WriteJob::Item& item);
  /// Every batch up to this one is durable.
  void set_synced(uint64_t sequence) { synced_ = sequence; }

 private:
  uint64_t epoch_;
  uint32_t previous_;
  uint64_t synced_;
};

/// Through env::File. Used by one thread at a time: the log thread, and the owner once that has
/// ended.
class BatchWriter {
 public:
  BatchWriter(env::Clock& clock, const ChainPosition& start) : clock_(clock), chain_(start) {}

  /// Fills the job's outcome, but for `done`. After a failure every later job fails too, without
  /// touching the disk (trap 30).
  void write(WriteJob& job);

 private:
  Status write_all(WriteJob& job);
  Status sync(SegmentFile& segment);

  env::Clock& clock_;
  Chain chain_;
  /// Written to since its last sync.
  std::shared_ptr<SegmentFile> dirty_;
  BlockBuffer trailer_;
  Status failure_;
};

/// Through an env::DirectWriter, on the owner's thread.
///
/// Jobs may be under way together where they lie in one segment: should an earlier one be lost in a
/// crash, the chain ends there, and a later one that reached the disk is cut with it. A segment is
/// complete before the next one begins (trap 32), so a job for another one waits for all others.
class DirectBatchWriter {
 public:
  DirectBatchWriter(env::Clock& clock, const ChainPosition& start,
                    std::unique_ptr<env::DirectWriter> disk)
      : clock_(clock), chain_(start), disk_(std::move(disk)) {}

  /// `done` comes when the outcome is filled. Jobs may be done in any order; all their batches lie
  /// in one segment.
  void start(const std::shared_ptr<WriteJob>& job, Callback<void()> done);
  /// Notified when all jobs up to this sequence number are done.
  void set_synced(uint64_t sequence) { chain_.set_synced(sequence); }
  /// Waits for what is under way; each `done` runs within.
  void drain() { disk_->drain(); }

 private:
  env::Clock& clock_;
  Chain chain_;
  std::unique_ptr<env::DirectWriter> disk_;
  BlockBuffer trailer_;  ///< Of the one segment that is being completed.
  std::vector<env::DirectWriter::Write> writes_;
};

}  // namespace multiraft::log
