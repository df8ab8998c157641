#include "registry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "registry/codec.h"
#include "registry/testing/commands.h"

namespace multiraft::registry {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Applied cluster_of(uint64_t nodes) {
  Applied apply;
  apply(bootstrap());
  for (uint64_t node = 2; node <= nodes; ++node) apply(join(node));
  apply.settle_all();
  return apply;
}

TEST(Registry_Bootstrap, OnEmpty_MakesNodeAndTwoGroups) {
  Applied apply;
  EXPECT_EQ(apply(bootstrap(3, 9)).code, RegistryCode::kOk);
  EXPECT_EQ(apply.view().cluster(), kCluster);
  EXPECT_EQ(apply.replica(0, 3), ReplicaId::make(NodeId(3), 1));
  EXPECT_EQ(apply.replica(9, 3), ReplicaId::make(NodeId(3), 2));
  EXPECT_THAT(apply.group(9).founders, ElementsAre(apply.replica(9, 3)));
  EXPECT_EQ(apply.view().next_serial(), 3u);
  EXPECT_EQ(apply.view().version(), LogIndex(2));
  EXPECT_THAT(apply.voters(0), ElementsAre(3));
}

TEST(Registry_Bootstrap, Twice_IsRefusedAndChangesNothing) {
  Applied apply = cluster_of(1);
  const uint64_t before = hash_of(apply.registry.share());
  EXPECT_EQ(apply(bootstrap(2, 5)).code, RegistryCode::kConflict);
  EXPECT_EQ(hash_of(apply.registry.share()), before);
}

TEST(Registry_Bootstrap, GroupZeroAsFirstGroup_IsInvalid) {
  Applied apply;
  EXPECT_EQ(apply(bootstrap(1, 0)).code, RegistryCode::kInvalid);
  EXPECT_TRUE(apply.view().empty());
}

TEST(Registry_Register, NewNode_GetsLearnerIdsThatAreToVote) {
  Applied apply = cluster_of(1);
  const RegistryOutcome outcome = apply(join(2));
  ASSERT_EQ(outcome.code, RegistryCode::kOk) << outcome.text;
  EXPECT_EQ(outcome.serial_floor, 2u);  // Whatever was before belonged to an earlier disk.
  EXPECT_EQ(outcome.replica, ReplicaId::make(NodeId(2), 3));
  EXPECT_EQ(apply.replica(0, 2), outcome.replica);
  EXPECT_EQ(apply.replica(1, 2), ReplicaId::make(NodeId(2), 4));
  EXPECT_TRUE(apply.group(1).member_on(NodeId(2))->voter);
  EXPECT_THAT(apply.group(1).founders, ElementsAre(ReplicaId::make(NodeId(1), 2)));
}

TEST(Registry_Register, SameUuidAgain_GivesTheSameAnswerAndNothingElse) {
  Applied apply = cluster_of(1);
  const RegistryOutcome first = apply(join(2));
  apply(join(3));
  const uint64_t before = hash_of(apply.registry.share());
  const RegistryOutcome again = apply(join(2));
  EXPECT_EQ(again.code, RegistryCode::kOk);
  EXPECT_EQ(again.replica, first.replica);
  EXPECT_EQ(again.serial_floor, first.serial_floor);
  EXPECT_EQ(hash_of(apply.registry.share()), before);
}

TEST(Registry_Register, SameUuidFromAnotherAddress_UpdatesIt) {
  Applied apply = cluster_of(2);
  RegisterNode moved = join(2);
  moved.raft_address = "elsewhere:1";
  EXPECT_EQ(apply(moved).code, RegistryCode::kOk);
  EXPECT_EQ(apply.view().node(NodeId(2))->raft_address, "elsewhere:1");
}

TEST(Registry_Register, UnknownGroup_IsRefusedWithItsNumber) {
  Applied apply = cluster_of(1);
  const RegistryOutcome outcome = apply(join(2, 42));
  EXPECT_EQ(outcome.code, RegistryCode::kInvalid);
  EXPECT_THAT(outcome.text, HasSubstr("group 42"));
  EXPECT_EQ(apply.view().node(NodeId(2)), nullptr);
}

TEST(Registry_Register, BeforeBootstrap_AsksToJudgeAgain) {
  Applied apply;
  EXPECT_EQ(apply(join(2)).code, RegistryCode::kStaleDecision);
}

TEST(Registry_Register, BadFields_AreInvalid) {
  Applied apply = cluster_of(1);
  RegisterNode command = join(2);
  command.uuid = {};
  EXPECT_EQ(apply(command).code, RegistryCode::kInvalid);
  command = join(0);
  EXPECT_EQ(apply(command).code, RegistryCode::kInvalid);
  command = join(limits::kNodeIdMax + 1);
  EXPECT_EQ(apply(command).code, RegistryCode::kInvalid);
  command = join(2);
  command.api_address = std::string(limits::kAddressBytesMax + 1, 'a');
  EXPECT_EQ(apply(command).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(join(2, 0)).code, RegistryCode::kInvalid);
}

TEST(Registry_Register, OtherUuidNotFoundDead_IsNotReplaced) {
  Applied apply = cluster_of(2);
  EXPECT_EQ(apply(join(2, 1, 2)).code, RegistryCode::kStaleDecision);
  // Judged when another life of the node was registered.
  EXPECT_EQ(apply(join(2, 1, 3, uuid_of(2, 2))).code, RegistryCode::kStaleDecision);
  // Judged when there was one; now there is none.
  EXPECT_EQ(apply(join(5, 1, 2, uuid_of(5, 1))).code, RegistryCode::kStaleDecision);
  EXPECT_EQ(apply.view().node(NodeId(2))->uuid, uuid_of(2, 1));
}

TEST(Registry_Register, WipedDisk_ReplacesEveryReplicaByANewOne) {  // trap 27
  Applied apply = cluster_of(3);
  apply(create(2, {2, 3}));
  apply(create(3, {1, 3}));
  const ReplicaId old0 = apply.replica(0, 2);
  const ReplicaId old1 = apply.replica(1, 2);
  const ReplicaId old2 = apply.replica(2, 2);
  const uint32_t next = apply.view().next_serial();
  const RegistryOutcome outcome = apply(join(2, 1, 2, uuid_of(2, 1)));
  ASSERT_EQ(outcome.code, RegistryCode::kOk) << outcome.text;
  EXPECT_EQ(outcome.serial_floor, next - 1);
  EXPECT_EQ(apply.view().next_serial(), next + 3);  // Groups 0, 1 and 2; group 3 is not concerned.
  for (const auto& [group, old] : {std::pair(0, old0), {1, old1}, {2, old2}}) {
    EXPECT_TRUE(apply.group(static_cast<uint64_t>(group)).member(old)->leaving);
    const ReplicaId now = apply.replica(static_cast<uint64_t>(group), 2);
    EXPECT_GT(now.serial(), outcome.serial_floor);
    // In group 0 its leader chooses.
    EXPECT_EQ(apply.group(static_cast<uint64_t>(group)).member(now)->voter, group != 0);
  }
  EXPECT_EQ(outcome.replica, apply.replica(0, 2));
  EXPECT_THAT(apply.group(3).members.size(), 2u);
  // The node stays although its old replicas go.
  apply.confirm_all();
  EXPECT_EQ(apply.view().node(NodeId(2))->state, NodeState::kMember);
  EXPECT_EQ(apply.group(2).members.size(), 2u);
}

TEST(Registry_Voters, Joiners_LearnUntilTheLeaderChoosesThem) {
  Applied apply = cluster_of(4);
  EXPECT_THAT(apply.voters(0), ElementsAre(1));
  ASSERT_EQ(apply(apply.registry_voters({1, 3, 4})).code, RegistryCode::kOk);
  EXPECT_THAT(apply.voters(0), ElementsAre(1, 3, 4));
  apply(remove(1, 3));
  apply.confirm_all();
  EXPECT_THAT(apply.voters(0), ElementsAre(1, 4));
  EXPECT_EQ(apply.view().node(NodeId(3)), nullptr);
}

TEST(Registry_Voters, SetThatMakesNoSense_IsInvalid) {
  Applied apply = cluster_of(4);
  EXPECT_EQ(apply(apply.registry_voters({1, 2})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(SetRegistryVoters{}).code, RegistryCode::kInvalid);
  SetRegistryVoters twice = apply.registry_voters({1, 2, 3});
  twice.voters[1] = twice.voters[0];
  EXPECT_EQ(apply(twice).code, RegistryCode::kInvalid);
  EXPECT_THAT(apply.voters(0), ElementsAre(1));
}

TEST(Registry_Voters, ChosenOneIsLeavingByNow_IsJudgedAgain) {
  Applied apply = cluster_of(3);
  const SetRegistryVoters choice = apply.registry_voters({1, 2, 3});
  apply(remove(1, 3));
  apply(ReplicaRemoved{GroupId(1), ReplicaId::make(NodeId(3), 6)});
  EXPECT_EQ(apply(choice).code, RegistryCode::kStaleDecision);
  apply.confirm_all();
  EXPECT_EQ(apply(choice).code, RegistryCode::kStaleDecision);
}

TEST(Registry_Voters, OnlyVoterLeaves_TheOtherNodeCanBeChosen) {
  Applied apply = cluster_of(2);
  ASSERT_EQ(apply(remove(1, 1)).code, RegistryCode::kOk);
  apply(ReplicaRemoved{GroupId(1), ReplicaId::make(NodeId(1), 2)});
  EXPECT_EQ(apply.view().node(NodeId(1))->state, NodeState::kLeaving);
  EXPECT_TRUE(apply.group(0).member(ReplicaId::make(NodeId(1), 1))->leaving);
  ASSERT_EQ(apply(apply.registry_voters({2})).code, RegistryCode::kOk);
  EXPECT_THAT(apply.voters(0), ElementsAre(2));
}

TEST(Registry_CreateGroup, OnKnownNodes_HasThemAllAsFounders) {
  Applied apply = cluster_of(3);
  ASSERT_EQ(apply(create(7, {3, 1})).code, RegistryCode::kOk);
  EXPECT_THAT(apply.voters(7), ElementsAre(1, 3));
  EXPECT_THAT(apply.group(7).founders, ElementsAre(apply.replica(7, 1), apply.replica(7, 3)));
}

TEST(Registry_CreateGroup, Again_IsFineInAnyOrderAndAConflictWithOthers) {
  Applied apply = cluster_of(3);
  apply(create(7, {1, 2}));
  const uint64_t before = hash_of(apply.registry.share());
  EXPECT_EQ(apply(create(7, {2, 1})).code, RegistryCode::kOk);
  EXPECT_EQ(apply(create(7, {1})).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(create(7, {1, 2, 3})).code, RegistryCode::kConflict);
  EXPECT_EQ(hash_of(apply.registry.share()), before);
}

TEST(Registry_CreateGroup, AgainAfterItGrew_IsFineUntilAFounderLeft) {
  Applied apply = cluster_of(3);
  apply(create(7, {1, 2}));
  apply(AddMember{GroupId(7), NodeId(3), true});
  EXPECT_EQ(apply(create(7, {1, 2})).code, RegistryCode::kOk);
  EXPECT_EQ(apply(create(7, {1, 2, 3})).code, RegistryCode::kOk);
  apply(remove(7, 2));
  EXPECT_EQ(apply(create(7, {1, 2})).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(create(7, {1, 3})).code, RegistryCode::kOk);
}

TEST(Registry_CreateGroup, BadRequests_AreInvalid) {
  Applied apply = cluster_of(2);
  EXPECT_EQ(apply(create(7, {})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(create(7, {1, 1})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(create(0, {1})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(create(7, {1, 5})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply.view().group(GroupId(7)), nullptr);
}

TEST(Registry_RemoveMember, Member_LeavesButStaysListedUntilConfirmed) {
  Applied apply = cluster_of(3);
  const ReplicaId gone = apply.replica(1, 3);
  const RegistryOutcome outcome = apply(remove(1, 3));
  ASSERT_EQ(outcome.code, RegistryCode::kOk);
  EXPECT_EQ(outcome.replica, gone);
  EXPECT_TRUE(apply.group(1).member(gone)->leaving);
  EXPECT_FALSE(apply.view().is_removed(GroupId(1), gone));
  EXPECT_EQ(apply(remove(1, 3)).replica, gone);  // Again, while it goes.
  apply(ReplicaRemoved{GroupId(1), gone});
  EXPECT_TRUE(apply.view().is_removed(GroupId(1), gone));
  EXPECT_EQ(apply(remove(1, 3)).code, RegistryCode::kNotFound);
}

TEST(Registry_RemoveMember, UnknownOrLast_IsRefused) {
  Applied apply = cluster_of(2);
  EXPECT_EQ(apply(remove(9, 1)).code, RegistryCode::kNotFound);
  EXPECT_EQ(apply(remove(1, 9)).code, RegistryCode::kNotFound);
  EXPECT_EQ(apply(remove(0, 2)).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(remove(1, 2)).code, RegistryCode::kOk);
  EXPECT_EQ(apply(remove(1, 1)).code, RegistryCode::kConflict);
}

TEST(Registry_RemoveMember, LearnersDoNotCountAsVoters) {
  Applied apply = cluster_of(2);
  apply(create(2, {1}));
  apply(AddMember{GroupId(2), NodeId(2), false});
  EXPECT_EQ(apply(remove(2, 1)).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(remove(2, 2)).code, RegistryCode::kOk);
}

TEST(Registry_Departure, LastUserGroupGone_NodeLeavesAndIsForgotten) {
  Applied apply = cluster_of(3);
  apply(create(2, {1, 3}));
  apply(remove(1, 3));
  const ReplicaId in1 = ReplicaId::make(NodeId(3), 6);
  apply(ReplicaRemoved{GroupId(1), in1});
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kMember);  // Group 2 remains.
  const ReplicaId in2 = apply.replica(2, 3);
  const ReplicaId in0 = apply.replica(0, 3);
  apply(remove(2, 3));
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kMember);
  apply(ReplicaRemoved{GroupId(2), in2});
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kLeaving);
  EXPECT_TRUE(apply.group(0).member(in0)->leaving);
  EXPECT_EQ(apply(create(5, {3})).code, RegistryCode::kInvalid);
  EXPECT_EQ(apply(AddMember{GroupId(1), NodeId(3), true}).code, RegistryCode::kConflict);
  apply(ReplicaRemoved{GroupId(0), in0});
  EXPECT_EQ(apply.view().node(NodeId(3)), nullptr);
  EXPECT_TRUE(apply.view().is_removed(GroupId(0), in0));
}

TEST(Registry_Departure, BackWithAnEmptyDisk_IsANewMember) {
  Applied apply = cluster_of(3);
  const ReplicaId old = apply.replica(1, 3);
  apply(remove(1, 3));
  apply(ReplicaRemoved{GroupId(1), old});
  // It comes back before its departure is complete, and after.
  ASSERT_EQ(apply(join(3, 1, 2, uuid_of(3, 1))).code, RegistryCode::kOk);
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kMember);
  EXPECT_NE(apply.replica(1, 3), old);
  apply.confirm_all();
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kMember);
  EXPECT_EQ(apply.group(0).members.size(), 3u);

  apply(remove(1, 3));
  apply.confirm_all();
  ASSERT_EQ(apply.view().node(NodeId(3)), nullptr);
  EXPECT_EQ(apply(join(3, 1, 3)).code, RegistryCode::kOk);
}

TEST(Registry_Departure, SameDiskWhileLeaving_IsRefused) {
  Applied apply = cluster_of(3);
  apply(remove(1, 3));
  apply(ReplicaRemoved{GroupId(1), ReplicaId::make(NodeId(3), 6)});
  EXPECT_EQ(apply(join(3)).code, RegistryCode::kConflict);
}

TEST(Registry_ReplicaRemoved, NotLeavingOrUnknown_ChangesNothing) {
  Applied apply;
  apply(bootstrap());
  apply(join(2));  // On its way in.
  const uint64_t before = hash_of(apply.registry.share());
  EXPECT_EQ(apply(ReplicaRemoved{GroupId(1), apply.replica(1, 2)}).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(ReplicaRemoved{GroupId(1), ReplicaId::make(NodeId(9), 1)}).code,
            RegistryCode::kOk);
  EXPECT_EQ(apply(ReplicaRemoved{GroupId(9), apply.replica(1, 2)}).code, RegistryCode::kNotFound);
  EXPECT_EQ(hash_of(apply.registry.share()), before);
}

TEST(Registry_IsRemoved, NeverTrueForWhatAnOldViewCannotKnow) {
  Applied apply = cluster_of(2);
  const auto old_view = apply.registry.share();
  apply(join(3));
  const ReplicaId young = apply.replica(1, 3);
  EXPECT_FALSE(old_view->is_removed(GroupId(1), young));
  EXPECT_FALSE(RegistryView().is_removed(GroupId(1), young));
}

TEST(Registry_MarkNodeLeaving, Node_LeavesAllGroupsAndThenTheCluster) {
  Applied apply = cluster_of(3);
  apply(create(2, {1, 2, 3}));
  ASSERT_EQ(apply(MarkNodeLeaving{NodeId(2)}).code, RegistryCode::kOk);
  EXPECT_EQ(apply.replica(1, 2), ReplicaId{});
  EXPECT_EQ(apply.replica(2, 2), ReplicaId{});
  EXPECT_NE(apply.replica(0, 2), ReplicaId{});  // It must hear of what happens to it.
  EXPECT_EQ(apply(MarkNodeLeaving{NodeId(2)}).code, RegistryCode::kOk);
  apply.confirm_all();
  EXPECT_EQ(apply.view().node(NodeId(2)), nullptr);
  EXPECT_EQ(apply(MarkNodeLeaving{NodeId(2)}).code, RegistryCode::kNotFound);
}

TEST(Registry_MarkNodeLeaving, LastVoterSomewhere_IsRefused) {
  Applied apply = cluster_of(2);
  apply(create(2, {2}));
  const RegistryOutcome outcome = apply(MarkNodeLeaving{NodeId(2)});
  EXPECT_EQ(outcome.code, RegistryCode::kConflict);
  EXPECT_THAT(outcome.text, HasSubstr("group 2"));
  EXPECT_NE(apply.replica(1, 2), ReplicaId{});
}

TEST(Registry_Remove, OtherVotersNeverVotedYet_IsRefused) {
  Applied apply;
  apply(bootstrap());
  apply(join(2));
  EXPECT_EQ(apply(remove(1, 1)).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(MarkNodeLeaving{NodeId(1)}).code, RegistryCode::kConflict);
  apply.settle_all();
  EXPECT_EQ(apply(remove(1, 1)).code, RegistryCode::kOk);
}

TEST(Registry_Add, WhileItLeaves_CallsTheRemovalOff) {
  Applied apply = cluster_of(3);
  const ReplicaId kept = apply.replica(1, 3);
  apply(remove(1, 3));
  EXPECT_EQ(apply(AddMember{GroupId(1), NodeId(3), true}).replica, kept);
  EXPECT_THAT(apply.voters(1), ElementsAre(1, 2, 3));
  EXPECT_EQ(apply.replica(1, 3), kept);
}

TEST(Registry_Add, AfterTheGroupLetItGo_TheNodeGetsANewReplica) {  // trap 27
  Applied apply = cluster_of(3);
  const ReplicaId gone = apply.replica(1, 3);
  apply(remove(1, 3));
  apply(AddMember{GroupId(1), NodeId(3), true});
  // The leader had removed it by then.
  ASSERT_EQ(apply(ReplicaRemoved{GroupId(1), gone}).code, RegistryCode::kOk);
  EXPECT_TRUE(apply.view().is_removed(GroupId(1), gone));
  EXPECT_GT(apply.replica(1, 3), gone);
  EXPECT_FALSE(apply.group(1).member_on(NodeId(3))->settled);
  EXPECT_EQ(apply.view().node(NodeId(3))->state, NodeState::kMember);
}

TEST(Registry_Settled, RoleThatIsWantedNoMore_IsJudgedAgain) {
  Applied apply = cluster_of(2);
  const ReplicaId replica = apply.replica(1, 2);
  apply(SetRole{GroupId(1), replica, false});
  EXPECT_FALSE(apply.group(1).member(replica)->settled);
  EXPECT_EQ(apply(MemberSettled{GroupId(1), replica, true}).code, RegistryCode::kStaleDecision);
  EXPECT_EQ(apply(MemberSettled{GroupId(1), replica, false}).code, RegistryCode::kOk);
  EXPECT_TRUE(apply.group(1).member(replica)->settled);
}

TEST(Registry_Register, InitialGroupIsFull_IsRefusedWithWhatToDo) {
  Applied apply = cluster_of(limits::kGroupMembersMax);
  const RegistryOutcome outcome = apply(join(limits::kGroupMembersMax + 1));
  EXPECT_EQ(outcome.code, RegistryCode::kExhausted);
  EXPECT_THAT(outcome.text, ::testing::HasSubstr("-initial_group_id"));
}

TEST(Registry_Register, DiskLostAgainAndAgain_LeavesABoundedNumberOfReplicasBehind) {
  Applied apply = cluster_of(3);
  // No group confirms that a replica is gone: none has a majority.
  size_t accepted = 0;
  RegistryOutcome outcome;
  for (uint64_t disk = 2; accepted < 100; ++disk) {
    outcome = apply(join(2, 1, disk, uuid_of(2, disk - 1)));
    if (outcome.code != RegistryCode::kOk) break;
    ++accepted;
  }
  EXPECT_EQ(accepted, 3u);
  EXPECT_EQ(outcome.code, RegistryCode::kStaleDecision);
  EXPECT_THAT(outcome.text, ::testing::HasSubstr("majority"));
  EXPECT_EQ(apply.group(1).members.size(), 3u + accepted);
  // Once they are gone the next one is welcome.
  apply.confirm_all();
  EXPECT_EQ(apply(join(2, 1, 100, uuid_of(2, 1 + accepted))).code, RegistryCode::kOk);
}

TEST(Registry_Limits, AreNoReasonToTryAgain) {
  RegistryOutcome outcome;
  outcome.code = RegistryCode::kExhausted;
  outcome.text = "the cluster has all the nodes that it can have";
  EXPECT_EQ(outcome.status().code(), StatusCode::kConflict);
}

TEST(Registry_SetRole, LastVoter_StaysOne) {
  Applied apply = cluster_of(2);
  EXPECT_EQ(apply(SetRole{GroupId(1), apply.replica(1, 2), false}).code, RegistryCode::kOk);
  EXPECT_THAT(apply.voters(1), ElementsAre(1));
  EXPECT_EQ(apply(SetRole{GroupId(1), apply.replica(1, 1), false}).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(SetRole{GroupId(0), apply.replica(0, 2), true}).code, RegistryCode::kConflict);
  EXPECT_EQ(apply(SetRole{GroupId(1), ReplicaId(5), true}).code, RegistryCode::kNotFound);
}

TEST(Registry_UpdateNode, OnlyTheSameLife_ChangesAddresses) {
  Applied apply = cluster_of(2);
  EXPECT_EQ(apply(UpdateNode{NodeId(2), uuid_of(2), "new:1", "new:2"}).code, RegistryCode::kOk);
  EXPECT_EQ(apply.view().node(NodeId(2))->raft_address, "new:1");
  EXPECT_EQ(apply(UpdateNode{NodeId(2), uuid_of(2, 9), "x:1", "x:2"}).code,
            RegistryCode::kNotFound);
  EXPECT_EQ(apply(UpdateNode{NodeId(2), uuid_of(2), "", "x:2"}).code, RegistryCode::kInvalid);
}

TEST(Registry_View, HandedOut_IsNotTouchedByLaterCommands) {
  Applied apply = cluster_of(1);
  const auto before = apply.registry.share();
  const uint64_t hash = hash_of(before);
  apply(join(2));
  apply(create(300, {1, 2}));
  EXPECT_EQ(hash_of(before), hash);
  EXPECT_EQ(before->group(GroupId(300)), nullptr);
  EXPECT_EQ(before->nodes().size(), 1u);
}

TEST(Registry_View, Changes_AreExactlyTheGroupsThatDiffer) {
  Applied apply = cluster_of(2);
  for (uint64_t id = 2; id < 600; ++id) apply(create(id, {1, 2}));
  const auto before = apply.registry.share();
  apply(AddMember{GroupId(5), NodeId(1), true});  // Already one: nothing happens.
  apply(remove(300, 2));
  apply(create(900, {1}));
  std::vector<uint64_t> changed;
  RegistryView::for_each_change(*before, apply.view(),
                                [&](GroupId id) { changed.push_back(id.value); });
  EXPECT_THAT(changed, ::testing::UnorderedElementsAre(300, 900));
  changed.clear();
  RegistryView::for_each_change(apply.view(), *before,
                                [&](GroupId id) { changed.push_back(id.value); });
  EXPECT_THAT(changed, ::testing::UnorderedElementsAre(300, 900));
  changed.clear();
  RegistryView::for_each_change(*before, *before, [&](GroupId id) { changed.push_back(id.value); });
  EXPECT_THAT(changed, IsEmpty());
}

TEST(Registry_View, Groups_AreListedInOrder) {
  Applied apply = cluster_of(2);
  apply(create(257, {2}));
  apply(create(3, {1, 2}));
  std::vector<uint64_t> ids;
  for (const GroupRecord* g : apply.view().groups()) ids.push_back(g->id.value);
  EXPECT_THAT(ids, ElementsAre(0, 1, 3, 257));
  EXPECT_THAT(apply.view().groups_of(NodeId(2)), ElementsAre(GroupId(1), GroupId(3), GroupId(257)));
  EXPECT_EQ(apply.view().group_count(), 4u);
  EXPECT_EQ(apply.view().group_count_of(NodeId(2)), 3u);
  EXPECT_EQ(apply.view().group_count_of(NodeId(7)), 0u);
}

RegisterNode join_with(uint64_t node, VersionRange versions) {
  RegisterNode command = join(node);
  command.versions = versions;
  return command;
}
UpdateNode restarted_with(uint64_t node, VersionRange versions) {
  return {NodeId(node), uuid_of(node), raft_of(node), api_of(node), versions};
}

TEST(Registry_Version, NewCluster_HasTheNewestOfItsFounder) {
  Applied apply;
  EXPECT_EQ(apply.view().cluster_version(), 0u);
  Bootstrap first = bootstrap();
  first.versions = {2, 5};
  apply(first);
  EXPECT_EQ(apply.view().cluster_version(), 5u);
  EXPECT_EQ(apply.view().node(NodeId(1))->versions, (VersionRange{2, 5}));
}

TEST(Registry_Version, NodeThatDoesNotSupportIt_IsRefusedWithWhatToDo) {
  Applied apply;
  Bootstrap first = bootstrap();
  first.versions = {2, 3};
  apply(first);
  const RegistryOutcome too_old = apply(join_with(2, {1, 2}));
  EXPECT_EQ(too_old.code, RegistryCode::kConflict);
  EXPECT_THAT(too_old.text, HasSubstr("the version of multiraft that the other nodes run"));
  const RegistryOutcome too_new = apply(join_with(2, {4, 5}));
  EXPECT_EQ(too_new.code, RegistryCode::kConflict);
  EXPECT_THAT(too_new.text, HasSubstr("in smaller steps"));
  EXPECT_EQ(apply.view().nodes().size(), 1u);
  EXPECT_EQ(apply(join_with(2, {1, 3})).code, RegistryCode::kOk);
  EXPECT_EQ(apply(restarted_with(2, {1, 2})).code, RegistryCode::kConflict);
  EXPECT_EQ(apply.view().node(NodeId(2))->versions, (VersionRange{1, 3}));
}

TEST(Registry_Version, RisesOnceAllNodesSupportIt_AndNeverFalls) {
  Applied apply = cluster_of(3);
  ASSERT_EQ(apply.view().cluster_version(), 1u);
  apply(restarted_with(1, {1, 2}));
  apply(restarted_with(2, {1, 2}));
  const RegistryOutcome early = apply(RaiseClusterVersion{2});
  EXPECT_EQ(early.code, RegistryCode::kStaleDecision);
  EXPECT_THAT(early.text, HasSubstr("node 3"));
  apply(restarted_with(3, {1, 3}));
  EXPECT_EQ(apply(RaiseClusterVersion{3}).code, RegistryCode::kStaleDecision);
  EXPECT_EQ(apply(RaiseClusterVersion{2}).code, RegistryCode::kOk);
  EXPECT_EQ(apply.view().cluster_version(), 2u);
  EXPECT_FALSE(apply(RaiseClusterVersion{1}).changed);
  EXPECT_EQ(apply.view().cluster_version(), 2u);
  EXPECT_EQ(apply(join_with(4, {1, 1})).code, RegistryCode::kConflict);
}

TEST(Registry_Version, RegistrationThatIsRepeated_BringsTheVersionsOfTheNewProgram) {
  Applied apply = cluster_of(2);
  EXPECT_TRUE(apply(join_with(2, {1, 2})).changed);
  EXPECT_EQ(apply.view().node(NodeId(2))->versions, (VersionRange{1, 2}));
  EXPECT_FALSE(apply(join_with(2, {1, 2})).changed);
}

}  // namespace
}  // namespace multiraft::registry
