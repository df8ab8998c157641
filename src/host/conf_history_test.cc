#include "host/conf_history.h"

#include <gtest/gtest.h>

namespace multiraft::host {
namespace {

raft::ConfState voters(std::vector<ReplicaId> ids) {
  raft::ConfState state;
  state.voters = std::move(ids);
  return state;
}

raft::ConfChange change(raft::ConfChangeOp op, ReplicaId id) {
  raft::ConfChange out;
  out.changes.push_back({op, id});
  return out;
}

constexpr ReplicaId kA{1}, kB{2}, kC{3};

TEST(ConfHistory, Changes_EachFollowsFromTheOneBefore) {
  ConfHistory history;
  history.reset(LogIndex(5), voters({kA}));
  EXPECT_TRUE(history.apply(LogIndex(8), change(raft::ConfChangeOp::kAddVoter, kB)));
  EXPECT_TRUE(history.apply(LogIndex(12), change(raft::ConfChangeOp::kAddVoter, kC)));
  EXPECT_EQ(history.at(LogIndex(5)), voters({kA}));
  EXPECT_EQ(history.at(LogIndex(7)), voters({kA}));
  EXPECT_EQ(history.at(LogIndex(8)), voters({kA, kB}));
  EXPECT_EQ(history.at(LogIndex(11)), voters({kA, kB}));
  EXPECT_EQ(history.at(LogIndex(99)), voters({kA, kB, kC}));
  EXPECT_EQ(history.latest(), voters({kA, kB, kC}));
}

TEST(ConfHistory, ChangeThatIsNotAllowed_ChangesNothing) {
  ConfHistory history;
  history.reset(LogIndex(5), voters({kA}));
  EXPECT_FALSE(history.apply(LogIndex(6), change(raft::ConfChangeOp::kRemove, kA)));
  EXPECT_EQ(history.latest(), voters({kA}));
}

TEST(ConfHistory, ForgetBefore_KeepsWhatHoldsThere) {
  ConfHistory history;
  history.reset(LogIndex(5), voters({kA}));
  EXPECT_TRUE(history.apply(LogIndex(8), change(raft::ConfChangeOp::kAddVoter, kB)));
  EXPECT_TRUE(history.apply(LogIndex(12), change(raft::ConfChangeOp::kAddVoter, kC)));
  history.forget_before(LogIndex(10));
  EXPECT_EQ(history.at(LogIndex(10)), voters({kA, kB}));
  EXPECT_EQ(history.at(LogIndex(12)), voters({kA, kB, kC}));
  history.forget_before(LogIndex(12));
  EXPECT_EQ(history.at(LogIndex(12)), voters({kA, kB, kC}));
  history.reset(LogIndex(20), voters({kB}));
  EXPECT_EQ(history.latest(), voters({kB}));
}

}  // namespace
}  // namespace multiraft::host
