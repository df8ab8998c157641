#include "raft/unstable.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace multiraft::raft {
namespace {

std::vector<Entry> entries(uint64_t from, std::vector<uint64_t> terms) {
  std::vector<Entry> out;
  for (uint64_t term : terms) out.push_back({Term(term), LogIndex(from++), EntryType::kNormal, {}});
  return out;
}

TEST(Unstable, StableTo_MatchingEntry_ReleasesThePrefix) {
  Unstable tail(LogIndex(5));
  tail.truncate_and_append(entries(5, {1, 1, 1}));
  tail.accept_in_progress();
  EXPECT_EQ(tail.stable_to(LogIndex(6), Term(1)), Unstable::Stable::kDone);
  EXPECT_EQ(tail.offset(), LogIndex(7));
  EXPECT_EQ(tail.size(), 1u);
  EXPECT_TRUE(tail.next_entries().empty());
}

TEST(Unstable, StableTo_ReplacedOrMissingEntry_ChangesNothing) {
  Unstable tail(LogIndex(5));
  tail.truncate_and_append(entries(5, {1, 1}));
  tail.accept_in_progress();
  tail.truncate_and_append(entries(5, {2}));
  EXPECT_EQ(tail.stable_to(LogIndex(5), Term(1)), Unstable::Stable::kOtherTerm);
  EXPECT_EQ(tail.stable_to(LogIndex(6), Term(1)), Unstable::Stable::kMissing);
  EXPECT_EQ(tail.stable_to(LogIndex(4), Term(1)), Unstable::Stable::kMissing);
  EXPECT_EQ(tail.size(), 1u);
}

// FORMAT 5.3: in-progress bound on mid-tail truncation.
TEST(Unstable, TruncateAndAppend_InTheMiddleOfWhatIsInProgress_HandsOutTheReplacement) {
  Unstable tail(LogIndex(5));
  tail.truncate_and_append(entries(5, {1, 1, 1, 1}));
  tail.accept_in_progress();
  EXPECT_TRUE(tail.next_entries().empty());
  tail.truncate_and_append(entries(7, {2, 2}));
  EXPECT_EQ(tail.offset(), LogIndex(5));
  EXPECT_EQ(tail.offset_in_progress(), LogIndex(7));
  ASSERT_EQ(tail.next_entries().size(), 2u);
  EXPECT_EQ(tail.next_entries()[0].term, Term(2));
  EXPECT_EQ(tail.next_entries()[0].index, LogIndex(7));
}

TEST(Unstable, TruncateAndAppend_BeforeTheTail_ReplacesAllOfIt) {
  Unstable tail(LogIndex(5));
  tail.truncate_and_append(entries(5, {1, 1}));
  tail.accept_in_progress();
  tail.truncate_and_append(entries(3, {2}));
  EXPECT_EQ(tail.offset(), LogIndex(3));
  EXPECT_EQ(tail.size(), 1u);
  EXPECT_EQ(tail.next_entries().size(), 1u);
}

TEST(Unstable, Restore_DropsEntriesAndKnowsTheSnapshotsTerm) {
  Unstable tail(LogIndex(5));
  tail.truncate_and_append(entries(5, {1, 1}));
  tail.restore(std::make_shared<Snapshot>(Snapshot{LogIndex(9), Term(3), {}}));
  EXPECT_TRUE(tail.empty());
  EXPECT_TRUE(tail.has_next_snapshot());
  EXPECT_EQ(tail.term(LogIndex(9)), Term(3));
  EXPECT_EQ(tail.stable_to(LogIndex(9), Term(3)), Unstable::Stable::kIsSnapshot);
  tail.accept_in_progress();
  EXPECT_FALSE(tail.has_next_snapshot());
  tail.stable_snapshot_to(LogIndex(8));
  EXPECT_NE(tail.snapshot(), nullptr) << "another snapshot was written";
  tail.stable_snapshot_to(LogIndex(9));
  EXPECT_EQ(tail.snapshot(), nullptr);
}

/// Appends, truncations and confirmations in any order, against a map.
RC_GTEST_PROP(Unstable, AnySequence_HoldsWhatAMapHolds, ()) {
  Unstable tail(LogIndex(1));
  std::map<uint64_t, uint64_t> model;  // index -> term
  uint64_t offset = 1;
  uint64_t in_progress = 1;
  uint64_t term = 1;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 5), rc::gen::inRange(0, 8)));
  for (const auto& [kind, amount] : steps) {
    const uint64_t end = offset + model.size();
    const auto n = static_cast<uint64_t>(amount);
    if (kind <= 1) {  // Append, or truncate where it goes back.
      const uint64_t from = kind == 0 ? end : (end > n + 1 ? end - n : 1);
      if (kind == 1) ++term;
      std::vector<uint64_t> terms(n + 1, term);
      tail.truncate_and_append(entries(from, terms));
      if (from <= offset) {
        model.clear();
        offset = in_progress = from;
      } else {
        model.erase(model.lower_bound(from), model.end());
        in_progress = std::min(in_progress, from);
      }
      for (uint64_t i = 0; i <= n; ++i) model[from + i] = term;
    } else if (kind == 2) {
      tail.accept_in_progress();
      if (!model.empty()) in_progress = offset + model.size();
    } else if (kind == 3 && !model.empty()) {
      const uint64_t to = offset + n % model.size();
      RC_ASSERT(tail.stable_to(LogIndex(to), Term(model[to])) == Unstable::Stable::kDone);
      model.erase(model.begin(), model.upper_bound(to));
      offset = to + 1;
      in_progress = std::max(in_progress, offset);
    } else {
      tail.shrink();
    }
    RC_ASSERT(tail.offset() == LogIndex(offset));
    RC_ASSERT(tail.size() == model.size());
    RC_ASSERT(tail.offset_in_progress() == LogIndex(in_progress));
    RC_ASSERT(tail.next_entries().size() == offset + model.size() - in_progress);
    for (const auto& [index, known] : model) RC_ASSERT(tail.term(LogIndex(index)) == Term(known));
    RC_ASSERT(!tail.term(LogIndex(offset + model.size())));
  }
}

}  // namespace
}  // namespace multiraft::raft
