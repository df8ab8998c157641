#include "cluster/plan.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/prng.h"
#include "raft/conf_change.h"

namespace multiraft::cluster {
namespace {

constexpr LogIndex kLast{10'000};

ReplicaId r(uint32_t n) { return ReplicaId::make(NodeId(n), n); }
std::vector<ReplicaId> rs(std::initializer_list<uint32_t> ns) {
  std::vector<ReplicaId> out;
  for (uint32_t n : ns) out.push_back(r(n));
  return out;
}
registry::MemberRecord voter(uint32_t n) { return {r(n), true, false, true}; }
registry::MemberRecord newcomer(uint32_t n) { return {r(n), true, false, false}; }
registry::MemberRecord learner(uint32_t n) { return {r(n), false, false, true}; }
registry::MemberRecord leaving(uint32_t n) { return {r(n), true, true, true}; }

/// A group as its leader sees it: all members live and caught up, unless said otherwise.
class View {
 public:
  View(uint32_t leader, std::initializer_list<uint32_t> voters,
       std::initializer_list<uint32_t> learners = {}) {
    facts_.leader = r(leader);
    facts_.conf.voters = rs(voters);
    facts_.conf.learners = rs(learners);
    facts_.last_index = kLast;
    for (ReplicaId id : facts_.conf.voters) add(id);
    for (ReplicaId id : facts_.conf.learners) add(id);
  }
  View& dead(uint32_t n) {
    of(n).recent_active = false;
    return *this;
  }
  View& behind(uint32_t n) {
    of(n).match_index = LogIndex(1);
    return *this;
  }
  View& probing(uint32_t n) {
    of(n).state = raft::ProgressState::kProbe;
    return *this;
  }
  View& member(ReplicaId id, bool live) {
    facts_.conf.learners.push_back(id);
    add(id);
    progress_.back().recent_active = live;
    return *this;
  }
  View& joint() {
    facts_.conf.voters_outgoing = facts_.conf.voters;
    return *this;
  }
  /// Only these nodes answered when they were asked.
  View& answered(std::initializer_list<uint32_t> nodes) {
    facts_.answered.emplace();
    for (uint32_t n : nodes) facts_.answered->push_back(NodeId(n));
    return *this;
  }
  Step next(const std::vector<registry::MemberRecord>& wanted) {
    facts_.members = progress_;
    return next_step(wanted, facts_);
  }

 private:
  void add(ReplicaId id) {
    raft::MemberProgress p;
    p.id = id;
    p.match_index = kLast;
    p.state = raft::ProgressState::kReplicate;
    p.recent_active = true;
    progress_.push_back(p);
  }
  raft::MemberProgress& of(uint32_t n) {
    return *std::find_if(progress_.begin(), progress_.end(),
                         [&](const auto& p) { return p.id == r(n); });
  }
  GroupFacts facts_;
  std::vector<raft::MemberProgress> progress_;
};

raft::ConfChangeSingle promoted(uint32_t n) { return {raft::ConfChangeOp::kAddVoter, r(n)}; }
raft::ConfChangeSingle demoted(uint32_t n) { return {raft::ConfChangeOp::kAddLearner, r(n)}; }
raft::ConfChangeSingle removed(uint32_t n) { return {raft::ConfChangeOp::kRemove, r(n)}; }
Step change(std::vector<raft::ConfChangeSingle> changes) {
  return {StepKind::kChangeVoters, {}, std::move(changes)};
}

TEST(Plan, AsWanted_IsNothing) {
  EXPECT_EQ(View(1, {1, 2}, {3}).next({voter(1), voter(2), learner(3)}), Step{});
}

TEST(Plan, NewMember_IsALearnerFirst) {  // trap 25
  EXPECT_EQ(View(1, {1}).next({voter(1), newcomer(2)}), (Step{StepKind::kAddLearner, r(2), {}}));
}

TEST(Plan, Learner_IsPromotedOnlyOnceCaughtUpAndLive) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2)};
  EXPECT_EQ(View(1, {1}, {2}).next(wanted), (Step{StepKind::kPromote, r(2), {}}));
  EXPECT_EQ(View(1, {1}, {2}).behind(2).next(wanted).kind, StepKind::kWait);
  EXPECT_EQ(View(1, {1}, {2}).dead(2).next(wanted).kind, StepKind::kWait);
  EXPECT_EQ(View(1, {1}, {2}).probing(2).next(wanted).kind, StepKind::kWait);
}

