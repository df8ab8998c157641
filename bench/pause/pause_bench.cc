// The longest time for which a worker did nothing else, during work that has to wait for the disk:
// removals of replicas, reads of what is not in memory, a member that catches up, and garbage
// collection of the log. Everything else on that worker waits as long: heartbeats, writes, reads.
//
//   bench_pause [DIRECTORY [GROUPS [VALUES]]]
//
// One node with one worker and RocksDB, and a second one that lags. A pulse, a task that is posted
// again and again to the worker, measures from outside; "turn" is the worker's own measure since
// the start, as in the metric multiraft_worker_pause_seconds_max.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "env/posix/posix_env.h"
#include "host/node_host.h"
#include "host/testing/quiet_observer.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::bench {
namespace {

constexpr GroupId kShared{1};  ///< On both nodes.
constexpr uint64_t kFirstGroup = 2;
constexpr size_t kValueBytes = 1'000;

ReplicaId replica(size_t node) { return ReplicaId::make(NodeId(node + 1), 1); }

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

class Observer final : public host::testing::QuietObserver {
 public:
  void on_fatal(const Status& status) override { give_up(status.to_string()); }
};

class Node {
 public:
  Node(env::Environment& env, std::string directory, size_t index)
      : env_(env), directory_(std::move(directory)), index_(index) {}

  void start() {
    std::filesystem::create_directories(directory_);
    kv::RocksOptions rocks;
    rocks.directory = directory_ + "/kv";
    rocks.block_cache_bytes = 8 * limits::kMiB;
    auto engine = kv::make_rocksdb_engine(rocks);
    if (!engine) give_up(engine.status().to_string());
    engine_ = std::move(*engine);
    host::HostOptions options;
    options.state_dir = directory_;
    options.identity = {ClusterId(1), NodeId(index_ + 1), env_.random_u64()};
    options.listen = {"127.0.0.1", port_};
    options.workers = 1;
    options.log_segment_bytes = 16 * limits::kMiB;
    options.log_segments_kept = 1;
    options.engines = {engine_.get()};
    options.engine = [this](GroupId) -> StateMachineEngine& { return *engine_; };
    auto host = host::NodeHost::start(options, env_, observer_);
    if (!host) give_up(host.status().to_string());
    host_ = std::move(*host);
    port_ = host_->transport().port();
  }
  void stop() {
    host_->stop();
    host_.reset();
    engine_.reset();
  }
  void knows(size_t other, uint16_t port) {
    host_->transport().set_address(NodeId(other + 1), {"127.0.0.1", port});
  }
  uint16_t port() const { return port_; }
  host::NodeHost& host() { return *host_; }
  kv::KvEngine& engine() { return *engine_; }

  void create(GroupId group, const std::vector<ReplicaId>& voters) {
    raft::Snapshot founders{LogIndex(1), Term(1), {}};
    founders.conf_state.voters = voters;
    std::promise<Status> done;
    host_->create_replica(group, replica(index_), founders, host_->executor(0),
                          [&](Status status) { done.set_value(std::move(status)); });
    if (const Status status = done.get_future().get(); !status) give_up(status.to_string());
  }
  std::future<Status> destroy(GroupId group) {
    auto done = std::make_shared<std::promise<Status>>();
    host_->destroy_replica(group, replica(index_), host_->executor(0),
                           [done](Status status) { done->set_value(std::move(status)); });
    return done->get_future();
  }
  std::future<Status> write(GroupId group, const std::string& key, const std::string& value) {
    auto done = std::make_shared<std::promise<Status>>();
    host_->write(group, kv::encode_put(key, value), host_->executor(0),
                 [done](host::WriteResult result) { done->set_value(std::move(result.status)); });
    return done->get_future();
  }
  void must_write(GroupId group, const std::string& key, const std::string& value) {
    while (!write(group, key, value).get()) {
    }
  }
  /// As the server reads: in memory on the worker, else on the pool. True where it was cold.
  std::future<bool> read(GroupId group, const std::string& key) {
    auto done = std::make_shared<std::promise<bool>>();
    host_->read(group, host::ReadMode::kLocal, [this, key, done](const host::ReadPermit& permit) {
      const auto& machine = static_cast<const kv::KvStateMachine&>(*permit.state_machine);
      if (machine.get(key, kv::ReadTier::kCached)) return done->set_value(false);
      host_->pool().post(env::BlockingPool::Lane::kUrgent, [reader = machine.reader(), key, done] {
        (void)reader->get(key);
        done->set_value(true);
      });
    });
    return done->get_future();
  }
  host::HostStats stats() {
    std::promise<host::HostStats> done;
    host_->stats(host_->executor(0),
                 [&](host::HostStats stats) { done.set_value(std::move(stats)); });
    return done.get_future().get();
  }

 private:
  env::Environment& env_;
  const std::string directory_;
  const size_t index_;
  uint16_t port_ = 0;
  Observer observer_;
  std::unique_ptr<kv::KvEngine> engine_;
  std::unique_ptr<host::NodeHost> host_;
};

/// Measures how long a task waits for the worker.
class Pulse {
 public:
  Pulse(env::Clock& clock, env::Executor& worker)
      : clock_(clock), worker_(worker), thread_([this] { run(); }) {}
  ~Pulse() {
    stopping_ = true;
    thread_.join();
  }
  double take_longest_ms() {
    return static_cast<double>(longest_ns_.exchange(0)) / env::kMillisecond;
  }

 private:
  void run() {
    while (!stopping_) {
      std::promise<void> ran;
      const env::MonotonicTime posted = clock_.now();
      worker_.post([&] { ran.set_value(); });
      ran.get_future().wait();
      const int64_t took_ns = clock_.now() - posted;
      if (took_ns > longest_ns_) longest_ns_ = took_ns;
    }
  }

