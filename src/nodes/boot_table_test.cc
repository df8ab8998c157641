#include "nodes/boot_table.h"

#include <gtest/gtest.h>

namespace multiraft::nodes {
namespace {

constexpr NodeId kSelf{1};
constexpr NodeId kNode{2};
constexpr StateDirId kState{7, 8};

wire::Hello hello(uint64_t life, uint64_t incarnation, std::vector<uint64_t> recovered) {
  wire::Hello hello;
  hello.node = kNode;
  hello.state = kState;
  hello.life = life;
  hello.incarnation = incarnation;
  hello.workers = static_cast<uint16_t>(recovered.size());
  hello.recovered = std::move(recovered);
  return hello;
}

StatusCode verdict(const BootTable& table, const wire::Hello& hello) {
  wire::BootRecord known;
  const Status status = table.judge(hello, known);
  EXPECT_EQ(known == wire::BootRecord{}, status.is_ok());
  return status.code();
}

class LifeTableTest : public ::testing::Test {
 protected:
  LifeTableTest() {
    EXPECT_TRUE(table.note(hello(5, 50, {10, 20})));
    table.find(kNode, kState)->told(1, 25);
  }
  BootTable table{kSelf};
};

TEST_F(LifeTableTest, SameProcess_Again_IsWelcome) {
  // Its connection broke: what it has told since it was started is more than what it recovered.
  EXPECT_EQ(verdict(table, hello(5, 50, {10, 20})), StatusCode::kOk);
  EXPECT_FALSE(table.note(hello(5, 50, {10, 20})));
}

TEST_F(LifeTableTest, NextLife_WithAllThatWasTold_IsWelcome) {
  EXPECT_EQ(verdict(table, hello(6, 60, {10, 25})), StatusCode::kOk);
  EXPECT_EQ(verdict(table, hello(9, 60, {99, 99})), StatusCode::kOk);  // Starts that failed count.
  EXPECT_TRUE(table.note(hello(6, 60, {10, 25})));
}

TEST_F(LifeTableTest, NextLife_WithLessThanWasTold_IsOlder) {
  EXPECT_EQ(verdict(table, hello(6, 60, {10, 24})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(6, 60, {9, 25})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(6, 60, {10})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(6, 60, {})), StatusCode::kStateRollback);
}

TEST_F(LifeTableTest, EarlierOrRepeatedLife_IsOlderWhateverItHas) {
  EXPECT_EQ(verdict(table, hello(4, 60, {99, 99})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(5, 60, {99, 99})), StatusCode::kStateRollback);
}

TEST_F(LifeTableTest, OtherStateDirectory_IsNotJudgedByThisOne) {
  wire::Hello emptied = hello(1, 60, {0, 0});
  emptied.state = {1, 1};
  EXPECT_EQ(verdict(table, emptied), StatusCode::kOk);
  EXPECT_EQ(why_older(emptied, {kNode, kState, 5, 50, {10, 25}}), "");
  EXPECT_TRUE(table.note(emptied));
  // And does not make the other one forgotten.
  EXPECT_EQ(verdict(table, hello(6, 60, {10, 24})), StatusCode::kStateRollback);
  EXPECT_EQ(table.all().size(), 2u);
}

TEST_F(LifeTableTest, ManyStateDirectoriesAndNodes_AreBounded) {
  for (uint64_t i = 1; i <= 10; ++i) table.learn({kNode, {i, i}, 1, 1, {}});
  EXPECT_EQ(table.all().size(), 4u);
  for (uint64_t i = 0; i < 3 * limits::kNodesMax; ++i) table.learn({NodeId(i), {1, 1}, 1, 1, {}});
  EXPECT_LE(table.all().size(), limits::kNodesMax + 3);
}

TEST_F(LifeTableTest, Hearsay_OfTheSameLife_RaisesWhatIsKnown) {
  EXPECT_FALSE(table.learn({kNode, kState, 5, 50, {11}}));
  EXPECT_FALSE(table.learn({kNode, kState, 3, 30, {5, 5}}));
  EXPECT_EQ(table.all(), (std::vector<wire::BootRecord>{{kNode, kState, 5, 50, {11, 25}}}));
}

TEST_F(LifeTableTest, Hearsay_OfALaterLife_IsBelieved) {
  EXPECT_TRUE(table.learn({kNode, kState, 6, 60, {30, 30}}));
  // The process of that life is welcome, though it recovered less than it has told others.
  EXPECT_EQ(verdict(table, hello(6, 60, {11, 25})), StatusCode::kOk);
  EXPECT_EQ(verdict(table, hello(7, 70, {11, 25})), StatusCode::kStateRollback);
}

TEST_F(LifeTableTest, Hearsay_OfOneself_IsIgnored) {
  EXPECT_FALSE(table.learn({kSelf, kState, 6, 60, {30, 30}}));
  EXPECT_FALSE(table.learn_from(NodeId(3), {kSelf, kState, 6, 60, {30, 30}}));
  EXPECT_EQ(table.all().size(), 1u);
  EXPECT_TRUE(table.all(kNode).empty());
}

TEST_F(LifeTableTest, NodeWithoutAStateDirectory_IsNeverOlder) {
  wire::Hello blank = hello(0, 1, {});
  blank.state = {};
  EXPECT_FALSE(table.note(blank));
  EXPECT_EQ(verdict(table, blank), StatusCode::kOk);
}

TEST_F(LifeTableTest, WorkerBeyondTheLimit_IsIgnored) {
  table.find(kNode, kState)->told(wire::kWorkersMax, 1);
  EXPECT_EQ(table.all().front().durable, (std::vector<uint64_t>{10, 25}));
}

TEST_F(LifeTableTest, Hearsay_InAClusterOfThree_CountsFromTheOnlyOneWhoCouldTell) {
  EXPECT_TRUE(table.learn_from(NodeId(3), {kNode, kState, 7, 70, {11, 26}}));
  EXPECT_EQ(verdict(table, hello(7, 71, {99, 99})), StatusCode::kStateRollback);
}

TEST_F(LifeTableTest, Hearsay_InALargerCluster_CountsAsFarAsTwoAgree) {
  for (const uint64_t node : {3, 4, 5}) table.learn({NodeId(node), {node, node}, 1, 1, {}});
  // One alone may be mistaken, however often it says so.
  EXPECT_FALSE(table.learn_from(NodeId(3), {kNode, kState, 9, 90, {99, 99}}));
  EXPECT_FALSE(table.learn_from(NodeId(3), {kNode, kState, 9, 90, {99, 99}}));
  EXPECT_EQ(verdict(table, hello(6, 60, {10, 25})), StatusCode::kOk);
  EXPECT_TRUE(table.learn_from(NodeId(4), {kNode, kState, 7, 70, {30}}));
  EXPECT_EQ(verdict(table, hello(7, 71, {99, 99})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(8, 80, {10, 25})), StatusCode::kOk);
  // Of the same life also how far its logs were.
  EXPECT_FALSE(table.learn_from(NodeId(5), {kNode, kState, 7, 70, {31, 40}}));
  EXPECT_EQ(verdict(table, hello(8, 80, {29, 25})), StatusCode::kStateRollback);
  EXPECT_EQ(verdict(table, hello(8, 80, {30, 25})), StatusCode::kOk);
}

// Passed on, it would come back from elsewhere as the word of a second node.
TEST_F(LifeTableTest, Hearsay_ThatNobodyConfirmed_IsNotPassedOn) {
  for (const uint64_t node : {3, 4}) table.learn({NodeId(node), {node, node}, 1, 1, {}});
  EXPECT_FALSE(table.learn_from(NodeId(3), {NodeId(5), {5, 5}, 9, 90, {99}}));
  uint64_t position = 0;
  for (const wire::BootRecord& life : table.changes({}, position)) EXPECT_NE(life.node, NodeId(5));
}

TEST_F(LifeTableTest, Hearsay_OfAnImpossibleNumber_IsIgnored) {
  EXPECT_FALSE(table.learn_from(NodeId(3), {kNode, kState, uint64_t{1} << 63, 70, {}}));
  EXPECT_EQ(verdict(table, hello(6, 60, {10, 25})), StatusCode::kOk);
}

TEST_F(LifeTableTest, Changes_AreWhatIsNewSinceTheLastTime) {
  uint64_t position = 0;
  EXPECT_EQ(table.changes({}, position).size(), 1u);
  // Once more, in case it was being changed just then.
  table.changes({}, position);
  EXPECT_EQ(table.changes({}, position).size(), 0u);
  table.find(kNode, kState)->told(1, 25);  // As before.
  EXPECT_EQ(table.changes({}, position).size(), 0u);
  table.find(kNode, kState)->told(1, 26);
  table.learn({NodeId(3), {3, 3}, 1, 1, {}});
  EXPECT_EQ(table.changes(kNode, position).size(), 1u);
  table.changes({}, position);
  EXPECT_EQ(table.changes({}, position).size(), 0u);
  uint64_t other = 0;
  EXPECT_EQ(table.changes({}, other).size(), 2u);
}

TEST_F(LifeTableTest, NodeThatLeft_IsForgotten) {
  table.forget(kNode);
  EXPECT_TRUE(table.all().empty());
  EXPECT_EQ(table.find(kNode, kState), nullptr);
}

}  // namespace
}  // namespace multiraft::nodes