TEST(Plan, WantedLearner_IsNotPromoted) {
  EXPECT_EQ(View(1, {1}, {2}).next({voter(1), learner(2)}), Step{});
}

TEST(Plan, LeavingReplica_IsRemovedAndThenConfirmed) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), leaving(3)};
  EXPECT_EQ(View(1, {1, 2, 3}).next(wanted), (Step{StepKind::kRemove, r(3), {}}));
  EXPECT_EQ(View(1, {1, 2}).next(wanted), (Step{StepKind::kConfirmRemoved, r(3), {}}));
}

TEST(Plan, MemberInItsRole_IsReportedOnce) {
  const registry::MemberRecord unsettled{r(2), true, false, false};
  EXPECT_EQ(View(1, {1, 2}).next({voter(1), unsettled}), (Step{StepKind::kSettle, r(2), {}}));
  EXPECT_EQ(View(1, {1}, {2}).behind(2).next({voter(1), unsettled}).kind, StepKind::kWait);
}

TEST(Plan, RemovalCalledOffTooLate_IsConfirmedAndNotUndone) {  // trap 27
  EXPECT_EQ(View(1, {1}).next({voter(1), voter(2)}), (Step{StepKind::kConfirmRemoved, r(2), {}}));
}

TEST(Plan, LeavingReplica_IsNeverAdded) {  // trap 27
  EXPECT_EQ(View(1, {1}).next({voter(1), leaving(2)}).kind, StepKind::kConfirmRemoved);
}

TEST(Plan, ReplicaNobodyWants_IsRemoved) {
  EXPECT_EQ(View(1, {1, 2, 3}).next({voter(1), voter(2)}), (Step{StepKind::kRemove, r(3), {}}));
  EXPECT_EQ(View(1, {1, 2}, {3}).next({voter(1), voter(2)}), (Step{StepKind::kRemove, r(3), {}}));
}

TEST(Plan, Replacement_VotesFromTheMomentWhenTheOldOneGoes) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), leaving(3), voter(4)};
  EXPECT_EQ(View(1, {1, 2, 3}, {4}).next(wanted), change({promoted(4), removed(3)}));
  EXPECT_EQ(View(1, {1, 2, 3}, {4}).behind(4).next(wanted).kind, StepKind::kWait);
}

TEST(Plan, DeadVoter_GoesWithoutWaitingForItsSuccessor) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), leaving(3), voter(4)};
  EXPECT_EQ(View(1, {1, 2, 3}, {4}).dead(3).behind(4).next(wanted),
            (Step{StepKind::kRemove, r(3), {}}));
}

TEST(Plan, RemovalDoesNotWait_ForADeadLearner) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), leaving(3), voter(4)};
  EXPECT_EQ(View(1, {1, 2, 3}, {4}).dead(4).next(wanted), (Step{StepKind::kRemove, r(3), {}}));
}

TEST(Plan, AllSuccessorsDead_TwoOldOnesStay) {
  const std::vector<registry::MemberRecord> wanted{leaving(1), leaving(2), leaving(3), voter(4),
                                                   voter(5)};
  EXPECT_EQ(View(1, {1, 2, 3}, {4, 5}).dead(4).dead(5).next(wanted).kind, StepKind::kRemove);
  EXPECT_EQ(View(1, {1, 2}, {4, 5})
                .dead(4)
                .dead(5)
                .next({leaving(1), leaving(2), voter(4), voter(5)})
                .kind,
            StepKind::kWait);
}

TEST(Plan, SuccessorOnTheSameNode_ComesOnlyOnceTheOldOneHasGone) {
  const ReplicaId again = ReplicaId::make(NodeId(2), 9);
  const std::vector<registry::MemberRecord> wanted{voter(1), leaving(2), {again, true, false}};
  EXPECT_EQ(View(1, {1, 2}).next(wanted), (Step{StepKind::kAddLearner, again, {}}));
  View view(1, {1, 2});
  view.member(again, false);
  EXPECT_EQ(view.next(wanted), (Step{StepKind::kRemove, r(2), {}}));
}

