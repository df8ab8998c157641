// Three whole node hosts in one process, on loopback, with real logs and state machines.

#include "host/node_host.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "env/posix/posix_env.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::host {
namespace {

constexpr GroupId kGroup{7};

/// Lets a test wait for a value that a callback brings.
template <class T>
class Slot {
 public:
  void set(T value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
    changed_.notify_all();
  }
  T get() {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return value_.has_value(); });
    if (!came) std::abort();  // A callback that never comes is a bug; the stack tells where.
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
};

class QuietObserver final : public HostObserver {
 public:
  void on_leadership(GroupId, const raft::SoftState&, Term) override {}
  void on_conf_state(GroupId, const raft::ConfState&) override {}
  void on_applied(GroupId, LogIndex) override {}
  void on_stray_message(GroupId, NodeId, ReplicaId, ReplicaId) override {}
  void on_request(NodeId, wire::Request request,
                  Callback<void(StatusCode, SharedBytes)> respond) override {
    respond(StatusCode::kOk, std::move(request.payload));
  }
  void on_node_down(NodeId) override {}
  void on_fatal(const Status& status) override { ADD_FAILURE() << status.to_string(); }
};

enum class Engine { kMemory, kRocks };

class NodeHostTest : public ::testing::TestWithParam<Engine> {
 protected:
  struct Node {
    std::unique_ptr<kv::KvEngine> engine;
    QuietObserver observer;
    std::unique_ptr<NodeHost> host;
    uint16_t port = 0;
  };

  NodeHostTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mr_host_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~NodeHostTest() override {
    for (auto& node : nodes_) stop(*node);
    std::filesystem::remove_all(directory_);
  }

  static ReplicaId replica(size_t i) { return ReplicaId::make(NodeId(i + 1), 1); }

  void start(size_t i) {
    while (nodes_.size() <= i) nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_[i];
    const std::string state_dir = directory_ + "/" + std::to_string(i + 1);
    std::filesystem::create_directories(state_dir);
    if (GetParam() == Engine::kMemory) {
      node.engine = kv::make_memory_engine();
    } else {
      kv::RocksOptions rocks;
      rocks.directory = state_dir + "/kv";
      auto engine = kv::make_rocksdb_engine(rocks);
      ASSERT_TRUE(engine.is_ok()) << engine.status().to_string();
      node.engine = std::move(*engine);
    }
    HostOptions options;
    options.state_dir = state_dir;
    options.identity = {ClusterId(99), NodeId(i + 1), env_->random_u64()};
    options.listen = {"127.0.0.1", node.port};
    options.workers = 2;
    options.heartbeat_ns = 20 * env::kMillisecond;
    options.election_ns = 200 * env::kMillisecond;
    options.log_cut.entries = 100;
    options.log_cut.tail_entries = 10;
    options.engine = [&node](GroupId) -> StateMachineEngine& { return *node.engine; };
    auto host = NodeHost::start(options, *env_, node.observer);
    ASSERT_TRUE(host.is_ok()) << host.status().to_string();
    node.host = std::move(*host);
    node.port = node.host->transport().port();
    for (size_t a = 0; a < nodes_.size(); ++a) {
      for (size_t b = 0; b < nodes_.size(); ++b) {
        if (a == b || !nodes_[a]->host || !nodes_[b]->host) continue;
        nodes_[a]->host->transport().set_address(NodeId(b + 1), {"127.0.0.1", nodes_[b]->port});
      }
    }
  }
  void stop(Node& node) {
    if (!node.host) return;
    node.host->stop();
    node.host.reset();
    node.engine.reset();
  }
  void create(size_t i, const raft::Snapshot& mark) {
    Slot<Status> done;
    NodeHost& host = *nodes_[i]->host;
    host.create_replica(kGroup, replica(i), mark, host.executor(0),
                        [&](Status s) { done.set(std::move(s)); });
    const Status status = done.get();
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void start_three() {
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    for (size_t i = 0; i < 3; ++i) founders.conf_state.voters.push_back(replica(i));
    for (size_t i = 0; i < 3; ++i) start(i);
    for (size_t i = 0; i < 3; ++i) create(i, founders);
  }
  WriteResult put(size_t i, const std::string& key, const std::string& value) {
    Slot<WriteResult> done;
    NodeHost& host = *nodes_[i]->host;
    host.write(kGroup, kv::encode_put(key, value), host.executor(0),
               [&](WriteResult r) { done.set(std::move(r)); });
    return done.get();
  }
  /// "(none)" where there is no such key, "(error)" where it could not be read.
  std::string get(size_t i, const std::string& key, bool linearizable = true) {
    Slot<std::string> done;
    nodes_[i]->host->read(kGroup, linearizable, [&](const ReadPermit& permit) {
      if (!permit.status) {
        done.set("(error) " + permit.status.to_string());
        return;
      }
      auto value = static_cast<kv::KvStateMachine*>(permit.state_machine)->get(key);
      done.set(!value ? "(error)" : *value ? std::string((*value)->value.view()) : "(none)");
    });
    return done.get();
  }
  ReplicaStatus status(size_t i) {
    Slot<Result<ReplicaStatus>> done;
    NodeHost& host = *nodes_[i]->host;
    host.status(kGroup, host.executor(0), [&](Result<ReplicaStatus> r) { done.set(std::move(r)); });
    return *done.get();
  }
  size_t leader() {
    while (true) {
      for (size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i]->host && status(i).raft.soft_state.role == raft::Role::kLeader) return i;
      }
    }
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  std::string directory_;
  std::vector<std::unique_ptr<Node>> nodes_;
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
  EXPECT_NE(get(victim, "key", false).find("NOT_FOUND"), std::string::npos);
  stop(*nodes_[victim]);
  start(victim);
  EXPECT_TRUE(nodes_[victim]->host->recovered().empty());
}

INSTANTIATE_TEST_SUITE_P(Engines, NodeHostTest, ::testing::Values(Engine::kMemory, Engine::kRocks),
                         [](const auto& param) {
                           return param.param == Engine::kMemory ? "Memory" : "RocksDB";
                         });

}  // namespace
}  // namespace multiraft::host
