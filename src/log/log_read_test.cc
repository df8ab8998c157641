// Old entries and the oldest segment are read by other threads: the log's owner goes on while a
// disk is slow or hangs, and what changes meanwhile is never mixed up with what was read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

using ::testing::HasSubstr;

/// A log that caches nothing, whose threads that read can be held up.
class LogReadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    h_.options.cache_bytes = 0;
    open();
  }
  void open() {
    ASSERT_TRUE(h_.open());
    listen();
  }
  void listen() {
    h_.log().notify_when_read([this](GroupId group) { ready_.push_back(group.value); });
  }
  void hang(bool hangs) {
    for (const char* thread : {"log-read-0", "log-read-1", "log-read-2"}) {
      h_.env().set_paused(thread, hangs);
    }
  }
  StatusCode ask(uint64_t group, uint64_t low, uint64_t high) {
    auto read = h_.group(group).entries(LogIndex(low), LogIndex(high), SIZE_MAX);
    return read ? StatusCode::kOk : read.status().code();
  }
  void expect_entries(uint64_t group, uint64_t low, uint64_t high, uint64_t term) {
    auto read = h_.group(group).entries(LogIndex(low), LogIndex(high), SIZE_MAX);
    ASSERT_TRUE(read) << read.status().to_string();
    EXPECT_EQ(*read, make_entries(low, high - low, term));
  }
  /// Traffic of group 1, most of which is cut from the log at once.
  void write_hot(uint64_t batches) {
    for (; batches > 0; --batches) {
      const uint64_t at = h_.group(1).last_index().value + 1;
      h_.append(1, at, 20, 1, 200);
      h_.settle();
      if (at > 20) h_.compact(1, at - 1);
    }
  }

  LogHarness h_;
  std::vector<uint64_t> ready_;
};

TEST_F(LogReadTest, OldEntries_AreReadByAnotherThread_AndTheGroupIsNotified) {
  h_.create(1);
  h_.append(1, 1, 5, 1);
  h_.settle();
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable) << "asking again changes nothing";
  h_.env().run_until_idle();
  EXPECT_EQ(ready_, std::vector<uint64_t>{1}) << "and is read once";
  EXPECT_GT(h_.log().stats().read_bytes, 0u);
  expect_entries(1, 1, 6, 1);
  EXPECT_EQ(h_.log().stats().read_bytes, 0u) << "what was fetched is not kept";
}

TEST_F(LogReadTest, WindowThatIsFetchedInParts_IsReadOnce) {
  h_.create(1);
  h_.append(1, 1, 6, 1);
  h_.settle();
  EXPECT_EQ(ask(1, 1, 7), StatusCode::kUnavailable);
  h_.env().run_until_idle();
  expect_entries(1, 1, 3, 1);
  expect_entries(1, 3, 5, 1);
  expect_entries(1, 5, 7, 1);
  EXPECT_EQ(h_.log().stats().cache_misses, 6u);
}

TEST_F(LogReadTest, DiskThatHangs_HoldsUpNobodyElse) {
  for (uint64_t g = 1; g <= 2; ++g) {
    h_.create(g);
    h_.append(g, 1, 5, 1);
  }
  h_.settle();
  hang(true);
  const auto before = h_.env().clock().now();
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  EXPECT_EQ(h_.log().oldest_pending_read(), before);
  h_.env().advance(10 * env::kSecond);
  // The other group writes, and so does this one.
  h_.append(2, 6, 3, 1);
  const size_t last = h_.append(1, 6, 3, 1);
  h_.flush_and_run();
  EXPECT_TRUE(h_.is_durable(last));
  EXPECT_EQ(h_.log().oldest_pending_read(), before) << "whoever watches the disk can tell";
  EXPECT_TRUE(ready_.empty());
  hang(false);
  h_.env().run_until_idle();
  EXPECT_EQ(h_.log().oldest_pending_read(), std::nullopt);
  expect_entries(1, 1, 6, 1);
}

TEST_F(LogReadTest, TailThatIsReplacedWhileItIsRead_IsReadAgain) {
  h_.create(1);
  h_.append(1, 1, 5, 1);
  h_.settle();
  hang(true);
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  h_.append(1, 3, 3, 2);
  h_.flush_and_run();
  hang(false);
  h_.env().run_until_idle();
  EXPECT_EQ(ready_, std::vector<uint64_t>{1});
  EXPECT_EQ(h_.log().stats().read_bytes, 0u) << "what was read does not count any more";
  auto read = h_.read(1, 3, 6);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, make_entries(3, 3, 2));
  EXPECT_EQ(h_.check(), "");
}

TEST_F(LogReadTest, TailThatIsReplacedAfterItWasRead_IsReadAgain) {
  h_.create(1);
  h_.append(1, 1, 5, 1);
  h_.settle();
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  h_.env().run_until_idle();
  h_.append(1, 3, 3, 2);
  h_.settle();
  EXPECT_EQ(ask(1, 4, 6), StatusCode::kUnavailable);
  EXPECT_EQ(*h_.read(1, 4, 6), make_entries(4, 2, 2));
}

TEST_F(LogReadTest, GroupThatIsRemovedAndComesBackWhileItIsRead_GetsItsOwnEntries) {
  h_.create(1);
  h_.append(1, 1, 5, 1);
  h_.settle();
  hang(true);
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  h_.remove(1);
  h_.create(1, 2);
  h_.append(1, 1, 5, 7);
  h_.flush_and_run();
  hang(false);
  h_.env().run_until_idle();
  EXPECT_EQ(*h_.read(1, 1, 6), make_entries(1, 5, 7));
  h_.remove(1);
  h_.settle();
  EXPECT_EQ(h_.check(), "");
}

