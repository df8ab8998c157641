#include "cluster/registry_restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/removal_watcher.h"
#include "registry/codec.h"
#include "registry/testing/commands.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using namespace registry::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string state_of(Applied& apply) {
  registry::RegistryWriter writer(apply.registry.share());
  std::string bytes;
  writer.next(1 << 20, bytes);
  return bytes;
}

Applied cluster_of(uint64_t nodes) {
  Applied apply;
  apply(bootstrap());
  for (uint64_t node = 2; node <= nodes; ++node) apply(join(node));
  apply(create(7, {1, 2, 3}));
  apply.settle_all();
  return apply;
}

registry::RestoreRegistry restore(Applied& former, uint64_t node) {
  return {NodeId(node), uuid_of(node), registry::restored_replica(former.view(), NodeId(node)),
          state_of(former)};
}

TEST(RegistryRestored, HasTheNodesAndGroups_AndOneVoterInGroupZero) {
  Applied former = cluster_of(3);
  const ReplicaId other = former.replica(0, 2);
  Applied apply;
  ASSERT_EQ(apply(restore(former, 3)).code, registry::RegistryCode::kOk);
  EXPECT_EQ(apply.view().cluster(), kCluster);
  EXPECT_EQ(apply.view().nodes(), former.view().nodes());
  EXPECT_EQ(apply.group(7), former.group(7));
  EXPECT_THAT(apply.voters(0), ElementsAre(3));
  EXPECT_EQ(apply.group(0).members.size(), 3u);
  EXPECT_GT(apply.view().version(), former.view().version());
  // A node of the former group 0 has another replica now, and is no removed node.
  EXPECT_NE(apply.replica(0, 2), other);
  EXPECT_EQ(verdict_on(apply.view(), registry::kRegistryGroup, other), Verdict::kSuperseded);
  EXPECT_EQ(verdict_on(apply.view(), registry::kRegistryGroup, apply.replica(0, 2)),
            Verdict::kMember);
  EXPECT_EQ(verdict_on(apply.view(), GroupId(7), apply.replica(7, 2)), Verdict::kMember);
  // Its registration is repeated to get that one.
  const registry::RegistryOutcome again = apply(join(2));
  EXPECT_EQ(again.code, registry::RegistryCode::kOk);
  EXPECT_EQ(again.replica, apply.replica(0, 2));
}

TEST(RegistryRestored, ReplicaThatTheLostOnesMade_IsNotTakenForRemoved) {
  Applied former = cluster_of(3);
  Applied lost = cluster_of(3);
  lost(create(9, {1, 2, 3}));  // The survivor has not heard of it.
  Applied apply;
  apply(restore(former, 3));
  EXPECT_EQ(verdict_on(apply.view(), GroupId(9), lost.replica(9, 2)), Verdict::kUnknown);
  // What was removed before still is.
  Applied removed = cluster_of(3);
  const ReplicaId gone = removed.replica(7, 2);
  removed(remove(7, 2));
  removed.confirm_all();
  Applied after;
  after(restore(removed, 3));
  EXPECT_EQ(verdict_on(after.view(), GroupId(7), gone), Verdict::kRemoved);
  // And no id is given out twice.
  apply(create(9, {1, 2, 3}));
  EXPECT_GT(apply.replica(9, 2).serial(), lost.replica(9, 2).serial());
}

TEST(RegistryRestored, NodeWhoseDiskIsReplacedAfterwards_IsReplaced) {
  Applied former = cluster_of(3);
  const ReplicaId other = former.replica(0, 2);
  Applied apply;
  apply(restore(former, 3));
  ASSERT_EQ(apply(join(2, 1, 2, uuid_of(2))).code, registry::RegistryCode::kOk);
  EXPECT_EQ(verdict_on(apply.view(), registry::kRegistryGroup, other), Verdict::kReplaced);
}

TEST(RegistryRestored, SecondTime_Works) {
  Applied former = cluster_of(3);
  Applied second;
  second(restore(former, 3));
  const ReplicaId of_second = second.replica(0, 2);
  Applied third;
  ASSERT_EQ(third(restore(second, 1)).code, registry::RegistryCode::kOk);
  EXPECT_EQ(third.view().restorations(), 2u);
  EXPECT_EQ(verdict_on(third.view(), registry::kRegistryGroup, of_second), Verdict::kSuperseded);
  EXPECT_THAT(third.voters(0), ElementsAre(1));
}

