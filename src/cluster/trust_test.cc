// What a node believes of others: who they are, where they are, and what they say about it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/messages.h"
#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"

namespace multiraft::cluster {
namespace {

using testing::FakeCluster;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StartOptions;

class TrustTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(cluster_.violations(), IsEmpty()); }

  void start_ready(uint64_t id, uint64_t join = 0) {
    ASSERT_TRUE(cluster_.start(id, StartOptions{join, 1}));
    ASSERT_TRUE(cluster_.run_until([&] { return cluster_.ready(id); })) << "node " << id;
  }
  /// Nodes 1..n, all in group 1.
  void cluster_of(uint64_t n) {
    start_ready(1);
    std::vector<uint64_t> all{1};
    for (uint64_t id = 2; id <= n; ++id) {
      start_ready(id, 1);
      all.push_back(id);
      ASSERT_TRUE(cluster_.run_until([&] { return cluster_.voters(1) == all; }));
    }
    cluster_.run_for(env::kSecond);
  }
  state_dir::NodePhase phase_on_disk(uint64_t id) {
    return state_dir::decode_facts(*cluster_.node(id).env->file_system().read_file("state/node"))
        ->phase;
  }
  ReplicaId replica(uint64_t node, uint64_t group) {
    return cluster_.node(node).log.at(GroupId(group)).replica;
  }

  FakeCluster cluster_;
};

TEST_F(TrustTest, RequestOfANodeThatIsNotKnown_IsRefused_ButForAQuestionAboutItself) {
  cluster_of(2);
  const auto ask = [&](const AdminRequest& request) {
    std::optional<StatusCode> code;
    cluster_.node(1).controller->on_request(
        NodeId(), wire::Request{0, wire::RequestKind::kAdmin, {}, encode(request)},
        [&](StatusCode c, SharedBytes) { code = c; });
    EXPECT_TRUE(cluster_.run_until([&] { return code.has_value(); }));
    return code.value_or(StatusCode::kInternal);
  };
  EXPECT_EQ(ask(RemovedNotice{registry::kRegistryGroup, replica(1, 0)}), StatusCode::kNotFound);
  EXPECT_EQ(ask(MembersQuery{}), StatusCode::kNotFound);
  EXPECT_EQ(ask(LeaderQuery{GroupId(1)}), StatusCode::kNotFound);
  EXPECT_EQ(ask(MembershipCheck{registry::kRegistryGroup, replica(2, 0)}), StatusCode::kOk);
}

TEST_F(TrustTest, NoticeThatIsNotTrue_ChangesNothing) {
  cluster_of(3);
  ASSERT_EQ(cluster_.create_group(1, 2, {1, 2, 3}), Status::ok());
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.hosts(3, 2); }));
  for (uint64_t group : {0, 1, 2}) {
    const AdminRequest notice = RemovedNotice{GroupId(group), replica(3, group)};
    cluster_.node(3).controller->on_request(
        NodeId(1), wire::Request{0, wire::RequestKind::kAdmin, {}, encode(notice)},
        [](StatusCode, SharedBytes) {});
  }
  cluster_.run_for(30 * env::kSecond);
  EXPECT_EQ(cluster_.node(3).removed, 0);
  EXPECT_EQ(phase_on_disk(3), state_dir::NodePhase::kMember);
  EXPECT_TRUE(cluster_.hosts(3, 1));
  EXPECT_TRUE(cluster_.hosts(3, 2));
}

// -- Another cluster, another machine, another address.

TEST_F(TrustTest, FounderThatOthersTakeForAMemberOfTheirCluster_SaysSo) {
  start_ready(1);
  const transport::UnknownCaller caller{NodeId(2), "two:1", true};
  cluster_.node(1).controller->on_unknown_caller(caller);
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(1).other_cluster.has_value(); }));
  EXPECT_THAT(cluster_.node(1).other_cluster->message(), HasSubstr("-replace_lost_disk"));
}

TEST_F(TrustTest, ClusterOfSeveralNodes_DoesNotMindWhoCalls) {
  cluster_of(2);
  cluster_.node(1).controller->on_unknown_caller({NodeId(2), "two:1", true});
  cluster_.run_for(5 * env::kSecond);
  EXPECT_FALSE(cluster_.node(1).other_cluster.has_value());
}

