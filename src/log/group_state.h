#pragma once
// One group of the log in memory: its states, where its entries lie, and the newest entries
// themselves.
//
// The index costs 8 bytes an entry; terms and segments are kept as runs. Entries may also be
// cached: always a suffix of the group's log. The owner's thread only.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/entry_read.h"
#include "log/footer.h"
#include "log/format.h"
#include "log/index_runs.h"
#include "log/log.h"
#include "log/segment_table.h"
#include "log/tail.h"

namespace multiraft::log {

/// Where an entry's header lies.
struct Location {
  uint64_t segment = 0;
  uint32_t offset = 0;
  friend auto operator<=>(const Location&, const Location&) = default;
};

/// An entry without its data.
struct EntryMeta {
  LogIndex index;
  Term term;
  raft::EntryType type = raft::EntryType::kNormal;
  uint32_t data_bytes = 0;
};

/// The segments in which a group's states were last recorded; 0: never.
struct StateSegments {
  uint64_t hard_state = 0;
  uint64_t mark = 0;
  uint64_t announced = 0;
};

/// What GroupLog::bytes() counts for an entry besides its data: raft::entry_bytes().
inline constexpr uint64_t kCountedOverhead = 24;

class OldEntries;

/// What the groups of one log share.
struct GroupContext {
  SegmentTable segments;
  uint64_t cache_bytes = 0;
  uint64_t cache_misses = 0;
  /// Reads what is not cached. Null: GroupLog::entries() reads it itself, which waits for the disk.
  OldEntries* old_entries = nullptr;
  /// An entry of the log could not be read back: kCorruption, or the error of the disk. The reader
  /// gets the same status. May be null, for tools that only look.
  std::function<void(const Status&)> on_unreadable;
  uint64_t entries = 0;  ///< In all groups.
  uint64_t bytes = 0;    ///< Theirs, as GroupLog::bytes() counts.
};

class GroupState final : public GroupLog {
 public:
  GroupState(GroupId group, GroupContext& context);
  /// Gives up everything it holds in the segments.
  ~GroupState() override;
  GroupState(const GroupState&) = delete;
  GroupState& operator=(const GroupState&) = delete;

  // GroupLog.
  GroupId group() const override { return group_; }
  ReplicaId replica() const override { return replica_; }
  const raft::Snapshot& mark() const override { return *mark_; }
  std::vector<LogIndex> conf_change_indexes(LogIndex low, LogIndex high) const override;
  std::shared_ptr<const raft::Snapshot> announced_install() const override { return announced_; }
  uint64_t bytes() const override { return bytes_; }
  uint64_t data_bytes(LogIndex low, LogIndex high) const override;
  raft::InitialState initial_state() const override;
  Result<std::vector<raft::Entry>> entries(LogIndex low, LogIndex high, size_t bytes_max) override;
  Result<std::vector<raft::Entry>> entries_now(LogIndex low, LogIndex high,
                                               size_t bytes_max) override;
  bool has_conf_change(LogIndex low, LogIndex high) const override;
  Result<Term> term(LogIndex index) const override;
  LogIndex first_index() const override { return LogIndex(first_); }
  LogIndex last_index() const override { return LogIndex(end() - 1); }
  Result<std::shared_ptr<const raft::Snapshot>> snapshot() override;

  /// Of its entries' checksums.
  uint32_t checksum_seed() const { return checksum_seed_; }
  /// kCorruption for an entry that is not what it was when its checksum was made.
  Status changed_in_memory(LogIndex index, std::string_view when) const;

  // Reading what is not cached.
  /// Entries from `low` on, below `high`, that are not cached and lie in one segment: about
  /// `bytes_max`, one at least. Without places where there is none.
  EntryRead plan_read(LogIndex low, LogIndex high, size_t bytes_max) const;
  /// Where [low, high) lies, cached or not: all in one segment. Ends earlier where the entries are
  /// scattered.
  EntryRead locate(LogIndex low, LogIndex high) const;
  /// Every entry of `read` still lies where that says.
  bool holds(const EntryRead& read) const;
  /// The same of the i-th alone.
  bool is_at(const EntryRead& read, size_t i) const;
  bool is_cached(LogIndex index) const { return index.value >= cache_begin(); }

  // Changes. Each names the segment that holds the record which says so.
  void set_created(ReplicaId replica, uint64_t segment) {
    replica_ = replica;
    created_segment_ = segment;
  }
  void set_hard_state(const raft::HardState& state, uint64_t segment);
  /// Only the mark: entries stay.
  void set_mark(std::shared_ptr<const raft::Snapshot> mark, uint64_t segment);
  void set_announced(std::shared_ptr<const raft::Snapshot> snapshot, uint64_t segment);
  /// All entries go; the log starts behind `mark`.
  void reset(std::shared_ptr<const raft::Snapshot> mark, uint64_t segment);
  /// The entry behind the last one, which is cached as well.
  void append(const raft::Entry& entry, Location location);
  /// Entries from `index` on go.
  void truncate_from(LogIndex index);
  /// Entries up to and including `index` go.
  void drop_through(LogIndex index);
  /// Those entries from `low` on that still lie in segment `from` lie in `to` now.
  void relocate(uint64_t from, uint64_t to, LogIndex low, const std::vector<uint32_t>& offsets);

