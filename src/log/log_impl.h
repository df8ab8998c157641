#pragma once
// The log as its owner runs it: gathers batches, hands them to the log thread, keeps the index.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "log/batch.h"
#include "log/group_state.h"
#include "log/log.h"
#include "log/old_entries.h"
#include "log/recovery.h"
#include "log/segment_maker.h"
#include "log/segment_table.h"
#include "log/writer.h"

namespace multiraft::log {

class LogImpl final : public Log {
 public:
  LogImpl(const LogOptions& options, env::Environment& env, env::Executor& owner,
          Callback<void(Status)> on_fatal);
  ~LogImpl() override;
  Status start();

  std::vector<GroupId> groups() const override;
  GroupLog* group(GroupId group) override { return find(group); }
  Result<GroupLog*> create_group(GroupId group, ReplicaId replica,
                                 const raft::Snapshot& mark) override;
  Status remove_group(GroupId group, Callback<void()> durable) override;
  void stage(const GroupAppend& append, Callback<void()> durable) override;
  void announce_install(GroupId group, const raft::Snapshot& snapshot,
                        Callback<void()> durable) override;
  void flush() override;
  void compact(GroupId group, const raft::Snapshot& mark) override;
  void notify_when_read(std::function<void(GroupId)> ready) override {
    on_read_ = std::move(ready);
  }
  uint64_t bytes_pending() const override;
  std::optional<env::MonotonicTime> oldest_pending_write() const override;
  std::optional<env::MonotonicTime> oldest_pending_read() const override;
  uint64_t durable_sequence() const override { return durable_sequence_; }
  LogStats stats() const override;
  LogRetained retained() const override { return {context_.entries, context_.bytes}; }
  void close() override;

 private:
  // Opening (log_open.cc).
  Status check_options() const;
  Status adopt(RecoveredLog& found);
  Status choose_writer(const ChainPosition& chain);
  Status make_durable(const RecoveredLog& found);

  // Records and batches (log_stage.cc).
  GroupState* find(GroupId group) const;
  GroupState& must_find(GroupId group) const;
  Batch& room_for(size_t bytes);
  void start_batch();
  void seal();
  bool fits(uint64_t at, size_t bytes);
  void roll();
  uint64_t segment_bytes(uint64_t id);
  /// Writes a record into the gathering batch; the place of its first entry's header is
  /// `entries_at`.
  Batch& write_record(const RecordParts& parts, std::span<const raft::Entry> entries,
                      uint64_t& entries_at);
  void stage_piece(GroupState& group, const raft::HardState* hard_state,
                   const std::shared_ptr<const raft::Snapshot>& snapshot,
                   std::span<const raft::Entry> entries);
  /// An entry that is not what it was when it was made ends the log: nobody may acknowledge it.
  void check_entries(const GroupState& group, std::span<const raft::Entry> entries);
  size_t piece_length(std::span<const raft::Entry> entries) const;
  void touch(GroupState& group, uint64_t segment);

  // Footers (log_footer.cc).
  uint64_t footer_bytes_estimate();
  void write_footer();
  FooterGroup footer_of(const GroupState& group) const;
  void verify_next();

  // Writing (log_impl.cc).
  void pump();
  bool may_write() const;
  std::shared_ptr<WriteJob> make_job();
  void start_write(const std::shared_ptr<WriteJob>& job);
  void on_written();
  void settle(WriteJob& job, std::vector<Callback<void()>>& due);
  void fail(Status status);
  void arm_idle_timer();
  void on_idle();
  bool mark_is_behind() const;
  void request_segment();
  void prepare_next();
  void on_prepared();
  void write_rest();
  bool write_now();

  // Collection of segments (log_collect.cc).
  void collect();
  void advance_needed();
  void drop_segments(uint64_t needed);
  void retire(uint64_t id);
  void on_not_retired(uint64_t id, const Status& why);
  bool worth_rewriting(uint64_t id);
  struct RewriteStep;
  void rewrite_some();
  bool plan_rewrite(GroupState& group, RewriteStep& step);
  void read_for_rewrite(std::shared_ptr<RewriteStep> step);
  void rewrite(const RewriteStep& step);
  uint64_t rewrite_what_is_left(const EntryRead& read, std::span<const raft::Entry> entries);
  uint64_t write_again(const GroupState& group, std::span<const raft::Entry> entries);
  bool has_states_in(const GroupState& group, uint64_t segment) const;
  void on_rewritten();
  void evict();

