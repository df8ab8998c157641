// Replicas that go away and come: away from the worker, whole, and never with a predecessor's
// state.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/coverage.h"
#include "env/sim/sim_environment.h"
#include "env/sim/sim_network.h"
#include "host/node_host.h"
#include "host/testing/failing_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::host {
namespace {

constexpr GroupId kGroup{7};

ReplicaId replica(uint32_t serial = 1) { return ReplicaId::make(NodeId(1), serial); }

/// States in memory, and an engine's refusals at the test's wish.
class FussyEngine final : public StateMachineEngine {
 public:
  Result<std::unique_ptr<StateMachine>> open(GroupId group) override {
    if (!open_status.is_ok()) return open_status;
    return inner_->open(group);
  }
  Status destroy(std::span<const GroupId> groups) override {
    calls.emplace_back(groups.begin(), groups.end());
    on_worker |= worker && worker->in_executor();
    const bool concerned =
        !fails_only || std::find(groups.begin(), groups.end(), *fails_only) != groups.end();
    if (!destroy_status.is_ok() && concerned) return destroy_status;
    return inner_->destroy(groups);
  }
  Result<std::vector<GroupId>> groups() override { return leftovers; }
  Status commit(uint32_t id) override { return inner_->commit(id); }
  void request_flush() override {}

  /// The removals of replicas: a creation asks for each group as well.
  size_t calls_with(GroupId group) const {
    return static_cast<size_t>(std::count_if(calls.begin(), calls.end(), [&](const auto& call) {
      return std::find(call.begin(), call.end(), group) != call.end();
    }));
  }

  std::vector<std::vector<GroupId>> calls;
  std::vector<GroupId> leftovers;
  env::Executor* worker = nullptr;
  bool on_worker = false;
  Status open_status;
  Status destroy_status;
  std::optional<GroupId> fails_only;  ///< With destroy_status; all where there is none.

 private:
  std::unique_ptr<kv::KvEngine> inner_ = kv::make_memory_engine();
};

class RemovalTest : public ::testing::Test {
 protected:
  RemovalTest() : network_(scheduler_, 2), disk_(std::make_unique<env::SimFileSystem>()) {
    start();
  }
  ~RemovalTest() override { end(); }

  void start() {
    env_ = std::make_unique<env::SimEnvironment>(scheduler_, std::move(disk_), ++starts_,
                                                 network_.attach("node"));
    (void)env_->disk().create_directories("/state");
    (void)env_->disk().sync_directory("/");
    HostOptions options;
    options.state_dir = "/state";
    options.identity = {ClusterId(99), NodeId(1), starts_};
    options.listen = {"node", 8080};
    options.log_writer = log::WriterKind::kPwrite;
    options.log_segment_bytes = limits::kLogSegmentBytesMin;
    options.compaction.entries = 50;
    options.compaction.tail_entries = 5;
    options.engines = {engine_.get()};
    options.engine = [this](GroupId) -> StateMachineEngine& { return *engine_; };
    auto host = NodeHost::start(options, *env_, observer_);
    ASSERT_TRUE(host.is_ok()) << host.status().to_string();
    host_ = std::move(*host);
    engine_->worker = &host_->executor(0);
  }
  void end() {
    env_->kill();
    engine_->worker = nullptr;
    host_->stop();
    host_.reset();
  }
  /// Loses all that was not synced, and starts again.
  void lose_power() {
    disk_ = env_->disk().crash_image(env::CrashMode::kKeepNone, 1);
    end();
    engine_ = std::make_unique<FussyEngine>();
    env_.reset();
    start();
  }
  std::shared_ptr<std::optional<Status>> begin_create(GroupId group, uint32_t serial = 1) {
    auto answer = std::make_shared<std::optional<Status>>();
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    founders.conf_state.voters = {replica(serial)};
    host_->create_replica(group, replica(serial), founders, host_->executor(0),
                          [answer](Status status) { *answer = std::move(status); });
    return answer;
  }
  std::shared_ptr<std::optional<Status>> begin_destroy(GroupId group, uint32_t serial = 1) {
    auto answer = std::make_shared<std::optional<Status>>();
    host_->destroy_replica(group, replica(serial), host_->executor(0),
                           [answer](Status status) { *answer = std::move(status); });
    return answer;
  }
  Status wait(const std::shared_ptr<std::optional<Status>>& answer) {
    const bool came = scheduler_.run_until([&] { return answer->has_value(); }, 20 * env::kSecond);
    return came ? **answer : Status(StatusCode::kInternal, "no answer");
  }
  Status create(GroupId group, uint32_t serial = 1) { return wait(begin_create(group, serial)); }
  Status put(GroupId group, const std::string& key) {
    auto answer = std::make_shared<std::optional<Status>>();
    host_->write(group, kv::encode_put(key, "value"), host_->executor(0),
                 [answer](WriteResult result) { *answer = std::move(result.status); });
    return wait(answer);
  }
  std::vector<std::string> saved() {
    auto names = env_->disk().list("/state/snap");
    return names ? *names : std::vector<std::string>{names.status().to_string()};
  }

