// Three whole node hosts on simulated machines, one of whose engines takes nothing for a while.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/testing/stall_hosts.h"

namespace multiraft::host {
namespace {

using testing::kElectionNs;
using testing::kHeartbeatNs;

/// What an engine is told to do, and what was asked of it.
struct Valve {
  StatusCode refusal = StatusCode::kOk;  ///< ok: it takes what comes.
  bool keeps_up = true;
  bool cold = false;  ///< Its disk has to be read before a command is applied.
  uint64_t commits = 0;
  uint64_t refused = 0;
  size_t bytes_in_batch = 0;  ///< Applied and not committed.
  size_t batch_bytes_max = 0;
};

class ValveMachine final : public kv::KvStateMachine {
 public:
  ValveMachine(Valve& valve, std::unique_ptr<kv::KvStateMachine> inner)
      : valve_(valve), inner_(std::move(inner)) {}
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override {
    for (const Command& command : commands) valve_.bytes_in_batch += command.data.size();
    valve_.batch_bytes_max = std::max(valve_.batch_bytes_max, valve_.bytes_in_batch);
    return inner_->apply(commands, last_index, last_term, results);
  }
  Prefetch prefetch(std::span<const Command> commands) override {
    return {valve_.cold ? Task([] {}) : nullptr, commands.size()};
  }
  LogIndex applied_index() const override { return inner_->applied_index(); }
  Term applied_term() const override { return inner_->applied_term(); }
  LogIndex durable_index() const override { return inner_->durable_index(); }
  bool in_memory() const override { return inner_->in_memory(); }
  Result<std::unique_ptr<SnapshotReader>> snapshot() override { return inner_->snapshot(); }
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override {
    return inner_->restore(index, term);
  }
  Result<uint64_t> hash() override { return inner_->hash(); }
  std::shared_ptr<const kv::KvReader> reader() const override { return inner_->reader(); }

 private:
  Valve& valve_;
  std::unique_ptr<kv::KvStateMachine> inner_;
};

class ValveEngine final : public StateMachineEngine {
 public:
  ValveEngine(Valve& valve, kv::KvEngine& inner) : valve_(valve), inner_(inner) {}
  Result<std::unique_ptr<StateMachine>> open(GroupId group) override {
    auto machine = inner_.open_kv(group);
    if (!machine) return machine.status();
    std::unique_ptr<StateMachine> valved =
        std::make_unique<ValveMachine>(valve_, std::move(*machine));
    return valved;
  }
  Status destroy(std::span<const GroupId> groups) override { return inner_.destroy(groups); }
  Status commit(uint32_t worker) override {
    ++valve_.commits;
    if (valve_.refusal != StatusCode::kOk) {
      ++valve_.refused;
      return {valve_.refusal, "the valve is shut"};
    }
    valve_.bytes_in_batch = 0;
    return inner_.commit(worker);
  }
  void request_flush() override { inner_.request_flush(); }
  Status keeps_up() const override {
    if (valve_.keeps_up) return Status::ok();
    return {StatusCode::kOverloaded, "compactions fall behind"};
  }

 private:
  Valve& valve_;
  kv::KvEngine& inner_;
};

/// kGroup lives in an engine with a valve, kAlone in another one.
class StalledEngineTest : public testing::StallHosts {
 protected:
  ~StalledEngineTest() override = default;
  std::unique_ptr<StateMachineEngine> wrap(size_t i, kv::KvEngine& engine) override {
    return std::make_unique<ValveEngine>(valve_[i], engine);
  }
  void shut(size_t i, StatusCode code = StatusCode::kOverloaded) { valve_[i].refusal = code; }
  void open(size_t i) { valve_[i].refusal = StatusCode::kOk; }
  bool stalled(size_t i) { return node(i).host->engine_stalled_ns().has_value(); }

  void set_pool_paused(bool paused) {
    for (int i = 0; i < 4; ++i) node(0).env->set_paused("pool-" + std::to_string(i), paused);
  }

