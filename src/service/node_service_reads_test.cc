// Reads of large values through the backend, on a real host.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "env/sim/sim_environment.h"
#include "env/sim/sim_network.h"
#include "host/node_host.h"
#include "host/testing/failing_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"
#include "service/node_service.h"

namespace multiraft::service {
namespace {

constexpr GroupId kGroup{7};
constexpr size_t kLarge = ReadSlices::kBytesPerRound * 3 / 4;

/// One node that leads one group. Its only worker also asks, so that an answer comes in the task in
/// which the value is read.
class NodeServiceReadsTest : public ::testing::Test {
 protected:
  NodeServiceReadsTest()
      : env_(scheduler_, std::make_unique<env::SimFileSystem>(), 1, network_.attach("node")) {
    (void)env_.disk().create_directories("/state");
    host::HostOptions options;
    options.state_dir = "/state";
    options.identity = {ClusterId(99), NodeId(1), 1};
    options.listen = {"node", 8080};
    options.log_writer = log::WriterKind::kPwrite;
    options.log_segment_bytes = limits::kLogSegmentBytesMin;
    options.engines = {engine_.get()};
    options.engine = [this](GroupId) -> StateMachineEngine& { return *engine_; };
    auto host = host::NodeHost::start(options, env_, observer_);
    EXPECT_TRUE(host.is_ok()) << host.status().to_string();
    host_ = std::move(*host);
    context_.host = host_.get();
    context_.clock = &env_.clock();
    context_.read_slices.push_back(std::make_unique<ReadSlices>(worker()));
    service_ = std::make_unique<NodeService>(context_, worker());
    service_->set_budget(std::make_shared<MemoryBudget>(1'024 * limits::kMiB));
    create();
  }
  ~NodeServiceReadsTest() override {
    env_.kill();
    host_->stop();
  }

  env::Executor& worker() { return host_->executor(0); }
  void create() {
    const ReplicaId replica = ReplicaId::make(NodeId(1), 1);
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    founders.conf_state.voters = {replica};
    std::optional<Status> status;
    host_->create_replica(kGroup, replica, founders, worker(),
                          [&](Status s) { status = std::move(s); });
    wait([&] { return status.has_value(); });
    EXPECT_TRUE(*status) << status->to_string();
  }
  void put(const std::string& key, const std::string& value) {
    std::optional<Status> status;
    host_->write(kGroup, kv::encode_put(key, value), worker(),
                 [&](host::WriteResult result) { status = std::move(result.status); });
    wait([&] { return status.has_value(); });
    EXPECT_TRUE(*status) << status->to_string();
  }
  void read(const std::string& key) {
    service_->read(kGroup, key, Consistency::kLinearizable, [this, key](Reply<ReadAnswer> reply) {
      ASSERT_TRUE(std::holds_alternative<ReadAnswer>(reply.result));
      const auto& answer = std::get<ReadAnswer>(reply.result);
      answers_.emplace_back(key, answer.value ? answer.value->size() : 0);
    });
  }
  template <class Done>
  void wait(Done done) {
    ASSERT_TRUE(scheduler_.run_until(done, 20 * env::kSecond));
  }

  env::SimScheduler scheduler_{1};
  env::SimNetwork network_{scheduler_, 2};
  env::SimEnvironment env_;
  host::testing::FailingObserver observer_;
  std::unique_ptr<kv::KvEngine> engine_ = kv::make_memory_engine();
  std::unique_ptr<host::NodeHost> host_;
  NodeServiceContext context_;
  std::unique_ptr<NodeService> service_;
  std::vector<std::pair<std::string, size_t>> answers_;
};

TEST_F(NodeServiceReadsTest, LargeReadsThatCameTogether_LeaveTheWorkerItsTurns) {
  constexpr size_t kReads = 12;
  put("large", std::string(kLarge, 'v'));
  worker().run_and_wait([this] {
    for (size_t i = 0; i < kReads; ++i) read("large");
  });
  size_t most_at_once = 0;
  wait([&, before = size_t{0}]() mutable {
    most_at_once = std::max(most_at_once, answers_.size() - before);
    before = answers_.size();
    return before == kReads;
  });
  EXPECT_LE(most_at_once, 2u) << "reads in one task of the worker";
  for (const auto& [key, bytes] : answers_) EXPECT_EQ(bytes, kLarge);
}

}  // namespace
}  // namespace multiraft::service
