#include "log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coverage.h"
#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kBlock = 4096;

TEST(Log_Open, EmptyDirectory_HoldsNoGroups) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  EXPECT_TRUE(h.log().groups().empty());
  EXPECT_EQ(h.log().group(GroupId(1)), nullptr);
  EXPECT_FALSE(h.log().oldest_pending_write());
}

TEST(Log_Open, SecondOpener_IsRefused) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  auto owner = h.env().start_executor("other");
  auto second = Log::open(h.options, h.env(), *owner, nullptr);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
}

TEST(Log_Stage, Entries_AreReadableAtOnceAndDurableOnlyAfterTheSync) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const size_t number = h.append(1, 1, 5, 1);
  EXPECT_EQ(h.group(1).last_index(), LogIndex(5));
  EXPECT_EQ(h.check(), "");
  EXPECT_FALSE(h.is_durable(number));
  h.log().flush();
  EXPECT_TRUE(h.log().oldest_pending_write());
  EXPECT_FALSE(h.is_durable(number));
  h.env().run_until_idle();
  EXPECT_TRUE(h.is_durable(number));
  EXPECT_FALSE(h.log().oldest_pending_write());
  EXPECT_EQ(h.log().bytes_pending(), 0u);
}

TEST(Log_Stage, WhileAWriteIsUnderWay_LaterRecordsGatherIntoOneBatch) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.log().flush();
  for (uint64_t i = 1; i <= 10; ++i) {
    h.append(1, i, 1, 1);
    h.log().flush();
  }
  h.env().run_until_idle();
  EXPECT_EQ(h.log().stats().batches, 2u);
  EXPECT_EQ(h.log().stats().syncs, 2u);
}

TEST(Log_Stage, OverlappingEntries_ReplaceTheTail) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 10, 1);
  h.append(1, 6, 2, 2);
  EXPECT_EQ(h.group(1).last_index(), LogIndex(7));
  h.settle();
  EXPECT_EQ(h.check(), "");
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Stage, Snapshot_ReplacesTheWholeLog) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 10, 1);
  h.announce(1, snapshot_at(100, 3));
  EXPECT_TRUE(h.group(1).announced_install());
  h.install(1, snapshot_at(100, 3));
  EXPECT_FALSE(h.group(1).announced_install());
  h.append(1, 101, 3, 3);
  h.settle();
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
  EXPECT_EQ(h.group(1).first_index(), LogIndex(101));
  EXPECT_EQ(h.group(1).initial_state().conf_state, snapshot_at(100, 3).conf_state);
}

TEST(Log_Announce, UncompletedInstall_IsKnownAfterACrash) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.announce(1, snapshot_at(50, 2));
  h.settle();
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  ASSERT_TRUE(h.group(1).announced_install());
  EXPECT_EQ(*h.group(1).announced_install(), snapshot_at(50, 2));
}

TEST(Log_Stage, HardStateAndEntries_AreOneRecord) {
  // trap 3: the term cannot be lost while the entries of that term survive.
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const auto entries = make_entries(1, 3, 5);
  h.append(GroupId(1), GroupAppend{GroupId(1), raft::HardState{Term(5), ReplicaId(2), LogIndex(0)},
                                   nullptr, entries, true});
  h.settle();
  EXPECT_EQ(h.log().stats().records, 2u);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Stage, CommitOnly_IsWrittenWithoutASync) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 3, 1);
  h.flush_and_run();
  const LogStats before = h.log().stats();
  h.save_state(1, {Term(1), ReplicaId(1), LogIndex(3)}, false);
  h.flush_and_run();
  EXPECT_EQ(h.log().stats().batches, before.batches);
  h.env().advance(env::kSecond);
  EXPECT_EQ(h.log().stats().batches, before.batches + 1);
  EXPECT_EQ(h.log().stats().syncs, before.syncs);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepAll));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Stage, LargePayloads_AreWrittenFromWhereTheyAre) {
  LogHarness h;
  h.options.segment_bytes = 4 * limits::kMiB;
  h.options.cache_bytes = 0;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 1, 1, 300'000);
  h.append(1, 2, 3, 1, 40'000);
  h.append(1, 5, 2, 1, 10);
  h.settle();
  EXPECT_EQ(h.log().stats().cache_bytes, 0u);
  EXPECT_EQ(h.check(), "");
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Stage, MoreEntriesThanASegmentHolds_AreSplit) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const auto entries = make_entries(1, 400, 2, 500);
  const raft::HardState state{Term(2), ReplicaId(1), LogIndex(390)};
  h.append(GroupId(1), GroupAppend{GroupId(1), state, nullptr, entries, true});
  h.settle();
  EXPECT_EQ(h.check(), "");
  EXPECT_GT(h.log().stats().segments, 3u);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Read, BeyondTheBounds_SaysWhy) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 10, 1);
  h.compact(1, 4);
  GroupLog& group = h.group(1);
  EXPECT_EQ(group.entries(LogIndex(4), LogIndex(6), 1000).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(group.term(LogIndex(3)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*group.term(LogIndex(4)), Term(1));
  EXPECT_EQ(group.term(LogIndex(11)).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(group.entries(LogIndex(5), LogIndex(11), 1)->size(), 1u);
  EXPECT_EQ(group.entries(LogIndex(5), LogIndex(11), 1'000'000)->size(), 6u);
}

TEST(Log_Read, ConfChanges_AreListed) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 20, 1);
  h.append(1, 15, 3, 2);
  const std::vector<LogIndex> all{LogIndex(3), LogIndex(5), LogIndex(10), LogIndex(16),
                                  LogIndex(17)};
  EXPECT_EQ(h.group(1).conf_change_indexes(LogIndex(1), LogIndex(100)), all);
  h.compact(1, 4);
  h.settle();
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  const std::vector<LogIndex> some{LogIndex(5), LogIndex(10)};
  EXPECT_EQ(h.group(1).conf_change_indexes(LogIndex(1), LogIndex(16)), some);
}

