#pragma once
// The shared write-ahead log of one worker: the entries and hard states of all groups that live on
// it, written by one append and one sync a turn (design: docs/formats/log.md).
//
// Threads: everything here is called on the owner executor's thread, and every callback arrives
// there; close() also after that has ended. Nothing here waits for the disk but open(), close()
// and GroupLog::entries_now().
//
// What survives a crash: exactly what a durable callback reported, plus possibly, in order, a
// prefix of what was staged after it. Never a later record without the earlier ones of the same
// log.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/task.h"
#include "env/env.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/storage.h"
#include "raft/types.h"

namespace multiraft::log {

enum class WriterKind : uint8_t {
  kAuto,    ///< io_uring where it works, else pwrite.
  kPwrite,  ///< pwrite and fdatasync.
  kUring,   ///< io_uring with O_DIRECT and RWF_DSYNC; open() fails where that does not work.
};

struct LogOptions {
  std::string directory;  ///< Created where it does not exist.
  uint64_t segment_bytes = limits::kLogSegmentBytes;
  /// Fewer segments than these are not worth rewriting what cold groups have in the oldest.
  uint32_t segments_kept = 3;
  uint32_t spares_max = 2;  ///< Retired segments that are kept to be used again.
  uint64_t cache_bytes = limits::kLogCacheBytes;  ///< Entries kept in memory, all groups.
  WriterKind writer = WriterKind::kAuto;
  /// So much of the newest log is read and checked in full by open(); what is older is opened by
  /// the segments' footers and checked afterwards, in the background. Damage found then is fatal.
  uint64_t full_scan_bytes = 4 * limits::kLogSegmentBytes;
  std::string thread_name = "log";
};

/// One record for one group: what one raft::StorageAppend asks for.
struct GroupAppend {
  GroupId group;
  std::optional<raft::HardState> hard_state;
  /// Replaces the whole log of the group: all entries go, first_index becomes snapshot->index + 1.
  std::shared_ptr<const raft::Snapshot> snapshot;
  /// Replace any tail from entries.front().index on. No gap to what is there.
  std::span<const raft::Entry> entries;
  /// Someone waits for durability. False: a commit index, which may ride with the next sync.
  bool must_sync = true;
};

/// The log of one group, as the core and the host see it. Reads what was staged, durable or not.
/// entries() never waits for the disk: see raft::Storage, and Log::notify_when_read().
class GroupLog : public raft::Storage {
 public:
  virtual GroupId group() const = 0;
  virtual ReplicaId replica() const = 0;
  /// Where the log starts: the last compacted position or installed snapshot, and the configuration
  /// there.
  virtual const raft::Snapshot& mark() const = 0;
  /// Indexes in [low, high) of entries that change the configuration, ascending.
  virtual std::vector<LogIndex> conf_change_indexes(LogIndex low, LogIndex high) const = 0;
  /// An install that was announced (Log::announce_install) and neither completed nor superseded
  /// before the crash; null otherwise.
  virtual std::shared_ptr<const raft::Snapshot> announced_install() const = 0;
  /// Bytes of the entries in the log, as limits count them.
  virtual uint64_t bytes() const = 0;
  /// As entries(), and waits for the disk where it has to: for a start, not for a worker's turn.
  virtual Result<std::vector<raft::Entry>> entries_now(LogIndex low, LogIndex high,
                                                       size_t bytes_max) = 0;
  /// Of the entries' data alone, in [low, high) of the log. Linear in their number.
  virtual uint64_t data_bytes(LogIndex low, LogIndex high) const = 0;
};

struct LogStats {
  uint64_t batches = 0, records = 0, bytes_written = 0, syncs = 0;
  uint64_t segments = 0, segments_recycled = 0, entries_rewritten = 0;
  uint64_t entries = 0, entry_bytes = 0;       ///< Kept for all groups: GroupLog::bytes().
  uint64_t cache_bytes = 0, cache_misses = 0;  ///< Memory that cached entries take.
  uint64_t read_bytes = 0;      ///< Memory of entries that were read back and not fetched yet.
  uint64_t index_bytes = 0;     ///< Memory that everything else about them takes.
  uint64_t torn_bytes_cut = 0;  ///< At the last open...
  std::string torn_file;        ///< ... from this segment, from torn_offset on.
  uint64_t torn_offset = 0;
  WriterKind writer = WriterKind::kPwrite;  ///< The one in use.
  std::string writer_note;                  ///< Why not io_uring, where that was to be tried.
  /// There is no room on the disk for the next segment. Writes go on while the present one lasts,
  /// then wait; the log asks again every second and goes on by itself.
  bool no_space = false;
  int64_t sync_ns_total = 0, sync_ns_max = 0;
};

/// Entries kept for all groups, and their bytes as GroupLog::bytes() counts them.
struct LogRetained {
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

class Log {
 public:
  virtual ~Log() = default;

