// Transports of several nodes in one process, on real sockets.

#include "transport/transport.h"

#include <gtest/gtest.h>

#include <set>

#include "base/coverage.h"
#include "base/limits.h"
#include "env/posix/posix_env.h"
#include "transport/testing/test_node.h"

namespace multiraft::transport {
namespace {

class TransportTest : public ::testing::Test {
 protected:
  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

bool has_messages(const Seen& seen, size_t count) { return seen.messages.size() >= count; }

std::vector<uint64_t> numbers(const Seen& seen) {
  std::vector<uint64_t> out;
  for (const auto& m : seen.messages) out.push_back(m.message.message.index.value);
  return out;
}

TEST_F(TransportTest, Messages_OfOneTurn_ArriveInOrderInOneBatch) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  constexpr uint64_t kCount = 1000;
  a.run([&](WorkerTransport& w) {
    for (uint64_t i = 0; i < kCount; ++i) {
      EXPECT_TRUE(w.send(b.id(), numbered_message(a.id(), b.id(), i)));
    }
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return !s.batch_ends.empty(); }));
  const Seen seen = b.seen().get();
  ASSERT_EQ(seen.messages.size(), kCount);
  for (uint64_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(seen.messages[i].message.message.index.value, i);
    EXPECT_EQ(seen.messages[i].from, a.id());
  }
  EXPECT_EQ(seen.batch_ends, std::vector<NodeId>{a.id()});
}

TEST_F(TransportTest, ManyTurns_BothWays_ArriveInOrder) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < 500; ++i) {
    a.send(b.id(), i);
    b.send(a.id(), i);
    expected.push_back(i);
  }
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return has_messages(s, 500); }));
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 500); }));
  EXPECT_EQ(numbers(a.seen().get()), expected);
  EXPECT_EQ(numbers(b.seen().get()), expected);
  EXPECT_TRUE(a.seen().get().disconnected.empty());
  a.run([](WorkerTransport&) {});  // Writes have been counted by then.
  const TransportStats stats = a.transport->stats();
  EXPECT_EQ(stats.messages_sent, 500u);
  EXPECT_EQ(stats.messages_received, 500u);
  EXPECT_EQ(stats.messages_dropped, 0u);
  EXPECT_EQ(stats.bytes_sent, b.transport->stats().bytes_received);
}

TEST_F(TransportTest, RequestAndResponse_RideTheBatches) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  b.receiver().answer = [&](const Process& from, const wire::Request& request) {
    WorkerTransport& w = b.transport->worker(0);
    EXPECT_TRUE(w.send(from, wire::Response{request.id, StatusCode::kNotLeader, request.payload}));
    w.flush();
  };
  a.run([&](WorkerTransport& w) {
    EXPECT_TRUE(w.send(b.id(), wire::Request{42, wire::RequestKind::kPropose, GroupId(5),
                                             SharedBytes::copy_of("write")}));
    w.flush();
  });
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return !s.responses.empty(); }));
  const Seen at_a = a.seen().get();
  EXPECT_EQ(at_a.responses[0].from, b.id());
  EXPECT_EQ(at_a.responses[0].response.id, 42u);
  EXPECT_EQ(at_a.responses[0].response.code, StatusCode::kNotLeader);
  EXPECT_EQ(at_a.responses[0].response.payload.view(), "write");
  EXPECT_EQ(b.seen().get().requests[0].request.group, GroupId(5));
}