  env::Clock& clock_;
  env::Executor& worker_;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> longest_ns_{0};
  std::thread thread_;
};

class Bench {
 public:
  Bench(std::string directory, uint64_t groups, uint64_t values)
      : groups_(groups),
        values_(values),
        first_(*env_, directory + "/1", 0),
        second_(*env_, directory + "/2", 1) {}

  void run() {
    first_.start();
    second_.start();
    introduce();
    first_.create(kShared, {replica(0), replica(1)});
    second_.create(kShared, {replica(0), replica(1)});
    first_.must_write(kShared, "first", "value");
    for (uint64_t g = kFirstGroup; g < kFirstGroup + groups_; ++g) {
      first_.create(GroupId(g), {replica(0)});
    }
    Pulse pulse(env_->clock(), first_.host().executor(0));
    const auto phase = [&](const char* name, auto work) {
      pulse.take_longest_ms();
      const env::MonotonicTime began = env_->clock().now();
      work();
      const double took_ms = static_cast<double>(env_->clock().now() - began) / env::kMillisecond;
      std::printf("%-28s %9.0f ms, longest pause %7.1f ms, turn %7.1f ms\n", name, took_ms,
                  pulse.take_longest_ms(),
                  static_cast<double>(first_.stats().worker_pause_ns_max) / env::kMillisecond);
      std::fflush(stdout);
    };
    phase("writes", [&] { fill(); });
    phase("cold reads", [&] { read_all(); });
    phase("a member catches up", [&] { catch_up(); });
    phase("garbage collection", [&] { collect(); });
    phase("removals", [&] { remove_all(); });
  }

 private:
  void introduce() {
    first_.knows(1, second_.port());
    second_.knows(0, first_.port());
  }
  GroupId group_of(uint64_t i) const { return GroupId(kFirstGroup + i % groups_); }
  static std::string key_of(uint64_t i) { return "key" + std::to_string(i * 7919 % 1'000'000'007); }

  void fill() {
    const std::string value = noise();
    std::vector<std::future<Status>> pending;
    for (uint64_t i = 0; i < values_; ++i) {
      pending.push_back(first_.write(group_of(i), key_of(i), value));
      if (pending.size() < 256) continue;
      for (auto& write : pending) (void)write.get();
      pending.clear();
    }
    for (auto& write : pending) (void)write.get();
    if (const Status flushed = first_.engine().flush(); !flushed) give_up(flushed.to_string());
  }
  void read_all() {
    uint64_t cold = 0;
    const uint64_t reads = std::min<uint64_t>(values_, 20'000);
    std::vector<std::future<bool>> pending;
    for (uint64_t i = 0; i < reads; ++i) {
      pending.push_back(first_.read(group_of(i), key_of(i)));
      if (pending.size() < 64) continue;
      for (auto& read : pending) cold += read.get() ? 1 : 0;
      pending.clear();
    }
    for (auto& read : pending) cold += read.get() ? 1 : 0;
    std::printf("%llu of %llu reads were cold\n", static_cast<unsigned long long>(cold),
                static_cast<unsigned long long>(reads));
  }
  /// The second node misses appends, and gets them from the log or as a snapshot. It is a voter, so
  /// what it misses is written before it stops answering: the tail that waits for it.
  void catch_up() {
    second_.stop();
    std::vector<std::future<Status>> pending;
    const std::string value = noise();
    for (int i = 0; i < 5'000; ++i) {
      pending.push_back(first_.write(kShared, "tail" + std::to_string(i), value));
    }
    second_.start();
    introduce();
    for (auto& write : pending) (void)write.get();
    first_.must_write(kShared, "last", "value");
  }
  /// Some groups that stay cold pin old segments; others push the log on.
  void collect() {
    const std::string value = noise();
    for (uint64_t round = 0; round < 100; ++round) {
      std::vector<std::future<Status>> pending;
      for (uint64_t i = 0; i < 512; ++i) {
        pending.push_back(first_.write(GroupId(kFirstGroup + i % 4), key_of(i), value));
      }
      for (auto& write : pending) (void)write.get();
    }
  }
  void remove_all() {
    std::vector<std::future<Status>> pending;
    for (uint64_t g = kFirstGroup; g < kFirstGroup + groups_; ++g) {
      first_.must_write(GroupId(g), "fresh", "value");
    }
    for (uint64_t g = kFirstGroup; g < kFirstGroup + groups_; ++g) {
      pending.push_back(first_.destroy(GroupId(g)));
    }
    for (auto& removal : pending) {
      if (const Status status = removal.get(); !status) give_up(status.to_string());
    }
  }
  std::string noise() {
    std::string bytes(kValueBytes, '\0');
    for (char& c : bytes) c = static_cast<char>(env_->random_u64());
    return bytes;
  }

  const uint64_t groups_;
  const uint64_t values_;
  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  Node first_;
  Node second_;
};

}  // namespace
}  // namespace multiraft::bench

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "bench_pause.data";
  const uint64_t groups = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200;
  const uint64_t values = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100'000;
  if (groups < 4 || std::filesystem::exists(directory)) {
    std::fprintf(stderr,
                 "bench_pause DIRECTORY [GROUPS, at least 4 [VALUES]]: the directory must "
                 "not exist yet\n");
    return 2;
  }
  {
    multiraft::bench::Bench bench(directory, groups, values);
    bench.run();
    std::fflush(stdout);
    std::filesystem::remove_all(directory);
    std::_Exit(0);  // The nodes need no orderly end.
  }
}