  /// Recovers what is in the directory. kCorruption: damage below the synced mark; the message
  /// names file, offset and, where known, group, and says how to heal. kIoError / kNoSpace as they
  /// come. `on_fatal` is called once, on the owner's thread, when a write or sync has failed
  /// (trap 30), or when an entry cannot be read back (kCorruption or kIoError, and the message
  /// names file, offset and group): no further durable callback will come and the process must end.
  static Result<std::unique_ptr<Log>> open(const LogOptions& options, env::Environment& env,
                                           env::Executor& owner, Callback<void(Status)> on_fatal);

  /// All live groups, as recovered or created since.
  virtual std::vector<GroupId> groups() const = 0;
  /// Null where there is none. Valid until remove_group.
  virtual GroupLog* group(GroupId group) = 0;

  /// A new group whose log starts at `mark` (index 0 for an empty replica that waits for a
  /// snapshot). Usable at once; durable with the next durable callback. kAlreadyExists.
  virtual Result<GroupLog*> create_group(GroupId group, ReplicaId replica,
                                         const raft::Snapshot& mark) = 0;
  /// Forgets the group and its records; the neighbours' stay. Gone at once for reads; `durable`,
  /// which may be null, comes when a restart will not find it any more.
  virtual Status remove_group(GroupId group, Callback<void()> durable) = 0;

  /// Adds one record to the batch that gathers. Visible to reads at once. `durable` may be null.
  /// Callbacks come in the order of staging. Staging copies what it needs before it returns, but
  /// shares entries' payloads.
  virtual void stage(const GroupAppend& append, Callback<void()> durable) = 0;
  /// Before a state machine installs a snapshot: so that a crash between the installation and the
  /// stage() that reports it here can be completed at restart. Superseded by the next snapshot.
  virtual void announce_install(GroupId group, const raft::Snapshot& snapshot,
                                Callback<void()> durable) = 0;
  /// Ends the turn: the gathered batch goes to the writer as soon as that is free. While a write is
  /// under way further batches gather into one (group commit); io_uring takes a large one beside
  /// it. No effect when nothing is staged; a batch of only must_sync = false records waits for
  /// company, but not for ever.
  virtual void flush() = 0;

  /// Entries up to and including mark.index are not needed any more. mark.index <= last_index, its
  /// term and configuration are those at that index. Durable before any segment goes.
  virtual void compact(GroupId group, const raft::Snapshot& mark) = 0;

  /// Called on the owner's thread, in a task of its own, when entries of a group are in memory that
  /// GroupLog::entries() had answered kUnavailable for. To be asked for at once: they are not kept
  /// for long.
  virtual void notify_when_read(std::function<void(GroupId)> ready) = 0;

  /// Bytes on the way to the disk, to push back on.
  virtual uint64_t bytes_pending() const = 0;
  /// When the oldest write that has not completed was submitted; nullopt when idle. Liveness
  /// watches it: a stalled disk must lose leadership (trap 37).
  virtual std::optional<env::MonotonicTime> oldest_pending_write() const = 0;
  /// When the oldest read that a group waits for began; nullopt when none is under way. Liveness
  /// watches it as well.
  virtual std::optional<env::MonotonicTime> oldest_pending_read() const = 0;
  /// The newest batch that is durable, and with it all before: what was found at open(), then what
  /// durable callbacks reported. A later open() of the same directory finds no less, unless the
  /// disk has lost what it had promised, or the directory is an older copy.
  virtual uint64_t durable_sequence() const = 0;
  virtual LogStats stats() const = 0;
  virtual LogRetained retained() const = 0;
  /// Writes out what is staged and waits for it. No callback comes afterwards.
  virtual void close() = 0;
};

}  // namespace multiraft::log
