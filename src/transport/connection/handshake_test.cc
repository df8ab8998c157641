// Whoever may knock at the raft port: each is answered, counted and closed, and the node goes on.

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "env/posix/posix_env.h"
#include "transport/testing/test_node.h"
#include "wire/batch.h"
#include "wire/testing/samples.h"

namespace multiraft::transport {
namespace {

class StrangersTest : public ::testing::Test {
 protected:
  /// Node 2 gets a message through to `node`.
  void expect_it_goes_on(TestNode& node) {
    TestNode friendly(*env_, 2);
    friendly.meet(node);
    const size_t before = node.seen().get().messages.size();
    friendly.send(node.id(), 1);
    EXPECT_TRUE(node.seen().wait_for([&](const Seen& s) { return s.messages.size() > before; }));
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

/// The refusal that is all of `bytes`.
wire::HelloReply refusal_in(const std::string& bytes) {
  wire::HelloReply reply;
  EXPECT_GE(bytes.size(), wire::kFrameHeaderBytes);
  if (bytes.size() < wire::kFrameHeaderBytes) return reply;
  EXPECT_TRUE(wire::decode(wire::payload_of(bytes, wire::FrameKind::kHelloReply), reply).is_ok());
  EXPECT_NE(reply.code, StatusCode::kOk);
  return reply;
}

TEST_F(StrangersTest, Garbage_OfAnyKind_IsAnsweredAndClosed) {
  TestNode node(*env_, 1);
  Prng random(1);
  std::string noise(100'000, '\0');
  for (char& c : noise) c = static_cast<char>(random.next());
  std::vector<std::string> garbage = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string(4096, '\0'),
                                      std::string(4096, '\xff'), noise,
                                      "MRWF and then nothing that makes sense"};
  std::string oversized;
  ByteWriter out(oversized);
  out.bytes("MRWF");
  out.u16(1);
  out.u8(1);
  out.u8(0);
  out.u32(64 << 20);
  out.u32(crc32c(oversized));
  out.u32(0);
  garbage.push_back(oversized + std::string(1 << 20, 'x'));
  for (const std::string& bytes : garbage) {
    RawConnection stranger(*env_, node.address());
    stranger.write(bytes);
    stranger.shutdown_write();
    refusal_in(stranger.read_to_end());
  }
  const TransportStats stats = node.transport->stats();
  EXPECT_EQ(stats.frames_rejected, garbage.size());
  EXPECT_EQ(stats.connections_refused, garbage.size());
  EXPECT_FALSE(node.problems().empty());
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, Hello_CutAnywhere_IsClosed) {
  TestNode node(*env_, 1);
  const std::string hello = wire::encode(hello_from(3, node));
  for (size_t n = 0; n < hello.size(); ++n) {
    RawConnection stranger(*env_, node.address());
    stranger.write(hello.substr(0, n));
    stranger.shutdown_write();
    EXPECT_EQ(stranger.read_to_end(), "") << n;
  }
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, Hello_WithAnyBitFlipped_IsNotWelcome) {
  TestNode node(*env_, 1);
  const std::string hello = wire::encode(hello_from(3, node));
  for (size_t bit = 0; bit < 8 * hello.size(); bit += 7) {
    std::string bad = hello;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    RawConnection stranger(*env_, node.address());
    stranger.write(bad);
    stranger.shutdown_write();
    refusal_in(stranger.read_to_end());
  }
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, Handshake_TooSlow_IsClosed) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.handshake_timeout_ns = 50 * env::kMillisecond;
  }});
  RawConnection silent(*env_, node.address());
  EXPECT_EQ(refusal_in(silent.read_to_end()).text, "no hello in time");
  RawConnection half(*env_, node.address());
  half.write(wire::encode(hello_from(3, node)).substr(0, 30));
  EXPECT_EQ(refusal_in(half.read_to_end()).text, "no hello in time");
  EXPECT_EQ(node.transport->stats().connections_refused, 2u);
}