TEST(Log_Cache, OverBudget_OldestEntriesAreReadBack) {
  LogHarness h;
  h.options.cache_bytes = 4000;
  ASSERT_TRUE(h.open());
  for (uint64_t g = 1; g <= 4; ++g) h.create(g);
  for (uint64_t i = 1; i <= 50; ++i) {
    for (uint64_t g = 1; g <= 4; ++g) h.append(g, i, 1, 1, 100);
    h.flush_and_run();
  }
  EXPECT_LE(h.log().stats().cache_bytes, 4000u);
  EXPECT_EQ(h.check(), "");
  EXPECT_GT(h.log().stats().cache_misses, 0u);
}

TEST(Log_Remove, Group_LeavesTheNeighboursAlone) {
  // trap 40
  LogHarness h;
  ASSERT_TRUE(h.open());
  for (uint64_t g = 1; g <= 3; ++g) h.create(g);
  for (uint64_t i = 1; i <= 100; ++i) {
    for (uint64_t g = 1; g <= 3; ++g) h.append(g, i, 1, 1, 300);
    h.flush_and_run();
  }
  h.remove(2);
  h.settle();
  EXPECT_EQ(h.check(), "");
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
  h.create(2, 9, snapshot_at(7, 1));
  h.append(2, 8, 2, 1);
  h.settle();
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
  EXPECT_EQ(h.group(2).replica(), ReplicaId(9));
}

TEST(Log_Create, Twice_IsRefused) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  EXPECT_EQ(h.log().create_group(GroupId(1), ReplicaId(2), {}).status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(h.log().remove_group(GroupId(5), nullptr).code(), StatusCode::kNotFound);
}

/// Appends to group 1 and compacts it as it goes, for `rounds` rounds of about 4 KiB.
void churn(LogHarness& h, uint64_t rounds) {
  for (uint64_t r = 0; r < rounds; ++r) {
    const uint64_t next = h.group(1).last_index().value + 1;
    h.append(1, next, 10, 1, 350);
    if (next > 20) h.compact(1, next - 10);
    h.flush_and_run();
  }
}

