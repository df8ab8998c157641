#include "linearizability/checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/prng.h"

namespace multiraft::linearizability {
namespace {

/// Builds a history line by line; times are arguments so that a test reads like a diagram.
class Draft {
 public:
  Draft& get(Value seen, int64_t call, int64_t ret) {
    return add(OpKind::kRead, std::move(seen), call, ret);
  }
  Draft& put(Value written, int64_t call, int64_t ret) {
    return add(OpKind::kWrite, std::move(written), call, ret);
  }
  Draft& del(int64_t call, int64_t ret) { return put(std::nullopt, call, ret); }
  Draft& append(Value added, int64_t call, int64_t ret) {
    return add(OpKind::kAppend, std::move(added), call, ret);
  }
  Draft& cas(Value expected, Value written, bool swapped, int64_t call, int64_t ret) {
    add(OpKind::kCas, std::move(written), call, ret);
    last().expected = std::move(expected);
    last().swapped = swapped;
    return *this;
  }
  Draft& unknown() {
    last().outcome = Outcome::kUnknown;
    return *this;
  }
  Draft& failed() {
    last().outcome = Outcome::kFail;
    return *this;
  }
  Draft& on(std::string key) {
    last().key = std::move(key);
    return *this;
  }
  Draft& starting_with(Value initial) {
    history_.initial = std::move(initial);
    return *this;
  }

  const History& history() const { return history_; }
  Verdict verdict() const { return check(history_).verdict; }

 private:
  Draft& add(OpKind kind, Value value, int64_t call, int64_t ret) {
    Operation op;
    op.process = history_.operations.size();
    op.kind = kind;
    op.key = "k";
    op.value = std::move(value);
    op.call_ns = call;
    op.return_ns = ret;
    history_.operations.push_back(std::move(op));
    return *this;
  }
  Operation& last() { return history_.operations.back(); }