TEST_F(LogReadTest, SegmentThatIsUsedAgainWhileItIsRead_IsNoDamage) {
  h_.options.spares_max = 1;
  h_.create(1);
  h_.create(2);
  h_.append(2, 1, 5, 1, 2000);
  h_.settle();
  hang(true);
  EXPECT_EQ(ask(2, 1, 6), StatusCode::kUnavailable);
  h_.compact(2, 5);
  for (int i = 0; i < 20; ++i) write_hot(20);
  EXPECT_GT(h_.log().stats().segments_recycled, 3u);
  hang(false);
  h_.env().run_until_idle();
  EXPECT_TRUE(h_.fatal()) << h_.fatal().to_string();
  EXPECT_EQ(h_.check(), "");
}

TEST_F(LogReadTest, Damage_EndsTheLogWhenItIsFound) {
  h_.create(1);
  h_.append(1, 1, 5, 1, 200);
  h_.settle();
  ASSERT_TRUE(h_.env().disk().flip_bit("/log/0000000000000001.seg", 4096 + 600, 0));
  EXPECT_EQ(ask(1, 1, 6), StatusCode::kUnavailable);
  EXPECT_TRUE(h_.fatal());
  h_.env().run_until_idle();
  EXPECT_EQ(h_.fatal().code(), StatusCode::kCorruption);
  EXPECT_THAT(h_.fatal().message(), HasSubstr("of group 1"));
  EXPECT_TRUE(ready_.empty()) << "there is nothing to ask for";
}

TEST_F(LogReadTest, EntriesThatNobodyFetches_TakeABoundedAmountOfMemory) {
  h_.options.segment_bytes = 4 << 20;
  h_.close();
  open();
  for (uint64_t g = 1; g <= 30; ++g) {
    h_.create(g);
    h_.append(g, 1, 1, 1, 1 << 20);
    h_.settle();
  }
  for (uint64_t g = 1; g <= 30; ++g) EXPECT_EQ(ask(g, 1, 2), StatusCode::kUnavailable);
  h_.env().run_until_idle();
  EXPECT_EQ(ready_.size(), 30u);
  EXPECT_GT(h_.log().stats().read_bytes, 8u << 20);
  EXPECT_LE(h_.log().stats().read_bytes, 16u << 20);
  EXPECT_EQ(ask(1, 1, 2), StatusCode::kUnavailable) << "the oldest went first";
  EXPECT_EQ(ask(30, 1, 2), StatusCode::kOk);
}

TEST_F(LogReadTest, Collecting_FromADiskThatHangs_HoldsUpNobody) {
  h_.create(1);
  h_.create(2);
  h_.append(2, 1, 40, 1, 50);
  h_.settle();
  hang(true);
  for (int i = 0; i < 5; ++i) write_hot(10);
  EXPECT_EQ(h_.log().stats().entries_rewritten, 0u);
  EXPECT_EQ(h_.log().oldest_pending_read(), std::nullopt) << "nobody waits for it";
  // A part of what is being read goes meanwhile, at both ends.
  h_.compact(2, 10);
  h_.append(2, 31, 5, 2, 50);
  h_.settle();
  const uint64_t segments = h_.log().stats().segments;
  hang(false);
  write_hot(3);
  EXPECT_EQ(h_.log().stats().entries_rewritten, 20u);
  EXPECT_LT(h_.log().stats().segments, segments);
  EXPECT_TRUE(h_.fatal()) << h_.fatal().to_string();
  EXPECT_EQ(h_.check(), "");
  h_.append(2, 36, 1, 2);  // A sync, for the last compaction.
  h_.settle();
  ASSERT_TRUE(h_.crash_and_open(env::CrashMode::kKeepNone));
  EXPECT_EQ(h_.check(), "");
}

TEST_F(LogReadTest, Collecting_WhatGoesWhileItIsRead_WritesNothing) {
  h_.create(1);
  h_.create(2);
  h_.append(2, 1, 40, 1, 50);
  h_.settle();
  hang(true);
  write_hot(50);
  h_.remove(2);
  hang(false);
  write_hot(20);
  EXPECT_EQ(h_.log().stats().entries_rewritten, 0u);
  EXPECT_LT(h_.log().stats().segments, 6u);
  EXPECT_TRUE(h_.fatal()) << h_.fatal().to_string();
  EXPECT_EQ(h_.check(), "");
}

TEST_F(LogReadTest, Collecting_DamageInWhatIsNeeded_EndsTheLog) {
  h_.create(1);
  h_.create(2);
  h_.append(2, 1, 3, 1, 200);
  h_.settle();
  const auto file = h_.env().file_system().read_file("/log/0000000000000001.seg");
  ASSERT_TRUE(file);
  const size_t at = file->find("entry 2 of term 1");
  ASSERT_NE(at, std::string::npos);
  ASSERT_TRUE(h_.env().disk().flip_bit("/log/0000000000000001.seg", at, 0));
  for (int i = 0; i < 50 && h_.fatal(); ++i) write_hot(1);
  EXPECT_EQ(h_.fatal().code(), StatusCode::kCorruption);
  EXPECT_THAT(h_.fatal().message(), HasSubstr("entry 2 of group 2"));
}

}  // namespace
}  // namespace multiraft::log