TEST_F(StrangersTest, ManySilentConnections_DoNotStopOthers) {
  TestNode node(*env_, 1);
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (int i = 0; i < 50; ++i) {
    silent.push_back(std::make_unique<RawConnection>(*env_, node.address()));
  }
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, SilentConnections_UpToTheLimit_MakeRoomForTheNext) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) { o.handshakes_max = 12; }});
  // A quarter of them may come from one address.
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (int i = 0; i < 3; ++i) {
    silent.push_back(std::make_unique<RawConnection>(*env_, node.address()));
  }
  RawConnection late(*env_, node.address());
  EXPECT_EQ(late.greet(hello_from(3, node)).code, StatusCode::kOk);
  EXPECT_EQ(silent.front()->read_to_end(), "");
  EXPECT_EQ(node.transport->stats().connections_refused, 1u);
  silent.clear();
}

TEST_F(StrangersTest, CallersOfOneAddress_LeavePlacesForOthers) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) { o.handshakes_max = 8; }});
  node.receiver().answer = [](const Process&, const wire::Request&) {};  // Never.
  wire::Hello newcomer = hello_from(3, node, wire::ConnectionKind::kCall);
  newcomer.cluster = ClusterId();
  newcomer.node = NodeId(9);
  std::vector<std::unique_ptr<RawConnection>> callers;
  for (int i = 0; i < 2; ++i) {
    callers.push_back(std::make_unique<RawConnection>(*env_, node.address()));
    EXPECT_EQ(callers.back()->greet(newcomer).code, StatusCode::kOk);
  }
  RawConnection third(*env_, node.address());
  EXPECT_EQ(third.greet(newcomer).code, StatusCode::kOk);
  EXPECT_EQ(third.read_to_end(), "");  // Closed: its place is for somebody from elsewhere.
  // A node of the cluster is no stranger, wherever it calls from.
  RawConnection member(*env_, node.address());
  wire::Hello known = hello_from(3, node);
  known.kind = wire::ConnectionKind::kCall;
  EXPECT_EQ(member.greet(known).code, StatusCode::kOk);
  wire::BatchEncoder batch;
  batch.add(wire::Request{7, wire::RequestKind::kAdmin, GroupId(0), {}});
  std::string frame;
  for (const std::string_view part : batch.finish()) frame += part;
  member.write(frame);
  EXPECT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.requests.empty(); }));
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, Connections_OfAllKinds_HaveALimit_AndStrangersGoFirst) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) { o.connections_max = 3; }});
  const auto hello_of_worker = [&](uint16_t worker) {
    wire::Hello hello = hello_from(3, node);
    hello.workers = 8;
    hello.worker = worker;
    return hello;
  };
  std::vector<std::unique_ptr<RawConnection>> members;
  for (uint16_t worker = 0; worker < 2; ++worker) {
    members.push_back(std::make_unique<RawConnection>(*env_, node.address()));
    EXPECT_EQ(members.back()->greet(hello_of_worker(worker)).code, StatusCode::kOk);
  }
  auto silent = std::make_unique<RawConnection>(*env_, node.address());
  members.push_back(std::make_unique<RawConnection>(*env_, node.address()));
  EXPECT_EQ(members.back()->greet(hello_of_worker(2)).code, StatusCode::kOk);
  EXPECT_EQ(silent->read_to_end(), "");
  // All are members now: nobody makes room.
  RawConnection late(*env_, node.address());
  EXPECT_EQ(late.read_to_end(), "");
  EXPECT_EQ(node.transport->stats().connections_refused, 2u);
  members.pop_back();
  members.back()->close();
  // A place that is given up is free again, on whichever thread it was.
  for (StatusCode code = StatusCode::kInternal; code != StatusCode::kOk;) {
    RawConnection next(*env_, node.address());
    next.write(wire::encode(hello_of_worker(3)));
    const std::string answer = next.read(wire::kFrameHeaderBytes);
    if (!answer.empty()) code = StatusCode::kOk;
  }
}

TEST_F(StrangersTest, ClusterId_IsToldOnlyToThoseWhoKnowIt) {
  TestNode node(*env_, 1);
  wire::Hello hello = hello_from(3, node);
  hello.cluster = ClusterId(1);
  RawConnection guessing(*env_, node.address());
  EXPECT_EQ(guessing.greet(hello).cluster, ClusterId());
  wire::Hello newcomer = hello_from(3, node, wire::ConnectionKind::kCall);
  newcomer.cluster = ClusterId();
  RawConnection joining(*env_, node.address());
  const wire::HelloReply reply = joining.greet(newcomer);
  EXPECT_EQ(reply.code, StatusCode::kOk);
  EXPECT_EQ(reply.cluster, ClusterId());
  RawConnection member(*env_, node.address());
  EXPECT_EQ(member.greet(hello_from(3, node)).cluster, kTestCluster);
}