  History history_;
};

TEST(Check_NoOperations, IsLinearizable) {
  EXPECT_EQ(check(History{}).verdict, Verdict::kLinearizable);
}

TEST(Check_ReadAfterWrite_SeesIt, IsLinearizable) {
  EXPECT_EQ(Draft().put("a", 1, 2).get("a", 3, 4).verdict(), Verdict::kLinearizable);
}

TEST(Check_StaleRead, IsNotLinearizable) {
  const Draft stale = Draft().put("a", 1, 2).put("b", 3, 4).get("a", 5, 6);
  EXPECT_EQ(stale.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_ReadOfMissingKeyAfterWrite, IsNotLinearizable) {
  EXPECT_EQ(Draft().put("a", 1, 2).get(std::nullopt, 3, 4).verdict(), Verdict::kNotLinearizable);
}

TEST(Check_ReadDuringWrite, MaySeeEitherContent) {
  EXPECT_EQ(Draft().put("a", 1, 9).get(std::nullopt, 2, 3).verdict(), Verdict::kLinearizable);
  EXPECT_EQ(Draft().put("a", 1, 9).get("a", 2, 3).verdict(), Verdict::kLinearizable);
}

TEST(Check_ReadsDuringOneWrite_MustNotGoBack, IsNotLinearizable) {
  const Draft back = Draft().put("a", 1, 9).get("a", 2, 3).get(std::nullopt, 4, 5);
  EXPECT_EQ(back.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_TwoReadersDisagreeOnTheOrder, IsNotLinearizable) {
  const Draft split =
      Draft().put("a", 1, 20).put("b", 1, 20).get("a", 2, 3).get("b", 4, 5).get("a", 6, 7);
  EXPECT_EQ(split.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_LostUpdate, IsNotLinearizable) {
  // Both swapped from the same content: one of them overwrote the other.
  const Draft lost = Draft().put("0", 1, 2).cas("0", "1", true, 3, 9).cas("0", "2", true, 4, 8);
  EXPECT_EQ(lost.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_LostAcknowledgedWrite, IsNotLinearizable) {
  const Draft lost = Draft().put("a", 1, 2).put("b", 3, 4).get("a", 5, 6).get("a", 7, 8);
  EXPECT_EQ(lost.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_TouchingOperations_CountAsConcurrent, IsLinearizable) {
  EXPECT_EQ(Draft().put("a", 1, 2).get(std::nullopt, 2, 3).verdict(), Verdict::kLinearizable);
}

TEST(Check_UnknownWrite_MayNeverHappen, IsLinearizable) {
  const Draft never = Draft().put("a", 1, 2).put("b", 3, 4).unknown().get("a", 5, 6).get("a", 7, 8);
  EXPECT_EQ(never.verdict(), Verdict::kLinearizable);
}

TEST(Check_UnknownWrite_MayTakeEffectLate, IsLinearizable) {
  const Draft late =
      Draft().put("a", 1, 2).put("b", 3, 4).unknown().get("a", 5, 6).put("c", 7, 8).get("b", 9, 10);
  EXPECT_EQ(late.verdict(), Verdict::kLinearizable);
}

TEST(Check_UnknownWrite_TakesEffectOnlyOnce, IsNotLinearizable) {
  const Draft twice =
      Draft().put("b", 1, 2).unknown().get("b", 3, 4).put("c", 5, 6).get("c", 7, 8).get("b", 9, 10);
  EXPECT_EQ(twice.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_UnknownWrite_NotBeforeItsCall, IsNotLinearizable) {
  EXPECT_EQ(Draft().get("b", 1, 2).put("b", 3, 4).unknown().verdict(), Verdict::kNotLinearizable);
}

TEST(Check_TwoEqualUnknownWrites_MayBothTakeEffect, IsLinearizable) {
  const Draft both =
      Draft().put("b", 1, 2).unknown().put("b", 1, 2).unknown().get("b", 3, 4).put("c", 5, 6).get(
          "b", 7, 8);
  EXPECT_EQ(both.verdict(), Verdict::kLinearizable);
  const Draft thrice = Draft(both).put("c", 9, 10).get("b", 11, 12);
  EXPECT_EQ(thrice.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_UnknownDelete_ExplainsAbsence, IsLinearizable) {
  const Draft gone = Draft().put("a", 1, 2).del(3, 4).unknown().get("a", 5, 6);
  EXPECT_EQ(Draft(gone).get(std::nullopt, 7, 8).verdict(), Verdict::kLinearizable);
}

TEST(Check_FailedWrite_MustNotBeSeen, IsNotLinearizable) {
  const Draft seen = Draft().put("a", 1, 2).put("b", 3, 4).failed().get("b", 5, 6);
  EXPECT_EQ(seen.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_UnknownRead_ConstrainsNothing, IsLinearizable) {
  EXPECT_EQ(Draft().put("a", 1, 2).get("z", 3, 4).unknown().verdict(), Verdict::kLinearizable);
}

TEST(Check_CasThatFoundAnotherContent_NeedsOne, IsNotLinearizable) {
  EXPECT_EQ(Draft().put("a", 1, 2).cas("a", "b", false, 3, 4).verdict(), Verdict::kNotLinearizable);
  EXPECT_EQ(Draft().put("a", 1, 2).cas("z", "b", false, 3, 4).verdict(), Verdict::kLinearizable);
}

TEST(Check_CasThatFoundAnotherContent_MayBeExplainedByAnUnknownWrite, IsLinearizable) {
  // Nothing else mentions "b"; it still has to be tried.
  const Draft hidden = Draft().put("a", 1, 2).put("b", 3, 4).unknown();
  EXPECT_EQ(Draft(hidden).cas("a", "c", false, 5, 6).verdict(), Verdict::kLinearizable);
}

TEST(Check_UnknownCas_OnlySwapsFromWhatItExpects, IsNotLinearizable) {
  const Draft swapped = Draft().put("a", 1, 2).cas("z", "b", true, 3, 4).unknown();
  EXPECT_EQ(Draft(swapped).get("b", 5, 6).verdict(), Verdict::kNotLinearizable);
  EXPECT_EQ(Draft(swapped).get("a", 5, 6).verdict(), Verdict::kLinearizable);
}

TEST(Check_Appends_AreSeenInOneOrder, IsDecided) {
  const Draft appends = Draft().append("x", 1, 9).append("y", 1, 9);
  EXPECT_EQ(Draft(appends).get("xy", 10, 11).get("xy", 12, 13).verdict(), Verdict::kLinearizable);
  EXPECT_EQ(Draft(appends).get("xy", 10, 11).get("yx", 12, 13).verdict(),
            Verdict::kNotLinearizable);
  EXPECT_EQ(Draft(appends).get("x", 10, 11).verdict(), Verdict::kNotLinearizable);
}

TEST(Check_InitialContent_IsWhatReadsFindFirst, IsDecided) {
  EXPECT_EQ(Draft().starting_with("").get("", 1, 2).verdict(), Verdict::kLinearizable);
  EXPECT_EQ(Draft().starting_with("").get(std::nullopt, 1, 2).verdict(), Verdict::kNotLinearizable);
}

TEST(Check_Keys_AreIndependent, NamesTheKeyAtFault) {
  const Draft two = Draft()
                        .put("a", 1, 2)
                        .on("good")
                        .put("b", 3, 4)
                        .on("bad")
                        .get("a", 5, 6)
                        .on("good")
                        .get("a", 7, 8)
                        .on("bad");
  const CheckResult result = check(two.history());
  EXPECT_EQ(result.verdict, Verdict::kNotLinearizable);
  EXPECT_EQ(result.key, "bad");
  EXPECT_NE(result.explanation.find("process 3: get \"bad\" = \"a\" [7, 8] ok"), std::string::npos)
      << result.explanation;
}

TEST(Check_BudgetUsedUp, IsUndecided) {
  Draft hard;
  for (int i = 0; i < 12; ++i) hard.put(std::to_string(i), 1, 100);
  for (int i = 0; i < 12; ++i) hard.get(std::to_string(i), 2, 100);
  hard.get("nobody wrote this", 101, 102);
  EXPECT_EQ(check(hard.history(), {.configurations_max = 5}).verdict, Verdict::kUndecided);
  EXPECT_EQ(hard.verdict(), Verdict::kNotLinearizable);
}

TEST(Check_ManyUnobservedUnknownWrites, StaysCheap) {
  // A client that times out a lot leaves writes that nothing ever refutes; each would double the
  // search if it were tried.
  Draft draft;
  for (int64_t i = 0; i < 200; ++i) {
    draft.put("lost " + std::to_string(i), 10 * i, 0).unknown();
    draft.put(std::to_string(i), 10 * i + 1, 10 * i + 2)
        .get(std::to_string(i), 10 * i + 3, 10 * i + 4);
  }
  const CheckResult result = check(draft.history());
  EXPECT_EQ(result.verdict, Verdict::kLinearizable);
  EXPECT_LT(result.configurations, 1000U);
}

TEST(Check_LongSequentialHistory_IsLinear, StaysCheap) {
  Draft draft;
  for (int64_t i = 0; i < 20'000; ++i) {
    draft.put(std::to_string(i), 10 * i, 10 * i + 1).get(std::to_string(i), 10 * i + 2, 10 * i + 3);
  }
  const CheckResult result = check(draft.history());
  EXPECT_EQ(result.verdict, Verdict::kLinearizable);
  EXPECT_EQ(result.configurations, 20'000U);
}

// --- Against the definition itself ------------------------------------------------------------

/// Tries every order of every subset of the operations of unknown outcome.
class BruteForce {
 public:
  explicit BruteForce(const History& history) : initial_(history.initial) {
    for (const Operation& op : history.operations) {
      if (op.outcome != Outcome::kFail) ops_.push_back(&op);
    }
    used_.resize(ops_.size());
  }
  bool is_linearizable() { return search(initial_); }

 private:
  bool search(const Value& content) {
    bool finished = true;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (!used_[i] && ops_[i]->outcome == Outcome::kOk) finished = false;
    }
    if (finished) return true;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (used_[i] || !may_be_next(i)) continue;
      Value next = content;
      if (!run(*ops_[i], next)) continue;
      used_[i] = true;
      const bool found = search(next);
      used_[i] = false;
      if (found) return true;
    }
    return false;
  }
  bool may_be_next(size_t candidate) const {
    for (size_t i = 0; i < ops_.size(); ++i) {
      const bool returned = ops_[i]->outcome == Outcome::kOk;
      if (!used_[i] && returned && ops_[i]->return_ns < ops_[candidate]->call_ns) return false;
    }
    return true;
  }
  static bool run(const Operation& op, Value& content) {
    const bool known = op.outcome == Outcome::kOk;
    switch (op.kind) {
      case OpKind::kRead:
        return !known || op.value == content;
      case OpKind::kWrite:
        content = op.value;
        return true;
      case OpKind::kAppend:
        content = content.value_or("") + op.value.value_or("");
        return true;
      case OpKind::kCas: {
        const bool matches = content == op.expected;
        if (known && matches != op.swapped) return false;
        if (matches) content = op.value;
        return true;
      }
    }
    return false;
  }

  Value initial_;
  std::vector<const Operation*> ops_;
  std::vector<bool> used_;
};

Operation random_operation(Prng& prng, bool with_appends) {
  static const std::vector<Value> kValues = {std::nullopt, "a", "b", "ab", "aa"};
  const auto any_value = [&prng] { return kValues[prng.below(kValues.size())]; };
  Operation op;
  op.kind = static_cast<OpKind>(prng.below(with_appends ? 4 : 3));
  op.key = "k";
  op.value = any_value();
  if (op.kind == OpKind::kAppend) op.value = prng.chance(0.5) ? "a" : "b";
  op.expected = any_value();
  op.swapped = prng.chance(0.5);
  op.call_ns = static_cast<int64_t>(prng.below(12));
  op.return_ns = op.call_ns + static_cast<int64_t>(prng.below(6));
  op.outcome = prng.chance(0.75) ? Outcome::kOk : Outcome::kUnknown;
  return op;
}

TEST(Check_RandomSmallHistories, AgreesWithTheDefinition) {
  int linearizable = 0;
  constexpr int kHistories = 20'000;
  for (uint64_t seed = 1; seed <= kHistories; ++seed) {
    Prng prng(seed);
    History history;
    if (prng.chance(0.3)) history.initial = "";
    const bool with_appends = prng.chance(0.5);
    const uint64_t count = prng.between(2, 6);
    for (uint64_t i = 0; i < count; ++i) {
      history.operations.push_back(random_operation(prng, with_appends));
    }
    const bool wanted = BruteForce(history).is_linearizable();
    linearizable += wanted ? 1 : 0;
    const Verdict verdict = check(history).verdict;
    std::string text;
    for (const Operation& op : history.operations) text += op.to_string() + "\n";
    ASSERT_EQ(verdict, wanted ? Verdict::kLinearizable : Verdict::kNotLinearizable)
        << "seed " << seed << "\n"
        << text;
  }
  // The comparison is worth something only while both verdicts are common.
  EXPECT_GT(linearizable, kHistories / 10);
  EXPECT_LT(linearizable, kHistories * 9 / 10);
}

}  // namespace
}  // namespace multiraft::linearizability