  // Recovery. Records may name entries whose predecessors come in later records (docs/formats/
  // log.md, "Rewriting"): until finish_recovery() the index may have holes.
  /// A group whose first records are gone has no mark until a rewrite brings it.
  bool has_mark() const { return mark_ != nullptr; }
  /// As append() and relocate(), with holes. False: an index no real log has.
  bool recover_entry(const EntryMeta& entry, Location location, uint64_t holes_max);
  /// A group that is first met in records after its creation.
  void set_replica(ReplicaId replica) { replica_ = replica; }
  /// What one segment's records have come to. False where it cannot be.
  bool recover_footer(const FooterGroup& footer, uint64_t segment, uint64_t holes_max);
  /// kCorruption where parts are missing.
  Status finish_recovery();

  // Collection of segments.
  const raft::HardState& hard_state() const { return hard_state_; }
  const StateSegments& state_segments() const { return states_in_; }
  /// The first range [low, high) of entries at or behind `from` that lie in `segment`.
  std::optional<std::pair<LogIndex, LogIndex>> entries_in(uint64_t segment, LogIndex from) const;
  Location location(LogIndex index) const;
  /// What is recorded in `segment`. States that are still the ones in `rewritten` have copies
  /// there.
  FooterGroup footer(uint64_t segment, const StateSegments& rewritten) const;
  /// Adds those entries from `low` on that still lie in `from` and have copies at `offsets`.
  void add_rewritten(FooterGroup& footer, uint64_t from, LogIndex low,
                     const std::vector<uint32_t>& offsets) const;
  /// States that are still the ones in `from` have copies in `to`, which count from now on.
  void move_states(const StateSegments& from, uint64_t to);
  /// True the first time it is called for a segment.
  bool touch(uint64_t segment) { return std::exchange(touched_segment_, segment) != segment; }

  /// Forgets cached entries that lie before `end`.
  void evict_before(Location end);
  /// Besides what GroupContext::cache_bytes counts.
  size_t memory_bytes() const;

 private:
  struct Ref {
    uint32_t offset = 0;
    uint32_t size_and_type = 0;  ///< As in the entry's header.

    Ref() = default;
    Ref(uint32_t at, const EntryMeta& entry)
        : offset(at), size_and_type(entry.data_bytes | (static_cast<uint32_t>(entry.type) << 28)) {}
    uint32_t data_bytes() const { return size_and_type & kEntrySizeMask; }
    raft::EntryType type() const { return static_cast<raft::EntryType>(size_and_type >> 28); }
  };
  struct Cached {
    SharedBytes data;
    uint32_t checksum = 0;

    uint64_t memory_bytes() const { return data.memory_bytes() + sizeof *this; }
  };
  uint64_t end() const { return first_ + refs_.size(); }
  uint64_t cache_begin() const { return end() - cache_.size(); }
  const Ref& ref(uint64_t index) const { return refs_[index - first_]; }
  void drop_live(uint64_t low, uint64_t high);
  void drop_cached_front(size_t n);
  void drop_cached_back(size_t n);
  void clear_entries();
  /// Another entry took the place of the one at `index`: its type decides whether that is listed.
  void note_type(uint64_t index, raft::EntryType type);
  void place(const EntryMeta& entry, Location location);
  void count_entry(uint32_t data_bytes);
  void add_to_footer(FooterGroup& footer, uint64_t index, uint32_t offset) const;
  Result<std::vector<raft::Entry>> collect_entries(LogIndex low, LogIndex high, size_t bytes_max,
                                                   bool wait);
  /// The end of what lies in [low, high) and has about `bytes_max`: one at least.
  uint64_t end_within(uint64_t low, uint64_t high, size_t bytes_max) const;
  /// Reports `why` to the log, which fails over it, and returns it.
  Status unreadable(Status why) const;
  /// Appends [low, high) to `entries`, from the cache.
  Status cached_entries(uint64_t low, uint64_t high, std::vector<raft::Entry>& entries) const;

  GroupContext& context_;
  const GroupId group_;
  const uint32_t checksum_seed_;
  ReplicaId replica_;
  raft::HardState hard_state_;
  std::shared_ptr<const raft::Snapshot> mark_;
  std::shared_ptr<const raft::Snapshot> announced_;
  StateSegments states_in_;
  uint64_t touched_segment_ = 0;
  uint64_t created_segment_ = 0;

  uint64_t first_ = 1;  ///< Index of refs_[0].
  Tail<Ref> refs_;
  IndexRuns<uint64_t> terms_;
  IndexRuns<uint64_t> segments_;  ///< 0: a hole, during recovery.
  std::vector<uint64_t> conf_changes_;
  Tail<Cached> cache_;
  uint64_t bytes_ = 0;
};

}  // namespace multiraft::log