  Valve valve_[3];
};

TEST_F(StalledEngineTest, OtherEngine_DuringARefusal_IsNotHeldUp) {
  shut(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  pass(kHeartbeatNs);
  EXPECT_GT(valve_[0].refused, 0u);
  EXPECT_FALSE(stuck->has_value());
  for (int i = 0; i < 20; ++i) {
    const Answer other = start_put(0, kAlone, "k" + std::to_string(i), "v");
    ASSERT_TRUE(until([&] { return other->has_value(); }, kHeartbeatNs));
    EXPECT_EQ((*other)->code(), StatusCode::kOk);
  }
  EXPECT_EQ(get(0, kAlone, "k19"), "v");
  open(0);
  ASSERT_TRUE(until([&] { return stuck->has_value(); }, 2 * kHeartbeatNs));
  EXPECT_EQ((*stuck)->code(), StatusCode::kOk) << "a short refusal is bridged";
  EXPECT_EQ(stats(0).engine_stalls, 0u);
}

TEST_F(StalledEngineTest, Leader_WhoseEngineStalls_HandsOverAndFollowsWhenItHeals) {
  shut(0, StatusCode::kNoSpace);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return stalled(0); }, kElectionNs + 3 * kHeartbeatNs));
  EXPECT_TRUE(warned(0, "the engine of node 1 stores nothing"));
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }, 3 * kHeartbeatNs));
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  EXPECT_EQ(put(0, kGroup, "through", "3").code(), StatusCode::kOk) << "passed on to the leader";
  // It was replicated, and its client hears so, once, while the engine still refuses.
  ASSERT_TRUE(until([&] { return stuck->has_value(); }, 5 * kElectionNs));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  EXPECT_NE(get(0, kGroup, "during").find("the engine of node 1 stores nothing"),
            std::string::npos);
  EXPECT_EQ(get(2, kGroup, "stuck"), "x");
  const Term term = status(1, kGroup).hard_state.term;
  pass(10 * kElectionNs);
  EXPECT_EQ(role(0, kGroup), raft::Role::kFollower);
  EXPECT_EQ(role(0, kAlone), raft::Role::kLeader) << "its engine is another one";
  EXPECT_EQ(stats(0).engine_stalls, 1u);
  EXPECT_GT(stats(0).engine_stalled_ns, 10 * kElectionNs);

  open(0);
  ASSERT_TRUE(until([&] { return !stalled(0); }));
  EXPECT_TRUE(warned(0, "stores again"));
  EXPECT_EQ(get(0, kGroup, "through"), "3");
  EXPECT_EQ(put(0, kGroup, "after", "4").code(), StatusCode::kOk);
  EXPECT_EQ(status(0, kGroup).hard_state.term, term);
  EXPECT_EQ(stats(0).engine_stalled_ns, 0);
}

TEST_F(StalledEngineTest, Follower_WhoseEngineRefuses_AppliesNothingMoreAndStillCounts) {
  shut(2);
  ASSERT_EQ(put(0, kGroup, "first", "x").code(), StatusCode::kOk);
  ASSERT_TRUE(until([&] { return valve_[2].refused > 0; }));
  const size_t in_batch = valve_[2].bytes_in_batch;
  // Node 2 is cut off: the one that refuses is needed for a quorum.
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(1), name(0), true);
  const std::string value(64 * limits::kKiB, 'v');
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(put(0, kGroup, "k" + std::to_string(i), value).code(), StatusCode::kOk);
  }
  EXPECT_EQ(valve_[2].bytes_in_batch, in_batch);
  network_.mend_all();
  open(2);
  EXPECT_EQ(get(2, kGroup, "k99"), value);
}

TEST_F(StalledEngineTest, RefusedCommit_IsTriedAgainAtGrowingIntervals) {
  shut(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return valve_[0].refused > 0; }));
  // Traffic of other groups makes turns, and turns make no attempts.
  const uint64_t before = valve_[0].refused;
  for (int i = 0; i < 200; ++i) (void)put(0, kAlone, "k", "v");
  pass(kElectionNs);
  EXPECT_LE(valve_[0].refused - before, 30u);
  const uint64_t settled = valve_[0].refused;
  pass(10 * kHeartbeatNs);
  EXPECT_LE(valve_[0].refused - settled, 11u);
}

