// Nodes that watch whether others start with less than they had: the handshake, the batches that
// carry how far a log is durable, and hearsay.

#include <gtest/gtest.h>

#include "env/posix/posix_env.h"
#include "transport/testing/test_node.h"

namespace multiraft::transport {
namespace {

constexpr StateDirId kStateOfTwo{2, 22};

class LivesTest : public ::testing::Test {
 protected:
  /// Node `id` with a state directory of its own, in its first life.
  std::unique_ptr<TestNode> node(uint64_t id, uint16_t port = 0) {
    return start(id, {id, 11 * id}, 1, {0}, port);
  }
  std::unique_ptr<TestNode> start(uint64_t id, StateDirId state, uint64_t life,
                                  std::vector<uint64_t> recovered, uint16_t port = 0,
                                  std::vector<wire::BootRecord> boots = {}) {
    TestNode::Setup setup;
    setup.port = port;
    setup.workers = static_cast<uint32_t>(recovered.size());
    setup.adjust = [=](TransportOptions& options) {
      options.identity.state = state;
      options.identity.life = life;
      options.recovered = recovered;
      options.boots = boots;
      // Acknowledgements carry hearsay, each sixth of this. A busy machine is silent for a while.
      options.peer_silence_max_ns = 6 * env::kSecond;
    };
    return std::make_unique<TestNode>(*env_, id, setup);
  }