TEST(RegistryRestored, OnlyOnAnEmptyRegistry_AndByARegisteredNode) {
  Applied former = cluster_of(3);
  EXPECT_EQ(former(restore(former, 3)).code, registry::RegistryCode::kConflict);
  Applied apply;
  registry::RestoreRegistry stranger = restore(former, 3);
  stranger.uuid = uuid_of(3, 9);
  EXPECT_EQ(apply(stranger).code, registry::RegistryCode::kInvalid);
  registry::RestoreRegistry garbage = restore(former, 3);
  garbage.state = "garbage";
  EXPECT_EQ(apply(garbage).code, registry::RegistryCode::kInvalid);
  registry::RestoreRegistry other_replica = restore(former, 3);
  other_replica.replica = former.replica(0, 3);
  EXPECT_EQ(apply(other_replica).code, registry::RegistryCode::kInvalid);
  EXPECT_TRUE(apply.view().empty());
}

// -- Whether it may be done.

const std::vector<std::vector<NodeId>> kThreeVoters = {{NodeId(1), NodeId(2), NodeId(3)}, {}};

RegistryPosition position(uint64_t term, uint64_t index, bool leader = false,
                          uint32_t restorations = 0) {
  return {restorations, leader, Term(term), LogIndex(index)};
}

TEST(JudgeRestore, MajorityIsLost_IsAllowed) {
  EXPECT_TRUE(judge_restore(NodeId(1), position(3, 9), kThreeVoters, {}));
  EXPECT_TRUE(judge_restore(NodeId(1), position(3, 9), kThreeVoters,
                            {{NodeId(4), position(3, 9)}, {NodeId(5), position(2, 50)}}));
  // A learner may be all that is left.
  EXPECT_TRUE(
      judge_restore(NodeId(4), position(3, 9), kThreeVoters, {{NodeId(1), position(3, 8)}}));
}

TEST(JudgeRestore, MajorityIsThere_IsRefused) {
  const Status status =
      judge_restore(NodeId(1), position(3, 9), kThreeVoters, {{NodeId(2), position(3, 9)}});
  EXPECT_EQ(status.code(), StatusCode::kConflict);
  EXPECT_THAT(status.message(), HasSubstr("a majority of the voters of group 0 is there"));
  EXPECT_FALSE(judge_restore(NodeId(1), position(3, 9), {{NodeId(1)}, {}}, {}));
}

TEST(JudgeRestore, JointConfiguration_HalfOfItLost_IsAllowed) {
  const std::vector<std::vector<NodeId>> joint = {{NodeId(1)}, {NodeId(1), NodeId(2), NodeId(3)}};
  EXPECT_TRUE(judge_restore(NodeId(1), position(3, 9), joint, {}));
  EXPECT_FALSE(judge_restore(NodeId(1), position(3, 9), joint, {{NodeId(2), position(3, 9)}}));
}

TEST(JudgeRestore, LeaderIsKnown_IsRefused) {
  const Status status =
      judge_restore(NodeId(1), position(3, 9), kThreeVoters, {{NodeId(4), position(3, 9, true)}});
  EXPECT_THAT(status.message(), HasSubstr("node 4 knows a leader"));
}

TEST(JudgeRestore, AnotherSurvivorHasMore_IsRefusedAndNamed) {
  for (const RegistryPosition& more : {position(3, 10), position(4, 2)}) {
    const Status status =
        judge_restore(NodeId(1), position(3, 9), kThreeVoters, {{NodeId(4), more}});
    EXPECT_THAT(status.message(), HasSubstr("node 4 has more of group 0"));
  }
}

TEST(JudgeRestore, AlreadyDoneElsewhere_IsRefused) {
  const Status status = judge_restore(NodeId(1), position(3, 9), kThreeVoters,
                                      {{NodeId(4), position(1, 2, false, 1)}});
  EXPECT_THAT(status.message(), HasSubstr("made again already"));
}

// -- The plan in the state directory.

TEST(RestorePlanCodec, Bytes_AreTheDocumentedOnes) {
  const RestorePlan plan{ReplicaId::make(NodeId(2), 9), "ab"};
  const std::string bytes = encode_plan(plan);
  ASSERT_EQ(bytes.size(), 30u);
  EXPECT_EQ(bytes.substr(0, 8), "RMFTREST");
  EXPECT_EQ(bytes.substr(8, 4), std::string("\1\0\0\0", 4));
  EXPECT_EQ(bytes.substr(12, 8), std::string("\11\0\0\0\2\0\0\0", 8));
  EXPECT_EQ(bytes.substr(20, 6), std::string("\2\0\0\0ab", 6));
  EXPECT_EQ(*decode_plan(bytes), plan);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_plan(bytes.substr(0, size)));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(decode_plan(damaged).status().code(), StatusCode::kCorruption) << at;
  }
}

}  // namespace
}  // namespace multiraft::cluster
