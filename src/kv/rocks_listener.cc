#include "kv/rocks_listener.h"

#include <rocksdb/experimental.h>

#include <string>
#include <vector>

#include "kv/rocks_keys.h"

namespace multiraft::kv {
namespace {

/// A tombstone sinks by one level a compaction, and some compactions are another range's.
constexpr int kCompactionsPerErasedGroup = 32;

/// Asks for the range to sink by one level. False: there is nothing left of it.
bool compact_range(rocksdb::DB& db, GroupId group) {
  const GroupPrefix begin(group, KeySpace::kPosition);
  const GroupPrefix end(group, KeySpace::kEnd);
  const rocksdb::Slice from = begin.slice();
  const rocksdb::Slice to = end.slice();
  const rocksdb::Range range(from, to);
  uint64_t bytes = 0;
  db.GetApproximateSizes(&range, 1, &bytes);
  if (bytes == 0) return false;
  rocksdb::experimental::SuggestCompactRange(&db, &from, &to).PermitUncheckedError();
  return true;
}

}  // namespace

void RocksListener::group_erased(rocksdb::DB& db, GroupId group) {
  {
    const std::lock_guard lock(mutex_);
    erased_[group] = kCompactionsPerErasedGroup;
  }
  compact_range(db, group);
}

void RocksListener::OnMemTableSealed(const rocksdb::MemTableInfo& info) {
  tracker_.sealed(info.first_seqno);
}

// Comes once the table file and the manifest that names it are synced, in memtable order.
void RocksListener::OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& info) {
  tracker_.flushed(info.largest_seqno);
  measure(*db);
}

void RocksListener::OnExternalFileIngested(rocksdb::DB* db,
                                           const rocksdb::ExternalFileIngestionInfo&) {
  measure(*db);
}

uint64_t level0_files(rocksdb::DB& db) {
  std::string text;
  if (!db.GetProperty(rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0", &text)) return 0;
  uint64_t files = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') files = 10 * files + static_cast<uint64_t>(c - '0');
  }
  return files;
}

void RocksListener::measure(rocksdb::DB& db) {
  uint64_t pending = 0;
  db.GetIntProperty(rocksdb::DB::Properties::kEstimatePendingCompactionBytes, &pending);
  pressure_.update(level0_files(db), pending);
}

// Nothing more is written to a removed group that would make compactions come by. One request is
// not enough: it passes over files that are being compacted, and ends at the next level.
void RocksListener::OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo&) {
  measure(*db);
  std::vector<GroupId> groups;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [group, compactions] : erased_) {
      --compactions;
      groups.push_back(group);
    }
  }
  for (const GroupId group : groups) {
    const bool more = compact_range(*db, group);
    const std::lock_guard lock(mutex_);
    const auto it = erased_.find(group);
    if (it != erased_.end() && (!more || it->second <= 0)) erased_.erase(it);
  }
}

}  // namespace multiraft::kv
