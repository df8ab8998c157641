#include "raft/conf_algebra.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "raft/id_set.h"
#include "raft/progress.h"

namespace multiraft::raft {
namespace {

using Ids = std::set<uint64_t>;

/// The algebra again, naively: sets, and progress as (next, learner) per member.
struct Model {
  struct Member {
    uint64_t next = 0;
    bool learner = false;
    friend bool operator==(const Member&, const Member&) = default;
  };
  Ids voters, outgoing, learners, learners_next;
  bool auto_leave = false;
  std::map<uint64_t, Member> progress;

  void add_voter(uint64_t id, uint64_t last) {
    progress.try_emplace(id, Member{std::max<uint64_t>(last, 1), false});
    progress[id].learner = false;
    learners.erase(id);
    learners_next.erase(id);
    voters.insert(id);
  }
  void add_learner(uint64_t id, uint64_t last) {
    if (progress.contains(id) && progress[id].learner) return;
    progress.try_emplace(id, Member{std::max<uint64_t>(last, 1), false});
    voters.erase(id);
    learners_next.erase(id);
    if (outgoing.contains(id)) {
      learners_next.insert(id);
    } else {
      progress[id].learner = true;
      learners.insert(id);
    }
  }
  void remove(uint64_t id) {
    voters.erase(id);
    learners.erase(id);
    learners_next.erase(id);
    if (!outgoing.contains(id)) progress.erase(id);
  }
  bool apply(const std::vector<ConfChangeSingle>& ops, uint64_t last) {
    for (const ConfChangeSingle& op : ops) {
      const uint64_t id = op.replica.value;
      if (id == 0) continue;
      if (op.op == ConfChangeOp::kAddVoter) add_voter(id, last);
      if (op.op == ConfChangeOp::kAddLearner) add_learner(id, last);
      if (op.op == ConfChangeOp::kRemove) remove(id);
    }
    return !voters.empty();
  }
  bool simple(const std::vector<ConfChangeSingle>& ops, uint64_t last) {
    if (!outgoing.empty()) return false;
    const Ids before = voters;
    if (!apply(ops, last)) return false;
    size_t changed = 0;
    for (uint64_t id = 0; id < 10; ++id) changed += before.contains(id) != voters.contains(id);
    return changed <= 1;
  }
  bool enter(bool leave, const std::vector<ConfChangeSingle>& ops, uint64_t last) {
    if (!outgoing.empty() || voters.empty()) return false;
    outgoing = voters;
    auto_leave = leave;
    return apply(ops, last);
  }
  bool leave() {
    if (outgoing.empty()) return false;
    for (uint64_t id : learners_next) {
      learners.insert(id);
      progress[id].learner = true;
    }
    learners_next.clear();
    for (uint64_t id : outgoing) {
      if (!voters.contains(id) && !learners.contains(id)) progress.erase(id);
    }
    outgoing.clear();
    auto_leave = false;
    return true;
  }
  ConfState conf() const {
    const auto ids = [](const Ids& set) {
      std::vector<ReplicaId> out;
      for (uint64_t id : set) out.emplace_back(id);
      return out;
    };
    return {ids(voters), ids(outgoing), ids(learners), ids(learners_next), auto_leave};
  }
};

std::vector<ConfChangeSingle> any_ops() {
  std::vector<ConfChangeSingle> ops(*rc::gen::resize(100, rc::gen::inRange<size_t>(0, 5)));
  for (ConfChangeSingle& op : ops) {
    op = {static_cast<ConfChangeOp>(*rc::gen::inRange(0, 4)),
          ReplicaId(*rc::gen::resize(100, rc::gen::inRange<uint64_t>(0, 7)))};
  }
  return ops;
}

RC_GTEST_PROP(ConfAlgebra, AnySequenceOfChanges_AgreesWithTheModel, ()) {
  Model model;
  ConfState conf;
  ProgressList list;
  const Config config;
  const auto steps = *rc::gen::resize(100, rc::gen::inRange(1, 100));
  for (int step = 0; step < steps; ++step) {
    const auto last = static_cast<uint64_t>(step);
    const auto ops = any_ops();
    Model next = model;
    Result<ConfOutcome> outcome = Status(StatusCode::kInternal, "");
    bool allowed = false;
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
      case 1: {
        const std::vector<ConfChangeSingle> one(ops.begin(), ops.begin() + (ops.empty() ? 0 : 1));
        outcome = apply_simple(conf, one);
        allowed = next.simple(one, last);
        break;
      }
      case 2: {
        const bool leave = *rc::gen::arbitrary<bool>();
        outcome = enter_joint(conf, leave, ops);
        allowed = next.enter(leave, ops, last);
        break;
      }
      default:
        outcome = leave_joint(conf);
        allowed = next.leave();
    }
    RC_ASSERT(outcome.is_ok() == allowed);
    if (!allowed) continue;
    model = next;
    conf = outcome->conf;
    follow(list, *outcome, LogIndex(last), config);
    RC_ASSERT(conf == model.conf());
    RC_ASSERT(check_conf_state(conf).is_ok());
    std::map<uint64_t, Model::Member> progress;
    for (const Progress& p : list) progress[p.id.value] = {p.next.value, p.learner};
    RC_ASSERT(progress == model.progress);
    RC_ASSERT(std::is_sorted(list.begin(), list.end(),
                             [](const Progress& a, const Progress& b) { return a.id < b.id; }));
  }
}

/// Thesis 4.3: at every moment of a change the quorums before and after it intersect.
RC_GTEST_PROP(ConfAlgebra, EveryStepOfAChange_KeepsQuorumsIntersecting, ()) {
  const auto outcome =
      enter_joint({{ReplicaId(1), ReplicaId(2), ReplicaId(3)}, {}, {}, {}, false}, true, any_ops());
  if (!outcome.is_ok()) return;
  const auto is_quorum = [](const ConfState& conf, uint64_t set) {
    const auto majority = [&](const std::vector<ReplicaId>& voters) {
      size_t in = 0;
      for (ReplicaId id : voters) in += (set >> id.value) & 1;
      return voters.empty() || 2 * in > voters.size();
    };
    return majority(conf.voters) && majority(conf.voters_outgoing);
  };
  const ConfState before{{ReplicaId(1), ReplicaId(2), ReplicaId(3)}, {}, {}, {}, false};
  const ConfState& joint = outcome->conf;
  const ConfState after = leave_joint(joint)->conf;
  for (uint64_t a = 0; a < 256; a += 2) {
    for (uint64_t b = 0; b < 256; b += 2) {
      if ((a & b) != 0) continue;
      RC_ASSERT(!(is_quorum(before, a) && is_quorum(joint, b)));
      RC_ASSERT(!(is_quorum(joint, a) && is_quorum(after, b)));
    }
  }
}

ConfState conf_with(std::vector<uint64_t> voters, std::vector<uint64_t> outgoing,
                    std::vector<uint64_t> learners, std::vector<uint64_t> next, bool leave) {
  const auto ids = [](const std::vector<uint64_t>& values) {
    std::vector<ReplicaId> out;
    for (uint64_t value : values) out.emplace_back(value);
    return out;
  };
  return {ids(voters), ids(outgoing), ids(learners), ids(next), leave};
}

TEST(ConfAlgebra, CheckConfState_ImpossibleConfigurations_AreCorruption) {
  EXPECT_TRUE(check_conf_state({}).is_ok());
  EXPECT_TRUE(check_conf_state(conf_with({1, 2}, {2, 3}, {4}, {3}, true)).is_ok());
  for (const ConfState& bad :
       {conf_with({2, 1}, {}, {}, {}, false), conf_with({1, 1}, {}, {}, {}, false),
        conf_with({0}, {}, {}, {}, false), conf_with({}, {1}, {}, {}, false),
        conf_with({}, {}, {1}, {}, false), conf_with({1}, {}, {1}, {}, false),
        conf_with({1}, {2}, {2}, {}, false), conf_with({1}, {}, {}, {}, true),
        conf_with({1}, {}, {}, {2}, false), conf_with({1}, {2}, {}, {3}, false),
        conf_with({1, 2}, {2}, {}, {2}, false)}) {
    EXPECT_EQ(check_conf_state(bad).code(), StatusCode::kCorruption);
  }
}

// Majorities of configurations that differ in two voters need not intersect (thesis 4.1): {1, 2} of
// {1, 2, 3} and {3, 4} of {3, 4, 5} elect two leaders of one term.
TEST(ConfAlgebra, SimpleChange_OfTwoVoters_IsRefused) {
  const ConfState start = conf_with({1, 2, 3}, {}, {}, {}, false);
  const std::vector<ConfChangeSingle> two = {{ConfChangeOp::kAddVoter, ReplicaId(4)},
                                             {ConfChangeOp::kAddVoter, ReplicaId(5)}};
  EXPECT_EQ(apply_simple(start, two).status().code(), StatusCode::kConflict);
  EXPECT_TRUE(apply_simple(start, std::span(two).first(1)).is_ok());
}

TEST(ConfAlgebra, NextConfState_ChoosesTheTransition) {
  const ConfState start = conf_with({1, 2, 3}, {}, {}, {}, false);
  ConfChange change;
  change.changes = {{ConfChangeOp::kAddVoter, ReplicaId(4)}};
  EXPECT_EQ(*next_conf_state(start, change), conf_with({1, 2, 3, 4}, {}, {}, {}, false));
  change.transition = ConfChangeTransition::kJointExplicit;
  EXPECT_EQ(*next_conf_state(start, change), conf_with({1, 2, 3, 4}, {1, 2, 3}, {}, {}, false));
  change.transition = ConfChangeTransition::kJointImplicit;
  const ConfState joint = conf_with({1, 2, 3, 4}, {1, 2, 3}, {}, {}, true);
  EXPECT_EQ(*next_conf_state(start, change), joint);
  EXPECT_EQ(*next_conf_state(joint, ConfChange{}), conf_with({1, 2, 3, 4}, {}, {}, {}, false));
  EXPECT_EQ(next_conf_state(start, ConfChange{}).status().code(), StatusCode::kConflict);
}

}  // namespace
}  // namespace multiraft::raft