TEST(Log_Collect, CompactedSegments_AreUsedAgain) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  churn(h, 300);
  h.settle();
  EXPECT_EQ(h.check(), "");
  EXPECT_GT(h.log().stats().segments_recycled, 5u);
  EXPECT_LE(h.segment_files().size(), 5u);
  EXPECT_GT(CoverageMark::hits_of("log.segment_recycled"), 0u);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Collect, ColdGroups_AreRewrittenAndDoNotPinSegments) {
  // trap 35
  LogHarness h;
  h.options.cache_bytes = 2000;
  ASSERT_TRUE(h.open());
  h.create(1);
  for (uint64_t g = 2; g <= 20; ++g) {
    h.create(g);
    h.save_state(g, {Term(3), ReplicaId(g), LogIndex(0)});
    h.append(g, 1, 8, 3, 100);
  }
  h.announce(5, snapshot_at(77, 4));
  h.flush_and_run();
  churn(h, 400);
  h.settle();
  EXPECT_EQ(h.check(), "");
  EXPECT_GT(h.log().stats().entries_rewritten, 0u);
  EXPECT_LE(h.segment_files().size(), 6u);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
  churn(h, 400);
  h.append(7, 9, 5, 4, 200);  // A cold group wakes up: its log is in two places.
  h.flush_and_run();
  churn(h, 50);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Collect, TruncationBetweenAnEntryAndItsRewrittenPredecessors_IsRecovered) {
  // Recovery meets the group's records in this order: entries behind a hole, a mark before the
  // hole, a truncation into the hole, and only then the rewritten entries that fill it.
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.create(2);
  h.append(2, 1, 10, 1, 300);
  h.flush_and_run();
  churn(h, 15);
  h.append(2, 11, 2, 1, 300);
  h.compact(2, 2);
  h.append(2, 5, 2, 2, 300);
  h.flush_and_run();
  for (int i = 0; i < 20; ++i) {
    churn(h, 5);
    ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
    ASSERT_EQ(h.check(), "");
  }
}

TEST(Log_Fault, FailedSync_IsFatalAndNeverRetried) {
  // trap 30
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.settle();
  const size_t number = h.append(1, 1, 1, 1);
  h.env().disk().fail_sync(1);
  h.flush_and_run();
  EXPECT_EQ(h.fatal().code(), StatusCode::kIoError);
  EXPECT_THAT(h.fatal().message(), HasSubstr(".seg"));
  EXPECT_FALSE(h.is_durable(number));
  const uint64_t operations = h.env().disk().operation_count();
  h.append(1, 2, 1, 1);
  h.flush_and_run();
  h.env().advance(10 * env::kSecond);
  EXPECT_EQ(h.env().disk().operation_count(), operations);
  h.close();
  EXPECT_EQ(h.env().disk().operation_count(), operations);
}

TEST(Log_Fault, FailedWrite_IsFatal) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.settle();
  const size_t number = h.append(1, 1, 1, 1);
  h.env().disk().fail_operation(1, env::SimFault::kShortWrite);
  h.flush_and_run();
  EXPECT_EQ(h.fatal().code(), StatusCode::kIoError);
  EXPECT_FALSE(h.is_durable(number));
}

TEST(Log_Fault, NoSpaceForTheNextSegment_WaitsAndHealsByItself) {
  // trap 36
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.settle();
  h.env().disk().set_space_limit(h.env().disk().used_bytes() + 1000);
  size_t number = 0;
  for (uint64_t i = 1; i <= 60; ++i) {
    number = h.append(1, i, 1, 1, 4000);
    h.flush_and_run();
  }
  EXPECT_TRUE(h.fatal().is_ok());
  EXPECT_FALSE(h.is_durable(number));
  EXPECT_TRUE(h.log().stats().no_space);
  EXPECT_TRUE(h.log().oldest_pending_write());
  h.env().disk().set_space_limit(std::nullopt);
  h.env().advance(3 * env::kSecond);
  EXPECT_TRUE(h.is_durable(number));
  EXPECT_FALSE(h.log().stats().no_space);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Recovery, TornTail_IsCutAndCounted) {
  // trap 32
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 3, 1);
  h.settle();
  const Model durable = h.model();
  h.append(1, 4, 20, 1, 2000);
  h.env().disk().crash_after(h.env().disk().operation_count() + 1);  // The write, not the sync.
  h.flush_and_run();
  bool torn = false;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    LogHarness other(seed);
    other.env().set_disk(h.env().disk().crash_image(env::CrashMode::kTornPage, seed));
    ASSERT_TRUE(other.open());
    torn |= other.log().stats().torn_bytes_cut > 0;
    Result<Model> read = read_model(other.log());
    ASSERT_TRUE(read);
    EXPECT_TRUE(difference(durable, *read).empty() || difference(h.model(), *read).empty());
  }
  EXPECT_TRUE(torn);
}

TEST(Log_Recovery, DamageBelowTheMark_IsRefusedWithItsPlace) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.settle();
  for (uint64_t i = 1; i <= 5; ++i) {
    h.append(1, i, 1, 1);
    h.settle();
  }
  h.close();
  ASSERT_TRUE(h.env().disk().flip_bit("/log/0000000000000001.seg", 3 * 4096 + 140, 3));
  Status status = h.open();
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_THAT(status.message(), HasSubstr("/log/0000000000000001.seg"));
  EXPECT_THAT(status.message(), HasSubstr("offset 12288"));
  EXPECT_THAT(status.message(), HasSubstr("group 1"));
  EXPECT_THAT(status.message(), HasSubstr("multiraft-log repair"));
}

