// One request to an address.

#include <gtest/gtest.h>

#include "env/posix/posix_env.h"
#include "transport/testing/test_node.h"
#include "wire/batch.h"
#include "wire/testing/samples.h"

namespace multiraft::transport {
namespace {

class CallTest : public ::testing::Test {
 protected:
  static wire::Request request(wire::RequestKind kind = wire::RequestKind::kJoin) {
    return {12, kind, GroupId(4), SharedBytes::copy_of("let me in")};
  }
  /// Answers every request by its payload in brackets.
  static void answer_on(TestNode& node, uint32_t worker) {
    node.receiver().answer = [&node, worker](const Process& from, const wire::Request& asked) {
      node.executor(worker).post([&node, worker, from, asked] {
        std::string text = "[";
        text += asked.payload.view();
        text += "]";
        WorkerTransport& w = node.transport->worker(worker);
        w.send(from, wire::Response{asked.id, StatusCode::kOk, SharedBytes::copy_of(text)});
        w.flush();
      });
    };
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

TEST_F(CallTest, Newcomer_AsksToJoin_IsAnswered) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  answer_on(member, 0);
  const auto response = newcomer.call(member.address(), request());
  ASSERT_TRUE(response.is_ok()) << response.status().to_string();
  EXPECT_EQ(response->id, 12u);
  EXPECT_EQ(response->payload.view(), "[let me in]");
  const Seen seen = member.seen().get();
  ASSERT_EQ(seen.requests.size(), 1u);
  EXPECT_EQ(seen.requests[0].from.node, NodeId(5));
  EXPECT_EQ(seen.requests[0].request.kind, wire::RequestKind::kJoin);
  EXPECT_EQ(seen.requests[0].request.group, GroupId(4));
  EXPECT_EQ(seen.batch_ends, std::vector<NodeId>{NodeId(5)});
}

TEST_F(CallTest, Answer_FromAnotherWorker_FindsItsWay) {
  TestNode member(*env_, 1, {.workers = 2});
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  answer_on(member, 1);
  const auto response = newcomer.call(member.address(), request());
  ASSERT_TRUE(response.is_ok()) << response.status().to_string();
  EXPECT_EQ(response->payload.view(), "[let me in]");
}

TEST_F(CallTest, ManyCalls_AtOnce_EachGetsItsOwnAnswer) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  answer_on(member, 0);
  Watched<std::vector<std::string>> answers;
  for (int i = 0; i < 30; ++i) {
    wire::Request asked = request();
    asked.payload = SharedBytes::copy_of(std::to_string(i));
    newcomer.transport->call(member.address(), asked, 20 * env::kSecond, newcomer.other_executor(),
                             [&, i](Result<wire::Response> r) {
                               EXPECT_TRUE(r.is_ok());
                               EXPECT_EQ(r->payload.view(), "[" + std::to_string(i) + "]");
                               answers.change([](auto& a) { a.emplace_back(); });
                             });
  }
  EXPECT_TRUE(answers.wait_for([](const auto& a) { return a.size() == 30; }));
}

TEST_F(CallTest, LargeRequest_OfAMember_IsCarried) {
  TestNode member(*env_, 1), other(*env_, 2);
  answer_on(member, 0);
  wire::Request large = request(wire::RequestKind::kAdmin);
  large.payload = SharedBytes::copy_of(std::string(3'000'000, 'x'));
  const auto response = other.call(member.address(), large);
  ASSERT_TRUE(response.is_ok()) << response.status().to_string();
  EXPECT_EQ(response->payload.size(), 3'000'002u);
}

TEST_F(CallTest, Newcomer_WithAnotherQuestion_IsRefusedOnBothSides) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  const auto response = newcomer.call(member.address(), request(wire::RequestKind::kAdmin));
  EXPECT_EQ(response.status().code(), StatusCode::kInvalidArgument);
  // One that does not keep to it.
  RawConnection rogue(*env_, member.address());
  wire::Hello hello = hello_from(5, member, wire::ConnectionKind::kCall);
  hello.cluster = ClusterId();
  ASSERT_EQ(rogue.greet(hello).code, StatusCode::kOk);
  wire::BatchEncoder batch;
  batch.add(request(wire::RequestKind::kPropose));
  rogue.write(wire::joined(batch.finish()));
  wire::BatchReader reader(SharedBytes::copy_of(rogue.read_frame(wire::FrameKind::kBatch)));
  ASSERT_EQ(reader.next(), wire::BatchReader::Item::kResponse);
  EXPECT_EQ(reader.response().id, 12u);
  EXPECT_EQ(reader.response().code, StatusCode::kInvalidArgument);
  EXPECT_TRUE(member.seen().get().requests.empty());
}

TEST_F(CallTest, Newcomer_WithAMembersId_IsToldSo) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 1, {.cluster = ClusterId()});
  const auto response = newcomer.call(member.address(), request());
  EXPECT_EQ(response.status().code(), StatusCode::kConflict);
  EXPECT_NE(response.status().message().find("the id 1 is taken by this node"), std::string::npos);
}

