// A node that learns that its state is too old.

#include "cluster/rollback_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/controller.h"
#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using ::testing::HasSubstr;

class OlderStateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (uint64_t id = 1; id <= 3; ++id) {
      ASSERT_TRUE(cluster_.start(id, StartOptions{id == 1 ? 0u : 1u, 1}));
      ASSERT_TRUE(cluster_.run_until(
          [&] { return cluster_.ready(id) && cluster_.voters(1).size() == id; }));
    }
    cluster_.run_for(env::kSecond);
  }
  /// Node 3 learns that node 1 knows more of it.
  void tell() {
    transport::StateRollback told;
    told.teller = NodeId(1);
    told.known.number = 7;
    told.text = "node 1 refuses";
    cluster_.node(3).controller->on_state_rollback(told);
  }
  bool said(const std::string& text) {
    for (const std::string& line : cluster_.node(3).lines) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }
  bool gives_up(int64_t limit_ns) {
    return cluster_.run_until([&] { return cluster_.node(3).older.has_value(); }, limit_ns);
  }

  FakeCluster cluster_;
};

TEST_F(OlderStateTest, OthersLeadAllItsGroups_GivesUpAndSaysWhoToldIt) {
  tell();
  tell();
  ASSERT_TRUE(gives_up(10 * env::kSecond));
  EXPECT_EQ(cluster_.node(3).older->code(), StatusCode::kStateRollback);
  EXPECT_THAT(cluster_.node(3).older->message(), HasSubstr("node 1 refuses"));
  EXPECT_THAT(cluster_.node(3).older->message(), HasSubstr("start number 1"));
  EXPECT_THAT(cluster_.node(3).older->message(), HasSubstr("number 7"));
  EXPECT_TRUE(said("older state directory"));
}

TEST_F(OlderStateTest, GroupWithoutALeaderElsewhere_KeepsItsReplicasUntilThereIsOne) {
  cluster_.elect(1, 3);
  tell();
  EXPECT_FALSE(gives_up(30 * env::kSecond));
  EXPECT_TRUE(said("group 1 has no leader on another node"));
  cluster_.elect(1, 2);
  EXPECT_TRUE(gives_up(60 * env::kSecond));
}

TEST_F(OlderStateTest, NobodyElseThere_KeepsItsReplicas) {
  cluster_.node(3).connected = false;
  tell();
  EXPECT_FALSE(gives_up(60 * env::kSecond));
}

TEST_F(OlderStateTest, NodeThatStops_IsNotHeardOf) {
  cluster_.node(3).controller->on_state_rollback({});
  cluster_.kill(3);
  cluster_.run_for(env::kSecond);
  EXPECT_FALSE(cluster_.node(3).older.has_value());
}

}  // namespace
}  // namespace multiraft::cluster