TEST_F(StalledEngineTest, Writes_OfALeaderThatNobodyCanReplace_AreAnsweredByTheirDeadline) {
  shut(0);
  const Answer applied = start_put(0, kGroup, "applied", "x");
  ASSERT_TRUE(until([&] { return valve_[0].refused > 0; }));
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(0), name(2), true);
  const Answer proposed = start_put(0, kGroup, "proposed", "x");
  for (const Answer& answer : {applied, proposed}) {
    ASSERT_TRUE(until([&] { return answer->has_value(); }, 6 * kElectionNs));
    EXPECT_EQ((*answer)->code(), StatusCode::kUnknownOutcome);
  }
  network_.mend_all();
  open(0);
}

TEST_F(StalledEngineTest, HostThatStops_AnswersWhatItsEngineRefused_Once) {
  shut(0);
  int answers = 0;
  Status outcome;
  node(0).host->write(kGroup, kv::encode_put("stuck", "x"), node(0).host->executor(0),
                      [&](WriteResult r) {
                        ++answers;
                        outcome = r.status;
                      });
  ASSERT_TRUE(until([&] { return valve_[0].refused > 0; }));
  EXPECT_EQ(answers, 0);
  stop(node(0));
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(outcome.code(), StatusCode::kUnknownOutcome);
}

TEST_F(StalledEngineTest, Engine_ThatFallsBehind_RefusesWritesAtTheLeaderAtOnce) {
  valve_[0].keeps_up = false;
  for (size_t i = 0; i < 3; ++i) {
    const Answer refused = start_put(i, kGroup, "refused", "x");
    ASSERT_TRUE(until([&] { return refused->has_value(); }, kHeartbeatNs));
    EXPECT_EQ((*refused)->code(), StatusCode::kOverloaded) << (*refused)->message();
  }
  EXPECT_EQ(put(0, kAlone, "other", "x").code(), StatusCode::kOk);
  EXPECT_EQ(get(1, kGroup, "refused"), "(none)");
  valve_[0].keeps_up = true;
  EXPECT_EQ(put(1, kGroup, "after", "x").code(), StatusCode::kOk);
}

TEST_F(StalledEngineTest, ManyBytes_AreCommittedInPieces) {
  const std::string value(limits::kMiB, 'v');
  shut(2);
  for (int i = 0; i < 24; ++i) {
    ASSERT_EQ(put(0, kGroup, "k" + std::to_string(i), value).code(), StatusCode::kOk);
  }
  open(2);
  EXPECT_EQ(get(2, kGroup, "k23"), value);
  EXPECT_LE(valve_[2].batch_bytes_max, limits::kApplyBytesPerCommit + 2 * limits::kMiB);
}

// The log's disk answers, and so the node would go on leading a group to which it applies nothing.
TEST_F(StalledEngineTest, Leader_WhoseEngineDoesNotReadItsDisk_HandsOverAndFollowsWhenItHeals) {
  valve_[0].cold = true;
  ASSERT_EQ(put(0, kGroup, "read first", "1").code(), StatusCode::kOk);
  set_pool_paused(true);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return stalled(0); }, kElectionNs + 3 * kHeartbeatNs));
  EXPECT_TRUE(warned(0, "the engine of node 1 waits for a read of its disk"));
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }, 3 * kHeartbeatNs));
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  EXPECT_EQ(put(0, kAlone, "other", "3").code(), StatusCode::kOk) << "its engine is another one";
  ASSERT_TRUE(until([&] { return stuck->has_value(); }, 5 * kElectionNs));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  EXPECT_NE(get(0, kGroup, "during").find("waits for a read"), std::string::npos);
  set_pool_paused(false);
  ASSERT_TRUE(until([&] { return !stalled(0); }));
  EXPECT_EQ(get(0, kGroup, "during"), "2");
  EXPECT_EQ(get(0, kGroup, "stuck"), "x");
}

TEST_F(StalledEngineTest, Replica_DuringARefusal_IsNotMade) {
  shut(0);
  (void)start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return valve_[0].refused > 0; }));
  std::optional<Status> done;
  NodeHost& host = *node(0).host;
  host.create_replica(kGroup, replica(0), {}, host.executor(0), [&](Status s) { done = s; });
  ASSERT_TRUE(until([&] { return done.has_value(); }));
  EXPECT_EQ(done->code(), StatusCode::kUnavailable);
  open(0);
}

}  // namespace
}  // namespace multiraft::host
