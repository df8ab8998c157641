// Promises of members, and the time that a leader makes of them (thesis 6.4.1).

#include "raft/lease.h"

#include <gtest/gtest.h>

#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::Group;

Message message_of(MessageType type, uint64_t from, uint64_t to, uint64_t term) {
  Message message;
  message.type = type;
  message.from = ReplicaId(from);
  message.to = ReplicaId(to);
  message.term = Term(term);
  return message;
}

Message vote_request(MessageType type, uint64_t from, uint64_t to, uint64_t term,
                     uint64_t last_term, uint64_t last_index) {
  Message message = message_of(type, from, to, term);
  message.log_term = Term(last_term);
  message.index = LogIndex(last_index);
  return message;
}

// -- Times.

TEST(LeaseTimes, Rounds_AnsweredLate_CountFromTheirSending) {
  LeaseTimes times(1'000);
  times.sent(Term(3), 1, 5'000);
  times.sent(Term(3), 2, 5'500);
  EXPECT_TRUE(times.holds(Term(3), 1, 5'999));
  EXPECT_FALSE(times.holds(Term(3), 1, 6'000));
  EXPECT_TRUE(times.holds(Term(3), 2, 6'499));
  EXPECT_TRUE(times.holds(Term(3), 9, 6'499)) << "a later one confirms it as well";
  EXPECT_FALSE(times.holds(Term(3), 2, 6'500));
  EXPECT_FALSE(times.holds(Term(3), 0, 5'501));
  EXPECT_FALSE(times.holds(Term(2), 2, 5'501));
}

TEST(LeaseTimes, Round_OfAnEarlierCallOrTerm_IsNotDatedAgain) {
  LeaseTimes times(1'000);
  times.sent(Term(3), 7, 5'000);
  times.sent(Term(3), 8, 5'001);  // Too close to be kept.
  times.sent(Term(3), 8, 5'900);
  EXPECT_FALSE(times.holds(Term(3), 8, 6'100));
  times.drop();
  times.sent(Term(3), 8, 6'000);
  EXPECT_FALSE(times.holds(Term(3), 8, 6'000));
  times.sent(Term(4), 1, 6'000);
  EXPECT_TRUE(times.holds(Term(4), 1, 6'000));
  EXPECT_FALSE(times.holds(Term(3), 8, 6'000));
}

// Ten ticks may pass in little more than eight intervals, and clocks do not go alike.
TEST(LeaseTimes, Lease_IsShorterThanThePromiseOfTheFastestClock) {
  EXPECT_EQ(promise_ns(10, 100), 800);
  EXPECT_EQ(lease_ns(promise_ns(10, 100)), 750);
  EXPECT_EQ(promise_ns(2, 100), 0);
  EXPECT_EQ(promise_ns(1, 100), 0);
}

// -- Promises.

// A member that promised to stay with its leader does not break that by restarting (trap 17).
TEST(Lease, Follower_AfterARestart_GrantsNoVoteForAnElectionTimeout) {
  Group group(3, [](Config& config) {
    config.check_quorum = true;
    config.promise_ms = 1'000;
  });
  group.elect(1);
  group[2].restart();
  group[2]->set_randomized_election_timeout(19);
  (void)group[2].receive(vote_request(MessageType::kVote, 3, 2, 2, 1, 1));
  EXPECT_TRUE(group[2].take_sent().empty());
  group[2].tick(10);
  (void)group[2].receive(vote_request(MessageType::kVote, 3, 2, 2, 1, 1));
  EXPECT_EQ(group[2].take_sent(MessageType::kVoteResp).size(), 1u);
}

void promising(Config& config) {
  config.check_quorum = true;
  config.pre_vote = true;
  config.promise_ms = 1'000;
}

// It would be elected by members that do not hear the leader either, while the leader still reads
// by the lease that this replica's promise is a part of (trap 17).
TEST(Lease, Follower_AfterARestart_DoesNotCampaignForAnElectionTimeout) {
  Group group(3, promising);
  group.elect(1);
  group.tick();
  group[2].restart();
  group[2]->campaign();
  group[2].pump();
  EXPECT_EQ(group[2]->role(), Role::kFollower);
  group[2]->set_randomized_election_timeout(19);
  group[2].tick(10);
  group[2]->campaign();
  EXPECT_EQ(group[2]->role(), Role::kPreCandidate);
}

TEST(Lease, OnlyVoter_AfterARestart_CampaignsAtOnce) {
  Group group(1, promising);
  group.elect(1);
  group[1].restart();
  group[1]->campaign();
  group[1].pump();
  EXPECT_EQ(group[1]->role(), Role::kLeader);
}

TEST(Lease, Follower_ToldToTakeOver_CampaignsAndIsElectedInSpiteOfPromises) {
  Group group(3, promising);
  group.elect(1);
  group.tick();
  group[1]->transfer_leadership(ReplicaId(2));
  group.settle();
  EXPECT_EQ(group[2]->role(), Role::kLeader);
}

// An answer to an earlier pre-vote may bring a higher term after the promise was given. The leader
// that it was given to knows nothing of that term yet.
TEST(Lease, Follower_LearningAHigherTermWithinItsPromise_GrantsNoVoteInItAndDoesNotCampaign) {
  Group group(3, promising);
  group.elect(1);
  group.tick();
  const Term higher(group[1]->term().value + 4);
  Message late = message_of(MessageType::kPreVoteResp, 3, 2, higher.value);
  late.reject = true;
  (void)group[2].receive(late);
  ASSERT_EQ(group[2]->term(), higher);
  ASSERT_EQ(group[2]->leader(), kNoReplica);
  const auto votes = [&](MessageType type, Term term) {
    (void)group[2].receive(vote_request(type, 3, 2, term.value, 9, term.value - 1));
    size_t granted = 0;
    for (const Message& sent : group[2].take_sent()) {
      const bool answer =
          sent.type == MessageType::kVoteResp || sent.type == MessageType::kPreVoteResp;
      granted += answer && !sent.reject ? 1 : 0;
    }
    return granted;
  };
  EXPECT_EQ(votes(MessageType::kVote, higher), 0u);
  EXPECT_EQ(votes(MessageType::kPreVote, higher + 1), 0u);
  EXPECT_EQ(votes(MessageType::kVote, higher + 1), 0u);
  group[2]->campaign();
  EXPECT_EQ(group[2]->role(), Role::kFollower);
  group[2]->set_randomized_election_timeout(19);
  group[2].tick(10);
  EXPECT_EQ(votes(MessageType::kVote, higher + 1), 1u);
}

}  // namespace
}  // namespace multiraft::raft
