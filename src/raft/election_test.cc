// Elections: thesis 3.4, 3.6.1, 3.10, 6.2, 9.6.

#include <gtest/gtest.h>

#include "raft/core.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::change_of;
using testing::conf_of;
using testing::Group;
using testing::Ids;
using testing::MemoryStorage;
using testing::Replica;
using testing::test_config;

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

// -- 3.3 terms.

TEST(Terms33, Replica_InAnyRole_HearingAHigherTermFollowsInIt) {
  for (const Role role : {Role::kFollower, Role::kCandidate, Role::kLeader}) {
    Group group(3);
    if (role != Role::kFollower) group[1]->campaign();
    group[1].pump();
    if (role == Role::kLeader) group.settle();
    ASSERT_EQ(group[1]->role(), role);
    (void)group[1].receive(message_of(MessageType::kHeartbeat, 3, 1, 7));
    EXPECT_EQ(group[1]->role(), Role::kFollower);
    EXPECT_EQ(group[1]->term(), Term(7));
    EXPECT_EQ(group[1]->leader(), ReplicaId(3));
  }
}

TEST(Terms33, Message_OfALowerTerm_ChangesNothing) {
  Group group(3);
  group.elect(1);
  (void)group[2].receive(message_of(MessageType::kHeartbeat, 3, 2, 5));
  const LogIndex last = group[2]->last_index();
  Message append = message_of(MessageType::kApp, 1, 2, 1);
  append.log_term = Term(1);
  append.index = last;
  append.commit = last + 1;
  append.entries.push_back({Term(1), last + 1, EntryType::kNormal, testing::bytes("late")});
  (void)group[2].receive(append);
  (void)group[2].receive(vote_request(MessageType::kVote, 1, 2, 4, 9, 9));
  EXPECT_EQ(group[2]->term(), Term(5));
  EXPECT_EQ(group[2]->leader(), ReplicaId(3));
  EXPECT_EQ(group[2]->last_index(), last);
  EXPECT_TRUE(group[2].take_sent(MessageType::kVoteResp).empty());
  EXPECT_TRUE(group[2].take_sent(MessageType::kAppResp).empty());
}

// -- 3.4 leader election.

TEST(Election34, Follower_AfterARandomTimeout_BecomesCandidateOfTheNextTerm) {
  std::set<uint32_t> timeouts;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Config config = test_config(1);
    config.random_seed = seed;
    Replica replica(config, conf_of({1, 2, 3}));
    uint32_t ticks = 0;
    for (; replica->role() == Role::kFollower; ++ticks) replica.tick();
    EXPECT_GE(ticks, 10u);
    EXPECT_LT(ticks, 20u);
    EXPECT_EQ(replica->role(), Role::kCandidate);
    EXPECT_EQ(replica->term(), Term(1));
    timeouts.insert(ticks);
  }
  EXPECT_EQ(timeouts.size(), 10u) << "every timeout in [T, 2T) is drawn";
}

TEST(Election34, Candidate_WithAMajority_LeadsAndAnnouncesIt) {
  Group group(5);
  group[1]->campaign();
  group[1].pump();
  const auto requests = group[1].take_sent(MessageType::kVote);
  EXPECT_EQ(requests.size(), 4u);
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 1));
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
  (void)group[1].receive(message_of(MessageType::kVoteResp, 3, 1, 1));
  EXPECT_EQ(group[1]->role(), Role::kLeader);
  EXPECT_EQ(group[1].take_sent(MessageType::kApp).size(), 4u);
}

// A duplicated answer is one vote.
TEST(Election34, Candidate_HearingTheSameVoteTwice_CountsItOnce) {
  Group group(5);
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 1));
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 1));
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
}

// FORMAT 5.3: staying candidate after losing.
TEST(Election34, Candidate_RejectedByAMajority_BecomesFollowerOfTheSameTerm) {
  Group group(3);
  group[1]->campaign();
  group[1].pump();
  for (uint64_t voter : Ids{2, 3}) {
    Message rejection = message_of(MessageType::kVoteResp, voter, 1, 1);
    rejection.reject = true;
    (void)group[1].receive(rejection);
  }
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->term(), Term(1));
  EXPECT_EQ(group[1]->leader(), kNoReplica);
}

