#pragma once
// For the tests of the log: a log on a simulated machine, and a model of what it has to hold.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/sim/sim_environment.h"
#include "log/log.h"

namespace multiraft::log {

/// What a log holds, in the simplest form.
struct ModelGroup {
  ReplicaId replica;
  raft::HardState hard_state;
  raft::Snapshot mark;
  std::optional<raft::Snapshot> announced;
  std::map<uint64_t, raft::Entry> entries;

  uint64_t last_index() const {
    return entries.empty() ? mark.index.value : entries.rbegin()->first;
  }
  friend bool operator==(const ModelGroup&, const ModelGroup&) = default;
};
using Model = std::map<uint64_t, ModelGroup>;

void model_append(ModelGroup& group, const GroupAppend& append);
void model_compact(ModelGroup& group, const raft::Snapshot& mark);
void model_announce(ModelGroup& group, const raft::Snapshot& snapshot);

/// Everything the log says it holds; an error where it cannot be read.
Result<Model> read_model(Log& log);
/// Empty if they agree, else the first difference in words.
std::string difference(const Model& expected, const Model& actual);

raft::Snapshot snapshot_at(uint64_t index, uint64_t term);
/// Entries [first, first + count) with data that tells index and term.
std::vector<raft::Entry> make_entries(uint64_t first, uint64_t count, uint64_t term,
                                      size_t data_bytes = 40);

/// A log on a machine of its own.
class LogHarness {
 public:
  explicit LogHarness(uint64_t seed = 1);
  ~LogHarness();

  /// Kept for reopening.
  LogOptions options;

  Status open();
  /// Ends the process without a word and restarts on what a power loss leaves.
  Status crash_and_open(env::CrashMode mode, uint64_t seed = 1);
  void close();

  /// As Log::stage, and the model follows. Returns a number for is_durable().
  size_t append(GroupId group, const GroupAppend& append);
  size_t append(uint64_t group, uint64_t first, uint64_t count, uint64_t term,
                size_t data_bytes = 40);
  size_t save_state(uint64_t group, const raft::HardState& state, bool must_sync = true);
  size_t install(uint64_t group, const raft::Snapshot& snapshot);
  void create(uint64_t group, uint64_t replica = 1, const raft::Snapshot& mark = {});
  void remove(uint64_t group);
  void compact(uint64_t group, uint64_t index);
  void announce(uint64_t group, const raft::Snapshot& snapshot);
  void flush_and_run();
  /// flush() and all that follows, an idle time included.
  void settle();
  bool is_durable(size_t number) const { return number <= durable_; }

  Log& log() { return *log_; }
  GroupLog& group(uint64_t id) { return *log_->group(GroupId(id)); }
  env::SimEnvironment& env() { return *env_; }
  const Status& fatal() const { return fatal_; }
  Model& model() { return model_; }
  /// Compares the log with the model; empty if they agree.
  std::string check();
  std::vector<std::string> segment_files();

 private:
  Callback<void()> count_durable();

  std::unique_ptr<env::SimEnvironment> env_;
  std::unique_ptr<env::Executor> owner_;
  std::unique_ptr<Log> log_;
  Status fatal_;
  Model model_;
  size_t staged_ = 0;
  size_t durable_ = 0;
};

}  // namespace multiraft::log
