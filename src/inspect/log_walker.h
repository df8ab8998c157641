#pragma once
// Walks all batches of a log directory, also past damage, and says where and what the damage is.
//
// Recovery (log/recovery.h) decides whether a log is served, and stops at the first reason not to.
// This goes on, for a report: what else is damaged, and what is still readable.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/file_system.h"
#include "log/segment_scanner.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::inspect {

struct Damage {
  std::string file;
  uint64_t offset = 0;
  std::string what;
  std::vector<GroupId> groups;  ///< Empty: not known.
};

struct SegmentReport {
  std::string file;  ///< Path.
  uint64_t id = 0;
  uint64_t bytes = 0;       ///< Of the file now.
  uint64_t made_bytes = 0;  ///< What its header says.
  uint64_t batches = 0, records = 0, entries = 0;
  uint64_t first_sequence = 0, last_sequence = 0;
  uint64_t synced = 0;  ///< The highest mark in it.
  bool footer = false;
  /// "full", "written", "prepared" (nothing in it yet), "obsolete" or "damaged".
  std::string_view state = "prepared";
};

struct LogReport {
  std::string directory;
  uint64_t log_id = 0;
  std::vector<SegmentReport> segments;
  uint64_t spares = 0;
  uint64_t unfinished = 0;
  uint64_t last_sequence = 0;
  std::vector<Damage> damages;
  /// A write that the end of the process interrupted: never acknowledged, cut at the next start.
  std::optional<Damage> torn_tail;
};

/// One record of an intact batch, in the order of the log.
struct WalkedRecord {
  const std::string& file;
  uint64_t segment = 0;
  uint64_t offset = 0;  ///< Of the batch.
  uint64_t sequence = 0;
  const log::RecordView& record;
};
using RecordVisitor = std::function<void(const WalkedRecord&)>;

/// Errors are the disk's; damage is in the report. `visit` may be null.
Result<LogReport> walk_log(env::FileSystem& files, const std::string& directory,
                           const RecordVisitor& visit);
/// The same for one segment file by itself.
Result<LogReport> walk_segment(env::FileSystem& files, const std::string& path,
                               const RecordVisitor& visit);

}  // namespace multiraft::inspect