TEST(Election34, Candidate_HearingALeaderOfItsTerm_Follows) {
  Group group(3);
  group[1]->campaign();
  group[1].pump();
  EXPECT_TRUE(group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 1)).is_ok());
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->leader(), ReplicaId(2));
}

TEST(Election34, Voter_InOneTerm_VotesOnceAlsoAcrossARestart) {
  Group group(3);
  (void)group[1].receive(vote_request(MessageType::kVote, 2, 1, 1, 0, 0));
  auto answers = group[1].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reject);
  group[1].restart();
  (void)group[1].receive(vote_request(MessageType::kVote, 3, 1, 1, 0, 0));
  answers = group[1].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject) << "trap 4";
  (void)group[1].receive(vote_request(MessageType::kVote, 2, 1, 1, 0, 0));
  answers = group[1].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reject) << "the same candidate may ask again";
}

// FORMAT 5.3: vote despite a known leader.
TEST(Election34, Voter_WithALeaderInThisTerm_DoesNotVoteForAnother) {
  Group group(3);
  (void)group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 1));
  group[1].take_sent();
  (void)group[1].receive(vote_request(MessageType::kVote, 3, 1, 1, 9, 9));
  const auto answers = group[1].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject);
}

// FORMAT 5.3: vote not resetting the timer.
TEST(Election34, Voter_GrantingARealVote_RestartsItsTimerAndAPreVoteDoesNot) {
  for (const MessageType type : {MessageType::kVote, MessageType::kPreVote}) {
    Group group(3);
    // It has learnt of term 1 without voting in it, so that the request itself begins no term.
    Message rejection = message_of(MessageType::kVoteResp, 3, 1, 1);
    rejection.reject = true;
    (void)group[1].receive(rejection);
    group[1]->set_randomized_election_timeout(12);
    group[1].tick(11);
    (void)group[1].receive(vote_request(type, 2, 1, 1, 0, 0));
    ASSERT_EQ(group[1].sent.size(), 1u);
    ASSERT_FALSE(group[1].sent[0].reject);
    group[1].tick();
    EXPECT_EQ(group[1]->role(), type == MessageType::kVote ? Role::kFollower : Role::kCandidate);
  }
}

// trap 1
TEST(Election34, Vote_BeforeItIsDurable_DoesNotLeave) {
  Group group(3);
  group[1].hold_appends = true;
  (void)group[1].receive(vote_request(MessageType::kVote, 2, 1, 1, 0, 0));
  EXPECT_TRUE(group[1].take_sent().empty());
  ASSERT_EQ(group[1].appends.size(), 1u);
  EXPECT_TRUE(group[1].appends[0].must_sync);
  EXPECT_EQ(group[1].appends[0].hard_state->vote, ReplicaId(2));
  group[1].complete_append();
  EXPECT_EQ(group[1].take_sent(MessageType::kVoteResp).size(), 1u);
}

// The candidate's own vote is no different (nebula PR#3415).
TEST(Election34, OwnVote_BeforeItIsDurable_DoesNotCount) {
  Group group(3);
  group[1].hold_appends = true;
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 1));
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
  group[1].complete_append();
  EXPECT_EQ(group[1]->role(), Role::kLeader);
}

// Even where the others' votes suffice: a leader that forgets its term in a crash could win the
// same term again, with the same votes, and write other entries at the same places.
TEST(Election34, Candidate_WithEverybodyElsesVote_LeadsOnlyOnceItsTermIsDurable) {
  Group group(3);
  group[1].hold_appends = true;
  group[1]->campaign();
  group[1].pump();
  for (uint64_t voter : Ids{2, 3}) {
    (void)group[1].receive(message_of(MessageType::kVoteResp, voter, 1, 1));
  }
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
  group[1].complete_append();
  EXPECT_EQ(group[1]->role(), Role::kLeader);
}

