// Whatever the network says, a core neither breaks nor breaks its promises.

#include <gtest/gtest.h>

#include "base/coverage.h"
#include "raft/core.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;
using testing::conf_of;
using testing::Group;
using testing::Ids;
using testing::Replica;
using testing::test_config;

/// Messages of every type with small random fields, and some with absurd ones.
class Noise {
 public:
  explicit Noise(uint64_t seed) : random_(seed) {}

  Message message() {
    Message message;
    message.type = static_cast<MessageType>(random_.below(30));
    message.from = ReplicaId(random_.chance(0.02) ? ~uint64_t{0} - random_.below(3) : number(6));
    message.to = ReplicaId(random_.chance(0.95) ? 1 : number(5));
    message.term = Term(number(8));
    message.log_term = Term(number(8));
    message.index = LogIndex(number(12));
    message.commit = LogIndex(number(12));
    message.vote = ReplicaId(number(5));
    message.reject_hint = LogIndex(number(12));
    message.read_id = ReadId(number(6));
    message.reject = random_.chance(0.3);
    message.leadership_transfer = random_.chance(0.2);
    LogIndex index = message.index;
    for (uint64_t n = random_.chance(0.5) ? random_.below(4) : 0; n > 0; --n) {
      index = random_.chance(0.95) ? index + 1 : LogIndex(number(12));
      message.entries.push_back(entry(index, message.term));
    }
    if (random_.chance(0.3)) message.snapshot = snapshot();
    return message;
  }

 private:
  uint64_t number(uint64_t bound) {
    return random_.chance(0.01) ? ~uint64_t{0} - random_.below(3) : random_.below(bound);
  }
  Entry entry(LogIndex index, Term term) {
    Entry entry;
    entry.index = index;
    entry.term = random_.chance(0.8) ? term : Term(number(8));
    entry.type = static_cast<EntryType>(random_.below(random_.chance(0.9) ? 1 : 4));
    if (random_.chance(0.5)) entry.data = bytes(std::string(random_.below(12), 'x'));
    return entry;
  }
  std::shared_ptr<const Snapshot> snapshot() {
    Snapshot snapshot{LogIndex(number(15)), Term(number(8)), {}};
    for (auto* ids : {&snapshot.conf_state.voters, &snapshot.conf_state.learners}) {
      for (uint64_t id = 1; id < 6; ++id) {
        if (random_.chance(ids == &snapshot.conf_state.voters ? 0.7 : 0.2)) {
          ids->emplace_back(id);
        }
      }
    }
    return std::make_shared<Snapshot>(std::move(snapshot));
  }

  Prng random_;
};

TEST(Step, AnyMessages_NeverBreakTheInvariants) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Config config = test_config(1);
    config.pre_vote = seed % 2 == 0;
    config.check_quorum = seed % 3 == 0;
    config.inflight_messages_max = seed % 5 + 1;
    config.random_seed = seed;
    Replica replica(config, conf_of({1, 2, 3}));
    replica.storage().set_snapshot_source([&]() -> Result<std::shared_ptr<const Snapshot>> {
      return std::make_shared<const Snapshot>(
          Snapshot{replica->applied_index(), Term(1), conf_of({1, 2, 3})});
    });
    Noise noise(seed);
    Prng random(seed * 7919);
    GroupInvariants invariants;
    replica.group_invariants = &invariants;
    for (int step = 0; step < 300; ++step) {
      replica.hold_appends = random.chance(0.3);
      replica.hold_applies = random.chance(0.3);
      if (!replica.hold_appends && !replica.appends.empty()) replica.complete_append();
      if (!replica.hold_applies && !replica.applies.empty()) replica.complete_apply();
      if (random.chance(0.1)) replica.tick();
      if (random.chance(0.1)) (void)replica->propose({bytes("p")});
      if (random.chance(0.05)) replica->read_index(ReadId(random.below(100)));
      if (random.chance(0.05)) replica->campaign();
      (void)replica.receive(noise.message());
      // Somebody helps it to lead now and then.
      if (replica->role() == Role::kCandidate && random.chance(0.5)) {
        Message vote;
        vote.type = MessageType::kVoteResp;
        vote.from = ReplicaId(2);
        vote.to = ReplicaId(1);
        vote.term = replica->term();
        (void)replica.receive(vote);
      }
      replica.take_sent();
    }
  }
}

TEST(Step, LocalMessages_AreRefused) {
  Group group(3);
  for (uint8_t type = 0; type <= static_cast<uint8_t>(MessageType::kStorageApplyResp); ++type) {
    Message message;
    message.type = static_cast<MessageType>(type);
    message.from = ReplicaId(2);
    message.to = ReplicaId(1);
    message.term = Term(1);
    EXPECT_EQ(group[1].receive(message).code(), StatusCode::kInvalidArgument) << int{type};
  }
}

TEST(Step, Messages_ToSomebodyElseOrWithoutATerm_AreRefused) {
  Group group(3);
  Message message;
  message.type = MessageType::kHeartbeat;
  message.from = ReplicaId(2);
  message.to = ReplicaId(3);
  message.term = Term(1);
  EXPECT_EQ(group[1].receive(message).code(), StatusCode::kInvalidArgument);
  message.to = ReplicaId(1);
  message.term = Term();
  EXPECT_EQ(group[1].receive(message).code(), StatusCode::kInvalidArgument);
  message.term = Term(1);
  EXPECT_TRUE(group[1].receive(message).is_ok());
}

TEST(Memory, IdleGroup_IsSmall) {
  Group group(3);
  group.elect(1);
  for (int i = 0; i < 1000; ++i) group.propose(1, "x");
  group.tick();
  for (uint64_t id : Ids{1, 2, 3}) EXPECT_LT(group[id]->core().memory_bytes(), 2048u) << id;
}

/// Every rare branch of the core that carries a mark is reached by the tests of this binary.
class CoverageCheck final : public ::testing::Environment {
 public:
  void TearDown() override {
    if (GTEST_FLAG_GET(filter) != "*") return;
    for (const char* mark :
         {"raft: append response of an earlier term ignored",
          "raft: campaign with an unapplied configuration change refused",
          "raft: configuration change overtaken by a snapshot",
          "raft: elected before the own vote is durable",
          "raft: joint configuration left by itself",
          "raft: proposal refused, the uncommitted tail is full", "raft: read expired",
          "raft: read refused during a transfer or beyond the limit",
          "raft: snapshot of what the log holds", "raft: stale leader answered"}) {
      EXPECT_GT(CoverageMark::hits_of(mark), 0u) << mark;
    }
  }
};
const auto* const kCoverageCheck = ::testing::AddGlobalTestEnvironment(new CoverageCheck);

}  // namespace
}  // namespace multiraft::raft
