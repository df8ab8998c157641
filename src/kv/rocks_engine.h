#pragma once
// The parts of the RocksDB engine; only rocks_*.cc include this.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "kv/durability.h"
#include "kv/kv_engine.h"
#include "kv/record.h"
#include "kv/rocks_keys.h"
#include "kv/rocks_listener.h"

namespace multiraft::kv {

class RocksEngine;

/// `what` says what was tried.
Status from_rocks(const rocksdb::Status& status, std::string_view what);
rocksdb::Options make_rocks_options(const RocksOptions& options,
                                    std::shared_ptr<rocksdb::EventListener> listener);

/// What a state machine, its readers and its snapshot writers share.
class RocksState final : public KvReader {
 public:
  RocksState(RocksEngine& engine, GroupId group, Position position, Durability durability);

  Result<std::optional<KvValue>> get(std::string_view key, ReadTier tier) const override;
  Result<ScanPage> scan(const ScanRequest& request) const override;

  /// Some of its writes are not durable yet.
  bool has_unflushed();

  RocksEngine& engine;
  const GroupId group;
  const GroupPrefix data_prefix;

  /// Held over an installation. Closing does not wait for it (the worker never waits for the
  /// disk), but destroying does, and opening again is refused: nothing is installed for a group
  /// that is gone.
  std::mutex install_mutex;
  std::atomic<bool> closed = false;
  std::atomic<bool> installing = false;

  /// Guards what follows, against restores on other threads; the worker alone never waits for it.
  mutable std::mutex mutex;
  Position applied;  ///< Buffered effects included.
  Durability durability;
  bool pending = false;  ///< Effects wait in a batch of the worker's thread.

  /// Existence of the keys that the pending batch touches. The worker's.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view v) const { return std::hash<std::string_view>()(v); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  };
  using Keys = absl::flat_hash_map<std::string, bool, Hash, Equal>;
  Keys pending_keys;

  /// Existence of keys, read ahead of the commands that ask for it. Holds as long as the state
  /// stands at this index; what is applied takes out the keys that it touches. Under the mutex.
  struct Prefetched {
    LogIndex at;
    Keys keys;
  };
  Prefetched prefetched;
};

/// What one worker's thread has applied and not committed.
struct RocksBatch {
  rocksdb::WriteBatch batch;
  std::vector<std::shared_ptr<RocksState>> dirty;
  /// A read failed in the middle of an apply(): the batch is incomplete and never written.
  Status failure;
};

class RocksEngine final : public KvEngine {
 public:
  static Result<std::unique_ptr<KvEngine>> open_database(const RocksOptions& options);
  explicit RocksEngine(const RocksOptions& options);
  ~RocksEngine() override;

  Result<std::unique_ptr<KvStateMachine>> open_kv(GroupId group) override;
  Status destroy(std::span<const GroupId> groups) override;
  Result<std::vector<GroupId>> groups() override;
  Status commit(uint32_t worker) override;
  void request_flush() override;
  Status keeps_up() const override;
  void reclaim() override;
  Status flush() override;
  KvEngineStats stats() const override;

  rocksdb::DB& db() { return *db_; }
  const rocksdb::Options& rocks_options() const { return rocks_options_; }
  FlushTracker& tracker() { return listener_->tracker(); }
  RocksListener& listener() { return *listener_; }
  /// The calling thread's.
  RocksBatch& batch_of_thread();
  /// Writes the group's pending effects, waiting out a write stall. kUnavailable where they are
  /// another thread's, which has to commit() first.
  Status settle(RocksState& state);
  /// The position that the database has, or had at `snapshot`.
  Result<Position> read_position(GroupId group, const rocksdb::Snapshot* snapshot);
  /// A name for a file that is not part of the database yet.
  std::string staging_path();
  /// Makes table files part of the database, all or none. They replace what they cover.
  Status ingest(const std::vector<std::string>& paths);
  void remove_files(const std::vector<std::string>& paths);
  /// The state machine is gone. Waits for nobody.
  void closed(const std::shared_ptr<RocksState>& state);

 private:
  /// For a state machine of the group that was closed meanwhile.
  bool is_installing(GroupId group);
  void wait_for_installation(GroupId group);
  bool worth_compacting();
  Result<bool> has_keys(GroupId group);
  /// kOverloaded while a worker's batch holds effects of one of the groups, kConflict where one is
  /// open. Waits for installations. Returns in `present` the groups that have a state.
  Status prepare_destroy(std::span<const GroupId> groups, std::vector<GroupId>& present);
  Status start();
  Status write(RocksBatch& batch, bool no_slowdown);

  const RocksOptions options_;
  const std::shared_ptr<RocksListener> listener_ = std::make_shared<RocksListener>();
  rocksdb::Options rocks_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::atomic<uint64_t> staged_files_{0};
  std::atomic<uint64_t> batches_refused_{0};

  std::mutex mutex_;
  absl::flat_hash_set<GroupId> open_groups_;
  /// Closed before their last effects were durable, or written.
  absl::flat_hash_map<GroupId, std::shared_ptr<RocksState>> closed_groups_;
  /// Whose tombstones are written and not known to be durable.
  absl::flat_hash_set<GroupId> erasing_;
  size_t closed_groups_swept_at_ = 1;  ///< Doubles, so that closing all groups is not quadratic.
  absl::flat_hash_map<const void*, std::unique_ptr<RocksBatch>> batches_;
};

/// A consistent view of a group's records. `snapshot` is released with it.
std::unique_ptr<RecordCursor> make_rocks_cursor(RocksEngine& engine, GroupId group,
                                                const rocksdb::Snapshot* snapshot);
Result<std::unique_ptr<SnapshotWriter>> make_rocks_writer(std::shared_ptr<RocksState> state,
                                                          LogIndex index, Term term);
std::unique_ptr<KvStateMachine> make_rocks_state_machine(std::shared_ptr<RocksState> state);
/// Drops everything of the groups, durably.
Status erase_groups(RocksEngine& engine, std::span<const GroupId> groups);

}  // namespace multiraft::kv
