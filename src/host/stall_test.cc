// Three whole node hosts on simulated machines, one of whose disks hangs (trap 37).

#include "host/stall_watch.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/sim/sim_environment.h"
#include "env/sim/sim_network.h"
#include "host/node_host.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::host {
namespace {

constexpr int64_t kHeartbeatNs = 100 * env::kMillisecond;
constexpr int64_t kElectionNs = env::kSecond;
constexpr GroupId kGroup{7};
constexpr GroupId kAlone{8};  ///< Node 1's only.

TEST(StallWatch, Write_UnderWayForTheLimit_BeginsAStallThatItsCompletionEnds) {
  StallWatch watch(10);
  using Change = StallWatch::Change;
  EXPECT_EQ(watch.update(std::nullopt, {100}), Change::kNone);
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {110}), Change::kNone);
  EXPECT_FALSE(watch.since());
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {111}), Change::kBegan);
  EXPECT_EQ(watch.since(), env::MonotonicTime{100});
  EXPECT_EQ(watch.update(env::MonotonicTime{100}, {500}), Change::kNone);
  EXPECT_TRUE(watch.stalled());
  // The next write is under way already: it has its own time.
  EXPECT_EQ(watch.update(env::MonotonicTime{520}, {521}), Change::kEnded);
  EXPECT_EQ(watch.lasted_ns(), 421);
  EXPECT_FALSE(watch.stalled());
  EXPECT_FALSE(watch.since());
  EXPECT_EQ(watch.update(env::MonotonicTime{520}, {531}), Change::kBegan);
  EXPECT_EQ(watch.update(std::nullopt, {532}), Change::kEnded);
  EXPECT_EQ(watch.count(), 2u);
}

class Observer final : public HostObserver {
 public:
  void on_leadership(GroupId, const raft::SoftState&, Term) override {}
  void on_conf_state(GroupId, const raft::ConfState&) override {}
  void on_applied(GroupId, LogIndex) override {}
  void on_stray_message(GroupId, NodeId, ReplicaId, ReplicaId) override {}
  void on_request(NodeId, wire::Request, Callback<void(StatusCode, SharedBytes)> respond) override {
    respond(StatusCode::kNotFound, {});
  }
  void on_node_down(NodeId) override {}
  void on_fatal(const Status& status) override { ADD_FAILURE() << status.to_string(); }
};

class StalledDiskTest : public ::testing::Test {
 protected:
  struct Node {
    std::unique_ptr<env::SimEnvironment> env;
    std::unique_ptr<kv::KvEngine> engine;
    Observer observer;
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
    for (auto& n : nodes_) n->host->stop();
    for (auto& n : nodes_) n->host.reset();
  }

  static std::string name(size_t i) { return "node" + std::to_string(i + 1); }
  static ReplicaId replica(size_t i) { return ReplicaId::make(NodeId(i + 1), 1); }
  Node& node(size_t i) { return *nodes_[i]; }

  void start(size_t i) {
    nodes_.push_back(std::make_unique<Node>());
    Node& n = node(i);
    n.env = std::make_unique<env::SimEnvironment>(
        scheduler_, std::make_unique<env::SimFileSystem>(), i + 1, network_.attach(name(i)));
    n.engine = kv::make_memory_engine();
    HostOptions options;
    options.state_dir = "/state";
    options.identity = {ClusterId(99), NodeId(i + 1), i + 1};
    options.listen = {name(i), 8080};
    options.heartbeat_ns = kHeartbeatNs;
    options.election_ns = kElectionNs;
    options.log_writer = log::WriterKind::kPwrite;  // Whose thread a test can hold.
    options.log_segment_bytes = limits::kLogSegmentBytesMin;
    options.engine = [&n](GroupId) -> StateMachineEngine& { return *n.engine; };
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
  void stall(size_t i) { node(i).env->set_paused("log-0", true); }
  void heal(size_t i) { node(i).env->set_paused("log-0", false); }

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

TEST_F(StalledDiskTest, Leader_WithAStalledDisk_HandsOverAndFollowsWhenItHeals) {
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  EXPECT_TRUE(warned(0, "does not answer: a write to /state/log/0"));
  // Another leads long before an election timeout has passed on the others.
  EXPECT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }, 3 * kHeartbeatNs));
  // What was proposed may have happened, and its client is told before its patience ends.
  ASSERT_TRUE(until([&] { return stuck->has_value(); }, 2 * kElectionNs + 3 * kHeartbeatNs));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  EXPECT_NE((*stuck)->message().find("disk of node 1 does not answer"), std::string::npos);
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  // Through the node whose disk hangs: passed on to the leader.
  EXPECT_EQ(put(0, kGroup, "through", "3").code(), StatusCode::kOk);
  // It does not have what was written, and does not pretend to.
  EXPECT_NE(get(0, kGroup, "during").find("disk of node 1 does not answer"), std::string::npos);
  EXPECT_EQ(get(2, kGroup, "through"), "3");
  // It stays that way, however long.
  const Term term = status(1, kGroup).hard_state.term;
  pass(10 * kElectionNs);
  EXPECT_EQ(role(0, kGroup), raft::Role::kFollower);
  EXPECT_EQ(status(1, kGroup).hard_state.term, term);
  EXPECT_EQ(stats(0).disk_stalls, 1u);
  EXPECT_GT(stats(0).disk_stalled_ns, 10 * kElectionNs);

  heal(0);
  ASSERT_TRUE(until([&] { return !node(0).host->disk_stalled_ns(); }));
  EXPECT_TRUE(warned(0, "answers again"));
  EXPECT_EQ(get(0, kGroup, "during"), "2");
  EXPECT_EQ(get(0, kGroup, "stuck"), "x");
  EXPECT_EQ(put(0, kGroup, "after", "4").code(), StatusCode::kOk);
  EXPECT_EQ(role(0, kGroup), raft::Role::kFollower);
  EXPECT_EQ(status(0, kGroup).hard_state.term, term);
  EXPECT_EQ(stats(0).disk_stalled_ns, 0);
}