TEST_F(CallTest, AnotherCluster_IsToldSo) {
  TestNode member(*env_, 1);
  TestNode foreign(*env_, 5, {.cluster = ClusterId(78)});
  const auto response = foreign.call(member.address(), request());
  EXPECT_EQ(response.status().code(), StatusCode::kConflict);
  EXPECT_NE(response.status().message().find("belongs to another cluster"), std::string::npos);
}

TEST_F(CallTest, NodeThatIsNoMemberEither_SaysSo) {
  TestNode other(*env_, 1, {.cluster = ClusterId()});
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  const auto response = newcomer.call(other.address(), request());
  EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(response.status().message().find("node 1 is not a member of a cluster yet"),
            std::string::npos);
}

TEST_F(CallTest, NobodyThere_IsUnavailable) {
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  env::Address nowhere;
  {
    TestNode gone(*env_, 1);
    nowhere = gone.address();
  }
  EXPECT_EQ(newcomer.call(nowhere, request()).status().code(), StatusCode::kUnavailable);
}

TEST_F(CallTest, NoAnswerInTime_IsUnknownIfItWasAsked) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  const auto response = newcomer.call(member.address(), request(), 200 * env::kMillisecond);
  // A machine under load may need all of that time for the handshake.
  if (response.status().code() == StatusCode::kUnavailable) {
    EXPECT_TRUE(member.seen().get().requests.empty());
  } else {
    EXPECT_EQ(response.status().code(), StatusCode::kUnknownOutcome);
  }
}

TEST_F(CallTest, NodeThatEndsBeforeItsAnswer_LeavesTheOutcomeUnknown) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  Watched<std::vector<Status>> done;
  newcomer.transport->call(
      member.address(), request(), 3600 * env::kSecond, newcomer.other_executor(),
      [&](Result<wire::Response> r) { done.change([&](auto& d) { d.push_back(r.status()); }); });
  ASSERT_TRUE(member.seen().wait_for([](const Seen& s) { return s.requests.size() == 1; }));
  member.transport->stop();
  ASSERT_TRUE(done.wait_for([](const auto& d) { return d.size() == 1; }));
  EXPECT_EQ(done.get()[0].code(), StatusCode::kUnknownOutcome);
}

TEST_F(CallTest, Answer_ToAnotherNode_IsNotSent) {
  TestNode member(*env_, 1);
  RawConnection caller(*env_, member.address());
  ASSERT_EQ(caller.greet(hello_from(5, member, wire::ConnectionKind::kCall)).code, StatusCode::kOk);
  wire::BatchEncoder batch;
  batch.add(request());
  caller.write(wire::joined(batch.finish()));
  ASSERT_TRUE(member.seen().wait_for([](const Seen& s) { return s.requests.size() == 1; }));
  const uint64_t id = member.seen().get().requests[0].request.id;
  member.run([&](WorkerTransport& w) {
    EXPECT_FALSE(w.send(Process{NodeId(6)}, wire::Response{id, StatusCode::kOk, {}}));
    EXPECT_TRUE(w.send(Process{NodeId(5)}, wire::Response{id, StatusCode::kOk, {}}));
    EXPECT_FALSE(w.send(Process{NodeId(5)}, wire::Response{id, StatusCode::kOk, {}}));
  });
  wire::BatchReader reader(SharedBytes::copy_of(caller.read_frame(wire::FrameKind::kBatch)));
  EXPECT_EQ(reader.next(), wire::BatchReader::Item::kResponse);
}