TEST(Election34, SingleVoter_CampaignsAndLeadsByItself) {
  Group group(1);
  group.tick(20);
  EXPECT_EQ(group[1]->role(), Role::kLeader);
  EXPECT_EQ(group[1]->commit_index(), LogIndex(1));
}

// -- 3.6.1 election restriction.

TEST(Election361, Voter_ComparesTermsFirstThenLength) {
  struct Case {
    uint64_t term, index;
    bool granted;
  };
  // The voter's log ends at 2/3.
  for (const Case& c : {Case{1, 9, false}, Case{2, 2, false}, Case{2, 3, true}, Case{2, 4, true},
                        Case{3, 1, true}}) {
    Replica replica(test_config(1), conf_of({1, 2, 3}));
    Message append = message_of(MessageType::kApp, 2, 1, 2);
    for (uint64_t i = 1; i <= 3; ++i) {
      append.entries.push_back({Term(i == 1 ? 1 : 2), LogIndex(i), EntryType::kNormal, {}});
    }
    ASSERT_TRUE(replica.receive(append).is_ok());
    replica.take_sent();
    (void)replica.receive(vote_request(MessageType::kVote, 3, 1, 5, c.term, c.index));
    const auto answers = replica.take_sent(MessageType::kVoteResp);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(!answers[0].reject, c.granted) << c.term << "/" << c.index;
  }
}

// -- 9.6 pre-vote.

// trap 7: the rejection tells the asker that the group has gone on.
// FORMAT 5.3: no rejection of a low-term pre-vote.
TEST(Election96, PreVote_OfALowerTerm_IsRejectedWithTheOwnTerm) {
  Group group(3);
  (void)group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 7));
  group[1].take_sent();
  (void)group[1].receive(vote_request(MessageType::kPreVote, 3, 1, 4, 9, 9));
  const auto answers = group[1].take_sent(MessageType::kPreVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].reject);
  EXPECT_EQ(answers[0].term, Term(7));
}

TEST(Election96, PreVote_AskedForAHigherTerm_LeavesTheVotersTermAlone) {
  Replica replica(test_config(1), conf_of({1, 2, 3}));
  (void)replica.receive(message_of(MessageType::kHeartbeat, 3, 1, 5));
  (void)replica.receive(vote_request(MessageType::kPreVote, 2, 1, 6, 5, 9));
  EXPECT_EQ(replica->term(), Term(5));
  EXPECT_EQ(replica->leader(), ReplicaId(3));
}

TEST(Election96, PreVote_ThatFails_LeavesNoTrace) {
  Group group(3, [](Config& config) { config.pre_vote = true; });
  group.elect(1);
  group.isolate(3);
  for (int i = 0; i < 100; ++i) group[3].tick();
  EXPECT_EQ(group[3]->role(), Role::kPreCandidate);
  EXPECT_EQ(group[3]->term(), Term(1)) << "an isolated replica does not push up its term";
  group[3].take_sent();
  group.heal();
  group.tick();
  EXPECT_EQ(group[1]->role(), Role::kLeader);
  EXPECT_EQ(group[3]->leader(), ReplicaId(1));
}