TEST_F(TrustTest, RegisteredIdWithAnotherDisk_IsRefusedUnlessTheDiskIsSaidToBeLost) {
  cluster_of(3);
  const StateDirId before = cluster_.view(1).node(NodeId(3))->uuid;
  cluster_.wipe(3);
  cluster_.node(3).replaces_lost_disk = false;
  cluster_.run_for(30 * env::kSecond);  // It is not a matter of time.
  ASSERT_TRUE(cluster_.start(3, StartOptions{1, 1}));
  ASSERT_TRUE(cluster_.run_until([&] { return cluster_.node(3).refused.has_value(); }));
  EXPECT_THAT(cluster_.node(3).refused->message(), HasSubstr("-replace_lost_disk"));
  cluster_.run_for(5 * env::kSecond);
  EXPECT_EQ(cluster_.view(1).node(NodeId(3))->uuid, before);
  cluster_.kill(3);
  cluster_.node(3).replaces_lost_disk = true;
  start_ready(3, 1);
  EXPECT_NE(cluster_.view(1).node(NodeId(3))->uuid, before);
}

TEST_F(TrustTest, NodeThatIsHeardOfElsewhere_IsReachedThereAtOnce_AlsoAfterARestart) {
  cluster_of(3);
  cluster_.node(1).controller->on_address(NodeId(2), {"moved", 1});
  const auto reached_at = [&] {
    return cluster_.node(1).host->transport().addresses().at(NodeId(2));
  };
  EXPECT_TRUE(cluster_.run_until([&] { return reached_at() == "moved:1"; }));
  cluster_.run_for(env::kSecond);
  cluster_.kill(1);
  cluster_.node(1).receives = false;  // The registry does not say so.
  ASSERT_TRUE(cluster_.start(1));
  EXPECT_TRUE(cluster_.run_until([&] { return reached_at() == "moved:1"; }));
}

/// Nodes 2 and 3 have moved. Node 3 knows where node 2 was, and hears of no leader.
class MovedNodesTest : public TrustTest {
 protected:
  void SetUp() override {
    cluster_of(3);
    for (const uint64_t id : {2, 3}) cluster_.kill(id);
    cluster_.node(2).raft_address = "moved:1";
    cluster_.node(3).raft_address = "moved:2";
    cluster_.node(3).receives = false;
    cluster_.group(0).elects = false;
    cluster_.run_for(env::kSecond);
  }
  /// Where node 3 reaches node 2.
  std::string address() { return cluster_.node(3).host->transport().addresses().at(NodeId(2)); }
};

TEST_F(MovedNodesTest, NodeWithoutALeader_AsksThoseItReachesWhereTheOthersAre) {
  ASSERT_TRUE(cluster_.start(3, StartOptions{}));
  cluster_.run_for(10 * env::kSecond);
  EXPECT_NE(address(), "moved:1");
  // Only now nodes 1 and 2 have a registry that says it.
  ASSERT_TRUE(cluster_.start(2, StartOptions{}));
  cluster_.elect(0, 2);
  EXPECT_TRUE(cluster_.run_until([&] { return address() == "moved:1"; }));
  EXPECT_NE(cluster_.view(3).node(NodeId(2))->raft_address, "moved:1");
}

TEST_F(MovedNodesTest, AddressThatAThirdNodeHeardOf_IsUsedOnceTheNodeAnswersThere) {
  cluster_.node(3).receives = true;  // No registry is newer.
  ASSERT_TRUE(cluster_.start(3, StartOptions{}));
  ASSERT_TRUE(
      cluster_.run_until([&] { return cluster_.view(3).version() == cluster_.view(1).version(); }));
  cluster_.node(1).controller->on_address(NodeId(2), {"moved", 1});
  cluster_.run_for(10 * env::kSecond);
  EXPECT_NE(address(), "moved:1") << "nobody answers there";
  ASSERT_TRUE(cluster_.start(2, StartOptions{}));
  EXPECT_TRUE(cluster_.run_until([&] { return address() == "moved:1"; }));
}

}  // namespace
}  // namespace multiraft::cluster
