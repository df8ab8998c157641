#pragma once
// Rebuilds a log from its directory. Writes nothing: a full or failing disk can still be read.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/status.h"
#include "env/file_system.h"
#include "log/group_state.h"
#include "log/segment_scanner.h"
#include "log/writer.h"

namespace multiraft::log {

using GroupMap = absl::flat_hash_map<GroupId, std::unique_ptr<GroupState>>;

/// What recovery found. Without segments the directory holds no log yet.
struct RecoveredLog {
  uint64_t log_id = 0;
  ChainPosition chain;          ///< epoch not set.
  uint64_t active_segment = 0;  ///< Where the last batch lies.
  uint64_t next_offset = 0;     ///< Behind it.
  /// Batches of the active segment from here on may not be durable yet.
  uint64_t unmarked_offset = 0;
  uint64_t needed_segment = 0;
  uint64_t torn_bytes = 0;
  std::vector<std::string> spares;
  std::vector<std::string> unfinished;  ///< *.new
  std::vector<uint64_t> obsolete;       ///< Segments before a hole that nothing needs.
};

class Recovery {
 public:
  /// Fills `context` and `groups`, which outlive this object.
  Recovery(env::FileSystem& files, const std::string& directory, GroupContext& context,
           GroupMap& groups)
      : files_(files), directory_(directory), context_(context), groups_(groups) {}

  Result<RecoveredLog> run();

 private:
  struct End {
    uint64_t segment = 0;
    uint64_t offset = 0;
  };
  Status list_directory();
  Status open_segments(const std::vector<uint64_t>& ids);
  Status replay();
  /// All batches of one segment from the chain's position on. `offset` ends behind the last one.
  Status replay_segment(uint64_t id, uint64_t& offset);
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
  std::string damaged_group(const End& end);
  Status finish_groups();
  GroupState& group_of(const RecordView& record);
  Result<SegmentScanner*> scanner(uint64_t id);

  env::FileSystem& files_;
  const std::string& directory_;
  GroupContext& context_;
  GroupMap& groups_;
  RecoveredLog log_;
  bool any_batch_ = false;
  /// Batches above the newest mark: sequence, segment, offset.
  std::deque<std::tuple<uint64_t, uint64_t, uint64_t>> unmarked_;
  uint64_t holes_max_ = 0;
  std::unique_ptr<SegmentScanner> scanner_;
  uint64_t scanner_segment_ = 0;
  RecordView record_;
};

}  // namespace multiraft::log