TEST_F(TransportTest, Response_ToAnEarlierProcessOfTheNode_IsDropped) {
  auto a = std::make_unique<TestNode>(*env_, 1);
  TestNode b(*env_, 2);
  const auto ask = [&] {
    a->run([&](WorkerTransport& w) {
      EXPECT_TRUE(w.send(b.id(), wire::Request{42, wire::RequestKind::kPropose, GroupId(5), {}}));
      w.flush();
    });
  };
  const auto answer = [&](const Process& to, const char* text) {
    b.run([&](WorkerTransport& w) {
      EXPECT_TRUE(w.send(to, wire::Response{42, StatusCode::kOk, SharedBytes::copy_of(text)}));
      w.flush();
    });
  };
  a->meet(b);
  ask();
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return s.requests.size() == 1; }));
  const uint16_t port = a->address().port;
  a.reset();
  a = std::make_unique<TestNode>(*env_, 1, TestNode::Setup{.port = port});
  a->meet(b);
  ask();  // The same id.
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return s.requests.size() == 2; }));
  const Seen at_b = b.seen().get();
  answer(at_b.requests[0].from, "for the first process");
  answer(at_b.requests[1].from, "for the second process");
  ASSERT_TRUE(a->seen().wait_for([](const Seen& s) { return !s.responses.empty(); }));
  const Seen at_a = a->seen().get();
  ASSERT_EQ(at_a.responses.size(), 1u);
  EXPECT_EQ(at_a.responses[0].response.payload.view(), "for the second process");
  EXPECT_EQ(a->transport->stats().messages_dropped, 1u);
}

TEST_F(TransportTest, Workers_OfEqualNumber_TalkToTheirLike) {
  TestNode a(*env_, 1, {.workers = 3}), b(*env_, 2, {.workers = 3});
  a.meet(b);
  for (uint32_t i = 0; i < 3; ++i) a.send(b.id(), 100 + i, i);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(b.seen(i).wait_for([](const Seen& s) { return has_messages(s, 1); }));
    EXPECT_EQ(numbers(b.seen(i).get()), std::vector<uint64_t>{100 + i});
  }
}

TEST_F(TransportTest, Workers_OfOtherNumber_AreSharedOut) {
  TestNode a(*env_, 1, {.workers = 4}), b(*env_, 2, {.workers = 2});
  a.meet(b);
  for (uint32_t i = 0; i < 4; ++i) a.send(b.id(), i, i);
  for (uint32_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(b.seen(i).wait_for([](const Seen& s) { return has_messages(s, 2); }));
    for (const uint64_t number : numbers(b.seen(i).get())) EXPECT_EQ(number % 2, i);
  }
  b.send(a.id(), 7, 1);
  ASSERT_TRUE(a.seen(1).wait_for([](const Seen& s) { return has_messages(s, 1); }));
}

TEST_F(TransportTest, LargeEntries_ArriveWhole) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  const SharedBytes value = SharedBytes::make(limits::kValueBytesMax, [](char* data) {
    for (size_t i = 0; i < limits::kValueBytesMax; ++i) data[i] = static_cast<char>(i * i >> 7);
  });
  constexpr uint64_t kCount = 6;
  a.run([&](WorkerTransport& w) {
    for (uint64_t i = 0; i < kCount; ++i) {
      wire::GroupMessage message = numbered_message(a.id(), b.id(), i);
      message.message.type = raft::MessageType::kApp;
      message.message.entries.push_back(
          {Term(1), LogIndex(i + 1), raft::EntryType::kNormal, value});
      EXPECT_TRUE(w.send(b.id(), message));
      EXPECT_TRUE(w.send(b.id(), numbered_message(a.id(), b.id(), i)));
    }
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 2 * kCount); }));
  const Seen seen = b.seen().get();
  for (uint64_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(seen.messages[2 * i].message.message.entries.size(), 1u);
    EXPECT_TRUE(seen.messages[2 * i].message.message.entries[0].data == value);
    EXPECT_EQ(seen.messages[2 * i + 1].message.message.index.value, i);
  }
}

TEST_F(TransportTest, Send_ToANodeWithoutAddressOrToItself_IsRefused) {
  TestNode a(*env_, 1);
  EXPECT_FALSE(a.send(NodeId(2), 1));
  a.transport->set_address(a.id(), a.address());
  EXPECT_FALSE(a.send(a.id(), 1));
}