TEST_F(CallTest, Caller_WhoSendsSomethingElse_IsClosed) {
  TestNode member(*env_, 1);
  wire::BatchEncoder message, two;
  message.add(numbered_message(NodeId(5), NodeId(1), 1));
  two.add(request());
  two.add(request());
  for (const std::string& bytes : {wire::joined(message.finish()), wire::joined(two.finish()),
                                   wire::encode(wire::Received{1}), std::string(100, 'x')}) {
    RawConnection caller(*env_, member.address());
    ASSERT_EQ(caller.greet(hello_from(5, member, wire::ConnectionKind::kCall)).code,
              StatusCode::kOk);
    caller.write(bytes);
    EXPECT_EQ(caller.read_to_end(), "");
  }
  EXPECT_EQ(member.transport->stats().frames_rejected, 4u);
  EXPECT_TRUE(member.seen().get().requests.empty());
}

TEST_F(CallTest, Caller_WhoNeverAsks_IsClosed) {
  TestNode member(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.handshake_timeout_ns = 100 * env::kMillisecond;
  }});
  RawConnection caller(*env_, member.address());
  ASSERT_EQ(caller.greet(hello_from(5, member, wire::ConnectionKind::kCall)).code, StatusCode::kOk);
  EXPECT_EQ(caller.read_to_end(), "");
}

TEST_F(CallTest, Callers_BeyondTheLimit_AreClosed) {
  TestNode member(*env_, 1, {.adjust = [](TransportOptions& o) { o.handshakes_max = 2; }});
  const wire::Hello hello = hello_from(5, member, wire::ConnectionKind::kCall);
  RawConnection first(*env_, member.address());
  ASSERT_EQ(first.greet(hello).code, StatusCode::kOk);
  RawConnection second(*env_, member.address());
  ASSERT_EQ(second.greet(hello).code, StatusCode::kOk);
  RawConnection third(*env_, member.address());
  ASSERT_EQ(third.greet(hello).code, StatusCode::kOk);
  EXPECT_EQ(third.read_to_end(), "");
}

TEST_F(CallTest, Stop_WithACallUnderWay_CancelsIt) {
  TestNode member(*env_, 1);
  TestNode newcomer(*env_, 5, {.cluster = ClusterId()});
  Watched<std::vector<Status>> done;
  newcomer.transport->call(
      member.address(), request(), 3600 * env::kSecond, newcomer.other_executor(),
      [&](Result<wire::Response> r) { done.change([&](auto& d) { d.push_back(r.status()); }); });
  ASSERT_TRUE(member.seen().wait_for([](const Seen& s) { return s.requests.size() == 1; }));
  newcomer.transport->stop();
  ASSERT_TRUE(done.wait_for([](const auto& d) { return d.size() == 1; }));
  EXPECT_EQ(done.get()[0].code(), StatusCode::kCancelled);
}

TEST_F(CallTest, Proposal_IsNotTakenFromACall) {
  TestNode member(*env_, 1);
  TestNode other(*env_, 5);
  const auto response =
      other.call(member.address(), {3, wire::RequestKind::kPropose, GroupId(0), {}});
  ASSERT_TRUE(response.is_ok());
  EXPECT_EQ(response->code, StatusCode::kInvalidArgument);
  EXPECT_TRUE(member.seen().get().requests.empty());
}

TEST_F(CallTest, CallerThatIsNotKnown_AsksAsNobody) {
  TestNode member(*env_, 1);
  TestNode other(*env_, 5);
  answer_on(member, 0);
  const wire::Request question{3, wire::RequestKind::kAdmin, GroupId(0), {}};
  ASSERT_TRUE(other.call(member.address(), question).is_ok());
  member.know(other);
  ASSERT_TRUE(other.call(member.address(), question).is_ok());
  const Seen seen = member.seen().get();
  ASSERT_EQ(seen.requests.size(), 2u);
  EXPECT_EQ(seen.requests[0].from.node, NodeId());
  EXPECT_EQ(seen.requests[1].from.node, other.id());
}

}  // namespace
}  // namespace multiraft::transport
