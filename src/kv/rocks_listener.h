#pragma once
// What the database reports about its background work; only rocks_*.cc include this.

#include <absl/container/flat_hash_map.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <mutex>

#include "kv/flush_tracker.h"
#include "kv/write_pressure.h"
#include "multiraft/types.h"

namespace multiraft::kv {

/// Reports flushes to a tracker and sees to it that the space of removed groups is freed. Outlives
/// the database. Events come on the database's threads.
class RocksListener final : public rocksdb::EventListener {
 public:
  FlushTracker& tracker() { return tracker_; }
  const WritePressure& pressure() const { return pressure_; }
  /// The range of this group holds nothing any more but what its tombstone hides.
  void group_erased(rocksdb::DB& db, GroupId group);

  void OnMemTableSealed(const rocksdb::MemTableInfo& info) override;
  void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& info) override;
  void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& info) override;
  void OnExternalFileIngested(rocksdb::DB* db,
                              const rocksdb::ExternalFileIngestionInfo& info) override;

 private:
  void measure(rocksdb::DB& db);

  FlushTracker tracker_;
  WritePressure pressure_;
  std::mutex mutex_;
  absl::flat_hash_map<GroupId, int> erased_;  ///< With the compactions that may still be asked for.
};

uint64_t level0_files(rocksdb::DB& db);

}  // namespace multiraft::kv