TEST_F(TransportTest, Send_AfterSetAddressOnTheSameThread_IsAccepted) {
  TestNode a(*env_, 1), b(*env_, 2);
  b.know(a);
  a.run([&](WorkerTransport& w) {
    a.transport->set_address(b.id(), b.address());
    EXPECT_TRUE(w.send(b.id(), numbered_message(a.id(), b.id(), 1)));
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
}

TEST_F(TransportTest, UnknownNode_IsNotHeard_AndReported_UntilItIsKnown) {
  Watched<std::vector<UnknownCaller>> callers;
  TestNode a(*env_, 1), b(*env_, 2, {.adjust = [&](TransportOptions&options) {
    options.on_unknown_caller = [&](const UnknownCaller& one) {
      callers.change([&](auto& all) { all.push_back(one); });
    };
  }});
  a.transport->set_address(b.id(), b.address());
  a.send(b.id(), 1);
  ASSERT_TRUE(callers.wait_for([](const auto& all) { return !all.empty(); }));
  EXPECT_EQ(callers.get().front().node, a.id());
  EXPECT_FALSE(callers.get().front().other_cluster);
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  b.transport->set_address(a.id(), a.address());
  a.send(b.id(), 2);
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  EXPECT_EQ(numbers(b.seen().get()), std::vector<uint64_t>{2});
}

TEST_F(TransportTest, NodeOfAnotherCluster_ThatTakesUsForItsMember_IsReported) {
  Watched<std::vector<UnknownCaller>> callers;
  TestNode a(*env_, 1, {.cluster = ClusterId(5)});
  TestNode b(*env_, 2, {.adjust = [&](TransportOptions& options) {
    options.on_unknown_caller = [&](const UnknownCaller& one) {
      callers.change([&](auto& all) { all.push_back(one); });
    };
  }});
  a.transport->set_address(b.id(), b.address());
  a.send(b.id(), 1);
  ASSERT_TRUE(callers.wait_for([](const auto& all) { return !all.empty(); }));
  EXPECT_TRUE(callers.get().front().other_cluster);
}

TEST_F(TransportTest, Handshake_SaysWhereTheNodeIsReached_Once) {
  Watched<std::vector<std::string>> heard;
  TestNode a(*env_, 1, {.workers = 2, .adjust = [](TransportOptions& options) {
                          options.raft_address = "a.example:7";
                        }});
  TestNode b(*env_, 2, {.workers = 2, .adjust = [&](TransportOptions& options) {
                          options.on_address = [&](NodeId node, const env::Address& address) {
                            heard.change([&](auto& all) {
                              all.push_back(to_string(node) + " " + address.to_string());
                            });
                          };
                        }});
  a.meet(b);
  for (uint32_t worker : {0u, 1u}) {
    a.send(b.id(), worker, worker);
    ASSERT_TRUE(b.seen(worker).wait_for([](const Seen& s) { return has_messages(s, 1); }));
  }
  EXPECT_EQ(heard.get(), std::vector<std::string>{"1 a.example:7"});
}

TEST_F(TransportTest, NodeThatIsNotAtItsBestAddress_IsFoundAtTheOther) {
  TestNode a(*env_, 1), b(*env_, 2);
  b.transport->set_address(a.id(), a.address());
  a.transport->set_node(b.id(), {{{"127.0.0.1", 1}, b.address()}});
  a.send(b.id(), 1);
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  a.send(b.id(), 2);
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
}

TEST_F(TransportTest, Heartbeat_OvertakesEntriesThatWait) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  constexpr uint64_t kEntries = 40;
  a.run([&](WorkerTransport& w) {
    wire::GroupMessage entries = numbered_message(a.id(), b.id(), 1);
    entries.message.entries.resize(1);
    entries.message.entries[0].index = LogIndex(2);
    entries.message.entries[0].data = SharedBytes::copy_of(std::string(100'000, 'x'));
    for (uint64_t i = 0; i < kEntries; ++i) EXPECT_TRUE(w.send(b.id(), entries));
    wire::GroupMessage heartbeat = numbered_message(a.id(), b.id(), 7);
    heartbeat.message.type = raft::MessageType::kHeartbeat;
    EXPECT_TRUE(w.send(b.id(), heartbeat));
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, kEntries + 1); }));
  EXPECT_EQ(b.seen().get().messages.front().message.message.type, raft::MessageType::kHeartbeat);
}

TEST_F(TransportTest, NobodyThere_IsToldForEveryAttempt) {
  TestNode a(*env_, 1);
  env::Address nowhere;
  {
    TestNode gone(*env_, 2);
    nowhere = gone.address();
  }
  a.transport->set_address(NodeId(2), nowhere);
  for (size_t attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_TRUE(a.send(NodeId(2), attempt));
    ASSERT_TRUE(a.seen().wait_for([&](const Seen& s) { return s.disconnected.size() >= attempt; }));
  }
  for (const auto& lost : a.seen().get().disconnected) {
    EXPECT_EQ(lost.node, NodeId(2));
    EXPECT_FALSE(lost.ever_connected);
  }
  EXPECT_EQ(a.transport->stats().messages_dropped, 3u);
  // One problem, not three of the same.
  EXPECT_EQ(a.problems().size(), 1u);
}

TEST_F(TransportTest, Peer_Restarted_IsReachedAgain) {
  TestNode a(*env_, 1);
  auto b = std::make_unique<TestNode>(*env_, 2);
  const uint16_t port = b->address().port;
  a.meet(*b);
  a.send(b->id(), 1);
  ASSERT_TRUE(b->seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  b.reset();
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  EXPECT_TRUE(a.seen().get().disconnected[0].ever_connected);
  b = std::make_unique<TestNode>(*env_, 2, TestNode::Setup{.port = port});
  b->know(a);
  a.send(b->id(), 2);
  ASSERT_TRUE(b->seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  EXPECT_EQ(numbers(b->seen().get()), std::vector<uint64_t>{2});
}

TEST_F(TransportTest, Peer_ThatConnects_EndsTheBackoff) {
  // A backoff that never ends by itself within a test.
  TestNode a(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.reconnect_backoff_max_ns = 3600 * env::kSecond;
  }});
  env::Address address;
  {
    TestNode gone(*env_, 2);
    address = gone.address();
  }
  a.transport->set_address(NodeId(2), address);
  for (size_t attempt = 1; attempt <= 4; ++attempt) {
    a.send(NodeId(2), attempt);
    ASSERT_TRUE(a.seen().wait_for([&](const Seen& s) { return s.disconnected.size() >= attempt; }));
  }
  a.send(NodeId(2), 5);
  TestNode b(*env_, 2, {.port = address.port});
  b.transport->set_address(a.id(), a.address());
  b.send(a.id(), 1);
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  EXPECT_EQ(numbers(b.seen().get()), std::vector<uint64_t>{5});
}

TEST_F(TransportTest, Address_Changed_DropsTheOldConnection) {
  TestNode a(*env_, 1);
  TestNode old(*env_, 2), moved(*env_, 2);
  a.meet(old);
  a.send(NodeId(2), 1);
  ASSERT_TRUE(old.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  moved.know(a);
  a.transport->set_address(NodeId(2), moved.address());
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  EXPECT_TRUE(a.seen().get().disconnected[0].ever_connected);
  a.send(NodeId(2), 2);
  ASSERT_TRUE(moved.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  EXPECT_EQ(numbers(moved.seen().get()), std::vector<uint64_t>{2});
  EXPECT_EQ(numbers(old.seen().get()), std::vector<uint64_t>{1});
}

TEST_F(TransportTest, Address_SetToTheSame_KeepsTheConnection) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  for (uint64_t i = 0; i < 50; ++i) {
    a.transport->set_address(b.id(), b.address());
    a.send(b.id(), i);
  }
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 50); }));
  EXPECT_TRUE(a.seen().get().disconnected.empty());
}

