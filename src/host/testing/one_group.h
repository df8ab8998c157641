#pragma once
// One replica on a simulated machine: a real core and a real log, a state machine and services that
// do what the test says.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/sim/sim_environment.h"
#include "host/replica.h"
#include "host/testing/quiet_observer.h"
#include "log/log.h"

namespace multiraft::host::testing {

/// Counts what it applies.
class FakeStateMachine final : public StateMachine {
 public:
  struct State {
    LogIndex index;
    Term term;
    LogIndex durable;
    bool in_memory = false;
    bool cold = false;  ///< Commands need something from the disk.
    int prefetched = 0;
    size_t prefetch_max = SIZE_MAX;  ///< Commands at a time.
    std::vector<size_t> batches;     ///< Commands that apply() got at a time.
    std::string unknown;  ///< Commands that begin with this are for a newer program; empty: none.
  };
  explicit FakeStateMachine(State& state) : state_(state) {}

  Status check(std::string_view command) const override {
    if (state_.unknown.empty() || !command.starts_with(state_.unknown)) return Status::ok();
    return {StatusCode::kUnsupported, "what is this?"};
  }
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult>) override {
    if (!commands.empty()) state_.batches.push_back(commands.size());
    state_.index = last_index;
    state_.term = last_term;
    return Status::ok();
  }
  Prefetch prefetch(std::span<const Command> commands) override {
    const size_t covered = std::min(commands.size(), state_.prefetch_max);
    if (!state_.cold) return {nullptr, covered};
    Task reads = [&state = state_] {
      state.cold = false;
      ++state.prefetched;
    };
    return {std::move(reads), covered};
  }
  LogIndex applied_index() const override { return state_.index; }
  Term applied_term() const override { return state_.term; }
  LogIndex durable_index() const override { return state_.durable; }
  bool in_memory() const override { return state_.in_memory; }
  Result<std::unique_ptr<SnapshotReader>> snapshot() override;
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override;
  Result<uint64_t> hash() override { return state_.index.value; }

 private:
  State& state_;
};

/// What a replica asked of its worker, and what the test has not answered yet.
class FakeServices final : public ReplicaContext {
 public:
  struct Install {
    std::unique_ptr<SnapshotWriter> writer;
    Callback<void(Replica&, const Status&)> done;
  };
  struct Stream {
    ReplicaId to;
    LogIndex index;
    uint64_t number;
  };

  FakeServices(env::SimEnvironment& env, env::Executor& executor, HostOptions& options,
               HostObserver& observer)
      : env_(env), executor_(executor), options_(options), observer_(observer) {}

  bool disk_low() const override { return low; }
  bool disk_stalled() const override { return false; }
  bool disk_stall_is_long() const override { return false; }
  std::string disk_stall_message() const override { return {}; }
  std::string engine_stall_text(const EngineLane&) const override { return {}; }
  const HostOptions& options() const override { return options_; }
  HostObserver& observer() override { return observer_; }
  log::Log& log() override { return *log_; }
  env::MonotonicTime now() const override { return env_.clock().now(); }
  uint64_t random_u64() override { return ++random_; }
  Replica* find(GroupId, ReplicaId) override { return group_; }
  void activate(Replica&) override {}
  void send(GroupId, raft::Message message) override { sent.push_back(std::move(message)); }
  void forward(GroupId, NodeId, PendingWrite) override { ADD_FAILURE() << "nobody to forward to"; }
  void run_blocking(Replica&, Task work, Callback<void(Replica&)> done) override {
    blocking.push_back({std::move(work), std::move(done)});
  }
  void run_later(GroupId, ReplicaId, int64_t delay_ns, Callback<void(Replica&)> task) override;
  void campaign(Replica& group) override { (void)group.campaign(); }
  void leadership_changed(Replica&, ReplicaId) override {}
  void send_snapshot(Replica&, const raft::Message& message, uint64_t stream,
                     std::unique_ptr<SnapshotReader>) override {
    streams.push_back({message.to, message.snapshot->index, stream});
  }
  bool may_send_snapshot() const override { return true; }
  void request_flush(StateMachineEngine& engine) override { engine.request_flush(); }
  void save_state(Replica&, const raft::Snapshot& position,
                  std::unique_ptr<SnapshotReader>) override {
    saves.push_back(position);
  }
  void install_received(Replica&, std::unique_ptr<SnapshotWriter> writer,
                        Callback<void(Replica&, const Status&)> done) override {
    installs.push_back({std::move(writer), std::move(done)});
  }
  void start_over(Replica&) override { asked_to_start_over = true; }
  void note_stopped(const Replica&) override {}
  void warn(const std::string& text) override { warnings.push_back(text); }
  bool takes_line(raft::LogLevel) override { return true; }
  void log_line(raft::LogLevel, const std::string& line) override { lines.push_back(line); }
  void count_applied(uint64_t) override {}
  Admission& admission() override { return *admission_; }
  TurnBudget& turn_budget() override { return turn_budget_; }
  void count_install() override { ++installed; }
  void count_to_upgrade(int change) override { to_upgrade += change; }
  void fatal(const Status& status) override { failure = status; }

