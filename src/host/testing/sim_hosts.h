#pragma once
// Three node hosts on simulated machines, disks and a network, in one thread and on one clock. A
// process can end at any moment and start again within milliseconds of simulated time, a machine
// can lose its power, and a process can stand still.

#include <cstdint>
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

class SimHosts {
 public:
  static constexpr size_t kNodes = 3;
  static constexpr GroupId kGroup{7};
  static constexpr int64_t kHeartbeatNs = 100 * env::kMillisecond;
  static constexpr int64_t kElectionNs = env::kSecond;

  /// All three run, and node 0 leads `group`, of which all are members.
  explicit SimHosts(uint64_t seed, const HostOptions& base = {}, GroupId group = kGroup);
  ~SimHosts();

  NodeHost& host(size_t i) { return *nodes_[i].host; }
  env::SimEnvironment& machine(size_t i) { return *nodes_[i].env; }
  env::SimNetwork& network() { return network_; }
  env::MonotonicTime now() { return scheduler_.clock().now(); }
  static std::string name(size_t i) { return "node" + std::to_string(i + 1); }

  void start(size_t i);
  /// The process ends without a word. With a mode, its machine loses what it had not synced.
  void crash(size_t i, std::optional<env::CrashMode> power = std::nullopt);
  /// Stops or resumes the worker's thread: time goes on meanwhile.
  void set_paused(size_t i, bool paused);
  /// Both directions.
  void cut(size_t a, size_t b, bool cut);

  bool until(const std::function<bool()>& done, int64_t limit_ns = 20 * env::kSecond) {
    return scheduler_.run_until(done, limit_ns);
  }
  void pass(int64_t ns) { scheduler_.advance(ns); }

  using Write = std::shared_ptr<std::optional<WriteResult>>;
  Write start_write(size_t i, SharedBytes command);
  Status put(size_t i, const std::string& key, const std::string& value);
  using Read = std::shared_ptr<std::optional<std::string>>;
  Read start_read(size_t i, const std::string& key, ReadMode mode = ReadMode::kLinearizable);
  /// The value, "(none)", or the error in brackets.
  std::string get(size_t i, const std::string& key, ReadMode mode = ReadMode::kLinearizable);

  ReplicaStatus status(size_t i);
  HostStats stats(size_t i);
  bool leads(size_t i) { return status(i).raft.soft_state.role == raft::Role::kLeader; }

 private:
  struct Node {
    std::unique_ptr<env::SimFileSystem> disk;  ///< Of a machine whose process is down.
    std::unique_ptr<env::SimEnvironment> env;
    std::unique_ptr<kv::KvEngine> engine;
    std::unique_ptr<NodeHost> host;
    uint64_t starts = 0;
  };

  void end_process(Node& node);

  const uint64_t seed_;
  const HostOptions base_;
  const GroupId group_;
  std::unique_ptr<HostObserver> observer_;
  env::SimScheduler scheduler_;
  env::SimNetwork network_;
  std::vector<Node> nodes_{kNodes};
};

}  // namespace multiraft::host::testing