TEST_F(TransportTest, Forgotten_Node_IsNeitherReachedNorHeard) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  a.send(b.id(), 1);
  b.send(a.id(), 1);
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
  a.transport->forget(b.id());
  // Its connection ends, and it is told why when it tries again.
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  b.send(a.id(), 2);
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return s.disconnected.size() >= 2; }));
  ASSERT_FALSE(b.problems().empty());
  EXPECT_NE(b.problems().back().message().find("node 2 was removed from the cluster"),
            std::string::npos);
  EXPECT_FALSE(a.send(b.id(), 2));
  EXPECT_EQ(numbers(a.seen().get()), std::vector<uint64_t>{1});
  // Until it is known again.
  a.transport->set_address(b.id(), b.address());
  a.run([](WorkerTransport&) {});  // By then the worker knows.
  b.send(a.id(), 3);
  ASSERT_TRUE(a.seen().wait_for([](const Seen& s) { return has_messages(s, 2); }));
  EXPECT_EQ(numbers(a.seen().get()), (std::vector<uint64_t>{1, 3}));
}

TEST_F(TransportTest, Queue_WithoutAConnection_IsBounded) {
  TestNode a(*env_, 1);
  // Accepts connections and says nothing.
  auto executor = env_->start_executor("silent");
  std::vector<std::unique_ptr<env::Stream>> held;
  auto silent =
      env_->network().listen(*executor, {"127.0.0.1", 0},
                             [&](std::unique_ptr<env::Stream> s) { held.push_back(std::move(s)); });
  ASSERT_TRUE(silent.is_ok());
  a.transport->set_address(NodeId(2), {"127.0.0.1", (*silent)->port()});
  uint64_t taken = 0;
  const SharedBytes payload = SharedBytes::allocate(limits::kMiB);
  a.run([&](WorkerTransport& w) {
    wire::Request request{1, wire::RequestKind::kPropose, GroupId(1), payload};
    while (w.send(NodeId(2), request)) ++taken, ++request.id;
    EXPECT_EQ(w.send(NodeId(2), request).code(), StatusCode::kOverloaded);
    w.flush();
  });
  EXPECT_EQ(taken, limits::kPeerSendQueueBytesMax / limits::kMiB - 1);
  EXPECT_EQ(a.transport->stats().messages_dropped, 2u);
  a.stop();
  executor->stop();
  held.clear();
}