TEST_F(StrangersTest, KnownIdWithAnotherStateDirectory_IsRefused) {
  TestNode node(*env_, 1);
  const wire::Hello hello = hello_from(3, node);
  node.transport->set_node(NodeId(3), {{{"127.0.0.1", 1}}, {7, 7}});
  RawConnection other(*env_, node.address());
  EXPECT_EQ(other.greet(hello).code, StatusCode::kUnavailable);
}

TEST_F(StrangersTest, MoreWorkersThanANodeHas_AreRefused) {
  TestNode node(*env_, 1);
  wire::Hello hello = hello_from(3, node);
  hello.workers = wire::kWorkersMax + 1;
  hello.worker = wire::kWorkersMax;
  RawConnection stranger(*env_, node.address());
  EXPECT_EQ(stranger.greet(hello).code, StatusCode::kInvalidArgument);
}

TEST_F(StrangersTest, WrongIdentities_AreRefusedWithAText) {
  TestNode node(*env_, 1, {.incarnation = 5});
  struct Case {
    wire::Hello hello;
    StatusCode code;
    std::string text;
  };
  const wire::Hello good = hello_from(3, node);
  std::vector<Case> cases(6, {good, StatusCode::kConflict, ""});
  cases[0].hello.cluster = ClusterId(78);
  cases[0].text = "node 1 belongs to another cluster than node 3";
  cases[1].hello.node = NodeId(1);
  cases[1].text = "the id 1 is taken by this node";
  cases[2].hello.node = NodeId(1);
  cases[2].hello.incarnation = 5;
  cases[2].text =
      "the address leads back to node 1 itself; check which raft address each node advertises";
  cases[3].hello.to = NodeId(2);
  cases[3].text = "this is node 1, not node 2";
  cases[4].hello.node = NodeId(0);
  cases[4].code = StatusCode::kInvalidArgument;
  cases[4].text = "0 is no node id";
  cases[5].hello.cluster = ClusterId();
  cases[5].text = cases[0].text;
  for (const Case& c : cases) {
    RawConnection stranger(*env_, node.address());
    const wire::HelloReply reply = stranger.greet(c.hello);
    EXPECT_EQ(reply.code, c.code) << c.text;
    EXPECT_EQ(reply.text, c.text);
    EXPECT_EQ(reply.node, NodeId(1));
    EXPECT_EQ(stranger.read_to_end(), "");
  }
  EXPECT_EQ(node.transport->stats().connections_refused, cases.size());
  RawConnection welcome(*env_, node.address());
  EXPECT_EQ(welcome.greet(good).code, StatusCode::kOk);
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, OtherVersion_IsRefusedInWordsThatItCanRead) {
  TestNode node(*env_, 1);
  // As version 2 might look: more in the hello than we know.
  std::string frame = wire::encode(hello_from(3, node));
  const std::string payload = frame.substr(wire::kFrameHeaderBytes) + "more";
  std::string header;
  ByteWriter out(header);
  out.bytes("MRWF");
  out.u16(2);
  out.u8(1);
  out.u8(0);
  out.u32(static_cast<uint32_t>(payload.size()));
  const uint32_t checksum = crc32c(header);
  out.u32(checksum);
  out.u32(crc32c(payload, checksum));
  RawConnection stranger(*env_, node.address());
  stranger.write(header + payload);
  const wire::HelloReply reply = refusal_in(stranger.read_to_end());
  EXPECT_EQ(reply.code, StatusCode::kInvalidArgument);
  EXPECT_EQ(reply.text, "node 1 speaks protocol version 1, not 2");
}

TEST_F(StrangersTest, NodeWithoutSnapshots_RefusesTheirStreams) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) { o.snapshot_receiver = nullptr; }});
  RawConnection stranger(*env_, node.address());
  EXPECT_EQ(stranger.greet(hello_from(3, node, wire::ConnectionKind::kSnapshot)).text,
            "node 1 takes no snapshots");
}

TEST_F(StrangersTest, BytesBehindTheHello_AreRefused) {
  TestNode node(*env_, 1);
  RawConnection hasty(*env_, node.address());
  hasty.write(wire::encode(hello_from(3, node)) + wire::encode(wire::Received{1}));
  EXPECT_EQ(refusal_in(hasty.read_to_end()).text,
            "nothing may be sent before the hello is answered");
}