TEST(Log_Recovery, MissingSegment_IsRefused) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  for (uint64_t i = 1; i <= 100; ++i) {
    h.append(1, i, 1, 1, 3000);
    h.flush_and_run();
  }
  h.close();
  ASSERT_GT(h.segment_files().size(), 3u);
  const std::string first = h.segment_files()[0];
  ASSERT_TRUE(h.env().disk().remove("/log/" + first));
  Status status = h.open();
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_THAT(status.message(), HasSubstr(first));
}

/// A log of several finished segments, closed.
void write_long_log(LogHarness& h) {
  ASSERT_TRUE(h.open());
  h.create(1);
  h.create(2);
  for (uint64_t i = 1; i <= 100; ++i) {
    h.append(1, i, 1, 1, 3000);
    h.append(2, i, 1, i / 7, 100);
    h.flush_and_run();
  }
  h.close();
  ASSERT_GT(h.segment_files().size(), 4u);
}

TEST(Log_Recovery, MissingActiveSegment_IsNotAnEmptyLog) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 5, 1);
  h.settle();
  h.close();
  // The segment in use is lost; the one prepared behind it is there.
  ASSERT_EQ(h.segment_files().size(), 2u);
  ASSERT_TRUE(h.env().disk().remove("/log/0000000000000001.seg"));
  const Status status = h.open();
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_THAT(status.message(), HasSubstr("0000000000000001.seg: this segment is missing"));
}

TEST(Log_Recovery, MissingActiveSegment_DoesNotMakeTheOlderOnesObsolete) {
  LogHarness h;
  h.options.segments_kept = 100;
  ASSERT_TRUE(h.open());
  h.create(1);
  for (uint64_t at = 1; h.log().stats().segments < 6; at += 20) {
    h.append(1, at, 20, 1, 200);
    h.settle();
  }
  h.settle();
  h.close();
  std::vector<std::string> files = h.segment_files();
  const std::string active = files[files.size() - 2];
  ASSERT_TRUE(h.env().disk().remove("/log/" + active));
  files.erase(files.end() - 2);
  const Status status = h.open();
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_THAT(status.message(), HasSubstr(active + ": this segment is missing"));
  h.env().run_until_idle();
  EXPECT_EQ(h.segment_files(), files);
}

TEST(Log_Recovery, OverwrittenConfChange_IsNotListedAfterAStartByFooters) {
  LogHarness h;
  h.options.segments_kept = 100;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.create(2);
  auto append = [&](uint64_t first, uint64_t term, raft::EntryType type) {
    const std::vector<raft::Entry> entries{
        {Term(term), LogIndex(first), raft::EntryType::kNormal, SharedBytes::copy_of("x")},
        {Term(term), LogIndex(first + 1), type, SharedBytes::copy_of("y")}};
    h.append(GroupId(1), GroupAppend{GroupId(1), {}, nullptr, entries, true});
    h.settle();
  };
  uint64_t next = 1;
  auto fill_segments = [&](uint64_t count) {
    for (const uint64_t from = h.log().stats().segments; h.log().stats().segments < from + count;
         next += 20) {
      h.append(2, next, 20, 1, 200);
      h.settle();
    }
  };
  // A leader's change that is never committed; the next leader's entries take its place in a later
  // segment, and a change of its own that of an ordinary entry.
  append(1, 1, raft::EntryType::kConfChangeV2);
  fill_segments(1);
  append(2, 2, raft::EntryType::kNormal);
  append(4, 2, raft::EntryType::kNormal);
  fill_segments(1);
  append(4, 3, raft::EntryType::kConfChange);
  fill_segments(3);
  const std::vector<LogIndex> expected{LogIndex(5)};
  EXPECT_EQ(h.group(1).conf_change_indexes(LogIndex(1), LogIndex(100)), expected);
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.group(1).conf_change_indexes(LogIndex(1), LogIndex(100)), expected);
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Recovery, OldSegments_AreOpenedByTheirFooters) {
  LogHarness h;
  write_long_log(h);
  const uint64_t before = CoverageMark::hits_of("log.opened_by_footer");
  ASSERT_TRUE(h.open());  // Compares with a full scan.
  EXPECT_GT(CoverageMark::hits_of("log.opened_by_footer"), before + 2);
  EXPECT_EQ(h.check(), "");
  h.env().run_until_idle();
  EXPECT_TRUE(h.fatal().is_ok());
}