TEST(Plan, LiveVoterWhoseLossStopsTheGroup_Stays) {
  const std::vector<registry::MemberRecord> wanted{voter(1), leaving(2), voter(3)};
  EXPECT_EQ(View(1, {1, 2, 3}).dead(3).next(wanted).kind, StepKind::kWait);
  EXPECT_EQ(View(1, {1, 2, 3}).next(wanted), (Step{StepKind::kRemove, r(2), {}}));
  // Enough are left in number, but most of them are dead.
  EXPECT_EQ(View(1, {1, 2, 3, 4, 5})
                .dead(2)
                .dead(3)
                .next({voter(1), voter(2), voter(3), leaving(4), leaving(5)})
                .kind,
            StepKind::kWait);
}

TEST(Plan, DeadVoters_GoFirst) {
  EXPECT_EQ(View(1, {1, 2, 3, 4}).dead(4).next({voter(1), voter(2), leaving(3), newcomer(5)}).kind,
            StepKind::kAddLearner);
  EXPECT_EQ(View(1, {1, 2, 3, 4}, {5})
                .dead(4)
                .behind(5)
                .next({voter(1), voter(2), leaving(3), leaving(4), voter(5)}),
            (Step{StepKind::kRemove, r(4), {}}));
}

TEST(Plan, VoterWantedAsLearner_IsDemoted) {
  EXPECT_EQ(View(1, {1, 2, 3}).next({voter(1), voter(2), learner(3)}),
            (Step{StepKind::kDemote, r(3), {}}));
}

TEST(Plan, RemovalWithDemotion_IsOneJointChange) {
  // {1,3} or {1,2} in between would be lost with one node.
  EXPECT_EQ(View(1, {1, 2, 3}).next({voter(1), learner(2), leaving(3)}),
            change({demoted(2), removed(3)}));
  EXPECT_EQ(View(1, {1, 2, 3}).dead(3).next({voter(1), learner(2), leaving(3)}),
            change({demoted(2), removed(3)}));
}

TEST(Plan, LeaderThatIsToLearn_HandsOverBeforeAnybodyGoes) {
  EXPECT_EQ(View(2, {1, 2, 3}).next({voter(1), learner(2), leaving(3)}),
            (Step{StepKind::kTransfer, r(1), {}}));
}

TEST(Plan, Demotion_WaitsWhileAnyOfThoseThatStayIsSilent) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), voter(3), learner(4),
                                                   leaving(5)};
  EXPECT_EQ(View(1, {1, 2, 3, 4, 5}).dead(2).next(wanted), (Step{StepKind::kRemove, r(5), {}}));
  EXPECT_EQ(View(1, {1, 2, 3, 4}).dead(2).next({voter(1), voter(2), voter(3), learner(4)}).kind,
            StepKind::kWait);
}

TEST(Plan, WhoDidNotAnswer_IsNotLive) {
  const std::vector<registry::MemberRecord> wanted{voter(1), leaving(2), voter(3)};
  EXPECT_EQ(View(1, {1, 2, 3}).answered({2}).next(wanted).kind, StepKind::kWait);
  EXPECT_EQ(View(1, {1, 2, 3}).answered({3}).next(wanted), (Step{StepKind::kRemove, r(2), {}}));
  EXPECT_EQ(View(1, {1}, {2}).answered({}).next({voter(1), voter(2)}).kind, StepKind::kWait);
}

TEST(Plan, OneVoter_DoesNotBecomeTwoOnTheWayToThree) {
  const std::vector<registry::MemberRecord> wanted{voter(1), voter(2), voter(3)};
  EXPECT_EQ(View(1, {1}, {2, 3}).dead(3).next(wanted).kind, StepKind::kWait);
  EXPECT_EQ(View(1, {1}, {2, 3}).next(wanted), change({promoted(2), promoted(3)}));
}