  bool low = false;
  std::vector<raft::Message> sent;
  std::vector<Stream> streams;
  std::vector<raft::Snapshot> saves;
  std::vector<Install> installs;
  std::vector<std::pair<Task, Callback<void(Replica&)>>> blocking;
  std::vector<std::string> warnings;
  std::vector<std::string> lines;
  int installed = 0;
  int to_upgrade = 0;
  bool asked_to_start_over = false;
  Status failure;

  /// Before there is a replica.
  void limit(const AdmissionLimits& limits) { admission_ = std::make_unique<Admission>(limits); }
  void attach(log::Log* log, Replica* group) {
    log_ = log;
    group_ = group;
  }

 private:
  std::unique_ptr<Admission> admission_ = std::make_unique<Admission>();
  TurnBudget turn_budget_;
  env::SimEnvironment& env_;
  env::Executor& executor_;
  HostOptions& options_;
  HostObserver& observer_;
  log::Log* log_ = nullptr;
  Replica* group_ = nullptr;
  uint64_t random_ = 0;
};

/// Failed disks are what some of these tests are about.
class SilentObserver final : public testing::QuietObserver {
 public:
  void on_fatal(const Status&) override {}
};

/// Node 1's replica of a group, whose log survives its restarts.
class ReplicaTest : public ::testing::Test {
 protected:
  static constexpr GroupId kGroup{7};
  static ReplicaId replica(uint64_t node) { return ReplicaId::make(NodeId(node), 1); }

  ReplicaTest();
  ~ReplicaTest() override;

  /// Makes the group, whose log starts at index 1.
  void create(const std::vector<uint64_t>& voters, const std::vector<uint64_t>& learners = {});
  /// The process ends without a word; what was synced comes back.
  Status restart();
  /// The two halves of that: the log is open, and the replica runs.
  Status reopen();
  Status start_again();
  /// Turns of the worker until nothing is left to do now.
  void run();
  /// That, and the same for what comes up while `ns` pass, a tick a heartbeat.
  void pass(int64_t ns);
  void write(uint64_t count, size_t bytes = 10);
  void step(raft::MessageType type, uint64_t from, const std::function<void(raft::Message&)>& set);

  Replica& group() { return *group_; }
  log::GroupLog& log() { return *log_->group(kGroup); }

  env::SimEnvironment env_;
  HostOptions options_;
  SilentObserver observer_;
  FakeStateMachine::State state_;
  std::unique_ptr<env::Executor> executor_;
  std::unique_ptr<FakeServices> services_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<Replica> group_;

 private:
  Status open();
  void close();
};

}  // namespace multiraft::host::testing