/// Accepts connections and says nothing.
class SilentNode {
 public:
  explicit SilentNode(env::Environment& env) : executor_(env.start_executor("silent")) {
    auto listener = env.network().listen(
        *executor_, {"127.0.0.1", 0},
        [&](std::unique_ptr<env::Stream> s) { held_.push_back(std::move(s)); });
    EXPECT_TRUE(listener.is_ok());
    listener_ = std::move(*listener);
  }
  ~SilentNode() {
    executor_->run_and_wait([&] {
      listener_->close();
      held_.clear();
    });
    executor_->stop();
  }
  env::Address address() const { return {"127.0.0.1", listener_->port()}; }

 private:
  std::unique_ptr<env::Executor> executor_;
  std::vector<std::unique_ptr<env::Stream>> held_;
  std::unique_ptr<env::Listener> listener_;
};

TEST_F(TransportTest, QueuesOfOneWorker_ShareABudget_AndHeartbeatsHaveTheirOwn) {
  SilentNode silent(*env_);
  TestNode a(*env_, 1,
             {.adjust = [](TransportOptions& o) { o.send_queue_bytes_max = 12 * limits::kMiB; }});
  for (uint64_t node = 2; node <= 4; ++node) {
    a.transport->set_address(NodeId(node), silent.address());
  }
  a.run([&](WorkerTransport& w) {
    const auto fill = [&](uint64_t node) {
      wire::GroupMessage entries = numbered_message(a.id(), NodeId(node), 1);
      entries.message.entries.resize(1);
      entries.message.entries[0].index = LogIndex(2);
      entries.message.entries[0].data = SharedBytes::allocate(limits::kMiB / 2);
      size_t taken = 0;
      while (w.send(NodeId(node), entries)) ++taken;
      return taken;
    };
    // Half of it, then half of what is left, and so on: nobody is left without.
    EXPECT_EQ(fill(2), 12u);
    EXPECT_EQ(fill(3), 6u);
    EXPECT_EQ(fill(4), 3u);
    for (uint64_t node = 2; node <= 4; ++node) {
      wire::GroupMessage heartbeat = numbered_message(a.id(), NodeId(node), 7);
      heartbeat.message.type = raft::MessageType::kHeartbeat;
      EXPECT_TRUE(w.send(NodeId(node), heartbeat));
    }
  });
  // What is given up is there for others again.
  a.transport->forget(NodeId(2));
  a.run([&](WorkerTransport& w) {
    EXPECT_TRUE(w.send(NodeId(4), wire::Request{1, wire::RequestKind::kPropose, GroupId(1),
                                                SharedBytes::allocate(2 * limits::kMiB)}));
  });
  a.stop();
}

