#pragma once
// For tests: a disk that loses power, fills up or hangs, under RocksDB.

#include <memory>
#include <string>

namespace rocksdb {
class Env;
}

namespace multiraft::kv::testing {

/// One disk over the real file system, which it never waits for. Thread-safe. After the loss of
/// power the database goes on as if nothing had happened, since a process that is gone sees no
/// errors either; cut_unsynced() then takes away all that came later and what was never synced
/// before.
class FaultyDisk {
 public:
  FaultyDisk();
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// For RocksOptions::env. Lives as long as the disk.
  rocksdb::Env* env();

  /// Changes so far: creations, writes, syncs, renames, links, removals.
  uint64_t changes() const;
  /// Power fails before the n-th change from now; 1 is the next one. Nothing from there on counts.
  void lose_power_after(uint64_t changes);
  void lose_power();
  bool power_lost() const;
  /// Once the database is closed: the files are as they were when power failed, each cut where it
  /// was last synced, or, with `keep_seed` not zero, somewhere behind that.
  void cut_unsynced(uint64_t keep_seed);

  void set_full(bool full);
  /// While held, nobody can create a table file: flushes and compactions hang.
  void hold_tables(bool held);
  /// Returns once somebody hangs there.
  void wait_for_held_table();

 private:
  struct Impl;
  class File;
  class Directory;
  class System;
  std::shared_ptr<Impl> impl_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace multiraft::kv::testing
