#include "host/testing/one_group.h"

#include "raft/entry_checksum.h"

namespace multiraft::host::testing {
namespace {

class FakeReader final : public SnapshotReader {
 public:
  FakeReader(LogIndex index, Term term) : index_(index), term_(term) {}
  LogIndex applied_index() const override { return index_; }
  Term applied_term() const override { return term_; }
  Status next(size_t, std::string& chunk) override {
    chunk.clear();
    return Status::ok();
  }

 private:
  const LogIndex index_;
  const Term term_;
};

class FakeWriter final : public SnapshotWriter {
 public:
  FakeWriter(FakeStateMachine::State& state, LogIndex index, Term term)
      : state_(state), index_(index), term_(term) {}
  Status append(std::string_view) override { return Status::ok(); }
  Status finish() override {
    state_.index = state_.durable = index_;
    state_.term = term_;
    return Status::ok();
  }

 private:
  FakeStateMachine::State& state_;
  const LogIndex index_;
  const Term term_;
};

}  // namespace

Result<std::unique_ptr<SnapshotReader>> FakeStateMachine::snapshot() {
  std::unique_ptr<SnapshotReader> reader = std::make_unique<FakeReader>(state_.index, state_.term);
  return reader;
}

Result<std::unique_ptr<SnapshotWriter>> FakeStateMachine::restore(LogIndex index, Term term) {
  std::unique_ptr<SnapshotWriter> writer = std::make_unique<FakeWriter>(state_, index, term);
  return writer;
}

void FakeServices::run_later(GroupId, ReplicaId, int64_t delay_ns, Callback<void(Replica&)> task) {
  executor_.run_at(now() + delay_ns, [this, task = std::move(task)]() mutable {
    if (group_) task(*group_);
  });
}

ReplicaTest::ReplicaTest() {
  options_.compaction = {
      .entries = 100, .bytes = 100'000, .tail_entries = 10, .tail_bytes = 50'000};
  EXPECT_TRUE(open());
}

ReplicaTest::~ReplicaTest() { close(); }

Status ReplicaTest::open() {
  executor_ = env_.start_executor("worker");
  services_ = std::make_unique<FakeServices>(env_, *executor_, options_, observer_);
  log::LogOptions options;
  options.directory = "log";
  options.segment_bytes = limits::kMiB;
  auto opened = log::Log::open(options, env_, *executor_,
                               [this](Status status) { services_->failure = status; });
  if (!opened) return opened.status();
  log_ = std::move(*opened);
  log_->notify_when_read([this](GroupId) {
    if (group_) group_->retry_reads();
  });
  services_->attach(log_.get(), nullptr);
  return Status::ok();
}

void ReplicaTest::close() {
  if (services_) services_->attach(nullptr, nullptr);
  group_.reset();
  env_.kill();
  log_.reset();
  executor_.reset();
}

void ReplicaTest::create(const std::vector<uint64_t>& voters,
                         const std::vector<uint64_t>& learners) {
  raft::Snapshot mark{LogIndex(1), Term(1), {}};
  for (uint64_t node : voters) mark.conf_state.voters.push_back(replica(node));
  for (uint64_t node : learners) mark.conf_state.learners.push_back(replica(node));
  auto created = log_->create_group(kGroup, replica(1), mark);
  ASSERT_TRUE(created.is_ok());
  auto started =
      Replica::start(*services_, **created, std::make_unique<FakeStateMachine>(state_), {});
  ASSERT_TRUE(started.is_ok()) << started.status().to_string();
  group_ = std::move(*started);
  services_->attach(log_.get(), group_.get());
  run();
}

Status ReplicaTest::restart() {
  MR_RETURN_IF_ERROR(reopen());
  return start_again();
}

Status ReplicaTest::reopen() {
  close();
  env_.set_disk(env_.disk().crash_image(env::CrashMode::kKeepNone, 1));
  return open();
}

Status ReplicaTest::start_again() {
  auto started = Replica::start(*services_, *log_->group(kGroup),
                                std::make_unique<FakeStateMachine>(state_), {});
  if (!started) return started.status();
  group_ = std::move(*started);
  services_->attach(log_.get(), group_.get());
  run();
  return Status::ok();
}

void ReplicaTest::run() {
  for (int round = 0; round < 20; ++round) {
    if (std::exchange(services_->asked_to_start_over, false)) {
      auto restarted = Replica::start_over(std::move(group_));
      ASSERT_TRUE(restarted.is_ok()) << restarted.status().to_string();
      group_ = std::move(*restarted);
      services_->attach(log_.get(), group_.get());
    }
    services_->turn_budget().begin_turn();
    group_->begin_turn();
    group_->process_ready();
    log_->flush();
    env_.run_until_idle();
    if (!group_->begin_apply()) continue;
    group_->applying = true;
    size_t bytes_left = SIZE_MAX;
    group_->apply(bytes_left);
    group_->applying = false;
    group_->finish_apply();
  }
}

void ReplicaTest::pass(int64_t ns) {
  for (; ns > 0; ns -= options_.heartbeat_ns) {
    env_.advance(options_.heartbeat_ns);
    group_->tick();
    run();
  }
}

void ReplicaTest::write(uint64_t count, size_t bytes) {
  for (uint64_t i = 0; i < count; ++i) {
    PendingWrite write;
    write.command = SharedBytes::copy_of(std::string(bytes, 'w'));
    write.checksum = raft::payload_checksum(raft::group_checksum_seed(kGroup), write.command);
    write.deadline = services_->now() + 5 * env::kSecond;
    write.done = [](WriteResult result) {
      EXPECT_TRUE(result.status) << result.status.to_string();
    };
    group_->write(std::move(write));
    if (i % 10 == 9) run();
  }
  run();
}

void ReplicaTest::step(raft::MessageType type, uint64_t from,
                       const std::function<void(raft::Message&)>& set) {
  raft::Message message;
  message.type = type;
  message.from = replica(from);
  message.to = replica(1);
  message.term = group_->core().term();
  set(message);
  for (raft::Entry& entry : message.entries) raft::seal(raft::group_checksum_seed(kGroup), entry);
  group_->step(std::move(message));
  run();
}

}  // namespace multiraft::host::testing
