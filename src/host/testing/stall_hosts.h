#pragma once
// Three whole node hosts on simulated machines, in one thread.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/sim/sim_environment.h"
#include "env/sim/sim_network.h"
#include "host/node_host.h"
#include "host/testing/failing_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::host::testing {

inline constexpr int64_t kHeartbeatNs = 100 * env::kMillisecond;
inline constexpr int64_t kElectionNs = env::kSecond;

class StallHosts : public ::testing::Test {
 protected:
  static constexpr GroupId kGroup{7};  ///< Of all three nodes.
  static constexpr GroupId kAlone{8};  ///< Of node 1 only.

  struct Node {
    std::unique_ptr<env::SimEnvironment> env;
    std::unique_ptr<kv::KvEngine> engine;
    std::unique_ptr<StateMachineEngine> wrapper;  ///< In front of `engine` for kGroup; may be null.
    FailingObserver observer;
    std::vector<std::string> warnings;
    std::unique_ptr<NodeHost> host;
  };

  void SetUp() override {
    for (size_t i = 0; i < 3; ++i) start(i);
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = 0; b < 3; ++b) {
        if (a != b) node(a).host->transport().set_address(NodeId(b + 1), {name(b), 8080});
      }
    }
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    for (size_t i = 0; i < 3; ++i) founders.conf_state.voters.push_back(replica(i));
    for (size_t i = 0; i < 3; ++i) create(i, kGroup, founders);
    raft::Snapshot alone{LogIndex(1), Term(1), {}};
    alone.conf_state.voters.push_back(replica(0));
    create(0, kAlone, alone);
    ASSERT_TRUE(until([&] { return role(0, kGroup) == raft::Role::kLeader; }));
    ASSERT_EQ(put(1, kGroup, "before", "1").code(), StatusCode::kOk);
    ASSERT_EQ(put(0, kAlone, "alone", "1").code(), StatusCode::kOk);
    pass(kElectionNs);
  }
  void TearDown() override {
    for (auto& n : nodes_) n->env->set_paused("log-0", false);
    for (auto& n : nodes_) stop(*n);
  }
  static void stop(Node& n) {
    if (n.host) n.host->stop();
    n.host.reset();
  }
  /// An engine to stand in front of a node's.
  virtual std::unique_ptr<StateMachineEngine> wrap(size_t, kv::KvEngine&) { return nullptr; }

  static std::string name(size_t i) { return "node" + std::to_string(i + 1); }
  static ReplicaId replica(size_t i) { return ReplicaId::make(NodeId(i + 1), 1); }
  Node& node(size_t i) { return *nodes_[i]; }

  void start(size_t i) {
    nodes_.push_back(std::make_unique<Node>());
    Node& n = node(i);
    n.env = std::make_unique<env::SimEnvironment>(
        scheduler_, std::make_unique<env::SimFileSystem>(), i + 1, network_.attach(name(i)));
    n.engine = kv::make_memory_engine();
    n.wrapper = wrap(i, *n.engine);
    HostOptions options;
    options.state_dir = "/state";
    options.identity = {ClusterId(99), NodeId(i + 1), i + 1};
    options.listen = {name(i), 8080};
    options.heartbeat_ns = kHeartbeatNs;
    options.election_ns = kElectionNs;
    options.log_writer = log::WriterKind::kPwrite;  // Whose thread a test can hold.
    options.log_segment_bytes = limits::kLogSegmentBytesMin;
    options.engines = {n.engine.get()};
    if (n.wrapper) options.engines.push_back(n.wrapper.get());
    options.engine = [&n](GroupId group) -> StateMachineEngine& {
      return n.wrapper && group == kGroup ? *n.wrapper : *n.engine;
    };
    options.on_warning = [&n](const std::string& text) { n.warnings.push_back(text); };
    auto host = NodeHost::start(options, *n.env, n.observer);
    ASSERT_TRUE(host.is_ok()) << host.status().to_string();
    n.host = std::move(*host);
  }
  void create(size_t i, GroupId group, const raft::Snapshot& mark) {
    std::optional<Status> done;
    node(i).host->create_replica(group, replica(i), mark, node(i).host->executor(0),
                                 [&](Status s) { done = std::move(s); });
    ASSERT_TRUE(until([&] { return done.has_value(); }));
    ASSERT_TRUE(done->is_ok()) << done->to_string();
  }

  void pass(int64_t ns) { scheduler_.advance(ns); }
  bool until(const std::function<bool()>& done, int64_t limit_ns = 20 * env::kSecond) {
    return scheduler_.run_until(done, limit_ns);
  }
  using Answer = std::shared_ptr<std::optional<Status>>;
  Answer start_put(size_t i, GroupId group, const std::string& key, const std::string& value) {
    auto answer = std::make_shared<std::optional<Status>>();
    node(i).host->write(group, kv::encode_put(key, value), node(i).host->executor(0),
                        [answer](WriteResult r) { *answer = std::move(r.status); });
    return answer;
  }
  Status put(size_t i, GroupId group, const std::string& key, const std::string& value) {
    const Answer answer = start_put(i, group, key, value);
    if (!until([&] { return answer->has_value(); })) return {StatusCode::kInternal, "no answer"};
    return **answer;
  }
  /// The value, or the error's text in brackets.
  std::string get(size_t i, GroupId group, const std::string& key) {
    auto value = std::make_shared<std::optional<std::string>>();
    node(i).host->read(group, ReadMode::kLinearizable, [value, key](const ReadPermit& permit) {
      if (!permit.status) {
        *value = "(" + permit.status.to_string() + ")";
        return;
      }
      auto found = static_cast<kv::KvStateMachine*>(permit.state_machine)->get(key);
      *value = found && *found ? std::string((*found)->value.view()) : "(none)";
    });
    if (!until([&] { return value->has_value(); })) return "(no answer)";
    return **value;
  }
  raft::RaftStatus status(size_t i, GroupId group) {
    std::optional<raft::RaftStatus> out;
    node(i).host->status(group, node(i).host->executor(0),
                         [&](Result<ReplicaStatus> r) { out = r->raft; });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return *out;
  }
  raft::Role role(size_t i, GroupId group) { return status(i, group).soft_state.role; }
  HostStats stats(size_t i) {
    std::optional<HostStats> out;
    node(i).host->stats(node(i).host->executor(0), [&](HostStats s) { out = std::move(s); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return *out;
  }
  bool warned(size_t i, const std::string& text) {
    for (const std::string& warning : node(i).warnings) {
      if (warning.find(text) != std::string::npos) return true;
    }
    return false;
  }

  env::SimScheduler scheduler_{1};
  env::SimNetwork network_{scheduler_, 2};
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace multiraft::host::testing