  env::SimScheduler scheduler_{1};
  env::SimNetwork network_;
  uint64_t starts_ = 0;
  std::unique_ptr<env::SimFileSystem> disk_;
  std::unique_ptr<FussyEngine> engine_ = std::make_unique<FussyEngine>();
  testing::FailingObserver observer_;
  std::unique_ptr<env::SimEnvironment> env_;
  std::unique_ptr<NodeHost> host_;
};

TEST_F(RemovalTest, Destroy_WithoutSpace_IsNotReportedBeforeTheStateIsGone) {
  ASSERT_TRUE(create(kGroup));
  ASSERT_TRUE(put(kGroup, "key"));
  engine_->destroy_status = Status(StatusCode::kNoSpace, "the disk is full");
  const auto first = begin_destroy(kGroup);
  scheduler_.advance(3 * env::kSecond);
  EXPECT_FALSE(first->has_value());
  EXPECT_GT(engine_->calls_with(kGroup), 2u) << "it is not tried again";
  const auto second = begin_destroy(kGroup);
  scheduler_.advance(3 * env::kSecond);
  EXPECT_FALSE(second->has_value());
  EXPECT_EQ(create(kGroup, 2).code(), StatusCode::kUnavailable);
  engine_->destroy_status = Status::ok();
  EXPECT_TRUE(wait(first));
  EXPECT_TRUE(wait(second));
  EXPECT_TRUE(create(kGroup, 2));
}

TEST_F(RemovalTest, Destroys_OfManyGroups_GoToTheEngineTogetherAndNotOnTheWorker) {
  constexpr uint64_t kGroups = 200;
  for (uint64_t g = 1; g <= kGroups; ++g) ASSERT_TRUE(create(GroupId(g)));
  engine_->calls.clear();
  std::vector<std::shared_ptr<std::optional<Status>>> answers;
  for (uint64_t g = 1; g <= kGroups; ++g) answers.push_back(begin_destroy(GroupId(g)));
  for (const auto& answer : answers) EXPECT_TRUE(wait(answer));
  EXPECT_LE(engine_->calls.size(), 4u);
  EXPECT_FALSE(engine_->on_worker);
}

TEST_F(RemovalTest, Start_FindsStatesWithoutALog_AndDropsThem) {
  ASSERT_TRUE(create(kGroup));
  disk_ = env_->disk().crash_image(env::CrashMode::kKeepAll, 1);
  end();
  engine_ = std::make_unique<FussyEngine>();
  env_.reset();
  engine_->leftovers = {GroupId(5), kGroup, GroupId(9)};
  engine_->destroy_status = Status(StatusCode::kNoSpace, "the disk is full");
  start();
  scheduler_.advance(3 * env::kSecond);
  EXPECT_GT(engine_->calls_with(GroupId(5)), 1u);
  EXPECT_EQ(create(GroupId(5)).code(), StatusCode::kUnavailable);
  // Whoever was interrupted by the crash asks again.
  const auto asked_again = begin_destroy(GroupId(5));
  scheduler_.advance(3 * env::kSecond);
  EXPECT_FALSE(asked_again->has_value());
  engine_->destroy_status = Status::ok();
  scheduler_.advance(3 * env::kSecond);
  EXPECT_TRUE(wait(asked_again));
  EXPECT_EQ(engine_->calls_with(kGroup), 0u) << "it has a log";
  EXPECT_TRUE(create(GroupId(5)));
  EXPECT_TRUE(put(kGroup, "key"));
}

// What lies beside a log that was lost may be the only copy.
TEST_F(RemovalTest, Start_WithStatesBesideAnEmptyLog_KeepsThem) {
  disk_ = env_->disk().crash_image(env::CrashMode::kKeepAll, 1);
  end();
  env_.reset();
  engine_ = std::make_unique<FussyEngine>();
  engine_->leftovers = {GroupId(5)};
  start();
  scheduler_.advance(3 * env::kSecond);
  EXPECT_TRUE(engine_->calls.empty());
  EXPECT_TRUE(create(GroupId(5)));
  EXPECT_EQ(engine_->calls_with(GroupId(5)), 1u) << "its creation does not begin with their state";
}

TEST_F(RemovalTest, Start_WithSavedStatesBesideALostLog_KeepsThem) {
  ASSERT_TRUE(create(kGroup));
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(put(kGroup, "k" + std::to_string(i)));
  scheduler_.advance(2 * env::kSecond);
  const std::vector<std::string> before = saved();
  ASSERT_EQ(before.size(), 1u);
  disk_ = env_->disk().crash_image(env::CrashMode::kKeepAll, 1);
  end();
  env_.reset();
  engine_ = std::make_unique<FussyEngine>();
  const auto segments = disk_->list("/state/log/0");
  ASSERT_TRUE(segments.is_ok());
  for (const std::string& name : *segments) ASSERT_TRUE(disk_->remove("/state/log/0/" + name));
  start();
  EXPECT_TRUE(host_->recovered().empty());
  EXPECT_EQ(saved(), before);
}

TEST_F(RemovalTest, Creation_WhoseStateDoesNotOpen_IsUndone) {
  engine_->open_status = Status(StatusCode::kIoError, "not today");
  EXPECT_EQ(create(kGroup).code(), StatusCode::kIoError);
  engine_->open_status = Status::ok();
  scheduler_.advance(env::kSecond);
  EXPECT_TRUE(create(kGroup, 2));
  lose_power();
  EXPECT_EQ(host_->recovered(), (std::vector<std::pair<GroupId, ReplicaId>>{{kGroup, replica(2)}}));
}

// The registry changes its mind while the engine still looks for leftovers.
TEST_F(RemovalTest, Destroy_WhileItIsCreated_WaitsForTheCreationAndUndoesIt) {
  env_->set_paused("pool-0", true);
  env_->set_paused("pool-1", true);
  const auto created = begin_create(kGroup);
  const auto destroyed = begin_destroy(kGroup);
  scheduler_.advance(env::kSecond);
  EXPECT_FALSE(created->has_value());
  EXPECT_FALSE(destroyed->has_value());
  EXPECT_EQ(create(kGroup, 2).code(), StatusCode::kUnavailable);
  env_->set_paused("pool-0", false);
  env_->set_paused("pool-1", false);
  EXPECT_TRUE(wait(destroyed));
  EXPECT_TRUE(created->has_value());
  EXPECT_TRUE(create(kGroup, 2));
}

TEST_F(RemovalTest, Creation_DoesNotWaitForTheRemovalOfOthers) {
  ASSERT_TRUE(create(kGroup));
  engine_->destroy_status = Status(StatusCode::kNoSpace, "the disk is full");
  const auto removed = begin_destroy(kGroup);
  scheduler_.advance(env::kSecond);
  engine_->fails_only = kGroup;
  EXPECT_TRUE(create(GroupId(8)));
  EXPECT_FALSE(removed->has_value());
}

TEST_F(RemovalTest, Stop_DuringARemoval_AnswersIt) {
  ASSERT_TRUE(create(kGroup));
  engine_->destroy_status = Status(StatusCode::kNoSpace, "the disk is full");
  const auto first = begin_destroy(kGroup);
  const auto second = begin_destroy(kGroup);
  scheduler_.advance(env::kSecond);
  host_->stop();
  ASSERT_TRUE(first->has_value());
  ASSERT_TRUE(second->has_value());
  EXPECT_FALSE(first->value());
  EXPECT_FALSE(second->value());
}

TEST_F(RemovalTest, SavedState_OfAPredecessor_DoesNotComeBackAfterALossOfPower) {
  ASSERT_TRUE(create(kGroup));
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(put(kGroup, "k" + std::to_string(i)));
  scheduler_.advance(2 * env::kSecond);
  ASSERT_FALSE(saved().empty());
  ASSERT_TRUE(wait(begin_destroy(kGroup)));
  ASSERT_TRUE(create(kGroup, 2));
  lose_power();
  EXPECT_TRUE(saved().empty());
  EXPECT_TRUE(put(kGroup, "key"));
}

// The removal of the file is not durable yet when power fails.
TEST_F(RemovalTest, SavedState_WhoseRemovalWasLost_GoesAtTheNextStart) {
  ASSERT_TRUE(create(kGroup));
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(put(kGroup, "k" + std::to_string(i)));
  scheduler_.advance(2 * env::kSecond);
  ASSERT_FALSE(saved().empty());
  env_->set_paused("snapshots", true);
  ASSERT_TRUE(wait(begin_destroy(kGroup)));
  ASSERT_TRUE(create(kGroup, 2));
  lose_power();
  EXPECT_TRUE(saved().empty());
  EXPECT_GT(CoverageMark::hits_of("saved state of a removed replica removed at start"), 0u);
  EXPECT_TRUE(put(kGroup, "key"));
}

}  // namespace
}  // namespace multiraft::host