TEST_F(StrangersTest, NodeWithoutACluster_RefusesAll) {
  TestNode node(*env_, 1, {.cluster = ClusterId()});
  RawConnection member(*env_, node.address());
  const wire::HelloReply reply = member.greet(hello_from(3, node));
  EXPECT_EQ(reply.code, StatusCode::kUnavailable);
  EXPECT_EQ(reply.text, "node 1 is not a member of a cluster yet");
  node.transport->set_cluster(kTestCluster);
  RawConnection again(*env_, node.address());
  EXPECT_EQ(again.greet(hello_from(3, node)).code, StatusCode::kOk);
}

// -- From those who were welcome.

TEST_F(StrangersTest, BadFramesAfterTheHandshake_EndTheConnection) {
  TestNode node(*env_, 1);
  wire::BatchEncoder batch;
  batch.add(numbered_message(NodeId(3), NodeId(1), 7));
  const std::string good = wire::joined(batch.finish());
  std::string flipped = good;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string malformed_payload = good.substr(wire::kFrameHeaderBytes);
  malformed_payload[1] = 0;  // A local message.
  const std::vector<std::string> bad = {
      flipped,
      wire::make_frame(wire::FrameKind::kBatch, malformed_payload),
      wire::make_frame(wire::FrameKind::kBatch, ""),
      wire::encode(wire::Received{1}),
      wire::encode(hello_from(3, node)),
      std::string(1000, 'x')};
  for (size_t i = 0; i < bad.size(); ++i) {
    RawConnection member(*env_, node.address());
    ASSERT_EQ(member.greet(hello_from(3, node)).code, StatusCode::kOk);
    member.write(good + bad[i]);
    EXPECT_EQ(member.read_to_end(), "");
    // What came before counts, and nothing that came after.
    ASSERT_TRUE(node.seen().wait_for([&](const Seen& s) { return s.messages.size() == i + 1; }));
  }
  EXPECT_EQ(node.transport->stats().frames_rejected, bad.size());
  EXPECT_EQ(node.seen().get().messages.size(), bad.size());
  expect_it_goes_on(node);
}

TEST_F(StrangersTest, Frame_InManyPieces_IsPutTogether) {
  TestNode node(*env_, 1);
  wire::BatchEncoder batch;
  batch.add(wire::Request{1, wire::RequestKind::kAdmin, GroupId(1),
                          SharedBytes::copy_of(std::string(200'000, 'p'))});
  batch.add(numbered_message(NodeId(3), NodeId(1), 7));
  const std::string frame = wire::joined(batch.finish());
  RawConnection member(*env_, node.address());
  ASSERT_EQ(member.greet(hello_from(3, node)).code, StatusCode::kOk);
  Prng random(3);
  for (size_t at = 0; at < frame.size();) {
    const size_t n = random.below(at < 100 ? 5 : 30'000) + 1;
    member.write(frame.substr(at, n));
    at += n;
  }
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return s.messages.size() == 1; }));
  EXPECT_EQ(node.seen().get().requests[0].request.payload.view(), std::string(200'000, 'p'));
}

TEST_F(StrangersTest, SecondConnectionOfAWorker_ReplacesTheFirst) {
  TestNode node(*env_, 1);
  RawConnection first(*env_, node.address());
  ASSERT_EQ(first.greet(hello_from(3, node)).code, StatusCode::kOk);
  RawConnection second(*env_, node.address());
  ASSERT_EQ(second.greet(hello_from(3, node)).code, StatusCode::kOk);
  EXPECT_EQ(first.read_to_end(), "");
  wire::Hello other_worker = hello_from(3, node);
  other_worker.worker = 1;
  other_worker.workers = 2;
  RawConnection third(*env_, node.address());
  ASSERT_EQ(third.greet(other_worker).code, StatusCode::kOk);
  wire::BatchEncoder batch;
  batch.add(numbered_message(NodeId(3), NodeId(1), 7));
  second.write(wire::joined(batch.finish()));
  third.write(wire::joined(batch.finish()));
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return s.messages.size() == 2; }));
}

TEST_F(StrangersTest, TwoNodesWithOneId_TheEarlierIsToldSo) {
  TestNode node(*env_, 1);
  TestNode first(*env_, 2), second(*env_, 2);
  first.meet(node);
  first.send(node.id(), 1);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return s.messages.size() == 1; }));
  second.transport->set_address(node.id(), node.address());
  second.send(node.id(), 2);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return s.messages.size() == 2; }));
  // The first one's connection is replaced; it comes back, and learns why it may not.
  ASSERT_TRUE(first.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  first.send(node.id(), 3);
  ASSERT_TRUE(first.watched_problems().wait_for([](const std::vector<Status>& all) {
    return !all.empty() &&
           all.back().message().find("two nodes have the same id") != std::string::npos;
  }));
}