// trap 26: a removed voter is still needed, and has what the leader lost in a crash.
TEST(Election96, RejectionByARemovedVoter_TellsWhatIsCommitted) {
  for (const bool told : {true, false}) {
    Group group(2, [&](Config& config) {
      config.pre_vote = true;
      config.commit_in_rejections = told;
    });
    group.elect(1);
    Replica& leaves = group[2];
    group.change(1, change_of({{ConfChangeOp::kRemove, ReplicaId(2)}}));
    const LogIndex removed_at = group[1]->status().applied_index;
    ASSERT_EQ(leaves->status().conf_state, conf_of({1})) << "it applied its own removal";

    // The one that stays forgot the commit index in a crash, and an entry that it had sent and not
    // written.
    auto storage = std::make_unique<MemoryStorage>(group[1].storage());
    HardState forgot = storage->hard_state();
    forgot.commit = removed_at - 1;
    storage->set_hard_state(forgot);
    storage->set_conf_state(conf_of({1, 2}));
    Config config = group[1].config();
    config.applied = removed_at - 1;
    Replica stays(config, std::move(storage));
    Message lost = message_of(MessageType::kApp, 1, 2, 1);
    lost.index = removed_at;
    lost.log_term = Term(1);
    lost.entries.push_back({Term(1), removed_at + 1, EntryType::kNormal, {}});
    ASSERT_TRUE(leaves.receive(lost));
    leaves.take_sent();
    leaves.tick(100);

    for (int round = 0; round < 5; ++round) {
      stays.tick(25);
      for (const Message& request : stays.take_sent()) {
        if (request.to == ReplicaId(2)) (void)leaves.receive(request);
      }
      for (const Message& answer : leaves.take_sent()) (void)stays.receive(answer);
    }
    EXPECT_EQ(stays->role() == Role::kLeader, told);
    EXPECT_EQ(stays->status().conf_state, told ? conf_of({1}) : conf_of({1, 2}));
  }
}

TEST(Election96, RejectionThatNamesAnotherEntry_CommitsNothing) {
  Group group(3, [](Config& config) { config.pre_vote = true; });
  Message append = message_of(MessageType::kApp, 2, 1, 5);
  append.entries.push_back({Term(5), LogIndex(1), EntryType::kNormal, {}});
  ASSERT_TRUE(group[1].receive(append));
  group[1]->campaign();
  group[1].pump();
  Message rejection = message_of(MessageType::kPreVoteResp, 3, 1, 5);
  rejection.reject = true;
  rejection.commit = LogIndex(1);
  rejection.log_term = Term(4);
  ASSERT_TRUE(group[1].receive(rejection));
  EXPECT_EQ(group[1]->status().hard_state.commit, LogIndex(0));
  rejection.log_term = Term(5);
  rejection.commit = LogIndex(2);
  ASSERT_TRUE(group[1].receive(rejection));
  EXPECT_EQ(group[1]->status().hard_state.commit, LogIndex(0)) << "not in this log";
  EXPECT_EQ(group[1]->role(), Role::kPreCandidate);
  rejection.commit = LogIndex(1);
  ASSERT_TRUE(group[1].receive(rejection));
  EXPECT_EQ(group[1]->status().hard_state.commit, LogIndex(1));
  // trap 8: the votes so far may be of a configuration that is outdated.
  EXPECT_EQ(group[1]->role(), Role::kFollower);
}

// trap 10: a grant belongs to one round.
TEST(Election96, PreVoteGrant_OfAnotherTerm_IsNotCounted) {
  Group group(3, [](Config& config) { config.pre_vote = true; });
  (void)group[1].receive(message_of(MessageType::kHeartbeat, 2, 1, 5));
  group[1]->campaign();
  group[1].pump();
  (void)group[1].receive(message_of(MessageType::kPreVoteResp, 2, 1, 5));
  EXPECT_EQ(group[1]->role(), Role::kPreCandidate);
  (void)group[1].receive(message_of(MessageType::kPreVoteResp, 2, 1, 9));
  EXPECT_EQ(group[1]->role(), Role::kPreCandidate);
  (void)group[1].receive(message_of(MessageType::kPreVoteResp, 2, 1, 6));
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
}

// trap 7: a replica at a higher term, whose requests are ignored, rejoins.
TEST(Election96, StuckAtAHigherTerm_ThroughAnswersToTheStaleLeader_RejoinsTheGroup) {
  Group group(3, [](Config& config) { config.pre_vote = config.check_quorum = true; });
  group.elect(1);
  Message bump = message_of(MessageType::kVoteResp, 2, 3, 8);
  bump.reject = true;
  ASSERT_TRUE(group[3].receive(bump).is_ok());
  ASSERT_EQ(group[3]->term(), Term(8));
  group[3].take_sent();
  for (int i = 0; i < 60; ++i) group.tick();
  int leaders = 0;
  for (uint64_t id : Ids{1, 2, 3}) {
    leaders += group[id]->role() == Role::kLeader ? 1 : 0;
    EXPECT_NE(group[id]->leader(), kNoReplica);
    EXPECT_GE(group[id]->term(), Term(8));
  }
  EXPECT_EQ(leaders, 1);
}