TEST_F(TransportTest, ForwardedWrite_ThatNobodyWaitsForAnyMore_IsNotSent) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  constexpr uint64_t kWrites = 40;
  a.run([&](WorkerTransport& w) {
    for (uint64_t id = 1; id <= kWrites; ++id) {
      EXPECT_TRUE(w.send(b.id(), wire::Request{id, wire::RequestKind::kPropose, GroupId(1),
                                               SharedBytes::allocate(100'000)}));
    }
    EXPECT_TRUE(w.take_back(b.id(), kWrites - 1));
    EXPECT_FALSE(w.take_back(b.id(), kWrites - 1));
    EXPECT_FALSE(w.take_back(NodeId(7), 1));
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return s.requests.size() >= kWrites - 1; }));
  std::set<uint64_t> ids;
  for (const auto& asked : b.seen().get().requests) ids.insert(asked.request.id);
  EXPECT_EQ(ids.size(), kWrites - 1);
  EXPECT_FALSE(ids.contains(kWrites - 1));
  // What was sent is not taken back: its outcome is for the other side to say.
  a.run([&](WorkerTransport& w) { EXPECT_FALSE(w.take_back(b.id(), 1)); });
}

TEST_F(TransportTest, Record_LargerThanAFrame_IsRefused) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  a.run([&](WorkerTransport& w) {
    EXPECT_FALSE(w.send(b.id(), wire::Request{1, wire::RequestKind::kPropose, GroupId(1),
                                              SharedBytes::allocate(limits::kFrameBytesMax)}));
    EXPECT_TRUE(w.send(b.id(), numbered_message(a.id(), b.id(), 1)));
    w.flush();
  });
  ASSERT_TRUE(b.seen().wait_for([](const Seen& s) { return has_messages(s, 1); }));
}

TEST_F(TransportTest, Stop_WithEverythingUnderWay_Ends) {
  TestNode a(*env_, 1, {.workers = 2}), b(*env_, 2, {.workers = 2});
  a.meet(b);
  for (uint64_t i = 0; i < 20; ++i) {
    a.send(b.id(), i, 0);
    b.send(a.id(), i, 1);
  }
  a.transport->stop();
  a.transport->stop();
  EXPECT_FALSE(a.send(b.id(), 1));
}

TEST_F(TransportTest, Port_InUse_SaysSo) {
  TestNode a(*env_, 1);
  RecordingReceiver receiver;
  TransportOptions options;
  options.identity = {kTestCluster, NodeId(2), 1};
  options.listen = a.address();
  options.workers = {&a.executor()};
  options.receivers = {&receiver};
  auto second = Transport::start(std::move(options), *env_);
  ASSERT_FALSE(second.is_ok());
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable) << "whoever has it may end";
}

}  // namespace
}  // namespace multiraft::transport
