#include "host/testing/sim_hosts.h"

#include <gtest/gtest.h>

namespace multiraft::host::testing {

SimHosts::SimHosts(uint64_t seed, const HostOptions& base, GroupId group)
    : seed_(seed),
      base_(base),
      group_(group),
      observer_(std::make_unique<FailingObserver>()),
      scheduler_(seed),
      network_(scheduler_, seed + 1) {
  raft::Snapshot founding{LogIndex(1), Term(1), {}};
  const auto replica = [](size_t i) { return ReplicaId::make(NodeId(i + 1), 1); };
  for (size_t i = 0; i < kNodes; ++i) {
    founding.conf_state.voters.push_back(replica(i));
    start(i);
  }
  for (size_t i = 0; i < kNodes; ++i) {
    std::optional<Status> created;
    host(i).create_replica(group_, replica(i), founding, host(i).executor(0),
                           [&](Status status) { created = std::move(status); });
    EXPECT_TRUE(until([&] { return created.has_value(); }) && created->is_ok());
  }
  EXPECT_TRUE(until([&] {
    for (size_t i = 0; i < kNodes; ++i) {
      if (leads(i)) return true;
    }
    return false;
  }));
  if (leads(0)) return;
  for (size_t i = 0; i < kNodes; ++i) host(i).transfer_leadership(group_, replica(0));
  EXPECT_TRUE(until([&] { return leads(0); }));
}

SimHosts::~SimHosts() {
  for (Node& node : nodes_) {
    if (node.host) end_process(node);
  }
}

void SimHosts::end_process(Node& node) {
  node.env->kill();
  node.host->stop();
  node.host.reset();
  node.engine.reset();
  node.env.reset();
}

void SimHosts::crash(size_t i, std::optional<env::CrashMode> power) {
  Node& node = nodes_[i];
  node.disk = node.env->disk().crash_image(power.value_or(env::CrashMode::kKeepAll), seed_);
  end_process(node);
}

void SimHosts::start(size_t i) {
  Node& node = nodes_[i];
  if (!node.disk) node.disk = std::make_unique<env::SimFileSystem>();
  ++node.starts;
  node.env = std::make_unique<env::SimEnvironment>(scheduler_, std::move(node.disk),
                                                   seed_ * 1'000 + node.starts * 10 + i,
                                                   network_.attach(name(i)));
  EXPECT_TRUE(node.env->disk().create_directories("/state").is_ok());
  EXPECT_TRUE(node.env->disk().sync_directory("/").is_ok());
  node.engine = kv::make_memory_engine();
  HostOptions options = base_;
  options.state_dir = "/state";
  options.identity = {ClusterId(99), NodeId(i + 1), node.env->random_u64()};
  options.listen = {name(i), 8080};
  options.heartbeat_ns = kHeartbeatNs;
  options.election_ns = kElectionNs;
  options.log_writer = log::WriterKind::kPwrite;
  options.log_segment_bytes = limits::kLogSegmentBytesMin;
  options.engine = [&node](GroupId) -> StateMachineEngine& { return *node.engine; };
  auto host = NodeHost::start(options, *node.env, *observer_);
  ASSERT_TRUE(host.is_ok()) << host.status().to_string();
  node.host = std::move(*host);
  for (size_t other = 0; other < kNodes; ++other) {
    if (other != i) node.host->transport().set_address(NodeId(other + 1), {name(other), 8080});
  }
}

void SimHosts::set_paused(size_t i, bool paused) { machine(i).set_paused("worker-0", paused); }

void SimHosts::cut(size_t a, size_t b, bool cut) {
  network_.set_cut(name(a), name(b), cut);
  network_.set_cut(name(b), name(a), cut);
}

SimHosts::Write SimHosts::start_write(size_t i, SharedBytes command) {
  auto answer = std::make_shared<std::optional<WriteResult>>();
  host(i).write(group_, std::move(command), host(i).executor(0),
                [answer](WriteResult result) { *answer = std::move(result); });
  return answer;
}

Status SimHosts::put(size_t i, const std::string& key, const std::string& value) {
  const Write write = start_write(i, kv::encode_put(key, value));
  if (!until([&] { return write->has_value(); })) return {StatusCode::kInternal, "no answer"};
  return (*write)->status;
}

SimHosts::Read SimHosts::start_read(size_t i, const std::string& key, ReadMode mode) {
  auto value = std::make_shared<std::optional<std::string>>();
  host(i).read(group_, mode, [value, key](const ReadPermit& permit) {
    if (!permit.status) {
      *value = "(" + permit.status.to_string() + ")";
      return;
    }
    auto found = static_cast<kv::KvStateMachine*>(permit.state_machine)->get(key);
    *value = found && *found ? std::string((*found)->value.view()) : "(none)";
  });
  return value;
}

std::string SimHosts::get(size_t i, const std::string& key, ReadMode mode) {
  const Read value = start_read(i, key, mode);
  return until([&] { return value->has_value(); }) ? **value : "(no answer)";
}

ReplicaStatus SimHosts::status(size_t i) {
  auto status = std::make_shared<std::optional<ReplicaStatus>>();
  host(i).status(group_, host(i).executor(0), [status](Result<ReplicaStatus> result) {
    *status = result ? *result : ReplicaStatus{};
  });
  EXPECT_TRUE(until([&] { return status->has_value(); }));
  return **status;
}

HostStats SimHosts::stats(size_t i) {
  auto stats = std::make_shared<std::optional<HostStats>>();
  host(i).stats(host(i).executor(0), [stats](HostStats result) { *stats = std::move(result); });
  EXPECT_TRUE(until([&] { return stats->has_value(); }));
  return **stats;
}

}  // namespace multiraft::host::testing