// -- 6.2 check-quorum and stickiness.

// traps 11, 12
TEST(Election62, VoteRequest_WhileALeaderIsHeard_IsIgnoredAndAnsweredByAHeartbeat) {
  Group group(3, [](Config& config) {
    config.check_quorum = true;
    config.heartbeat_ticks = 3;
  });
  group.elect(1);
  for (uint64_t id : Ids{1, 2}) {
    (void)group[id].receive(vote_request(MessageType::kVote, 3, id, 9, 9, 9));
    EXPECT_TRUE(group[id].take_sent().empty());
    EXPECT_EQ(group[id]->term(), Term(1));
  }
  group[1].tick();
  EXPECT_EQ(group[1].take_sent(MessageType::kHeartbeat).size(), 2u) << "at once, not in 3 ticks";
}

TEST(Election62, VoteRequest_AfterAnElectionTimeoutOfSilence_IsAnswered) {
  Group group(3, [](Config& config) { config.check_quorum = true; });
  group.elect(1);
  group[2]->set_randomized_election_timeout(19);
  group[2].tick(9);
  (void)group[2].receive(vote_request(MessageType::kVote, 3, 2, 2, 1, 1));
  EXPECT_TRUE(group[2].take_sent().empty()) << "it may still hear its leader";
  group[2].tick(1);
  ASSERT_EQ(group[2]->leader(), ReplicaId(1)) << "its own, longer timeout is not over";
  (void)group[2].receive(vote_request(MessageType::kVote, 3, 2, 2, 1, 1));
  const auto answers = group[2].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reject);
}

TEST(Election62, Leader_WithoutAQuorumForAnElectionTimeout_StepsDown) {
  Group group(5, [](Config& config) { config.check_quorum = true; });
  group.elect(1);
  group.tick(10);
  for (uint64_t id : Ids{2, 3, 4}) group.isolate(id);
  group.tick(20);
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->term(), Term(1));
  EXPECT_EQ(group[1]->leader(), kNoReplica);
}

TEST(Election62, Leader_InAJointConfiguration_NeedsAQuorumOfBothHalves) {
  ConfState conf = conf_of({1, 4, 5});
  conf.voters_outgoing = conf_of({1, 2, 3}).voters;
  Group group(conf, [](Config& config) { config.check_quorum = true; });
  for (int i = 0; i < 2; ++i) (void)group.add_blank();
  for (uint64_t id : Ids{2, 3, 4, 5}) {
    (void)group[1].receive(message_of(MessageType::kVoteResp, id, 1, 1));
  }
  group[1]->campaign();
  group[1].pump();
  group[1].take_sent();
  for (uint64_t id : Ids{4, 5})
    (void)group[1].receive(message_of(MessageType::kVoteResp, id, 1, 2));
  EXPECT_EQ(group[1]->role(), Role::kCandidate) << "the outgoing half has not voted";
  (void)group[1].receive(message_of(MessageType::kVoteResp, 2, 1, 2));
  EXPECT_EQ(group[1]->role(), Role::kLeader);
}

// -- Who may vote and campaign.

// trap 22; FORMAT 5.3: learner campaigning.
TEST(ElectionMembers, Learner_NeverCampaignsButVotesWhenAsked) {
  Group group(conf_of({1, 2}, {3}));
  group[3].tick(100);
  group[3]->campaign();
  group[3].pump();
  EXPECT_EQ(group[3]->role(), Role::kFollower);
  EXPECT_TRUE(group[3].logged("3 is unpromotable and can not campaign"));
  (void)group[3].receive(message_of(MessageType::kTimeoutNow, 1, 3, 1));
  EXPECT_EQ(group[3]->role(), Role::kFollower);
  EXPECT_TRUE(group[3].take_sent().empty());

  (void)group[3].receive(vote_request(MessageType::kVote, 2, 3, 2, 0, 0));
  const auto answers = group[3].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reject);
}

