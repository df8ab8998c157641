// What the log keeps in memory: no more than it counts, and nothing that has changed there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

using ::testing::HasSubstr;

TEST(Log_Cache, SlicesOfALargeBuffer_LetItGo) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const SharedBytes frame = SharedBytes::copy_of(std::string(1 << 20, 'f'));
  for (uint64_t i = 1; i <= 20; ++i) {
    const std::vector<raft::Entry> entries{
        {Term(1), LogIndex(i), raft::EntryType::kNormal, frame.slice(i * 1000, 30)}};
    h.append(GroupId(1), GroupAppend{GroupId(1), {}, nullptr, entries, true});
  }
  h.settle();
  h.model().clear();  // It keeps entries as they came.
  EXPECT_GT(h.log().stats().cache_bytes, 0u);
  EXPECT_TRUE(frame.sole_owner());
}

TEST(Log_Cache, EntryThatIsMostOfItsBuffer_IsNotCopied) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  const SharedBytes frame = SharedBytes::copy_of(std::string(10'000, 'f'));
  const std::vector<raft::Entry> entries{
      {Term(1), LogIndex(1), raft::EntryType::kNormal, frame.slice(100, 9'000)}};
  h.append(GroupId(1), GroupAppend{GroupId(1), {}, nullptr, entries, true});
  auto read = h.group(1).entries(LogIndex(1), LogIndex(2), SIZE_MAX);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->front().data.data(), frame.data() + 100);
  // The whole buffer is what the entry costs.
  EXPECT_GE(h.log().stats().cache_bytes, 10'000u);
}

TEST(Log_Cache, CountedBytes_AreThoseThatTheHeapLost) {
  const auto in_use = [] { return static_cast<double>(mallinfo2().uordblks); };
  if (in_use() == 0) GTEST_SKIP() << "a sanitizer's heap does not say how much is in use";
  LogHarness h;
  h.options.segment_bytes = 1 << 20;
  ASSERT_TRUE(h.open());
  h.create(1);
  for (const size_t bytes : {10u, 28u, 100u, 1000u}) {
    const double counted_before = static_cast<double>(h.log().stats().cache_bytes);
    const LogIndex first = h.group(1).last_index() + 1;
    for (int i = 0; i < 500; ++i) {
      h.append(1, h.group(1).last_index().value + 1, 1, 1, bytes);
      h.flush_and_run();
      h.model()[1].entries.clear();
    }
    const double counted = static_cast<double>(h.log().stats().cache_bytes) - counted_before;
    const double before = in_use();
    h.compact(1, first.value + 499);
    // What compaction gives back, but for the index of the entries: 8 bytes each.
    const double freed = before - in_use() - 500 * 8;
    EXPECT_NEAR(counted / freed, 1.0, 0.3) << bytes;
  }
}

/// Flips a bit behind the back of everybody who shares the bytes.
void flip_bit(const SharedBytes& bytes) { const_cast<char*>(bytes.data())[1] ^= 4; }

TEST(Log_Stage, EntryThatChangedInMemory_EndsTheLogAndIsNeverDurable) {
  // trap 38
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 3, 1);
  h.settle();
  std::vector<raft::Entry> entries = sealed(GroupId(1), make_entries(4, 2, 1));
  flip_bit(entries[1].data);
  bool durable = false;
  h.log().stage({GroupId(1), {}, nullptr, entries, true}, [&] { durable = true; });
  EXPECT_EQ(h.fatal().code(), StatusCode::kCorruption);
  EXPECT_THAT(h.fatal().message(), HasSubstr("entry 5 of group 1 has changed in memory"));
  h.log().flush();
  h.env().run_until_idle();
  EXPECT_FALSE(durable);
  ASSERT_TRUE(h.kill_and_open());
  EXPECT_EQ(h.group(1).last_index(), LogIndex(3));
  EXPECT_EQ(h.check(), "");
}

TEST(Log_Read, CachedEntryThatChangedInMemory_IsNotHandedOut) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.append(1, 1, 5, 1);
  h.settle();
  auto read = h.group(1).entries(LogIndex(4), LogIndex(5), SIZE_MAX);
  ASSERT_TRUE(read);
  flip_bit(read->front().data);
  read = h.group(1).entries(LogIndex(1), LogIndex(6), SIZE_MAX);
  EXPECT_EQ(read.status().code(), StatusCode::kCorruption);
  EXPECT_THAT(read.status().message(), HasSubstr("entry 4 of group 1"));
  EXPECT_THAT(read.status().message(), HasSubstr("while it was cached"));
  // The copy on disk is whole.
  h.model().clear();
  ASSERT_TRUE(h.kill_and_open());
  EXPECT_TRUE(h.read(1, 1, 6));
}

TEST(Log_Collect, EntryThatChangedInTheCache_IsNotWrittenAgain) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  for (uint64_t g = 1; g <= 2; ++g) h.create(g);
  h.append(2, 1, 3, 1);
  h.settle();
  auto cold = h.group(2).entries(LogIndex(2), LogIndex(3), SIZE_MAX);
  ASSERT_TRUE(cold);
  flip_bit(cold->front().data);
  // Hot traffic and its compaction, until what the cold group has is to be moved.
  for (uint64_t at = 1; h.fatal() && at < 10'000; at += 20) {
    h.append(1, at, 20, 1, 200);
    h.settle();
    if (h.fatal() && at > 20) h.compact(1, at - 1);
  }
  EXPECT_EQ(h.fatal().code(), StatusCode::kCorruption);
  EXPECT_THAT(h.fatal().message(), HasSubstr("entry 2 of group 2"));
}

}  // namespace
}  // namespace multiraft::log
