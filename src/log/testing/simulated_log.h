#pragma once
// For the tests of the log: a log on a simulated machine, and a model of what it has to hold.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "env/sim/sim_environment.h"
#include "log/log.h"
#include "log/testing/killable_env.h"

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

Status read_group(GroupLog& group, ModelGroup& read);
/// Everything the log says it holds; an error where it cannot be read.
Result<Model> read_model(Log& log);
/// Empty if they agree, else the first difference in words.
std::string difference(const Model& expected, const Model& actual);

raft::Snapshot snapshot_at(uint64_t index, uint64_t term);
/// Entries [first, first + count) with data that tells index and term.
std::vector<raft::Entry> make_entries(uint64_t first, uint64_t count, uint64_t term,
                                      size_t data_bytes = 40);

/// The same with their checksums, as the log wants them.
std::vector<raft::Entry> sealed(GroupId group, std::span<const raft::Entry> entries);

/// A log on a machine of its own. Operations on a log that is not open, has failed or whose machine
/// has crashed have no effect, so that a scenario can be cut off anywhere.
class LogHarness {
 public:
  explicit LogHarness(uint64_t seed = 1);
  ~LogHarness();

  /// Kept for reopening.
  LogOptions options;

  Status open();
  /// Without reading everything that is there.
  Status open_unchecked();
  /// Ends the process without a word; the disk becomes what a power loss leaves of it.
  void crash(env::CrashMode mode, uint64_t seed = 1);
  /// crash(), and the restart.
  Status crash_and_open(env::CrashMode mode, uint64_t seed = 1);
  /// Ends the process without a word and restarts on the same running machine: what was written and
  /// not synced is still seen, and still volatile.
  Status kill_and_open();
  /// The next process lives for so many operations on the disk.
  void kill_after(uint64_t operations) { kill_after_ = operations; }
  uint64_t operations() { return process_->kill_switch().operations; }
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
  /// Asks for entries until they are in memory, or until the log has failed.
  Result<std::vector<raft::Entry>> read(uint64_t group, uint64_t low, uint64_t high);
  env::SimEnvironment& env() { return *env_; }
  const Status& fatal() const { return fatal_; }
  Model& model() { return model_; }
  bool alive() const;
  /// Compares the log with the model; empty if they agree.
  std::string check();
  /// After a crash: the log has to hold what the model held after some operation, at least the last
  /// one that was reported durable. The model becomes that state. Empty, or what is wrong.
  std::string check_prefix();
  /// Empty if the model was in this state at some time since start_history().
  std::string differs_from_history(const Model& state) const;
  /// From now on the model is remembered after each operation.
  void start_history();
  std::vector<std::string> segment_files();

 private:
  Status compare_with_full_scan();
  Callback<void()> count_durable();
  void note();

  std::unique_ptr<env::SimEnvironment> env_;
  std::unique_ptr<KillableEnvironment> process_;
  std::unique_ptr<env::Executor> owner_;
  std::unique_ptr<Log> log_;
  uint64_t kill_after_ = std::numeric_limits<uint64_t>::max();
  Status fatal_;
  Model model_;
  size_t staged_ = 0;
  size_t durable_ = 0;
  bool keep_history_ = false;
  std::vector<Model> history_;
  size_t durable_history_ = 0;  ///< Index in history_.
};

}  // namespace multiraft::log