// trap 8; FORMAT 5.3: campaigning with an unapplied configuration change. Also when forced.
TEST(ElectionMembers, Follower_WithAnUnappliedChange_DoesNotCampaign) {
  for (const bool forced : {false, true}) {
    Group group(3);
    group.elect(1);
    group[2].hold_applies = true;
    group.change(1, change_of({{ConfChangeOp::kAddLearner, ReplicaId(4)}}));
    ASSERT_EQ(group[2]->commit_index(), group[1]->commit_index());
    ASSERT_FALSE(group[2].applies.empty());
    const auto campaign = [&] {
      if (forced) {
        (void)group[2].receive(message_of(MessageType::kTimeoutNow, 1, 2, 1));
      } else {
        group[2]->campaign();
        group[2].pump();
      }
    };
    campaign();
    EXPECT_EQ(group[2]->role(), Role::kFollower);
    EXPECT_EQ(group[2]->term(), Term(1));
    group[2].hold_applies = false;
    while (!group[2].applies.empty()) group[2].complete_apply();
    campaign();
    EXPECT_EQ(group[2]->role(), Role::kCandidate);
  }
}

// FORMAT 5.3: campaign with a pending snapshot.
TEST(ElectionMembers, Follower_WithASnapshotOnItsWayToStorage_DoesNotCampaign) {
  Group group(3);
  group[1].hold_appends = true;
  Message snap = message_of(MessageType::kSnap, 2, 1, 1);
  snap.snapshot = std::make_shared<Snapshot>(Snapshot{LogIndex(20), Term(1), conf_of({1, 2, 3})});
  ASSERT_TRUE(group[1].receive(snap).is_ok());
  group[1]->campaign();
  group[1].pump();
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_TRUE(group[1].logged("1 is unpromotable and can not campaign"));
  group[1].hold_appends = false;
  group[1].complete_append();
  group[1]->campaign();
  group[1].pump();
  EXPECT_EQ(group[1]->role(), Role::kCandidate);
}

// -- 3.10 leadership transfer.

TEST(Transfer310, Target_UpToDate_TakesOverAtOnce) {
  Group group(3);
  group.elect(1);
  group[1]->transfer_leadership(ReplicaId(3));
  group.settle();
  EXPECT_EQ(group[3]->role(), Role::kLeader);
  EXPECT_EQ(group[1]->leader(), ReplicaId(3));
}

TEST(Transfer310, Target_Behind_IsCaughtUpFirst) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group.heal();
  group[1]->transfer_leadership(ReplicaId(3));
  EXPECT_EQ(group[1]->status().transfer_target, ReplicaId(3));
  group.tick();
  EXPECT_EQ(group[3]->role(), Role::kLeader);
}

// FORMAT 5.3: transfer not overriding the lease; transfer with pre-vote.
TEST(Transfer310, Target_WhileOthersHearTheLeader_IsElectedWithoutAPreVote) {
  Group group(3, [](Config& config) { config.check_quorum = config.pre_vote = true; });
  group.elect(1);
  group.tick(2);
  group[1]->transfer_leadership(ReplicaId(2));
  group[1].pump();
  for (Message& message : group[1].take_sent()) (void)group[2].receive(std::move(message));
  EXPECT_EQ(group[2]->role(), Role::kCandidate);
  const auto requests = group[2].sent;
  EXPECT_EQ(requests.size(), 2u);
  for (const Message& request : requests) {
    EXPECT_EQ(request.type, MessageType::kVote);
    EXPECT_TRUE(request.leadership_transfer);
  }
  group.settle();
  EXPECT_EQ(group[2]->role(), Role::kLeader);
}

// FORMAT 5.3: proposals during a transfer.
TEST(Transfer310, Proposal_DuringATransfer_IsDropped) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group[1]->transfer_leadership(ReplicaId(3));
  const auto refused = group[1]->propose({testing::bytes("b")});
  EXPECT_EQ(refused.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(group[1]->last_index(), LogIndex(2));
}

