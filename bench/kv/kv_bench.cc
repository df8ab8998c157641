// What one command and one read cost in the state machine, for both engines: bench_kv
//
// Items are commands or reads; CPU time is the worker's, so RocksDB's background threads show in
// the wall clock only. Keys are 16 bytes, values 128.

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/prng.h"
#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::kv {
namespace {

constexpr uint64_t kKeys = 100'000;
constexpr size_t kValueBytes = 128;

std::string key_of(uint64_t n) {
  std::string digits = std::to_string(n);
  return "key" + std::string(13 - digits.size(), '0') + digits;
}

/// One engine in a directory of its own.
class Fixture {
 public:
  explicit Fixture(bool rocks) {
    if (!rocks) {
      engine_ = make_memory_engine();
    } else {
      std::string name = (std::filesystem::temp_directory_path() / "bench-kv-XXXXXX").string();
      directory_ = ::mkdtemp(name.data());
      RocksOptions options;
      options.directory = directory_;
      auto engine = make_rocksdb_engine(options);
      MR_ASSERT(engine.is_ok());
      engine_ = std::move(*engine);
    }
    auto machine = engine_->open_kv(GroupId(1));
    MR_ASSERT(machine.is_ok());
    machine_ = std::move(*machine);
  }
  ~Fixture() {
    machine_.reset();
    engine_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  /// One turn of a worker. A write stall is waited out, and counted.
  void turn(const std::vector<SharedBytes>& payloads) {
    commands_.clear();
    LogIndex index = machine_->applied_index();
    for (const SharedBytes& payload : payloads) commands_.push_back({++index, Term(1), payload});
    results_.resize(commands_.size());
    MR_ASSERT(machine_->apply(commands_, index, Term(1), results_).is_ok());
    Status status = engine_->commit(0);
    while (status.code() == StatusCode::kOverloaded) {
      ++stalls_;
      status = engine_->commit(0);
    }
    MR_ASSERT(status.is_ok());
  }
  void fill() {
    const std::string value(kValueBytes, 'v');
    std::vector<SharedBytes> payloads;
    for (uint64_t n = 0; n < kKeys; ++n) {
      payloads.push_back(encode_put(key_of(n), value));
      if (payloads.size() == 1'000) {
        turn(payloads);
        payloads.clear();
      }
    }
    MR_ASSERT(engine_->flush().is_ok());
  }
  KvStateMachine& machine() { return *machine_; }
  double stalls() const { return static_cast<double>(stalls_); }

 private:
  std::string directory_;
  std::unique_ptr<KvEngine> engine_;
  std::unique_ptr<KvStateMachine> machine_;
  std::vector<Command> commands_;
  std::vector<ApplyResult> results_;
  uint64_t stalls_ = 0;
};

void BM_Put(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  const auto batch = static_cast<size_t>(state.range(1));
  Prng random(1);
  const std::string value(kValueBytes, 'v');
  std::vector<SharedBytes> payloads(batch);
  for (auto _ : state) {
    for (auto& payload : payloads) payload = encode_put(key_of(random.below(kKeys)), value);
    fixture.turn(payloads);
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["stalls"] = fixture.stalls();
}
BENCHMARK(BM_Put)->ArgNames({"rocks", "batch"})->ArgsProduct({{0, 1}, {1, 16, 256}});

void BM_Delete(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  fixture.fill();
  Prng random(1);
  std::vector<SharedBytes> payloads(64);
  for (auto _ : state) {
    for (auto& payload : payloads) payload = encode_delete(key_of(random.below(kKeys)));
    fixture.turn(payloads);
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(BM_Delete)->ArgName("rocks")->Arg(0)->Arg(1);

void BM_Get(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  fixture.fill();
  Prng random(1);
  for (auto _ : state) {
    auto value = fixture.machine().get(key_of(random.below(kKeys)));
    MR_ASSERT(value.is_ok() && value->has_value());
    benchmark::DoNotOptimize(value);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Get)->ArgName("rocks")->Arg(0)->Arg(1);

void BM_GetMissing(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  fixture.fill();
  Prng random(1);
  for (auto _ : state) {
    auto value = fixture.machine().get(key_of(kKeys + random.below(kKeys)));
    MR_ASSERT(value.is_ok() && !value->has_value());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_GetMissing)->ArgName("rocks")->Arg(0)->Arg(1);

void BM_Hash(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  fixture.fill();
  for (auto _ : state) benchmark::DoNotOptimize(fixture.machine().hash());
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kKeys));
}
BENCHMARK(BM_Hash)->ArgName("rocks")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_TakeSnapshot(benchmark::State& state) {
  Fixture fixture(state.range(0) == 1);
  fixture.fill();
  for (auto _ : state) benchmark::DoNotOptimize(fixture.machine().snapshot());
}
BENCHMARK(BM_TakeSnapshot)->ArgName("rocks")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace multiraft::kv
