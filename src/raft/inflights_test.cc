#include "raft/inflights.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <utility>
#include <vector>

namespace multiraft::raft {
namespace {

TEST(Inflights, Full_AtTheMessageLimit_UntilTheOldestIsFreed) {
  Inflights window(2, SIZE_MAX);
  window.add(LogIndex(5), 10);
  EXPECT_FALSE(window.full());
  window.add(LogIndex(7), 10);
  EXPECT_TRUE(window.full());
  window.free_up_to(LogIndex(6));
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.count(), 1u);
  EXPECT_EQ(window.bytes(), 10u);
}

TEST(Inflights, SharedWindow_CountsAllAndLeavesEachOneMessage) {
  SharedWindow shared{.bytes_max = 100};
  Inflights first(10, SIZE_MAX, &shared);
  Inflights second(10, SIZE_MAX, &shared);
  first.add(LogIndex(1), 60);
  EXPECT_FALSE(first.full());
  first.add(LogIndex(2), 60);
  EXPECT_TRUE(first.full());
  EXPECT_FALSE(second.full());  // Nothing is under way to it.
  second.add(LogIndex(1), 10);
  EXPECT_TRUE(second.full());
  EXPECT_EQ(shared.bytes, 130u);
  first.free_up_to(LogIndex(1));
  EXPECT_FALSE(second.full());
  EXPECT_EQ(shared.bytes, 70u);
  first.reset();
  EXPECT_EQ(shared.bytes, 10u);
}

TEST(Inflights, SharedWindow_ForgetsWindowsThatGo) {
  SharedWindow shared{.bytes_max = 100};
  {
    std::vector<Inflights> windows(3, Inflights(10, SIZE_MAX, &shared));
    for (Inflights& window : windows) window.add(LogIndex(1), 10);
    windows.erase(windows.begin());
    EXPECT_EQ(shared.bytes, 20u);
    const Inflights copy = windows.front();  // NOLINT(performance-unnecessary-copy-initialization)
    EXPECT_EQ(shared.bytes, 30u);
  }
  EXPECT_EQ(shared.bytes, 0u);
}

TEST(Inflights, Full_AtTheByteLimit_AfterAMessageThatOvershoots) {
  Inflights window(100, 64);
  window.add(LogIndex(1), 63);
  EXPECT_FALSE(window.full());
  window.add(LogIndex(2), 1000);
  EXPECT_TRUE(window.full());
  window.free_up_to(LogIndex(2));
  EXPECT_FALSE(window.full());
}

TEST(Inflights, Memory_OfAnUnusedOrShrunkenWindow_IsNothing) {
  Inflights window(1'000'000, SIZE_MAX);
  EXPECT_EQ(window.memory_bytes(), 0u);
  for (uint64_t i = 1; i <= 100; ++i) window.add(LogIndex(i), 1);
  window.free_up_to(LogIndex(100));
  EXPECT_GT(window.memory_bytes(), 0u);
  window.shrink();
  EXPECT_EQ(window.memory_bytes(), 0u);
  window.add(LogIndex(101), 1);
  EXPECT_EQ(window.count(), 1u);
}

RC_GTEST_PROP(Inflights, AnySequence_BehavesAsAQueue, ()) {
  const auto messages_max = *rc::gen::inRange<size_t>(1, 20);
  const auto bytes_max = *rc::gen::inRange<size_t>(1, 200);
  Inflights window(messages_max, bytes_max);
  std::deque<std::pair<uint64_t, size_t>> model;
  uint64_t last = 0;
  const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
  for (int step : steps) {
    if (step < 8) {
      if (window.full()) continue;
      last += static_cast<uint64_t>(step) + 1;
      const size_t bytes = static_cast<size_t>(step) * 7;
      window.add(LogIndex(last), bytes);
      model.emplace_back(last, bytes);
    } else if (step < 11) {
      const uint64_t to = model.empty() ? 0 : model[model.size() / 2].first;
      window.free_up_to(LogIndex(to));
      while (!model.empty() && model.front().first <= to) model.pop_front();
    } else {
      window.reset();
      model.clear();
    }
    size_t bytes = 0;
    for (const auto& [index, size] : model) bytes += size;
    RC_ASSERT(window.count() == model.size());
    RC_ASSERT(window.bytes() == bytes);
    RC_ASSERT(window.full() == (model.size() >= messages_max || bytes >= bytes_max));
  }
}

}  // namespace
}  // namespace multiraft::raft
