// What RocksDB underneath adds: durability, crashes, stalls, full disks, cached reads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/coverage.h"
#include "base/prng.h"
#include "kv/testing/faulty_disk.h"
#include "kv/testing/snapshots.h"

namespace multiraft::kv {
namespace {

using testing::apply;
using testing::contents_of;
using ::testing::ElementsAre;
using testing::hash_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::open_group;
using testing::restore;
using testing::run;
using testing::take_snapshot;

class RocksTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }

  RocksOptions options() {
    RocksOptions options = testing::small_rocks(dir_.path());
    options.env = disk_ ? disk_->env() : nullptr;
    options.on_warning = [this](std::string_view text) {
      const std::lock_guard lock(warnings_mutex_);
      warnings_ += std::string(text) + "\n";
    };
    return options;
  }
  void start() {
    auto engine = make_rocksdb_engine(options());
    ASSERT_TRUE(engine.is_ok()) << engine.status().to_string();
    engine_ = std::move(*engine);
  }
  /// Loses power, with everything that was not synced, and starts again on a sound disk.
  void crash(uint64_t keep_seed = 0) {
    disk_->lose_power();
    machine_.reset();
    engine_.reset();
    disk_->cut_unsynced(keep_seed);
    disk_ = std::make_unique<testing::FaultyDisk>();
    start();
  }
  /// Fills the group with keys k0000.. whose values do not compress.
  void fill(KvStateMachine& machine, int keys, size_t value_bytes = 200) {
    std::vector<SharedBytes> payloads;
    for (int i = 0; i < keys; ++i) payloads.push_back(encode_put(key(i), noise(value_bytes)));
    run(*engine_, machine, payloads);
  }
  static std::string key(int i) {
    const std::string digits = std::to_string(i);
    return "k" + std::string(6 - digits.size(), '0') + digits;
  }
  std::string noise(size_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>(random_.next());
    return out;
  }

  Prng random_{1};
  std::mutex warnings_mutex_;
  std::string warnings_;
  testing::TempDir dir_;
  std::unique_ptr<testing::FaultyDisk> disk_ = std::make_unique<testing::FaultyDisk>();
  std::unique_ptr<KvEngine> engine_;
  std::unique_ptr<KvStateMachine> machine_;
};

TEST_F(RocksTest, Directory_UsedByAnotherEngine_IsRefused) {
  EXPECT_FALSE(make_rocksdb_engine(options()).is_ok());
}

TEST_F(RocksTest, Apply_NotCommitted_IsNotReadButCounted) {
  machine_ = open_group(*engine_);
  apply(*machine_, {encode_put("a", "1")});
  EXPECT_EQ(machine_->applied_index(), LogIndex(1));
  EXPECT_THAT(contents_of(*machine_), IsEmpty());
  EXPECT_EQ(take_snapshot(*machine_).index, LogIndex(0));
  // What waits decides what follows.
  EXPECT_THAT(apply(*machine_, {encode_delete("a"), encode_delete("a")}),
              ElementsAre(ResultCode::kApplied, ResultCode::kNotFound));
  apply(*machine_, {encode_put("b", "2")});
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(contents_of(*machine_), (testing::Contents{{"b", {"2", 4}}}));
}

TEST_F(RocksTest, Reopened_AfterClose_IsAsItWasLeftAndDurable) {
  machine_ = open_group(*engine_);
  fill(*machine_, 50);
  const uint64_t hash = hash_of(*machine_);
  machine_.reset();
  engine_.reset();
  start();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(50));
  EXPECT_EQ(machine_->durable_index(), LogIndex(50));
  EXPECT_EQ(hash_of(*machine_), hash);
}

TEST_F(RocksTest, DurableIndex_FollowsFlushesOnly) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  EXPECT_EQ(machine_->durable_index(), LogIndex(0));
  ASSERT_TRUE(engine_->flush().is_ok());
  EXPECT_EQ(machine_->durable_index(), LogIndex(10));
  fill(*machine_, 5);
  EXPECT_EQ(machine_->durable_index(), LogIndex(10));
}

