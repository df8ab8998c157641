#pragma once
// Rebuilds a log from its directory. Writes nothing: a full or failing disk can still be read.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "env/file_system.h"
#include "log/group_state.h"
#include "log/segment_scanner.h"
#include "log/writer.h"
#include "multiraft/status.h"

namespace multiraft::log {

using GroupMap = absl::flat_hash_map<GroupId, std::unique_ptr<GroupState>>;

/// Two recoveries of one log, in full and by footers, come to the same. Empty if these did, else
/// the first difference in words.
std::string difference(const GroupMap& one, const GroupMap& other);

/// What recovery found. Without segments the directory holds no log yet.
struct RecoveredLog {
  uint64_t log_id = 0;
  ChainPosition chain;          ///< epoch not set.
  uint64_t active_segment = 0;  ///< Where the next batch goes; it need not exist yet.
  uint64_t next_offset = 0;
  uint64_t last_segment = 0;  ///< Where the last batch lies.
  /// Those of its batches in [unmarked_offset, end_offset) may not be durable yet.
  uint64_t unmarked_offset = 0;
  uint64_t end_offset = 0;
  uint64_t needed_segment = 0;
  uint64_t torn_bytes = 0;
  std::vector<std::string> spares;
  std::vector<std::string> unfinished;  ///< *.new
  std::vector<uint64_t> obsolete;       ///< Segments before a hole that nothing needs.
  std::vector<uint64_t> unverified;     ///< Read by their footers only.
};

class Recovery {
 public:
  /// Fills `context` and `groups`, which outlive this object. The newest segments, up to
  /// `full_scan_bytes` of them, are read in full, older ones by their footers.
  Recovery(env::FileSystem& files, const std::string& directory, uint64_t full_scan_bytes,
           GroupContext& context, GroupMap& groups)
      : files_(files),
        directory_(directory),
        full_scan_bytes_(full_scan_bytes),
        context_(context),
        groups_(groups) {}

  Result<RecoveredLog> run();

 private:
  struct End {
    uint64_t segment = 0;
    uint64_t offset = 0;
  };
  Status list_directory();
  Status open_segments(const std::vector<uint64_t>& ids);
  Status replay();
  uint64_t first_to_scan();
  void note_end(const End& end);
  /// All batches of one segment from the chain's position on. `offset` ends behind the last one.
  Status replay_segment(uint64_t id, uint64_t& offset);
  /// False where the segment has no footer that checks: nothing has been done then.
  Result<bool> replay_footer(uint64_t id, uint64_t& offset);
  Result<bool> find_footer(uint64_t id, uint64_t& offset, ScannedBatch& batch);
  Result<bool> was_synced(uint64_t id, uint64_t sequence) const;
  Status apply_footer(uint64_t id, uint64_t offset, const ScannedBatch& batch);
  bool apply_footer_group(uint64_t id, const FooterGroup& footer);
  /// Moves the chain's position behind this batch.
  void advance(uint64_t id, uint64_t& offset, const BatchHeader& header);
  Status replay_batch(uint64_t id, uint64_t offset, const ScannedBatch& batch);
  bool replay_record(uint64_t id, uint64_t batch_offset, const RecordView& record);
  bool replay_entries(GroupState& group, uint64_t id, uint64_t batch_offset,
                      const RecordView& record);
  /// True if the next segment's first batch follows the chain.
  Result<bool> continues_in(uint64_t id);
  /// What lies behind the end of the chain: leftovers, a torn write, or damage.
  Status judge_tail(const End& end);
  Status judge_batches(uint64_t id, uint64_t from, const End& end);
  Status damage(const End& end, uint64_t mark);
  /// Everything of the batch checks, and yet it cannot be.
  Status senseless(uint64_t id, uint64_t offset, const std::string& what,
                   std::optional<GroupId> group) const;
  Status check_marks(uint64_t id, uint64_t offset, const BatchHeader& header) const;
  Status finish_groups();
  GroupState& group_of(GroupId id, ReplicaId replica);
  void touch(GroupState& group, uint64_t id);
  Result<SegmentScanner*> scanner(uint64_t id);

  env::FileSystem& files_;
  const std::string& directory_;
  const uint64_t full_scan_bytes_;
  GroupContext& context_;
  GroupMap& groups_;
  RecoveredLog log_;
  bool any_batch_ = false;
  bool in_footer_ = false;  ///< The last batch was one: its segment is complete.
  /// Batches above the newest mark: sequence, segment, offset.
  std::deque<std::tuple<uint64_t, uint64_t, uint64_t>> unmarked_;
  uint64_t holes_max_ = 0;
  std::unique_ptr<SegmentScanner> scanner_;
  uint64_t scanner_segment_ = 0;
  RecordView record_;
};

}  // namespace multiraft::log
