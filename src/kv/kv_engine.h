#pragma once
// The key-value state machine in two engines, RocksDB and memory, which behave alike: the same
// commands (command.h) give the same results, the same hash and the same snapshots.
//
// Effects of apply() become visible to reads at the engine's commit(), atomically per group.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "multiraft/bytes.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace rocksdb {
class Env;
}

namespace multiraft::kv {

/// How far a read may go.
enum class ReadTier : uint8_t {
  kAny,
  /// For worker threads: kUnavailable where the disk would be needed, and for a scan also where
  /// many deleted keys lie in its way, which takes long in memory too.
  kCached,
};

struct KvValue {
  SharedBytes value;
  LogIndex modified_index;  ///< Of the entry that wrote it.
};

struct KvItem {
  std::string key;
  SharedBytes value;  ///< Empty with keys_only.
  LogIndex modified_index;
};

/// The keys in [start, end) in byte order; an empty `end` is the end of the key space.
struct ScanRequest {
  std::string_view start{};
  std::string_view end{};
  size_t items_max = 1'000;
  /// A page ends with the item that reaches this many bytes of keys and values.
  size_t bytes_max = 4 * limits::kMiB;
  bool reverse = false;  ///< From the end of the range down.
  bool keys_only = false;
  ReadTier tier = ReadTier::kAny;
};

struct ScanPage {
  std::vector<KvItem> items;
  /// Where the range has more: the `start` of the next page's request, or its `end` in reverse.
  std::optional<std::string> next;
};

/// The smallest key behind all keys with this prefix, as the `end` of a scan; empty where none.
std::string prefix_end(std::string_view prefix);

/// The committed state of one group. Usable from any thread, and may outlive the state machine,
/// but not the engine: after the state machine is gone every read is kUnavailable, so that a reader
/// that was handed to another thread never takes a dropped group for an empty one.
class KvReader {
 public:
  virtual ~KvReader() = default;
  /// Nothing where there is no such key.
  virtual Result<std::optional<KvValue>> get(std::string_view key,
                                             ReadTier tier = ReadTier::kAny) const = 0;
  /// One page of a range, consistent in itself; pages of one range are not with each other.
  virtual Result<ScanPage> scan(const ScanRequest& request) const = 0;
};

/// One group. Readers and writers of snapshots may outlive it, but not the engine.
class KvStateMachine : public StateMachine {
 public:
  virtual std::shared_ptr<const KvReader> reader() const = 0;

  Result<std::optional<KvValue>> get(std::string_view key, ReadTier tier = ReadTier::kAny) const {
    return reader()->get(key, tier);
  }
  Result<ScanPage> scan(const ScanRequest& request) const { return reader()->scan(request); }
};

/// Numbers for metrics; zero in memory.
struct KvEngineStats {
  uint64_t memtable_bytes = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t table_reader_bytes = 0;
  uint64_t disk_bytes = 0;
  uint64_t compaction_bytes_pending = 0;
  uint64_t batches_refused = 0;  ///< Commits that met a write stall.
  uint64_t l0_files = 0;         ///< Tables that wait to be merged into the levels.
  bool keeps_up = true;          ///< See StateMachineEngine::keeps_up().
};

/// Outlives everything that it opened. What a thread applied is committed by that thread: a worker
/// is one thread, and commit(worker) writes what its thread's state machines have buffered.
class KvEngine : public StateMachineEngine {
 public:
  /// kConflict where the group is open already, or a snapshot is still being installed for its
  /// former state machine; kOverloaded where that one's last effects are not committed.
  virtual Result<std::unique_ptr<KvStateMachine>> open_kv(GroupId group) = 0;
  Result<std::unique_ptr<StateMachine>> open(GroupId group) final;
  using StateMachineEngine::destroy;
  Status destroy(GroupId group) { return destroy(std::span<const GroupId>(&group, 1)); }

  /// Waits until all that is committed is durable. For shutdown, backups and tests.
  virtual Status flush() = 0;
  /// The disk is nearly full: gives back what is not needed any more. May take long. Any thread.
  virtual void reclaim() {}
  virtual KvEngineStats stats() const = 0;
};

struct RocksOptions {
  /// Created where it does not exist; the engine's own. Locked while open.
  std::string directory;
  size_t block_cache_bytes = 64 * limits::kMiB;   ///< Blocks, indexes and filters of tables.
  size_t write_buffer_bytes = 16 * limits::kMiB;  ///< Bigger ones make each put slower.
  int write_buffers_max = 3;    ///< From 4 on RocksDB paces writers before it stops them.
  int background_jobs_max = 2;  ///< Threads that flush and compact; 2 at least.
  int open_files_max = 512;
  size_t table_bytes_target = 32 * limits::kMiB;  ///< Size of a table file.
  /// Takes RocksDB's warnings. From any of its threads, also from one that writes: must not block,
  /// and for that reason RocksDB has no file of its own for them, on a disk that may hang.
  std::function<void(std::string_view)> on_warning;
  /// The system's where null. Tests put a failing disk here.
  rocksdb::Env* env = nullptr;
};

/// All groups in one RocksDB without a write-ahead log: after a crash each group is at some
/// position between durable_index() and applied_index(), complete up to there. The log must keep
/// what follows durable_index().
///
/// apply() buffers and may read the disk for a delete. commit() is one write; kOverloaded (a write
/// stall) leaves the batch pending, and commit() is to be called again before more is applied.
/// RocksDB never slows a writer down: it takes a batch at once or refuses it, and keeps_up() asks
/// for less before it has to.
/// destroy() waits for a flush, whatever the number of groups, and SnapshotWriter::finish() for a
/// flush and a file ingestion. destroy() is kOverloaded while a worker has not committed the last
/// effects of one of the groups.
/// finish() is atomic: after a crash the old or the new state is there, never a mixture.
Result<std::unique_ptr<KvEngine>> make_rocksdb_engine(const RocksOptions& options);

/// Ordered maps in memory: a state machine starts empty and its state ends with it; durable_index()
/// is 0. apply() is visible at once, and commit() does nothing. snapshot() copies one pointer for
/// about 32 keys; afterwards the first write to each such block of keys copies the block.
std::unique_ptr<KvEngine> make_memory_engine();

}  // namespace multiraft::kv