TEST_F(RocksTest, DurableIndex_AppliedWhileTheFlushRuns_DoesNotCount) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  disk_->hold_tables(true);
  engine_->request_flush();
  fill(*machine_, 5);
  EXPECT_EQ(machine_->durable_index(), LogIndex(0));
  disk_->hold_tables(false);
  while (machine_->durable_index() == LogIndex(0)) std::this_thread::yield();
  EXPECT_EQ(machine_->durable_index(), LogIndex(10));
}

TEST_F(RocksTest, RequestFlush_AskedOftenWhileOneHangs_NeitherBlocksNorStallsWrites) {
  machine_ = open_group(*engine_);
  disk_->hold_tables(true);
  for (int i = 0; i < 20; ++i) {
    fill(*machine_, 1);
    engine_->request_flush();
  }
  disk_->hold_tables(false);
  ASSERT_TRUE(engine_->flush().is_ok());
  EXPECT_EQ(machine_->durable_index(), LogIndex(20));
}

// Closing is no flush: the next state machine must not take what it reads for durable.
TEST_F(RocksTest, DurableIndex_ReopenedBeforeTheFlush_IsNotTheAppliedOne) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  apply(*machine_, {encode_put("left", "in the batch")});
  machine_.reset();
  EXPECT_EQ(engine_->open_kv(GroupId(1)).status().code(), StatusCode::kOverloaded);
  ASSERT_TRUE(engine_->commit(0).is_ok());
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(11));
  EXPECT_EQ(machine_->durable_index(), LogIndex(0));
  ASSERT_TRUE(engine_->flush().is_ok());
  EXPECT_EQ(machine_->durable_index(), LogIndex(11));
}

TEST_F(RocksTest, PowerLost_NothingFlushed_GroupIsEmpty) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  crash();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(0));
  EXPECT_THAT(contents_of(*machine_), IsEmpty());
}

TEST_F(RocksTest, PowerLost_SomeFlushed_GroupIsAtItsDurableIndex) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  ASSERT_TRUE(engine_->flush().is_ok());
  const uint64_t hash = hash_of(*machine_);
  fill(*machine_, 10);
  crash();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(10));
  EXPECT_EQ(machine_->durable_index(), LogIndex(10));
  EXPECT_EQ(hash_of(*machine_), hash);
}