// trap 19
TEST(Transfer310, Target_Dead_IsGivenUpAfterAnElectionTimeout) {
  Group group(3);
  group.elect(1);
  group.isolate(3);
  group[1]->transfer_leadership(ReplicaId(3));
  group.tick(9);
  EXPECT_EQ(group[1]->status().transfer_target, ReplicaId(3));
  group.tick(1);
  EXPECT_EQ(group[1]->status().transfer_target, kNoReplica);
  EXPECT_TRUE(group[1]->propose({testing::bytes("b")}).is_ok());
}

// FORMAT 5.3: transfer not aborted on removal.
TEST(Transfer310, Target_RemovedFromTheVoters_IsGivenUp) {
  for (const ConfChangeOp op : {ConfChangeOp::kRemove, ConfChangeOp::kAddLearner}) {
    Group group(4);
    group.elect(1);
    group.isolate(4);
    group[1].hold_applies = true;
    ASSERT_TRUE(group[1]->propose_conf_change(change_of({{op, ReplicaId(4)}})).is_ok());
    group.settle();
    group[1]->transfer_leadership(ReplicaId(4));
    EXPECT_EQ(group[1]->status().transfer_target, ReplicaId(4));
    group[1].hold_applies = false;
    while (!group[1].applies.empty()) group[1].complete_apply();
    EXPECT_EQ(group[1]->status().transfer_target, kNoReplica);
  }
}

TEST(Transfer310, Target_NoVoterOrItself_ChangesNothing) {
  Group group(conf_of({1, 2}, {3}));
  group.elect(1);
  for (uint64_t target : Ids{1, 3, 7}) {
    group[1]->transfer_leadership(ReplicaId(target));
    EXPECT_EQ(group[1]->status().transfer_target, kNoReplica) << target;
  }
  group[2]->transfer_leadership(ReplicaId(2));
  EXPECT_EQ(group[2]->role(), Role::kFollower);
}

// -- Forgetting a leader.

TEST(ForgetLeader, Follower_KeepsTermVoteAndTimersAndVotesAtOnce) {
  Group group(3, [](Config& config) { config.check_quorum = true; });
  group.elect(1);
  group[2]->forget_leader();
  EXPECT_EQ(group[2]->leader(), kNoReplica);
  EXPECT_EQ(group[2]->term(), Term(1));
  (void)group[2].receive(vote_request(MessageType::kVote, 3, 2, 2, 1, 1));
  const auto answers = group[2].take_sent(MessageType::kVoteResp);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].reject);
}

// -- A member whose disk hangs (trap 37).

TEST(StepDown, Leader_FollowsNobodyInTheSameTermAndAnotherIsElected) {
  Group group(3, [](Config& config) { config.check_quorum = true; });
  group.elect(1);
  group[1]->step_down();
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->leader(), kNoReplica);
  EXPECT_EQ(group[1]->term(), Term(1));
  group[1]->set_electable(false);
  for (int i = 0; i < 100 && group[1]->leader() == kNoReplica; ++i) group.tick();
  EXPECT_NE(group[1]->leader(), kNoReplica);
  EXPECT_NE(group[1]->leader(), ReplicaId(1));
}

TEST(Electable, Replica_ThatIsNot_NeitherCampaignsNorTakesOver) {
  Group group(3);
  group[1]->set_electable(false);
  for (int i = 0; i < 100; ++i) group[1]->tick();
  group[1]->campaign();
  group[1].pump();
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[1]->term(), Term(0));
  group.elect(2);
  group[2]->transfer_leadership(ReplicaId(1));
  group.settle();
  EXPECT_EQ(group[1]->role(), Role::kFollower);
  EXPECT_EQ(group[2]->role(), Role::kLeader);
  group[1]->set_electable(true);
  group[1]->campaign();
  group.settle();
  EXPECT_EQ(group[1]->role(), Role::kLeader);
}

}  // namespace
}  // namespace multiraft::raft