  /// Whether `node` hears through `witness` that the log of node 2 is durable up to `sequence`.
  bool hears_of_two(TestNode& node, TestNode& witness, uint64_t sequence) {
    // Hearsay comes with the acknowledgements of batches, so there must be some.
    const env::MonotonicTime give_up = env_->clock().now() + 60 * env::kSecond;
    while (env_->clock().now() < give_up) {
      for (const wire::BootRecord& life : node.transport->boots()) {
        if (life.node == NodeId(2) && life.durable == std::vector<uint64_t>{sequence}) return true;
      }
      const size_t before = witness.seen().get().batch_ends.size();
      node.send(witness.id(), 1);
      witness.seen().wait_for([&](const Seen& s) { return s.batch_ends.size() > before; });
    }
    return false;
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

bool told(const std::vector<StateRollback>& all) { return !all.empty(); }

/// Node 2 tells node 1 that worker 0 is durable up to `sequence`.
void tell(TestNode& two, TestNode& one, uint64_t sequence) {
  two.receiver().durable = sequence;
  const size_t before = one.seen().get().messages.size();
  ASSERT_TRUE(two.send(one.id(), sequence));
  ASSERT_TRUE(one.seen().wait_for([&](const Seen& s) { return s.messages.size() > before; }));
}

TEST_F(LivesTest, Restart_WithAllThatWasTold_IsHeard) {
  const auto one = node(1);
  auto two = start(2, kStateOfTwo, 1, {0});
  one->meet(*two);
  tell(*two, *one, 17);
  const uint16_t port = two->transport->port();
  two->stop();
  two = start(2, kStateOfTwo, 2, {17}, port);
  two->transport->set_address(one->id(), one->address());
  tell(*two, *one, 18);
  EXPECT_TRUE(two->older_states().get().empty());
}

TEST_F(LivesTest, Restart_WithLessThanWasTold_IsRefusedAndKnowsWhy) {
  const auto one = node(1);
  auto two = start(2, kStateOfTwo, 1, {0, 0});
  one->meet(*two);
  tell(*two, *one, 17);
  two->stop();
  two = start(2, kStateOfTwo, 2, {16, 0});
  two->transport->set_address(one->id(), one->address());
  ASSERT_TRUE(two->older_states().wait_for(told));
  const StateRollback older = two->older_states().get().front();
  EXPECT_EQ(older.teller, one->id());
  EXPECT_EQ(older.address, one->address());
  EXPECT_EQ(older.known.number, 1u);
  EXPECT_EQ(older.known.durable, std::vector<uint64_t>{17});
  // From here on it says nothing, not even to nodes that know nothing of it.
  EXPECT_FALSE(two->send(one->id(), 99));
  const auto three = node(3);
  two->transport->set_address(three->id(), three->address());
  EXPECT_FALSE(two->send(three->id(), 99));
  EXPECT_TRUE(one->older_states().get().empty());
}

TEST_F(LivesTest, Restart_InALifeThatAnotherProcessHad_IsRefused) {
  const auto one = node(1);
  auto two = start(2, kStateOfTwo, 3, {5});
  one->meet(*two);
  tell(*two, *one, 6);
  two->stop();
  // Its copy was taken before that life began, and has everything that was told.
  two = start(2, kStateOfTwo, 3, {6});
  two->transport->set_address(one->id(), one->address());
  EXPECT_TRUE(two->older_states().wait_for(told));
}

TEST_F(LivesTest, Connection_BrokenAndMadeAgain_IsTheSameLife) {
  const auto one = node(1);
  const auto two = start(2, kStateOfTwo, 1, {0});
  one->meet(*two);
  tell(*two, *one, 17);
  two->transport->set_address(one->id(), {"localhost", one->transport->port()});
  tell(*two, *one, 18);
  EXPECT_TRUE(two->older_states().get().empty());
}

TEST_F(LivesTest, Witness_Restarted_StillKnowsTheLives) {
  auto one = node(1);
  auto two = start(2, kStateOfTwo, 3, {5});
  one->meet(*two);
  tell(*two, *one, 6);
  two->stop();
  const std::vector<wire::BootRecord> remembered = one->transport->boots();
  EXPECT_EQ(remembered.size(), 1u);
  EXPECT_GT(one->lives_changes().get(), 0);
  one->stop();
  one = start(1, {1, 11}, 2, {0}, 0, remembered);
  two = start(2, kStateOfTwo, 3, {5});
  one->know(*two);
  two->transport->set_address(one->id(), one->address());
  EXPECT_TRUE(two->older_states().wait_for(told));
}

TEST_F(LivesTest, Node_ThatWasNeverTold_HearsOfItWhenItConnects) {
  const auto one = node(1);
  auto two = start(2, kStateOfTwo, 1, {0});
  one->meet(*two);
  tell(*two, *one, 17);
  two->stop();
  // Nobody sends anything: to know each other's address is enough.
  const auto three = node(3);
  one->know(*three);
  three->transport->set_address(one->id(), one->address());
  ASSERT_TRUE(three->lives_changes().wait_for([&](int) {
    for (const wire::BootRecord& life : three->transport->boots()) {
      if (life.node == NodeId(2) && life.durable == std::vector<uint64_t>{17}) return true;
    }
    return false;
  }));
  two = start(2, kStateOfTwo, 2, {16});
  three->know(*two);
  two->transport->set_address(three->id(), three->address());
  ASSERT_TRUE(two->older_states().wait_for(told));
  EXPECT_EQ(two->older_states().get().front().teller, three->id());
}

TEST_F(LivesTest, Hearsay_OfGrowingLogs_ComesWithAcknowledgements) {
  const auto one = node(1);
  const auto three = node(3);
  const auto two = start(2, kStateOfTwo, 1, {0});
  one->meet(*two);
  one->meet(*three);
  tell(*two, *one, 17);
  EXPECT_TRUE(hears_of_two(*three, *one, 17));
  tell(*two, *one, 18);
  EXPECT_TRUE(hears_of_two(*three, *one, 18));
}

TEST_F(LivesTest, Refusal_WithNumbersThatDoNotShowIt_IsNotBelieved) {
  const auto two = start(2, kStateOfTwo, 2, {16});
  wire::HelloReply lie = welcome_of(1);
  lie.code = StatusCode::kStateRollback;
  lie.known = {NodeId(2), kStateOfTwo, 1, 9, {16}};
  FakeNode liar(*env_, wire::encode(lie));
  lie.known.durable = {17};
  lie.cluster = ClusterId(999);
  FakeNode stranger(*env_, wire::encode(lie));
  lie.cluster = kTestCluster;
  lie.node = NodeId(4);
  FakeNode other(*env_, wire::encode(lie));
  two->transport->set_address(NodeId(1), liar.address());
  two->transport->set_address(NodeId(3), stranger.address());
  two->transport->set_address(NodeId(5), other.address());
  ASSERT_TRUE(two->watched_problems().wait_for([](const std::vector<Status>& problems) {
    return std::count_if(problems.begin(), problems.end(), [](const Status& status) {
             return status.message().find("without a reason") != std::string::npos;
           }) == 3;
  }));
  EXPECT_TRUE(two->older_states().get().empty());
}

TEST_F(LivesTest, Call_OfAnOlderNode_IsAnswered) {
  const auto one = node(1);
  one->receiver().answer = [&](const Process& from, const wire::Request& request) {
    one->transport->worker(0).send(from, wire::Response{request.id, StatusCode::kOk, {}});
  };
  auto two = start(2, kStateOfTwo, 1, {0});
  one->meet(*two);
  tell(*two, *one, 17);
  two->stop();
  two = start(2, kStateOfTwo, 1, {0});
  EXPECT_TRUE(two->call(one->address(), wire::Request{}).is_ok());
}

}  // namespace
}  // namespace multiraft::transport