TEST_F(RocksTest, WriteStall_Commit_IsOverloadedAndLosesNothing) {
  machine_ = open_group(*engine_);
  disk_->hold_tables(true);
  Status status;
  int keys = 0;
  while (status.is_ok() && keys < 1'000) {
    apply(*machine_, {encode_put(key(keys++), noise(16 * limits::kKiB))});
    status = engine_->commit(0);
  }
  EXPECT_EQ(status.code(), StatusCode::kOverloaded);
  EXPECT_EQ(engine_->commit(0).code(), StatusCode::kOverloaded);
  EXPECT_GT(engine_->stats().batches_refused, 0u);
  EXPECT_GT(CoverageMark::hits_of("kv: commit met a write stall"), 0u);
  // RocksDB says so, and not in a file that might hang as well.
  EXPECT_THAT(warnings_, HasSubstr("writes because we have"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/LOG"));
  EXPECT_EQ(contents_of(*machine_).size(), static_cast<size_t>(keys - 1));
  disk_->hold_tables(false);
  while (!engine_->commit(0).is_ok()) std::this_thread::yield();
  EXPECT_EQ(contents_of(*machine_).size(), static_cast<size_t>(keys));
  EXPECT_EQ(machine_->applied_index(), LogIndex(static_cast<uint64_t>(keys)));
}

TEST_F(RocksTest, DiskFull_Flush_SaysSo) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  disk_->set_full(true);
  EXPECT_EQ(engine_->flush().code(), StatusCode::kNoSpace);
  EXPECT_EQ(machine_->durable_index(), LogIndex(0));
  auto writer = machine_->restore(LogIndex(20), Term(1));
  EXPECT_EQ(writer.status().code(), StatusCode::kNoSpace);
  disk_->set_full(false);
}

TEST_F(RocksTest, Reclaim_WhatWasDeleted_LeavesTheDisk) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 2'000);
  engine_->reclaim();
  const uint64_t full = engine_->stats().disk_bytes;
  ASSERT_GT(full, 300'000u);
  EXPECT_EQ(machine_->durable_index(), machine_->applied_index());
  // Without deletions tables are not written again: that would take room and give none back.
  engine_->reclaim();
  EXPECT_EQ(engine_->stats().disk_bytes, full);

  std::vector<SharedBytes> deletes;
  for (int i = 0; i < 1'900; ++i) deletes.push_back(encode_delete(key(i)));
  run(*engine_, *machine_, deletes);
  engine_->reclaim();
  EXPECT_LT(engine_->stats().disk_bytes, full / 4);
  EXPECT_EQ(contents_of(*machine_).size(), 100u);
}

TEST_F(RocksTest, CachedRead_BlockNotInMemory_IsUnavailableUntilRead) {
  machine_ = open_group(*engine_);
  fill(*machine_, 200);
  EXPECT_TRUE(machine_->get(key(7), ReadTier::kCached).is_ok()) << "from the memtable";
  machine_.reset();
  engine_.reset();
  start();
  machine_ = open_group(*engine_);
  // Not the first block, which opening the group has read.
  EXPECT_EQ(machine_->get(key(150), ReadTier::kCached).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(machine_->scan({.start = key(150), .tier = ReadTier::kCached}).status().code(),
            StatusCode::kUnavailable);
  ASSERT_TRUE(machine_->get(key(150)).is_ok());
  const auto value = machine_->get(key(150), ReadTier::kCached);
  ASSERT_TRUE(value.is_ok()) << value.status().to_string();
  EXPECT_TRUE(value->has_value());
}

TEST_F(RocksTest, DamagedTable_Read_IsCorruption) {
  machine_ = open_group(*engine_);
  fill(*machine_, 200);
  machine_.reset();
  engine_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    file.write("damaged damaged", 15);
  }
  start();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->hash().status().code(), StatusCode::kCorruption);
  EXPECT_EQ(machine_->scan({}).status().code(), StatusCode::kCorruption);
  size_t damaged = 0;
  for (int i = 0; i < 200; ++i) {
    damaged += machine_->get(key(i)).status().code() == StatusCode::kCorruption;
  }
  EXPECT_GT(damaged, 0u);
  EXPECT_LT(damaged, 50u) << "one block";
}

TEST_F(RocksTest, Restore_BiggerThanOneTable_ReplacesAllAndIsDurable) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 1'000);
  auto target = open_group(*engine_, 2);
  fill(*target, 1'500);
  run(*engine_, *target, {encode_put("zzz", "old")});
  ASSERT_TRUE(restore(*target, take_snapshot(*machine_, 4'096)).is_ok());
  EXPECT_GT(CoverageMark::hits_of("kv: restore into several files"), 0u);
  EXPECT_EQ(contents_of(*target), contents_of(*machine_));
  EXPECT_EQ(target->durable_index(), LogIndex(1'000));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() + "/staging"));
  const uint64_t hash = hash_of(*target);
  target.reset();
  crash();
  target = open_group(*engine_, 2);
  EXPECT_EQ(target->applied_index(), LogIndex(1'000));
  EXPECT_EQ(hash_of(*target), hash);
}

TEST_F(RocksTest, Restore_NothingElseWritten_AppliesFurtherAndSurvives) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 100);
  auto target = open_group(*engine_, 2);
  ASSERT_TRUE(restore(*target, take_snapshot(*machine_)).is_ok());
  run(*engine_, *target, {encode_put(key(3), "new"), encode_delete(key(4))});
  const uint64_t hash = hash_of(*target);
  EXPECT_EQ(target->durable_index(), LogIndex(100));
  ASSERT_TRUE(engine_->flush().is_ok());
  EXPECT_EQ(target->durable_index(), LogIndex(102));
  target.reset();
  crash();
  target = open_group(*engine_, 2);
  EXPECT_EQ(hash_of(*target), hash);
}

TEST_F(RocksTest, Restore_EffectsOfThisTurnNotCommitted_AreReplacedToo) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 10);
  const testing::Snapshot snapshot = take_snapshot(*machine_);
  auto target = open_group(*engine_, 2);
  apply(*target, {encode_put("waits", "in the batch")});
  ASSERT_TRUE(restore(*target, snapshot).is_ok());
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(contents_of(*target), contents_of(*machine_));
}

TEST_F(RocksTest, Restore_EffectsOfAnotherThreadNotCommitted_IsUnavailable) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 10);
  const testing::Snapshot snapshot = take_snapshot(*machine_);
  auto target = open_group(*engine_, 2);
  apply(*target, {encode_put("waits", "in the batch")});
  std::thread([&] {
    EXPECT_EQ(restore(*target, snapshot).code(), StatusCode::kUnavailable);
  }).join();
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(contents_of(*target).size(), 1u);
}

TEST_F(RocksTest, Prefetch_OfColdKeys_LeavesNothingForApplyToRead) {
  machine_ = open_group(*engine_);
  fill(*machine_, 2'000);
  ASSERT_TRUE(engine_->flush().is_ok());
  machine_.reset();
  engine_.reset();
  start();
  machine_ = open_group(*engine_);
  const std::vector<SharedBytes> payloads{encode_delete(key(1'000)), encode_put("new", "value"),
                                          encode_delete("new"), encode_delete(key(1'500) + "no")};
  std::vector<Command> commands;
  for (size_t i = 0; i < payloads.size(); ++i) {
    commands.push_back({LogIndex(2'001 + i), Term(1), payloads[i].view()});
  }
  StateMachine::Prefetch prefetch = machine_->prefetch(commands);
  EXPECT_EQ(prefetch.commands, commands.size());
  ASSERT_TRUE(prefetch.reads != nullptr) << "a key of a table that was never read is in memory";
  std::thread([&] { prefetch.reads(); }).join();
  EXPECT_TRUE(machine_->prefetch(commands).reads == nullptr);
  std::vector<ApplyResult> results(commands.size());
  ASSERT_TRUE(machine_->apply(commands, LogIndex(2'004), Term(1), results).is_ok());
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(results[0].code, static_cast<uint64_t>(ResultCode::kApplied));
  EXPECT_EQ(results[2].code, static_cast<uint64_t>(ResultCode::kApplied));
  EXPECT_EQ(results[3].code, static_cast<uint64_t>(ResultCode::kNotFound));
}

TEST_F(RocksTest, Prefetch_AppliedInPieces_HoldsForKeysThatWereNotTouched) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  const std::vector<SharedBytes> payloads{encode_delete(key(3)), encode_delete(key(3)),
                                          encode_delete(key(4)), encode_delete("absent")};
  std::vector<Command> commands;
  for (size_t i = 0; i < payloads.size(); ++i) {
    commands.push_back({LogIndex(11 + i), Term(1), payloads[i].view()});
  }
  (void)machine_->prefetch(commands);
  for (size_t i = 0; i < commands.size(); ++i) {
    const ResultCode expected = i == 0 || i == 2 ? ResultCode::kApplied : ResultCode::kNotFound;
    std::vector<ApplyResult> results(1);
    ASSERT_TRUE(
        machine_->apply(std::span(commands).subspan(i, 1), commands[i].index, Term(1), results)
            .is_ok());
    ASSERT_TRUE(engine_->commit(0).is_ok());
    EXPECT_EQ(results[0].code, static_cast<uint64_t>(expected)) << i;
  }
}

// Neither the lookups on the worker nor the reads of the disk before the next piece are without
// bounds.
TEST_F(RocksTest, Prefetch_OfManyKeys_TakesSomeAtATime) {
  machine_ = open_group(*engine_);
  fill(*machine_, 1'500, 1);
  std::vector<SharedBytes> payloads;
  std::vector<Command> commands;
  for (int i = 0; i < 1'500; ++i) payloads.push_back(encode_delete(key(i)));
  for (size_t i = 0; i < payloads.size(); ++i) {
    commands.push_back({LogIndex(1'501 + i), Term(1), payloads[i].view()});
  }
  const size_t in_memory = machine_->prefetch(commands).commands;
  EXPECT_LT(in_memory, commands.size());
  ASSERT_TRUE(engine_->flush().is_ok());
  machine_.reset();
  engine_.reset();
  start();
  machine_ = open_group(*engine_);
  size_t applied = 0;
  while (applied < commands.size()) {
    const auto rest = std::span(commands).subspan(applied);
    StateMachine::Prefetch prefetch = machine_->prefetch(rest);
    if (prefetch.reads) {
      EXPECT_LT(prefetch.commands, in_memory);
      prefetch.reads();
    }
    std::vector<ApplyResult> results(prefetch.commands);
    ASSERT_TRUE(machine_
                    ->apply(rest.first(prefetch.commands), rest[prefetch.commands - 1].index,
                            Term(1), results)
                    .is_ok());
    ASSERT_TRUE(engine_->commit(0).is_ok());
    for (const ApplyResult& result : results) {
      ASSERT_EQ(result.code, static_cast<uint64_t>(ResultCode::kApplied));
    }
    applied += prefetch.commands;
  }
  EXPECT_THAT(contents_of(*machine_), IsEmpty());
}

// What was read ahead holds only for the state that it was read of.
TEST_F(RocksTest, Prefetch_BeforeOtherCommands_IsNotBelieved) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  const SharedBytes remove = encode_delete(key(3));
  const std::vector<Command> later{{LogIndex(12), Term(1), remove.view()}};
  (void)machine_->prefetch(later);
  EXPECT_THAT(apply(*machine_, {encode_delete(key(3))}), ElementsAre(ResultCode::kApplied));
  ASSERT_TRUE(engine_->commit(0).is_ok());
  std::vector<ApplyResult> results(1);
  ASSERT_TRUE(machine_->apply(later, LogIndex(12), Term(1), results).is_ok());
  EXPECT_EQ(results[0].code, static_cast<uint64_t>(ResultCode::kNotFound));
}

// Hundreds of thousands of them take a tenth of a second, all of it in memory.
TEST_F(RocksTest, Scan_OverManyDeletedKeys_IsNotForAWorker) {
  machine_ = open_group(*engine_);
  fill(*machine_, 1'200, 1);
  std::vector<SharedBytes> removals;
  for (int i = 0; i < 1'198; ++i) removals.push_back(encode_delete(key(i)));
  testing::apply(*machine_, removals);
  ASSERT_TRUE(engine_->commit(0).is_ok());
  ScanRequest request;
  request.items_max = 1;
  request.tier = ReadTier::kCached;
  EXPECT_EQ(machine_->scan(request).status().code(), StatusCode::kUnavailable);
  request.reverse = true;
  ASSERT_TRUE(machine_->scan(request).is_ok());
  request.reverse = false;
  request.tier = ReadTier::kAny;
  const auto page = machine_->scan(request);
  ASSERT_TRUE(page.is_ok());
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(page->items[0].key, key(1'198));
}

TEST_F(RocksTest, Destroy_EffectsNotCommitted_StayAway) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  apply(*machine_, {encode_put("waits", "in the batch")});
  machine_.reset();
  // Another thread cannot take them out of the worker's batch, which would bring them back.
  std::thread([&] {
    EXPECT_EQ(engine_->destroy(GroupId(1)).code(), StatusCode::kOverloaded);
  }).join();
  EXPECT_EQ(engine_->open_kv(GroupId(1)).status().code(), StatusCode::kOverloaded);
  ASSERT_TRUE(engine_->commit(0).is_ok());
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  ASSERT_TRUE(engine_->commit(0).is_ok());
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(0));
  EXPECT_EQ(machine_->durable_index(), LogIndex(0));
  EXPECT_THAT(contents_of(*machine_), IsEmpty());
}

TEST_F(RocksTest, Destroy_PowerLostAfterwards_StaysDone) {
  machine_ = open_group(*engine_);
  fill(*machine_, 300);
  ASSERT_TRUE(engine_->flush().is_ok());
  fill(*machine_, 10);
  machine_.reset();
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  crash();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(0));
  EXPECT_THAT(contents_of(*machine_), IsEmpty());
}

TEST_F(RocksTest, Destroy_Flushed_FreesTheSpaceSoon) {
  machine_ = open_group(*engine_, 1);
  auto neighbour = open_group(*engine_, 2);
  for (int i = 0; i < 5; ++i) {
    fill(*machine_, 1'000);
    fill(*neighbour, 10);
    ASSERT_TRUE(engine_->flush().is_ok());
  }
  EXPECT_GT(engine_->stats().disk_bytes, 200'000u);
  machine_.reset();
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  while (engine_->stats().disk_bytes > 20'000) std::this_thread::yield();
  EXPECT_EQ(contents_of(*neighbour).size(), 10u);
}

TEST_F(RocksTest, Destroy_ManyGroups_CostsAsManyChangesOfTheDiskAsOne) {
  const auto changes_of = [&](uint64_t groups) {
    std::vector<GroupId> doomed;
    for (uint64_t g = 1; g <= groups; ++g) {
      auto machine = open_group(*engine_, g);
      fill(*machine, 5);
      doomed.emplace_back(g);
    }
    EXPECT_TRUE(engine_->flush().is_ok());
    const uint64_t before = disk_->changes();
    EXPECT_TRUE(static_cast<StateMachineEngine&>(*engine_).destroy(doomed).is_ok());
    return disk_->changes() - before;
  };
  const uint64_t one = changes_of(1);
  // Some slack for the compactions that free the space; each removal by itself took eight.
  EXPECT_LT(changes_of(200), 10 * one);
  const auto left = engine_->groups();
  ASSERT_TRUE(left.is_ok());
  EXPECT_THAT(*left, IsEmpty());
}

// A second attempt must not take the tombstone of the first one, which is in memory only, for the
// removal.
TEST_F(RocksTest, Destroy_WhoseFlushFoundNoSpace_IsNotDoneBeforeOneSucceeded) {
  machine_ = open_group(*engine_);
  fill(*machine_, 10);
  ASSERT_TRUE(engine_->flush().is_ok());
  machine_.reset();
  disk_->set_full(true);
  EXPECT_EQ(engine_->destroy(GroupId(1)).code(), StatusCode::kNoSpace);
  EXPECT_FALSE(engine_->destroy(GroupId(1)).is_ok());
  EXPECT_EQ(engine_->open_kv(GroupId(1)).status().code(), StatusCode::kOverloaded);
  disk_->set_full(false);
  Status destroyed = engine_->destroy(GroupId(1));
  while (!destroyed) {  // The database needs a moment to find that there is space again.
    ASSERT_THAT(destroyed.code(), ::testing::AnyOf(StatusCode::kNoSpace, StatusCode::kOverloaded));
    std::this_thread::yield();
    destroyed = engine_->destroy(GroupId(1));
  }
  crash();
  machine_ = open_group(*engine_);
  EXPECT_EQ(machine_->applied_index(), LogIndex(0));
}

TEST_F(RocksTest, Groups_AfterARestart_AreThoseWithAState) {
  for (uint64_t g : {3, 700, 5}) fill(*open_group(*engine_, g), 40);
  { auto empty = open_group(*engine_, 4); }
  crash();
  EXPECT_THAT(*engine_->groups(), IsEmpty());  // Nothing was flushed.
  for (uint64_t g : {3, 700, 5}) fill(*open_group(*engine_, g), 40);
  ASSERT_TRUE(engine_->flush().is_ok());
  ASSERT_TRUE(engine_->destroy(GroupId(5)).is_ok());
  crash();
  EXPECT_THAT(*engine_->groups(), ElementsAre(GroupId(3), GroupId(700)));
}

TEST_F(RocksTest, Close_WhileASnapshotIsInstalled_DoesNotWait_AndDestroyDoes) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 50);
  const testing::Snapshot snapshot = take_snapshot(*machine_, 4'096);
  auto target = open_group(*engine_, 2);
  fill(*target, 3);  // So that the installation starts with a flush.
  auto writer = target->restore(snapshot.index, snapshot.term);
  ASSERT_TRUE(writer.is_ok());
  for (const std::string& chunk : snapshot.chunks) ASSERT_TRUE((*writer)->append(chunk).is_ok());
  disk_->hold_tables(true);
  std::thread installer([&] { EXPECT_TRUE((*writer)->finish().is_ok()); });
  disk_->wait_for_held_table();
  target.reset();  // Hangs for ever where it waits for the installation.
  EXPECT_EQ(engine_->open_kv(GroupId(2)).status().code(), StatusCode::kConflict);
  std::atomic<bool> destroyed = false;
  std::thread destroyer([&] {
    EXPECT_TRUE(engine_->destroy(GroupId(2)).is_ok());
    destroyed = true;
  });
  EXPECT_FALSE(destroyed);
  disk_->hold_tables(false);
  installer.join();
  destroyer.join();
  writer->reset();
  target = open_group(*engine_, 2);
  EXPECT_EQ(target->applied_index(), LogIndex(0));
}

// Power fails before every single change that a restore makes to the disk.
TEST_F(RocksTest, Restore_PowerLostAtEveryChange_LeavesOldOrNewNeverAMixture) {
  machine_ = open_group(*engine_, 1);
  fill(*machine_, 150);
  const testing::Snapshot snapshot = take_snapshot(*machine_, 4'096);
  const testing::Contents after = contents_of(*machine_);
  bool done = false;
  for (uint64_t change = 1; !done; ++change) {
    ASSERT_LT(change, 500u);
    machine_ = open_group(*engine_, 2);
    run(*engine_, *machine_, {encode_put("a", "old"), encode_put(key(5), "old")});
    ASSERT_TRUE(engine_->flush().is_ok());
    run(*engine_, *machine_, {encode_put("z", "old")});
    const testing::Contents before = contents_of(*machine_);

    disk_->lose_power_after(change);
    done = restore(*machine_, snapshot).is_ok() && !disk_->power_lost();
    crash(change % 3);
    machine_ = open_group(*engine_, 2);
    const uint64_t index = machine_->applied_index().value;
    if (index == 150) {
      EXPECT_EQ(contents_of(*machine_), after) << change;
    } else if (index == 3) {
      EXPECT_EQ(contents_of(*machine_), before) << change;
    } else {
      EXPECT_EQ(index, 2u) << change;
      EXPECT_EQ(contents_of(*machine_).size(), 2u) << change;
    }
    EXPECT_TRUE(!done || index == 150) << change;
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path() + "/staging"));
    machine_.reset();
    ASSERT_TRUE(engine_->destroy(GroupId(2)).is_ok());
  }
  EXPECT_GT(CoverageMark::hits_of("kv: staged file of a crashed restore removed"), 0u);
}

TEST_F(RocksTest, Destroy_PowerLostAtEveryChange_LeavesAllOrNothing) {
  bool done = false;
  for (uint64_t change = 1; !done; ++change) {
    ASSERT_LT(change, 500u);
    machine_ = open_group(*engine_, 2);
    run(*engine_, *machine_, {encode_put("a", "old"), encode_put("b", "old")});
    ASSERT_TRUE(engine_->flush().is_ok());
    const testing::Contents before = contents_of(*machine_);
    machine_.reset();
    disk_->lose_power_after(change);
    done = engine_->destroy(GroupId(2)).is_ok() && !disk_->power_lost();
    crash(change % 3);
    machine_ = open_group(*engine_, 2);
    if (machine_->applied_index() == LogIndex(0)) {
      EXPECT_THAT(contents_of(*machine_), IsEmpty()) << change;
    } else {
      EXPECT_FALSE(done) << change;
      EXPECT_EQ(machine_->applied_index(), LogIndex(2)) << change;
      EXPECT_EQ(contents_of(*machine_), before) << change;
    }
    machine_.reset();
    ASSERT_TRUE(engine_->destroy(GroupId(2)).is_ok());
  }
}

// A snapshot is read on one thread and other replicas' snapshots are installed from another, while
// the worker goes on.
TEST_F(RocksTest, SnapshotsAndRestoresOnOtherThreads_WorkerGoesOn_AllAreConsistent) {
  machine_ = open_group(*engine_, 1);
  auto target = open_group(*engine_, 2);
  fill(*machine_, 300);
  const testing::Snapshot snapshot = take_snapshot(*machine_, 4'096);
  const uint64_t hash = hash_of(*machine_);
  auto reader = machine_->snapshot();
  ASSERT_TRUE(reader.is_ok());
  std::atomic<bool> stop = false;
  std::thread other([&] {
    EXPECT_TRUE(restore(*target, snapshot).is_ok());
    const testing::Snapshot streamed{snapshot.index, snapshot.term,
                                     testing::chunks_of(**reader, 1'000)};
    EXPECT_TRUE(restore(*target, streamed).is_ok());
    const auto view = machine_->reader();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(view->get(key(i)).is_ok());
    stop = true;
  });
  while (!stop) {
    fill(*machine_, 20);
    (void)machine_->durable_index();
  }
  other.join();
  EXPECT_EQ(hash_of(*target), hash);
}

}  // namespace
}  // namespace multiraft::kv
