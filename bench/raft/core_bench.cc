// The core alone: three replicas in one thread, logs in memory, messages handed over at once.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "raft/core.h"
#include "raft/testing/memory_storage.h"

namespace multiraft::raft {
namespace {

/// The least a host does: write, apply, pass on.
class Node {
 public:
  Node(uint64_t id, const ConfState& conf) {
    storage_.set_conf_state(conf);
    Config config;
    config.id = ReplicaId(id);
    config.random_seed = id;
    core_ = std::make_unique<Raft>(config, storage_);
  }

  Raft& core() { return *core_; }
  uint64_t applied_bytes() const { return applied_bytes_; }

  /// Appends what is to be sent to `outbox`.
  void pump(std::vector<Message>& outbox) {
    while (core_->has_ready()) {
      Ready ready = core_->ready();
      for (Message& message : ready.messages) outbox.push_back(std::move(message));
      if (ready.append) {
        if (ready.append->hard_state) storage_.set_hard_state(*ready.append->hard_state);
        storage_.append(ready.append->entries);
        respond(std::move(ready.append->responses), outbox);
      }
      if (ready.apply) {
        for (const Entry& entry : ready.apply->entries) applied_bytes_ += entry.data.size();
        respond(std::move(ready.apply->responses), outbox);
      }
    }
  }

  void compact() {
    if (core_->applied_index() > storage_.first_index()) {
      (void)storage_.compact(core_->applied_index());
    }
  }

 private:
  void respond(std::vector<Message> responses, std::vector<Message>& outbox) {
    for (Message& message : responses) {
      if (message.to == core_->id()) {
        (void)core_->step(std::move(message));
      } else {
        outbox.push_back(std::move(message));
      }
    }
  }

  testing::MemoryStorage storage_;
  std::unique_ptr<Raft> core_;
  uint64_t applied_bytes_ = 0;
};

class Trio {
 public:
  Trio() {
    ConfState conf;
    conf.voters = {ReplicaId(1), ReplicaId(2), ReplicaId(3)};
    for (uint64_t id = 1; id <= 3; ++id) nodes_.push_back(std::make_unique<Node>(id, conf));
    nodes_[0]->core().campaign();
    settle();
    MR_ASSERT(leader().role() == Role::kLeader);
  }

  Raft& leader() { return nodes_[0]->core(); }
  Node& node(size_t at) { return *nodes_[at]; }

  void settle() {
    do {
      std::vector<Message> messages = std::exchange(outbox_, std::exchange(spare_, {}));
      for (Message& message : messages) {
        (void)nodes_[message.to.value - 1]->core().step(std::move(message));
      }
      messages.clear();
      spare_ = std::move(messages);
      for (auto& node : nodes_) node->pump(outbox_);
    } while (!outbox_.empty());
  }

  void compact() {
    for (auto& node : nodes_) node->compact();
  }

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Message> outbox_;
  std::vector<Message> spare_;
};

/// propose, replicate, commit and apply on all three; per entry.
void BM_Commit(benchmark::State& state) {
  const auto batch = static_cast<size_t>(state.range(0));
  const SharedBytes payload = SharedBytes::copy_of(std::string(128, 'x'));
  Trio trio;
  size_t since_compaction = 0;
  for (auto _ : state) {
    (void)trio.leader().propose(std::vector<SharedBytes>(batch, payload));
    trio.settle();
    since_compaction += batch;
    if (since_compaction > 8192) {
      trio.compact();
      since_compaction = 0;
    }
  }
  const auto entries = static_cast<double>(state.iterations()) * static_cast<double>(batch);
  MR_ASSERT(static_cast<double>(trio.node(2).applied_bytes()) == entries * 128);
  state.counters["per_entry"] =
      benchmark::Counter(entries, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Commit)->Arg(1)->Arg(16)->Arg(256);

/// A round of heartbeats that confirms one read.
void BM_ReadIndex(benchmark::State& state) {
  Trio trio;
  uint64_t read = 0;
  for (auto _ : state) {
    trio.leader().read_index(ReadId(++read));
    trio.settle();
  }
}
BENCHMARK(BM_ReadIndex);

/// What one tick of an idle group costs its leader and a follower, heartbeats included.
void BM_IdleTick(benchmark::State& state) {
  Trio trio;
  for (auto _ : state) {
    for (size_t at = 0; at < 3; ++at) trio.node(at).core().tick();
    trio.settle();
  }
}
BENCHMARK(BM_IdleTick);

/// Bytes of core state in a group that was busy and is idle now.
void BM_IdleMemory(benchmark::State& state) {
  Trio trio;
  const SharedBytes payload = SharedBytes::copy_of("x");
  for (int i = 0; i < 100; ++i) {
    (void)trio.leader().propose(std::vector<SharedBytes>(256, payload));
    trio.settle();
  }
  for (size_t at = 0; at < 3; ++at) trio.node(at).core().tick();
  trio.settle();
  for (auto _ : state) benchmark::DoNotOptimize(trio.leader().core().memory_bytes());
  state.counters["leader_bytes"] = static_cast<double>(trio.leader().core().memory_bytes());
  state.counters["follower_bytes"] = static_cast<double>(trio.node(1).core().core().memory_bytes());
}
BENCHMARK(BM_IdleMemory);

}  // namespace
}  // namespace multiraft::raft
