// An engine that takes its time over snapshots: whoever else lives on the same worker goes on.
// Latches and no clock: a worker that waited for the engine would hang here for good.

#include <atomic>
#include <future>

#include "host/testing/node_hosts.h"

namespace multiraft::host::testing {
namespace {

constexpr GroupId kOther{8};

/// Where a thread waits until the test lets everybody through.
class Gate {
 public:
  void pass() {
    if (!shut_.exchange(false)) return;
    entered_.set_value();
    open_.get_future().wait();
  }
  void shut() { shut_ = true; }
  void wait_until_someone_waits() { entered_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  std::atomic<bool> shut_{false};
  std::promise<void> entered_;
  std::promise<void> open_;
};

struct Gates {
  Gate install;  ///< SnapshotWriter::finish()
  Gate read;     ///< SnapshotReader::next()
};

class GatedWriter final : public SnapshotWriter {
 public:
  GatedWriter(Gates& gates, std::unique_ptr<SnapshotWriter> inner)
      : gates_(gates), inner_(std::move(inner)) {}
  Status append(std::string_view chunk) override { return inner_->append(chunk); }
  Status finish() override {
    gates_.install.pass();
    return inner_->finish();
  }

 private:
  Gates& gates_;
  std::unique_ptr<SnapshotWriter> inner_;
};

class GatedReader final : public SnapshotReader {
 public:
  GatedReader(Gates& gates, std::unique_ptr<SnapshotReader> inner)
      : gates_(gates), inner_(std::move(inner)) {}
  LogIndex applied_index() const override { return inner_->applied_index(); }
  Term applied_term() const override { return inner_->applied_term(); }
  Status next(size_t bytes_target, std::string& chunk) override {
    gates_.read.pass();
    return inner_->next(bytes_target, chunk);
  }

 private:
  Gates& gates_;
  std::unique_ptr<SnapshotReader> inner_;
};

class GatedMachine final : public kv::KvStateMachine {
 public:
  GatedMachine(Gates& gates, std::unique_ptr<kv::KvStateMachine> inner)
      : gates_(gates), inner_(std::move(inner)) {}
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override {
    return inner_->apply(commands, last_index, last_term, results);
  }
  LogIndex applied_index() const override { return inner_->applied_index(); }
  Term applied_term() const override { return inner_->applied_term(); }
  LogIndex durable_index() const override { return inner_->durable_index(); }
  bool in_memory() const override { return inner_->in_memory(); }
  Result<std::unique_ptr<SnapshotReader>> snapshot() override {
    auto reader = inner_->snapshot();
    if (!reader) return reader;
    std::unique_ptr<SnapshotReader> gated =
        std::make_unique<GatedReader>(gates_, std::move(*reader));
    return gated;
  }
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override {
    auto writer = inner_->restore(index, term);
    if (!writer) return writer;
    std::unique_ptr<SnapshotWriter> gated =
        std::make_unique<GatedWriter>(gates_, std::move(*writer));
    return gated;
  }
  Result<uint64_t> hash() override { return inner_->hash(); }
  std::shared_ptr<const kv::KvReader> reader() const override { return inner_->reader(); }

 private:
  Gates& gates_;
  std::unique_ptr<kv::KvStateMachine> inner_;
};

class GatedEngine final : public StateMachineEngine {
 public:
  GatedEngine(Gates& gates, kv::KvEngine& inner) : gates_(gates), inner_(inner) {}
  Result<std::unique_ptr<StateMachine>> open(GroupId group) override {
    auto machine = inner_.open_kv(group);
    if (!machine) return machine.status();
    std::unique_ptr<StateMachine> gated =
        std::make_unique<GatedMachine>(gates_, std::move(*machine));
    return gated;
  }
  Status destroy(std::span<const GroupId> groups) override { return inner_.destroy(groups); }
  Status commit(uint32_t worker) override { return inner_.commit(worker); }
  void request_flush() override { inner_.request_flush(); }

 private:
  Gates& gates_;
  kv::KvEngine& inner_;
};

class SlowEngineTest : public NodeHostFixture {
 protected:
  SlowEngineTest() { workers_ = 1; }
  ~SlowEngineTest() override {
    for (auto& node : nodes_) stop(*node);  // They use the gates.
  }
  std::unique_ptr<kv::KvEngine> make_engine(const std::string& state_dir) override {
    kv::RocksOptions rocks;
    rocks.directory = state_dir + "/kv";
    auto engine = kv::make_rocksdb_engine(rocks);
    EXPECT_TRUE(engine.is_ok()) << engine.status().to_string();
    return engine ? std::move(*engine) : nullptr;
  }
  std::unique_ptr<StateMachineEngine> wrap(size_t, kv::KvEngine& engine) override {
    return std::make_unique<GatedEngine>(gates_, engine);
  }

  /// Both groups on three nodes; one node misses more of group 7 than the logs keep, and is down.
  void leave_one_behind() {
    start_three();
    create_on_three(kOther);
    ASSERT_TRUE(put(0, "before", "1", kOther).status.is_ok());
    lagging_ = (leader() + 1) % 3;
    other_ = (lagging_ + 1) % 3;
    stop(*nodes_[lagging_]);
    for (int i = 0; i < 2'000 && status(leader()).first_index < LogIndex(100); ++i) {
      ASSERT_TRUE(put(other_, "k" + std::to_string(i % 100), "v").status.is_ok());
      if (i % 50 != 0) continue;
      for (auto& node : nodes_) {
        if (!node->host) continue;
        ASSERT_TRUE(node->engine->flush().is_ok());
      }
    }
    ASSERT_TRUE(put(other_, "last", "here").status.is_ok());
  }
  /// Group 8 takes writes and serves reads through every node.
  void expect_the_other_group_serves(const std::string& value) {
    for (size_t i = 0; i < 3; ++i) {
      const WriteResult result = put(i, "during" + std::to_string(i), value, kOther);
      EXPECT_TRUE(result.status.is_ok()) << result.status.to_string();
    }
    for (size_t i = 0; i < 3; ++i)
      EXPECT_EQ(get(i, "during0", ReadMode::kLinearizable, kOther), value);
  }

  Gates gates_;
  size_t lagging_ = 0;
  size_t other_ = 0;
};

TEST_F(SlowEngineTest, Installation_ThatHangs_HoldsUpNoOtherGroup) {
  leave_one_behind();
  gates_.install.shut();
  start(lagging_);
  gates_.install.wait_until_someone_waits();
  expect_the_other_group_serves("meanwhile");
  // The group itself goes on with its majority.
  ASSERT_TRUE(put(other_, "last", "newer").status.is_ok());
  gates_.install.open();
  EXPECT_EQ(get(lagging_, "last"), "newer");
}

TEST_F(SlowEngineTest, Reading_ThatHangs_HoldsUpNobodyAtTheLeader) {
  leave_one_behind();
  gates_.read.shut();
  start(lagging_);
  gates_.read.wait_until_someone_waits();
  expect_the_other_group_serves("meanwhile");
  ASSERT_TRUE(put(other_, "last", "newer").status.is_ok());
  gates_.read.open();
  EXPECT_EQ(get(lagging_, "last"), "newer");
}

}  // namespace
}  // namespace multiraft::host::testing