TEST(Log_Recovery, DamagedFooter_MeansReadingTheSegmentInFull) {
  LogHarness h;
  write_long_log(h);
  const std::string path = "/log/" + h.segment_files()[1];
  ASSERT_TRUE(h.env().disk().flip_bit(path, h.options.segment_bytes - kBlock + 9, 2));
  ASSERT_TRUE(h.open());
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Recovery, DamageThatAFooterHides_IsFoundInTheBackground) {
  LogHarness h;
  write_long_log(h);
  const std::string path = "/log/" + h.segment_files()[1];
  ASSERT_TRUE(h.env().disk().flip_bit(path, 3 * kBlock + 200, 2));
  ASSERT_TRUE(h.open_unchecked());
  EXPECT_TRUE(h.fatal().is_ok());
  h.env().advance(10 * env::kSecond);
  EXPECT_EQ(h.fatal().code(), StatusCode::kCorruption);
  EXPECT_THAT(h.fatal().message(), HasSubstr(path));
  EXPECT_THAT(h.fatal().message(), HasSubstr("group "));
}

TEST(Log_Read, DamageInAnOldEntry_IsReported) {
  LogHarness h;
  h.options.cache_bytes = 0;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 5, 1, 200);
  h.settle();
  ASSERT_TRUE(h.env().disk().flip_bit("/log/0000000000000001.seg", 4096 + 600, 0));
  auto read = h.read(1, 1, 6);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.status().code(), StatusCode::kCorruption);
  EXPECT_THAT(read.status().message(), HasSubstr("group 1"));
  EXPECT_EQ(h.fatal(), read.status()) << "whoever reads cannot do more than try again";
}

TEST(Log_Read, FailedReadOfAnOldEntry_IsFatalWithItsPlace) {
  LogHarness h;
  h.options.cache_bytes = 0;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 5, 1, 200);
  h.settle();
  h.env().disk().fail_read(1);
  auto read = h.read(1, 1, 6);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.status().code(), StatusCode::kIoError);
  EXPECT_THAT(std::string(read.status().message()),
              AllOf(HasSubstr("0000000000000001.seg"), HasSubstr("offset"), HasSubstr("group 1")));
  EXPECT_EQ(h.fatal(), read.status());
}

TEST(Log_Close, WritesWhatIsStagedAndCallsNobody) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const size_t number = h.append(1, 1, 10, 1);
  h.log().close();
  h.env().run_until_idle();
  EXPECT_FALSE(h.is_durable(number));
  ASSERT_TRUE(h.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Recovery, LeftoversBehindACutTail_NeverComeBack) {
  // trap 33: the tail was cut, then the very same record is written again in its place. What lay
  // behind it must not be taken for its continuation.
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 3, 1);
  h.flush_and_run();
  const raft::HardState committed{Term(1), ReplicaId(1), LogIndex(3)};
  const uint64_t unsynced_at = h.log().stats().bytes_written + kBlock;
  h.save_state(1, committed, false);
  h.settle();
  ASSERT_EQ(h.log().stats().bytes_written, unsynced_at);
  const Model cut = [&] {
    Model model = h.model();
    model[1].hard_state = {};
    return model;
  }();
  const Model again = h.model();
  h.save_state(1, {Term(9), ReplicaId(3), LogIndex(3)});
  h.env().disk().crash_after(h.env().disk().operation_count() + 1);  // The write, not the sync.
  h.flush_and_run();
  auto image = h.env().disk().crash_image(env::CrashMode::kKeepAll, 1);
  ASSERT_TRUE(image->overwrite("/log/0000000000000001.seg", unsynced_at, std::string(kBlock, 0)));

  LogHarness second(2);
  second.env().set_disk(std::move(image));
  ASSERT_TRUE(second.open());
  second.model() = cut;
  ASSERT_EQ(second.check(), "");
  second.save_state(1, committed, false);
  second.settle();
  ASSERT_TRUE(second.crash_and_open(env::CrashMode::kKeepAll));
  second.model() = again;
  EXPECT_EQ(second.check(), "");
}

TEST(Log_Memory, IdleGroup_CostsLessThanAKibibyte) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  for (uint64_t g = 1; g <= 10; ++g) {
    h.create(g, g, snapshot_at(1000, 5));
    h.append(g, 1001, 2, 5, 0);
  }
  h.settle();
  EXPECT_EQ(h.check(), "");
}

}  // namespace
}  // namespace multiraft::log
