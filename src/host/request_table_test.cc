#include "host/request_table.h"

#include <gtest/gtest.h>

#include <set>

#include "host/propose_codec.h"

namespace multiraft::host {
namespace {

/// Nothing can be taken back: all was sent.
bool was_sent(NodeId, uint64_t) { return false; }

class ForwardingTest : public ::testing::Test {
 protected:
  PendingWrite make() {
    PendingWrite write;
    write.deadline = {1'000};
    write.done = [this](WriteResult result) { results_.push_back(std::move(result)); };
    return write;
  }
  void answer(uint64_t id, StatusCode code, SharedBytes payload) {
    forwarding_.answered(NodeId(2), {id, code, std::move(payload)});
  }

  std::vector<WriteResult> results_;
  size_t again_ = 0;
  RequestTable forwarding_{3, 17, [this](GroupId, PendingWrite) { ++again_; }};
};

TEST_F(ForwardingTest, RequestId_NamesItsWorker) {
  const uint64_t id = forwarding_.add_write(GroupId(1), NodeId(2), make());
  EXPECT_EQ(worker_of_request(id), 3u);
}

TEST_F(ForwardingTest, RequestId_OfAnyRandomNumber_NamesItsWorkerAndIsNoCall) {
  for (const uint64_t random : {uint64_t{0}, uint64_t{1} << 47, ~uint64_t{0}}) {
    RequestTable forwarding(63, random, nullptr);
    for (int i = 0; i < 3; ++i) {
      const uint64_t id = forwarding.add_question(NodeId(2), {1'000}, [](Result<SharedBytes>) {});
      EXPECT_EQ(worker_of_request(id), 63u);
      EXPECT_LT(id, uint64_t{1} << 63);
    }
  }
}

TEST_F(ForwardingTest, RequestId_OfTheNextProcess_IsAnother) {
  RequestTable next(3, 18'000'000, nullptr);
  std::set<uint64_t> ids;
  for (int i = 0; i < 1'000; ++i) {
    ids.insert(forwarding_.add_question(NodeId(2), {1'000}, [](Result<SharedBytes>) {}));
    ids.insert(next.add_question(NodeId(2), {1'000}, [](Result<SharedBytes>) {}));
  }
  EXPECT_EQ(ids.size(), 2'000u);
}

TEST_F(ForwardingTest, Answered_ByANodeThatWasNotAsked_IsIgnored) {
  const uint64_t id = forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.answered(NodeId(3), {id, StatusCode::kOk, encode_write_result({})});
  EXPECT_TRUE(results_.empty());
  answer(id, StatusCode::kOk, encode_write_result({}));
  EXPECT_EQ(results_.size(), 1u);
}

TEST_F(ForwardingTest, Answered_Applied_PassesTheResultOn) {
  WriteResult sent;
  sent.index = LogIndex(9);
  sent.term = Term(4);
  sent.leader = ReplicaId::make(NodeId(2), 7);
  sent.result.code = 1;
  sent.result.data = SharedBytes::copy_of("data");
  const uint64_t id = forwarding_.add_write(GroupId(1), NodeId(2), make());
  answer(id, StatusCode::kOk, encode_write_result(sent));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_TRUE(results_[0].status.is_ok());
  EXPECT_EQ(results_[0].index, LogIndex(9));
  EXPECT_EQ(results_[0].term, Term(4));
  EXPECT_EQ(results_[0].leader, sent.leader);
  EXPECT_EQ(results_[0].result.code, 1u);
  EXPECT_EQ(results_[0].result.data.view(), "data");
  answer(id, StatusCode::kOk, encode_write_result(sent));
  EXPECT_EQ(results_.size(), 1u) << "an answer counts once";
}

TEST_F(ForwardingTest, Answered_NotLeader_IsTriedAgain) {
  // trap 49: the other side said that it did nothing.
  WriteResult refused;
  refused.status = Status(StatusCode::kNotLeader, "elsewhere");
  answer(forwarding_.add_write(GroupId(1), NodeId(2), make()), StatusCode::kNotLeader,
         encode_write_result(refused));
  EXPECT_EQ(again_, 1u);
  EXPECT_TRUE(results_.empty());
}

TEST_F(ForwardingTest, Answered_UnknownOutcome_IsNeverTriedAgain) {
  WriteResult unknown;
  unknown.status = Status(StatusCode::kUnknownOutcome, "who knows");
  answer(forwarding_.add_write(GroupId(1), NodeId(2), make()), StatusCode::kUnknownOutcome,
         encode_write_result(unknown));
  EXPECT_EQ(again_, 0u);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].status, unknown.status);
}

TEST_F(ForwardingTest, Answered_TruncatedResult_IsUnknown) {
  answer(forwarding_.add_write(GroupId(1), NodeId(2), make()), StatusCode::kOk,
         SharedBytes::copy_of("short"));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].status.code(), StatusCode::kUnknownOutcome);
}

TEST_F(ForwardingTest, Disconnected_AfterItWasSent_IsUnknown) {
  forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.add_write(GroupId(1), NodeId(5), make());
  forwarding_.disconnected(NodeId(2), true);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].status.code(), StatusCode::kUnknownOutcome);
  EXPECT_FALSE(forwarding_.empty()) << "another node's answer may still come";
}

TEST_F(ForwardingTest, Disconnected_NeverConnected_IsTriedAgain) {
  forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.disconnected(NodeId(2), false);
  EXPECT_EQ(again_, 1u);
  EXPECT_TRUE(results_.empty());
}

TEST_F(ForwardingTest, Expire_NoAnswer_IsUnknown) {
  forwarding_.add_write(GroupId(1), NodeId(2), make());
  Result<SharedBytes> asked = SharedBytes{};
  forwarding_.add_question(NodeId(2), {500}, [&](Result<SharedBytes> r) { asked = std::move(r); });
  forwarding_.expire({600}, was_sent);
  EXPECT_EQ(asked.status().code(), StatusCode::kUnknownOutcome);
  EXPECT_TRUE(results_.empty());
  forwarding_.expire({1'000}, was_sent);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].status.code(), StatusCode::kUnknownOutcome);
}

TEST_F(ForwardingTest, Expire_OfAWriteThatWasNeverSent_WasNotApplied) {
  const uint64_t sent = forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.expire({1'000}, [&](NodeId node, uint64_t id) {
    EXPECT_EQ(node, NodeId(2));
    return id != sent;
  });
  ASSERT_EQ(results_.size(), 2u);
  EXPECT_EQ(results_[0].status.code(), StatusCode::kUnknownOutcome);
  EXPECT_EQ(results_[1].status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(forwarding_.empty());
}

TEST_F(ForwardingTest, Refused_IsAnsweredAndNotTriedAgain) {
  const uint64_t id = forwarding_.add_write(GroupId(1), NodeId(2), make());
  forwarding_.refused(id, {StatusCode::kOverloaded, "too much waits"});
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].status.code(), StatusCode::kOverloaded);
  EXPECT_EQ(again_, 0u);
}

}  // namespace
}  // namespace multiraft::host
