// What a node knows of another one's being alive.

#include <gtest/gtest.h>

#include "env/posix/posix_env.h"
#include "nodes/contact_table.h"
#include "transport/testing/test_node.h"

namespace multiraft::transport {
namespace {

constexpr env::MonotonicTime at(int64_t seconds) { return {seconds * env::kSecond}; }

TEST(ContactTable, NodeNeverSeen_IsNotAlive) {
  nodes::ContactTable table;
  EXPECT_FALSE(table.contact(NodeId(1)).connected);
  EXPECT_FALSE(table.contact(NodeId(1)).alive(at(0), INT64_MAX));
  table.entry(NodeId(1))->failed(at(5));
  EXPECT_FALSE(table.contact(NodeId(1)).alive(at(0), INT64_MAX));
  EXPECT_EQ(table.contact(NodeId(1)).last_failed, at(5));
}

TEST(ContactTable, Connection_CountsFromOpenToClose) {
  nodes::ContactTable table;
  nodes::CountedConnection out(table.entry(NodeId(1))), in(table.entry(NodeId(1)));
  out.open(at(1), 77);
  in.open(at(2), 77);
  in.open(at(2), 77);
  EXPECT_TRUE(table.contact(NodeId(1)).alive(at(3), env::kSecond));
  EXPECT_EQ(table.contact(NodeId(1)).incarnation, 77u);
  out.close(at(3));
  out.close(at(3));
  EXPECT_TRUE(table.contact(NodeId(1)).connected);
  in.close(at(4));
  EXPECT_FALSE(table.contact(NodeId(1)).connected);
  EXPECT_EQ(table.contact(NodeId(1)).last_heard, at(2));
  EXPECT_EQ(table.contact(NodeId(1)).last_failed, at(4));
}

TEST(ContactTable, OpenConnection_ThatIsSilentForTooLong_IsNotAlive) {
  nodes::ContactTable table;
  nodes::CountedConnection connection(table.entry(NodeId(1)));
  connection.open(at(1), 77);
  EXPECT_TRUE(table.contact(NodeId(1)).alive(at(3), 2 * env::kSecond));
  EXPECT_FALSE(table.contact(NodeId(1)).alive(at(4), 2 * env::kSecond));
  connection.heard(at(4));
  EXPECT_TRUE(table.contact(NodeId(1)).alive(at(4), 2 * env::kSecond));
}

class ContactTest : public ::testing::Test {
 protected:
  std::unique_ptr<TestNode> start(uint64_t id, uint16_t port = 0) {
    return std::make_unique<TestNode>(
        *env_, id, TestNode::Setup{.port = port, .adjust = [id](TransportOptions& options) {
                                     options.identity.state = {1, id};
                                     options.identity.life = 1;
                                     options.peer_silence_max_ns = 3 * env::kSecond;
                                     options.keepalive_ns = 1 * env::kMillisecond;
                                   }});
  }
  /// Nobody signals a change of a contact: asks again after each round of the node's worker.
  template <class Predicate>
  bool eventually(TestNode& node, Predicate predicate) {
    const env::MonotonicTime end = env_->clock().now() + 60 * env::kSecond;
    while (env_->clock().now() < end) {
      if (predicate()) return true;
      node.run([](WorkerTransport&) {});
    }
    return false;
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

TEST_F(ContactTest, NodesWithNothingToSay_HearOfEachOther_UntilOneEnds) {
  auto a = start(1), b = start(2);
  a->meet(*b);
  const auto heard_after = [](TestNode& node, NodeId other, env::MonotonicTime time) {
    return [&node, other, time] {
      const nodes::Contact contact = node.transport->contact(other);
      return contact.connected && contact.last_heard > time;
    };
  };
  for (int i = 0; i < 2; ++i) {
    const env::MonotonicTime now = env_->clock().now();
    EXPECT_TRUE(eventually(*a, heard_after(*a, b->id(), now)));
    EXPECT_TRUE(eventually(*b, heard_after(*b, a->id(), now)));
  }
  b->stop();
  EXPECT_TRUE(eventually(*a, [&] { return !a->transport->contact(b->id()).connected; }));
  EXPECT_GE(a->transport->contact(b->id()).last_failed, a->transport->contact(b->id()).last_heard);
}

TEST_F(ContactTest, NodeThatReturns_IsConnectedAgain_ThoughNothingIsToBeSent) {
  auto a = start(1), b = start(2);
  a->meet(*b);
  ASSERT_TRUE(eventually(*a, [&] { return a->transport->contact(b->id()).connected; }));
  const uint64_t before = a->transport->contact(b->id()).incarnation;
  const uint16_t port = b->transport->port();
  b->stop();
  ASSERT_TRUE(eventually(*a, [&] { return !a->transport->contact(b->id()).connected; }));
  b.reset();
  b = std::make_unique<TestNode>(
      *env_, 2, TestNode::Setup{.port = port, .adjust = [](TransportOptions& options) {
                                  options.identity.state = {1, 2};
                                  options.identity.life = 2;
                                }});
  b->transport->set_address(a->id(), a->address());
  EXPECT_TRUE(eventually(*a, [&] { return a->transport->contact(b->id()).connected; }));
  EXPECT_NE(a->transport->contact(b->id()).incarnation, before);
}

}  // namespace
}  // namespace multiraft::transport