TEST_F(StalledDiskTest, Write_ThatAShortStallHoldsUp_IsDoneAfterIt) {
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  const Answer alone = start_put(0, kAlone, "stuck", "x");
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  const Answer late = start_put(0, kAlone, "late", "x");
  pass(kElectionNs);
  heal(0);
  for (const Answer& answer : {stuck, alone, late}) {
    ASSERT_TRUE(until([&] { return answer->has_value(); }, kElectionNs));
    EXPECT_EQ((*answer)->code(), StatusCode::kOk) << (*answer)->message();
  }
}

TEST_F(StalledDiskTest, Leader_WithAStalledDiskAndNobodyCaughtUp_StepsDown) {
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(0), name(2), true);
  stall(0);
  const Answer stuck = start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  network_.mend_all();
  EXPECT_EQ(put(1, kGroup, "during", "2").code(), StatusCode::kOk);
  heal(0);
  EXPECT_EQ(get(0, kGroup, "during"), "2");
}

TEST_F(StalledDiskTest, Follower_WithAStalledDisk_DoesNotCountAndIsNotElected) {
  stall(2);
  EXPECT_EQ(put(0, kGroup, "during", "2").code(), StatusCode::kOk);
  ASSERT_TRUE(until([&] { return node(2).host->disk_stalled_ns().has_value(); }));
  EXPECT_EQ(put(2, kGroup, "through", "3").code(), StatusCode::kOk);
  EXPECT_EQ(role(0, kGroup), raft::Role::kLeader);
  // The leader and a member that hangs are no quorum: the leader notices, and nobody replaces it.
  network_.set_cut(name(0), name(1), true);
  network_.set_cut(name(1), name(0), true);
  network_.set_cut(name(2), name(1), true);
  network_.set_cut(name(1), name(2), true);
  ASSERT_TRUE(until([&] { return role(0, kGroup) != raft::Role::kLeader; }));
  pass(5 * kElectionNs);
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(role(i, kGroup), raft::Role::kLeader) << i;
  heal(2);
  ASSERT_TRUE(until([&] {
    return role(0, kGroup) == raft::Role::kLeader || role(2, kGroup) == raft::Role::kLeader;
  }));
  EXPECT_EQ(get(2, kGroup, "through"), "3");
  network_.mend_all();
  EXPECT_EQ(get(1, kGroup, "through"), "3");
}

TEST_F(StalledDiskTest, OnlyVoter_WithAStalledDisk_GoesOnReadingAndRefusesWrites) {
  stall(0);
  const Answer stuck = start_put(0, kAlone, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  EXPECT_EQ(get(0, kAlone, "alone"), "1");
  ASSERT_TRUE(until([&] { return stuck->has_value(); }));
  EXPECT_EQ((*stuck)->code(), StatusCode::kUnknownOutcome);
  const Status refused = put(0, kAlone, "refused", "x");
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable) << "it was certainly not applied";
  EXPECT_NE(refused.message().find("does not answer"), std::string::npos);
  EXPECT_EQ(role(0, kAlone), raft::Role::kLeader);
  heal(0);
  ASSERT_TRUE(until([&] { return !node(0).host->disk_stalled_ns(); }));
  EXPECT_EQ(put(0, kAlone, "after", "2").code(), StatusCode::kOk);
  EXPECT_EQ(get(0, kAlone, "stuck"), "x");
}

TEST_F(StalledDiskTest, Disk_ThatHangsWhileNothingIsWritten_ChangesNothing) {
  stall(0);
  pass(10 * kElectionNs);
  EXPECT_EQ(role(0, kGroup), raft::Role::kLeader);
  EXPECT_EQ(get(0, kGroup, "before"), "1");
  EXPECT_EQ(get(1, kGroup, "before"), "1");
  EXPECT_EQ(stats(0).disk_stalls, 0u);
}

TEST_F(StalledDiskTest, Replica_DuringAStall_IsNotMade) {
  stall(0);
  (void)start_put(0, kGroup, "stuck", "x");
  ASSERT_TRUE(until([&] { return node(0).host->disk_stalled_ns().has_value(); }));
  std::optional<Status> done;
  NodeHost& host = *node(0).host;
  host.create_replica(GroupId(9), replica(0), {}, host.executor(0), [&](Status s) { done = s; });
  ASSERT_TRUE(until([&] { return done.has_value(); }));
  EXPECT_EQ(done->code(), StatusCode::kUnavailable);
  EXPECT_EQ(get(0, kAlone, "alone"), "1");
}

}  // namespace
}  // namespace multiraft::host