TEST(Plan, LeaderThatIsToGo_HandsOverToACaughtUpVoter) {  // trap 26
  const std::vector<registry::MemberRecord> wanted{leaving(1), voter(2), voter(3)};
  EXPECT_EQ(View(1, {1, 2, 3}).behind(2).next(wanted), (Step{StepKind::kTransfer, r(3), {}}));
  EXPECT_EQ(View(2, {1, 2, 3}).next(wanted), (Step{StepKind::kRemove, r(1), {}}));
  EXPECT_EQ(View(1, {1, 2, 3}).dead(2).dead(3).next(wanted).kind, StepKind::kWait);
}

TEST(Plan, LeaderThatIsToGo_StaysWhileNoOtherLeaderCouldLetItGo) {
  const std::vector<registry::MemberRecord> wanted{leaving(1), voter(2), voter(3)};
  EXPECT_EQ(View(1, {1, 2, 3}).dead(3).next(wanted).kind, StepKind::kWait)
      << "2 would lead a group of which 1 is still needed";
}

TEST(Plan, OneOfTwoVotersLeaves_TheOtherTakesOver) {  // trap 26
  const std::vector<registry::MemberRecord> wanted{leaving(1), voter(2)};
  EXPECT_EQ(View(1, {1, 2}).next(wanted), (Step{StepKind::kTransfer, r(2), {}}));
  EXPECT_EQ(View(2, {1, 2}).next(wanted), (Step{StepKind::kRemove, r(1), {}}));
}

TEST(Plan, OnlyVoterThatIsToGo_WaitsForASuccessor) {
  EXPECT_EQ(View(1, {1}, {2}).behind(2).next({leaving(1), voter(2)}).kind, StepKind::kWait);
}

TEST(Plan, JointConfiguration_IsLeftAlone) {  // trap 23
  EXPECT_EQ(View(1, {1, 2}).joint().next({voter(1), voter(2), voter(3)}).kind, StepKind::kWait);
}

TEST(Plan, Change_IsOneOperation) {
  EXPECT_EQ(change_for({StepKind::kAddLearner, r(2), {}}).changes[0].op,
            raft::ConfChangeOp::kAddLearner);
  EXPECT_EQ(change_for({StepKind::kPromote, r(2), {}}).changes[0].op,
            raft::ConfChangeOp::kAddVoter);
  EXPECT_EQ(change_for({StepKind::kDemote, r(2), {}}).changes[0].op,
            raft::ConfChangeOp::kAddLearner);
  EXPECT_EQ(change_for({StepKind::kRemove, r(2), {}}).changes[0].op, raft::ConfChangeOp::kRemove);
  EXPECT_TRUE(change_for({StepKind::kTransfer, r(2), {}}).changes.empty());
}

// -- Any start, any goal, any nodes dead: what happens until nothing happens any more.

struct World {
  raft::ConfState conf;
  ReplicaId leader;
  std::vector<registry::MemberRecord> wanted;
  std::set<ReplicaId> dead;
  std::set<ReplicaId> behind;
};

size_t live_voters(const World& w, const raft::ConfState& conf) {
  return static_cast<size_t>(std::count_if(conf.voters.begin(), conf.voters.end(),
                                           [&](ReplicaId id) { return !w.dead.contains(id); }));
}
bool has_quorum(const World& w, const raft::ConfState& conf) {
  return live_voters(w, conf) > conf.voters.size() / 2;
}

Step step_of(const World& w) {
  std::vector<raft::MemberProgress> progress;
  for (const auto* ids : {&w.conf.voters, &w.conf.learners}) {
    for (ReplicaId id : *ids) {
      raft::MemberProgress p;
      p.id = id;
      p.recent_active = !w.dead.contains(id);
      p.state = raft::ProgressState::kReplicate;
      p.match_index = w.behind.contains(id) ? LogIndex(1) : kLast;
      progress.push_back(p);
    }
  }
  return next_step(w.wanted, GroupFacts{w.leader, w.conf, kLast, progress, {}});
}