  /// What the preparing thread hands over. Shared: close() takes over a result that is still in
  /// flight.
  struct Prepared {
    uint64_t id = 0;
    std::optional<Result<std::shared_ptr<SegmentFile>>> result;
  };
  /// The oldest segment, while what is live in it is written again.
  struct Collection {
    uint64_t segment = 0;
    std::vector<GroupId> groups;
    size_t next = 0;
    LogIndex from;  ///< In the next group's log.
  };
  /// Copies that are staged and not durable yet: the index still leads to the originals.
  struct Rewrite {
    GroupId group;
    uint64_t from = 0;
    uint64_t to = 0;
    StateSegments states;
    LogIndex low;
    std::vector<uint32_t> offsets;
  };

  const LogOptions options_;
  env::Environment& env_;
  env::Executor& owner_;
  Callback<void(Status)> on_fatal_;
  std::unique_ptr<env::FileLock> lock_;
  uint64_t log_id_ = 0;
  GroupContext context_;
  GroupMap groups_;

  // Either direct_, or log_thread_ and writer_.
  std::unique_ptr<DirectBatchWriter> direct_;
  std::unique_ptr<env::Executor> log_thread_;
  std::unique_ptr<BatchWriter> writer_;  ///< Touched by the log thread while that runs.
  std::unique_ptr<env::Executor> prepare_thread_;
  std::unique_ptr<env::BlockingPool> readers_;  ///< Of segments: for old entries and rewriting.
  std::unique_ptr<OldEntries> old_entries_;
  std::function<void(GroupId)> on_read_;
  std::unique_ptr<SegmentMaker> maker_;  ///< By the preparing thread.
  std::shared_ptr<Prepared> preparing_;  ///< Null when no preparation is under way.
  env::TimerId prepare_timer_ = 0;

  std::unique_ptr<Batch> gathering_;
  std::deque<std::unique_ptr<Batch>> sealed_;
  std::vector<std::unique_ptr<Batch>> idle_batches_;  ///< To be used again.
  /// In the order of their batches. More than one only with direct_.
  std::deque<std::shared_ptr<WriteJob>> in_flight_;
  std::optional<env::MonotonicTime> blocked_since_;  ///< Sealed batches wait for a segment.
  /// Of batches that were written without a sync.
  std::vector<Callback<void()>> waiting_;
  bool flush_wanted_ = false;
  env::TimerId idle_timer_ = 0;
  env::MonotonicTime last_activity_;

  uint64_t next_sequence_ = 1;
  uint64_t active_segment_ = 0;  ///< Where the next batch goes.
  uint64_t segments_ahead_ = 1;  ///< Made before they are needed.
  uint64_t next_offset_ = 0;
  size_t record_bytes_max_ = 0;
  /// Payloads from here on are written from where they are. Direct writes want one aligned piece.
  size_t splice_bytes_min_ = 32 * limits::kKiB;
  Location written_end_;  ///< Entries before it can be read back.
  uint64_t written_sequence_ = 0;
  uint64_t durable_sequence_ = 0;
  uint64_t marked_sequence_ = 0;  ///< The newest synced mark on disk.
  uint64_t durable_needed_ = 0;
  uint64_t needed_segment_ = 0;
  std::optional<Collection> collection_;
  std::deque<Rewrite> rewrites_;
  /// Bytes of records that may be written again: as many as others were written for the first time.
  uint64_t rewrite_credit_ = 0;
  std::deque<uint64_t> unverified_;  ///< Segments that were opened by their footers.
  uint64_t evict_segment_ = 0;

  LogStats stats_;
  bool failed_ = false;
  bool closed_ = false;
  /// Tasks that come back from other threads look whether the log is still there.
  std::shared_ptr<LogImpl*> self_;
};

}  // namespace multiraft::log