TEST_F(StrangersTest, AddressOfItself_IsNoticed) {
  TestNode node(*env_, 1);
  node.transport->set_address(NodeId(2), node.address());
  node.send(NodeId(2), 1);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  ASSERT_TRUE(node.watched_problems().wait_for([](const std::vector<Status>& all) {
    for (const Status& s : all) {
      if (s.message().find("the address leads back to node 1 itself") != std::string::npos) {
        return true;
      }
    }
    return false;
  }));
}

TEST_F(StrangersTest, NodeThatStartsAnew_EndsTheConnectionToItsPredecessor) {
  TestNode node(*env_, 1), before(*env_, 2), after(*env_, 2);
  before.know(node);
  node.transport->set_address(NodeId(2), before.address());
  node.send(NodeId(2), 1);
  ASSERT_TRUE(before.seen().wait_for([](const Seen& s) { return s.messages.size() == 1; }));
  after.transport->set_address(node.id(), node.address());
  after.send(node.id(), 1);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  EXPECT_TRUE(node.seen().get().disconnected[0].ever_connected);
}

// -- Those we connect to.

TEST_F(StrangersTest, AnswersThatAreNotRight_AreFailedAttempts) {
  wire::HelloReply other_node = welcome_of(3);
  wire::HelloReply other_cluster = welcome_of(2);
  other_cluster.cluster = ClusterId(1);
  wire::Hello hello;
  hello.node = NodeId(2);
  for (const std::string& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), wire::encode(other_node),
        wire::encode(other_cluster), wire::encode(hello),
        wire::encode(welcome_of(2)) + wire::encode(wire::Received{0})}) {
    FakeNode fake(*env_, answer);
    TestNode node(*env_, 1);
    node.transport->set_address(NodeId(2), fake.address());
    node.send(NodeId(2), 1);
    ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
    EXPECT_FALSE(node.seen().get().disconnected[0].ever_connected);
    EXPECT_FALSE(node.problems().empty());
    node.stop();
  }
}

TEST_F(StrangersTest, NodeThatNeverAnswers_TimesOut) {
  FakeNode fake(*env_, "");
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.connect_timeout_ns = 50 * env::kMillisecond;
  }});
  node.transport->set_address(NodeId(2), fake.address());
  node.send(NodeId(2), 1);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  EXPECT_FALSE(node.seen().get().disconnected[0].ever_connected);
  node.stop();
}

TEST_F(StrangersTest, NodeThatTakesNothing_IsGivenUp) {
  FakeNode fake(*env_, wire::encode(welcome_of(2)));
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.peer_silence_max_ns = 100 * env::kMillisecond;
  }});
  node.transport->set_address(NodeId(2), fake.address());
  node.send(NodeId(2), 1);
  ASSERT_TRUE(node.seen().wait_for([](const Seen& s) { return !s.disconnected.empty(); }));
  EXPECT_TRUE(node.seen().get().disconnected[0].ever_connected);
  node.stop();
}

TEST_F(StrangersTest, Batches_ThatCame_AreAcknowledged) {
  TestNode node(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.peer_silence_max_ns = 100 * env::kMillisecond;
  }});
  RawConnection member(*env_, node.address());
  ASSERT_EQ(member.greet(hello_from(3, node)).code, StatusCode::kOk);
  wire::BatchEncoder batch;
  batch.add(numbered_message(NodeId(3), NodeId(1), 7));
  const std::string frame = wire::joined(batch.finish());
  for (uint64_t i = 1; i <= 3; ++i) {
    member.write(frame);
    wire::Received received;
    ASSERT_TRUE(wire::decode(member.read_frame(wire::FrameKind::kReceived), received).is_ok());
    EXPECT_EQ(received.bytes, i * frame.size());
  }
}

}  // namespace
}  // namespace multiraft::transport
