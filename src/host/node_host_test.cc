// Three whole node hosts in one process, on loopback, with real logs and state machines.

#include "host/node_host.h"

#include <gtest/gtest.h>

#include "host/testing/node_hosts.h"

namespace multiraft::host::testing {
namespace {

enum class Engine { kMemory, kRocks };

class NodeHostTest : public NodeHostFixture, public ::testing::WithParamInterface<Engine> {
 protected:
  std::unique_ptr<kv::KvEngine> make_engine(const std::string& state_dir) override {
    if (GetParam() == Engine::kMemory) return kv::make_memory_engine();
    kv::RocksOptions rocks;
    rocks.directory = state_dir + "/kv";
    auto engine = kv::make_rocksdb_engine(rocks);
    EXPECT_TRUE(engine.is_ok()) << engine.status().to_string();
    return engine ? std::move(*engine) : nullptr;
  }
};

TEST_P(NodeHostTest, Write_ThroughAnyMember_IsReadThroughAnyMember) {
  start_three();
  for (size_t i = 0; i < 3; ++i) {
    const WriteResult result = put(i, "key" + std::to_string(i), "value" + std::to_string(i));
    ASSERT_TRUE(result.status.is_ok()) << result.status.to_string();
    EXPECT_EQ(result.result.code, 0u);
    for (size_t reader = 0; reader < 3; ++reader) {
      EXPECT_EQ(get(reader, "key" + std::to_string(i)), "value" + std::to_string(i));
    }
  }
  EXPECT_EQ(get(0, "no such key"), "(none)");
}

TEST_P(NodeHostTest, Restart_OfEverything_KeepsWhatWasAcknowledged) {
  start_three();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(put(static_cast<size_t>(i) % 3, "k" + std::to_string(i), "v").status.is_ok());
  }
  for (auto& node : nodes_) stop(*node);
  for (size_t i = 0; i < 3; ++i) start(i);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(get(0, "k" + std::to_string(i)), "v") << i;
}

TEST_P(NodeHostTest, LeaderStops_OthersGoOn_AndItCatchesUp) {
  start_three();
  ASSERT_TRUE(put(0, "before", "1").status.is_ok());
  const size_t old_leader = leader();
  stop(*nodes_[old_leader]);
  const size_t other = (old_leader + 1) % 3;
  WriteResult result = put(other, "during", "2");
  ASSERT_TRUE(result.status.is_ok()) << result.status.to_string();
  start(old_leader);
  EXPECT_EQ(get(old_leader, "during"), "2");
  EXPECT_EQ(get(old_leader, "before"), "1");
}

TEST_P(NodeHostTest, MemberFarBehind_GetsASnapshot_AndKeepsItOverARestart) {
  start_three();
  const size_t lagging = (leader() + 1) % 3;
  const size_t other = (lagging + 1) % 3;
  stop(*nodes_[lagging]);
  // Far more than the log keeps, with flushes so that it can be cut.
  LogIndex first;
  for (int i = 0; i < 2'000 && first < LogIndex(300); ++i) {
    ASSERT_TRUE(put(other, "k" + std::to_string(i % 100), std::to_string(i)).status.is_ok());
    if (i % 50 == 0) {
      for (auto& node : nodes_) {
        if (!node->host) continue;
        ASSERT_TRUE(node->engine->flush().is_ok());
      }
    }
    if (i > 400) first = status(leader()).first_index;
  }
  ASSERT_GE(status(leader()).first_index, LogIndex(300)) << "the log was never cut";
  ASSERT_TRUE(put(other, "last", "here").status.is_ok());
  start(lagging);
  EXPECT_EQ(get(lagging, "last"), "here");
  EXPECT_GT(status(lagging).first_index, LogIndex(2));
  stop(*nodes_[lagging]);
  start(lagging);
  EXPECT_EQ(get(lagging, "last"), "here");
  EXPECT_NE(get(lagging, "k99"), "(none)");
}

TEST_P(NodeHostTest, ForwardedWrite_OfAnImpossibleSize_IsRefusedByTheLeader) {
  // A question has no group of its own; it is for group 0 then.
  for (size_t i = 0; i < 3; ++i) start(i);
  create_on_three(kGroup);
  create_on_three(GroupId(0));
  ASSERT_TRUE(put(0, "key", "value", GroupId(0)).status.is_ok());
  for (const size_t bytes : {size_t{0}, limits::kProposalBytesMax + 1}) {
    for (size_t to = 0; to < 3; ++to) {
      const size_t from = (to + 1) % 3;
      NodeHost& host = *nodes_[from]->host;
      Slot<Result<SharedBytes>> answer;
      host.ask(NodeId(to + 1), wire::RequestKind::kPropose,
               SharedBytes::copy_of(std::string(bytes, 'x')), 10 * env::kSecond, host.executor(0),
               [&](Result<SharedBytes> r) { answer.set(std::move(r)); });
      const Result<SharedBytes> refused = answer.get();
      ASSERT_FALSE(refused);
      const StatusCode code = refused.status().code();
      EXPECT_TRUE(code == StatusCode::kTooLarge || code == StatusCode::kNotLeader)
          << status_code_name(code);
    }
  }
}

TEST_P(NodeHostTest, MembershipChange_NewReplica_CatchesUpAsLearnerAndIsPromoted) {
  start_three();
  ASSERT_TRUE(put(0, "key", "value").status.is_ok());
  start(3);
  create(3, raft::Snapshot{});
  auto change = [&](raft::ConfChangeOp op) {
    const size_t at = leader();
    raft::ConfChange c;
    c.changes.push_back({op, replica(3)});
    Slot<Status> done;
    NodeHost& host = *nodes_[at]->host;
    host.change_membership(kGroup, status(at).raft.hard_state.term, c, host.executor(0),
                           [&](Status s) { done.set(std::move(s)); });
    return done.get();
  };
  Status added = change(raft::ConfChangeOp::kAddLearner);
  ASSERT_TRUE(added.is_ok()) << added.to_string();
  // Until it has received its state it refers readers to others.
  while (get(3, "key").starts_with("(error) NOT_FOUND")) {
  }
  EXPECT_EQ(get(3, "key"), "value");
  Status promoted = change(raft::ConfChangeOp::kAddVoter);
  ASSERT_TRUE(promoted.is_ok()) << promoted.to_string();
  ASSERT_TRUE(put(3, "key", "newer").status.is_ok());
  EXPECT_EQ(get(0, "key"), "newer");
  EXPECT_EQ(status(leader()).raft.conf_state.voters.size(), 4u);
}

TEST_P(NodeHostTest, DestroyReplica_StateAndLogGo_TheNodeGoesOn) {
  start_three();
  ASSERT_TRUE(put(0, "key", "value").status.is_ok());
  const size_t victim = (leader() + 1) % 3;
  NodeHost& host = *nodes_[victim]->host;
  Slot<Status> done;
  host.destroy_replica(kGroup, replica(victim), host.executor(0), [&](Status s) { done.set(s); });
  EXPECT_TRUE(done.get().is_ok());
  EXPECT_NE(get(victim, "key", ReadMode::kLocal).find("NOT_FOUND"), std::string::npos);
  stop(*nodes_[victim]);
  start(victim);
  EXPECT_TRUE(nodes_[victim]->host->recovered().empty());
}

TEST_P(NodeHostTest, Callback_ThatDestroysItsReplica_IsSafe) {
  workers_ = 1;
  start(0);
  raft::Snapshot founder{LogIndex(1), Term(1), {}};
  founder.conf_state.voters = {replica(0)};
  create(0, founder);
  ASSERT_TRUE(put(0, "key", "value").status.is_ok());
  NodeHost& host = *nodes_[0]->host;
  env::Executor& worker = host.executor(0);
  Slot<StatusCode> written, read, gone, made;
  // All on the replica's own worker, where a callback could come at once.
  bool returned = false;  // The worker's.
  worker.post([&] {
    host.write(kGroup, kv::encode_put("last", "1"), worker, [&](WriteResult result) {
      written.set(result.status.code());
      host.destroy_replica(kGroup, replica(0), worker, [&](Status status) {
        gone.set(status.code());
        const ReplicaId next = ReplicaId::make(NodeId(1), 2);
        raft::Snapshot again{LogIndex(1), Term(1), {}};
        again.conf_state.voters = {next};
        host.create_replica(kGroup, next, again, worker, [&](Status s) { made.set(s.code()); });
      });
    });
    host.read(kGroup, ReadMode::kLocal, [&](const ReadPermit& permit) {
      EXPECT_TRUE(returned) << "from within the call";
      EXPECT_EQ(permit.status.is_ok(), permit.state_machine != nullptr);
      read.set(permit.status.code());
    });
    returned = true;
  });
  EXPECT_EQ(written.get(), StatusCode::kOk);
  EXPECT_EQ(gone.get(), StatusCode::kOk);
  EXPECT_EQ(made.get(), StatusCode::kOk);
  EXPECT_EQ(read.get(), StatusCode::kOk);
  EXPECT_EQ(get(0, "key", ReadMode::kLocal), "(none)")
      << "another replica, with a state of its own";
}

INSTANTIATE_TEST_SUITE_P(Engines, NodeHostTest, ::testing::Values(Engine::kMemory, Engine::kRocks),
                         [](const auto& param) {
                           return param.param == Engine::kMemory ? "Memory" : "RocksDB";
                         });

}  // namespace
}  // namespace multiraft::host::testing