World random_world(Prng& random) {
  World w;
  for (uint32_t n = 1; n <= 7; ++n) {
    switch (random.below(3)) {
      case 0:
        w.conf.voters.push_back(r(n));
        break;
      case 1:
        if (random.chance(0.5)) w.conf.learners.push_back(r(n));
        break;
      default:
        break;
    }
    if (random.chance(0.7)) w.wanted.push_back({r(n), random.chance(0.8), random.chance(0.4)});
    if (random.chance(0.2)) w.dead.insert(r(n));
    if (random.chance(0.3)) w.behind.insert(r(n));
  }
  if (w.conf.voters.empty()) {
    w.conf.voters.push_back(r(8));
    w.wanted.push_back(voter(8));
  }
  w.leader = w.conf.voters[random.below(w.conf.voters.size())];
  w.dead.erase(w.leader);
  w.behind.erase(w.leader);
  return w;
}

/// Carries out one step and checks that it was allowed. False when there is none.
bool take_step(World& w) {
  const Step step = step_of(w);
  switch (step.kind) {
    case StepKind::kNothing:
    case StepKind::kWait:
      return false;
    case StepKind::kSettle:
      for (registry::MemberRecord& m : w.wanted) {
        if (m.replica != step.replica) continue;
        RC_ASSERT(!m.settled && !m.leaving);
        m.settled = true;
      }
      return true;
    case StepKind::kConfirmRemoved:
      RC_ASSERT(std::erase_if(w.wanted, [&](const registry::MemberRecord& m) {
                  return m.replica == step.replica && m.leaving;
                }) == 1);
      return true;
    case StepKind::kTransfer:
      RC_ASSERT(!w.dead.contains(step.replica) && !w.behind.contains(step.replica));
      RC_ASSERT(std::count(w.conf.voters.begin(), w.conf.voters.end(), step.replica) == 1);
      w.leader = step.replica;
      return true;
    default:
      break;
  }
  bool demotes = false;
  for (const raft::ConfChangeSingle& single : change_for(step).changes) {
    const auto record =
        std::find_if(w.wanted.begin(), w.wanted.end(),
                     [&](const registry::MemberRecord& m) { return m.replica == single.replica; });
    const bool stays = record != w.wanted.end() && !record->leaving;
    RC_ASSERT(stays == (single.op != raft::ConfChangeOp::kRemove));
    if (single.op == raft::ConfChangeOp::kAddVoter) {
      RC_ASSERT(record->voter && !w.dead.contains(single.replica) &&
                !w.behind.contains(single.replica));
    }
    demotes |= step.kind != StepKind::kAddLearner && single.op == raft::ConfChangeOp::kAddLearner;
  }
  auto next = raft::next_conf_state(w.conf, change_for(step));
  RC_ASSERT(next.is_ok());
  if (!next->voters_outgoing.empty()) {
    // Left by itself, once it is committed by majorities of both halves.
    RC_ASSERT(next->auto_leave);
    next = raft::next_conf_state(*next, {});
    RC_ASSERT(next.is_ok());
  }
  if (demotes) RC_ASSERT(live_voters(w, *next) == next->voters.size());
  RC_ASSERT(!next->voters.empty());
  if (has_quorum(w, w.conf)) RC_ASSERT(has_quorum(w, *next));
  RC_ASSERT(std::count(next->voters.begin(), next->voters.end(), w.leader) == 1);
  w.conf = *next;
  return true;
}

bool reached(const World& w) {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> learners;
  for (const registry::MemberRecord& m : w.wanted) {
    if (m.leaving) return false;
    (m.voter ? voters : learners).push_back(m.replica);
  }
  return w.conf.voters == voters && w.conf.learners == learners;
}

RC_GTEST_PROP(Plan, AnyWorld_StepsAreSafeAndEnd, (uint64_t seed)) {
  Prng random(seed);
  World w = random_world(random);
  int steps = 0;
  while (take_step(w)) RC_ASSERT(++steps < 100);
  // Everybody comes back and catches up: then the goal is reached, if it has a voter at all.
  w.dead.clear();
  w.behind.clear();
  while (take_step(w)) RC_ASSERT(++steps < 100);
  const bool has_goal =
      std::any_of(w.wanted.begin(), w.wanted.end(),
                  [](const registry::MemberRecord& m) { return m.voter && !m.leaving; });
  if (has_goal) {
    RC_ASSERT(reached(w));
    RC_ASSERT(step_of(w) == Step{});
  } else {
    RC_ASSERT(!w.conf.voters.empty());
  }
}

}  // namespace
}  // namespace multiraft::cluster
