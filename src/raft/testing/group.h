#pragma once
// A group in memory for directed tests. A test decides which writes complete, which entries are
// applied and which messages arrive; every step is checked against the invariants.

#include <deque>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/invariants.h"
#include "raft/raft.h"
#include "raft/testing/memory_storage.h"
#include "raft/testing/tick_lease.h"

namespace multiraft::raft {

/// How GoogleTest shows a configuration.
void PrintTo(const ConfState& conf, std::ostream* out);

namespace testing {

/// `for (uint64_t id : Ids{1, 2})`
using Ids = std::initializer_list<uint64_t>;

/// Timeouts of 10 and 1 ticks; pre-vote and check-quorum off, so that a test turns on what it is
/// about.
Config test_config(uint64_t id);
ConfState conf_of(std::vector<uint64_t> voters, std::vector<uint64_t> learners = {});
SharedBytes bytes(std::string_view text);
ConfChange change_of(std::vector<ConfChangeSingle> changes,
                     ConfChangeTransition transition = ConfChangeTransition::kAuto);

/// One replica with its storage, its local work and what came out of it.
class Replica final : private Logger {
 public:
  /// From what `storage` holds; config.applied is what the state machine has.
  Replica(Config config, std::unique_ptr<MemoryStorage> storage);
  /// An empty log among `conf`.
  Replica(Config config, const ConfState& conf);

  Raft* operator->() { return core_.get(); }
  Raft& core() { return *core_; }
  ReplicaId id() const { return config_.id; }
  Config& config() { return config_; }
  MemoryStorage& storage() { return *storage_; }

  /// Takes Readys until there is none, and does the local work unless it is held.
  void pump();
  /// Does the oldest of the held work, and pumps.
  void complete_append();
  void complete_apply();
  /// step() and pump().
  Status receive(Message message);
  /// tick() `count` times, pumping in between.
  void tick(uint32_t count = 1);
  void tick_once();  ///< Without pump().
  /// Everything that is not durable or applied is lost.
  void restart();
  std::vector<Message> take_sent() { return std::exchange(sent, {}); }
  std::vector<Message> take_sent(MessageType type);
  bool logged(std::string_view text) const;
  Entry entry(uint64_t index);

  bool hold_appends = false;
  bool hold_applies = false;
  std::deque<StorageAppend> appends;
  std::deque<StorageApply> applies;
  std::vector<Message> sent;
  std::vector<Entry> applied;
  std::vector<ReadState> reads;
  std::vector<std::string> lines;
  GroupInvariants* group_invariants = nullptr;

 private:
  bool enabled(LogLevel) const override { return true; }
  void log(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  void start();
  void check();
  void respond(std::vector<Message> responses);

  Config config_;
  TickLease lease_;  ///< Consulted where the configuration makes promises.
  std::unique_ptr<MemoryStorage> storage_;
  std::unique_ptr<Raft> core_;
  ConfState applied_conf_;
};

/// Replicas 1..n and the network between them.
class Group {
 public:
  using Tune = std::function<void(Config&)>;
  explicit Group(const ConfState& conf, const Tune& tune = {});
  explicit Group(uint64_t voters, const Tune& tune = {});

  Replica& operator[](uint64_t id) { return *replicas_.at(id - 1); }
  size_t size() const { return replicas_.size(); }
  /// A replica with an empty log and no configuration.
  Replica& add_blank(const Tune& tune = {});

  /// Pumps and delivers until nothing moves.
  void settle();
  void elect(uint64_t id);
  /// At the leader; settles.
  void propose(uint64_t id, std::string_view data);
  void change(uint64_t id, const ConfChange& change);
  /// Everyone, `count` times, settling in between.
  void tick(uint32_t count = 1);
  void isolate(uint64_t id) { isolated_.insert(id); }
  void heal() { isolated_.clear(); }
  /// Messages for which it answers true are lost.
  std::function<bool(const Message&)> lose;
  GroupInvariants invariants;

 private:
  bool lost(const Message& message) const;

  std::vector<std::unique_ptr<Replica>> replicas_;
  std::set<uint64_t> isolated_;
};

}  // namespace testing
}  // namespace multiraft::raft
