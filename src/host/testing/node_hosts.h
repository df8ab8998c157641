#pragma once
// Whole node hosts in one process, on loopback, with real logs and state machines.

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "env/posix/posix_env.h"
#include "host/node_host.h"
#include "host/testing/quiet_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::host::testing {

inline constexpr GroupId kGroup{7};

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

/// Answers requests with what they carry.
class EchoObserver final : public testing::QuietObserver {
 public:
  void on_request(NodeId, wire::Request request,
                  Callback<void(StatusCode, SharedBytes)> respond) override {
    respond(StatusCode::kOk, std::move(request.payload));
  }
  void on_fatal(const Status& status) override { ADD_FAILURE() << status.to_string(); }
};

/// Up to as many nodes as a test starts; group 7 has a replica on the first three.
class NodeHostFixture : public ::testing::Test {
 protected:
  struct Node {
    std::unique_ptr<kv::KvEngine> engine;
    std::unique_ptr<StateMachineEngine> wrapper;  ///< What the host sees instead, if set.
    EchoObserver observer;
    std::unique_ptr<NodeHost> host;
    uint16_t port = 0;
  };

  NodeHostFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mr_host_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~NodeHostFixture() override {
    for (auto& node : nodes_) stop(*node);
    std::filesystem::remove_all(directory_);
  }

  static ReplicaId replica(size_t i) { return ReplicaId::make(NodeId(i + 1), 1); }

  void start(size_t i) {
    while (nodes_.size() <= i) nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_[i];
    const std::string state_dir = directory_ + "/" + std::to_string(i + 1);
    std::filesystem::create_directories(state_dir);
    node.engine = make_engine(state_dir);
    ASSERT_NE(node.engine, nullptr);
    node.wrapper = wrap(i, *node.engine);
    HostOptions options;
    options.state_dir = state_dir;
    options.identity = {ClusterId(99), NodeId(i + 1), env_->random_u64()};
    options.listen = {"127.0.0.1", node.port};
    options.workers = workers_;
    options.log_segment_bytes = limits::kLogSegmentBytesMin;
    options.heartbeat_ns = 20 * env::kMillisecond;
    options.election_ns = 200 * env::kMillisecond;
    options.compaction.entries = 100;
    options.compaction.tail_entries = 10;
    StateMachineEngine* engine = node.wrapper ? node.wrapper.get() : node.engine.get();
    options.engines = {engine};
    options.engine = [engine](GroupId) -> StateMachineEngine& { return *engine; };
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
    node.wrapper.reset();
    node.engine.reset();
  }
  void create(size_t i, const raft::Snapshot& mark, GroupId group = kGroup) {
    Slot<Status> done;
    NodeHost& host = *nodes_[i]->host;
    host.create_replica(group, replica(i), mark, host.executor(0),
                        [&](Status s) { done.set(std::move(s)); });
    const Status status = done.get();
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void start_three() {
    for (size_t i = 0; i < 3; ++i) start(i);
    create_on_three(kGroup);
  }
  void create_on_three(GroupId group) {
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    for (size_t i = 0; i < 3; ++i) founders.conf_state.voters.push_back(replica(i));
    for (size_t i = 0; i < 3; ++i) create(i, founders, group);
  }
  WriteResult put(size_t i, const std::string& key, const std::string& value,
                  GroupId group = kGroup) {
    Slot<WriteResult> done;
    NodeHost& host = *nodes_[i]->host;
    host.write(group, kv::encode_put(key, value), host.executor(0),
               [&](WriteResult r) { done.set(std::move(r)); });
    return done.get();
  }
  /// "(none)" where there is no such key, "(error)" where it could not be read.
  std::string get(size_t i, const std::string& key, ReadMode mode = ReadMode::kLinearizable,
                  GroupId group = kGroup) {
    Slot<std::string> done;
    nodes_[i]->host->read(group, mode, [&](const ReadPermit& permit) {
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

  virtual std::unique_ptr<kv::KvEngine> make_engine(const std::string& state_dir) = 0;
  virtual std::unique_ptr<StateMachineEngine> wrap(size_t, kv::KvEngine&) { return nullptr; }

  uint32_t workers_ = 2;
  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  std::string directory_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace multiraft::host::testing
