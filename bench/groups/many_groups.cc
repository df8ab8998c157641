// Many groups on three nodes in one process, on loopback, with real logs and states in memory: what
// they cost while nobody uses them, what a lone writer waits, how leaders spread, and how long it
// takes until all groups are led again after the node that led most of them has stopped.
//
//     bench_groups [GROUPS [SECONDS]]          (1000, 5)

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "env/posix/posix_env.h"
#include "host/node_host.h"
#include "host/testing/quiet_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

using namespace multiraft;

namespace {

constexpr size_t kNodes = 3;

class Observer final : public host::testing::QuietObserver {
 public:
  void on_fatal(const Status& status) override {
    std::fprintf(stderr, "%s\n", status.to_string().c_str());
    std::exit(1);
  }
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ReplicaId replica(size_t node) { return ReplicaId::make(NodeId(node + 1), 1); }

class Cluster {
 public:
  explicit Cluster(const std::string& directory) {
    for (size_t i = 0; i < kNodes; ++i) {
      host::HostOptions options;
      options.state_dir = directory + "/" + std::to_string(i + 1);
      std::filesystem::create_directories(options.state_dir);
      options.identity = {ClusterId(1), NodeId(i + 1), env_->random_u64()};
      options.listen = {"127.0.0.1", 0};
      engines_.push_back(kv::make_memory_engine());
      options.engine = [engine = engines_.back().get()](GroupId) -> StateMachineEngine& {
        return *engine;
      };
      auto host = host::NodeHost::start(std::move(options), *env_, observer_);
      if (!host) observer_.on_fatal(host.status());
      hosts_.push_back(std::move(*host));
    }
    for (size_t a = 0; a < kNodes; ++a) {
      for (size_t b = 0; b < kNodes; ++b) {
        if (a == b) continue;
        hosts_[a]->transport().set_address(NodeId(b + 1),
                                           {"127.0.0.1", hosts_[b]->transport().port()});
      }
    }
  }
  ~Cluster() {
    for (auto& host : hosts_) {
      if (host) host->stop();
    }
  }

  void create(uint64_t groups) {
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    for (size_t i = 0; i < kNodes; ++i) founders.conf_state.voters.push_back(replica(i));
    std::atomic<uint64_t> left{0};
    for (uint64_t group = 1; group <= groups; ++group) {
      for (size_t i = 0; i < kNodes; ++i) {
        ++left;
        hosts_[i]->create_replica(GroupId(group), replica(i), founders, hosts_[i]->executor(0),
                                  [&](const Status&) { --left; });
      }
      while (left > 300) usleep(500);
    }
    while (left > 0) usleep(500);
  }

  host::HostStats stats(size_t node) {
    std::atomic<bool> here{false};
    host::HostStats stats;
    hosts_[node]->stats(hosts_[node]->executor(0), [&](host::HostStats s) {
      stats = std::move(s);
      here = true;
    });
    while (!here) usleep(100);
    return stats;
  }

  /// Seconds until every group has a leader as far as all nodes know.
  double until_all_are_led() {
    const env::MonotonicTime start = now();
    for (bool all = false; !all; usleep(2000)) {
      all = true;
      for (size_t i = 0; i < kNodes; ++i) {
        all = all && (!hosts_[i] || stats(i).groups_without_leader == 0);
      }
    }
    return since(start);
  }

  double put(size_t node, uint64_t group) {
    std::atomic<bool> done{false};
    const env::MonotonicTime start = now();
    hosts_[node]->write(GroupId(group), kv::encode_put("key", "value"), hosts_[node]->executor(0),
                        [&](const host::WriteResult&) { done = true; });
    while (!done) usleep(50);
    return since(start);
  }

  void stop(size_t node) {
    hosts_[node]->stop();
    hosts_[node].reset();
  }

  env::MonotonicTime now() { return env_->clock().now(); }
  double since(env::MonotonicTime start) { return static_cast<double>(now() - start) / 1e9; }

 private:
  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  Observer observer_;
  std::vector<std::unique_ptr<kv::KvEngine>> engines_;
  std::vector<std::unique_ptr<host::NodeHost>> hosts_;
};

void measure(Cluster& cluster, uint64_t groups, unsigned seconds) {
  cluster.create(groups);
  std::printf("%lu groups, all led %.2f s after the last was made; led by node:", groups,
              cluster.until_all_are_led());
  size_t victim = 0;
  std::vector<uint64_t> led;
  for (size_t i = 0; i < kNodes; ++i) {
    led.push_back(cluster.stats(i).groups_led);
    if (led[i] > led[victim]) victim = i;
    std::printf(" %lu", led[i]);
  }
  sleep(2);
  const double cpu = cpu_seconds();
  const env::MonotonicTime start = cluster.now();
  sleep(seconds);
  std::printf("\nidle: %.1f %% of a core for the three nodes\n",
              100 * (cpu_seconds() - cpu) / cluster.since(start));

  std::vector<double> waits;
  for (uint64_t i = 0; i < 400; ++i) {
    waits.push_back(cluster.put(i % kNodes, 1 + (i * 7919) % groups));
    usleep(7000);
  }
  std::sort(waits.begin(), waits.end());
  std::printf("one PUT at a time: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", 1e3 * waits[200],
              1e3 * waits[396], 1e3 * waits.back());

  const double before = cpu_seconds();
  cluster.stop(victim);
  const double again = cluster.until_all_are_led();
  std::printf("node %zu, which led %lu, stopped: all led again after %.2f s, %.2f s of CPU\n",
              victim + 1, led[victim], again, cpu_seconds() - before);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t groups = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const unsigned seconds = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 5;
  std::string directory = (std::filesystem::temp_directory_path() / "bench_groups_XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr || groups == 0) return 1;
  {
    Cluster cluster(directory);
    measure(cluster, groups, seconds);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
