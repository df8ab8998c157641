#pragma once
// What this process knows of every node's past: how often it was started, and how far the logs of
// its workers were durable. A node that starts with less than it has announced lost what it
// promised: its state directory is an older copy, and it must not vote
// (docs/adr/0010-state-rollback.md).

#include <absl/container/flat_hash_map.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "wire/boot_record.h"
#include "wire/handshake.h"

namespace multiraft::nodes {

/// Why the one who says this hello is older than what is known of it; empty where it is not. All
/// that was announced by its own process, and by those before it, is covered by what it recovered.
std::string why_older(const wire::Hello& hello, const wire::BootRecord& known);

/// One per process. Any thread.
class BootTable {
 public:
  /// One node with one state directory. Told of by the connections from it, for each frame: no
  /// lock.
  class Entry {
   public:
    /// The log of that worker of the node is durable up to `sequence`.
    void told(uint32_t worker, uint64_t sequence);

   private:
    friend class BootTable;
    /// What another node said.
    struct Report {
      NodeId teller;
      wire::BootRecord life;
    };

    explicit Entry(const std::atomic<uint64_t>& clock) : clock_(clock) {}
    void changed() {
      changed_at_.store(clock_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }

    const std::atomic<uint64_t>& clock_;  ///< The table's.
    std::atomic<uint64_t> changed_at_{0};
    std::array<Report, 2> reports;
    StateDirId state;
    uint64_t number = 0;
    uint64_t incarnation = 0;
    /// Of several connections' threads. Only grows.
    std::array<std::atomic<uint64_t>, wire::kWorkersMax> durable{};
  };

  explicit BootTable(NodeId self) : self_(self) {}

  /// Ok, or kStateRollback and in `known` what speaks against the one who says this hello.
  Status judge(const wire::Hello& hello, wire::BootRecord& known) const;
  /// It was welcome. Whether it is another process than the one that was known.
  bool note(const wire::Hello& hello);
  /// What this node knew before it was started. As note().
  bool learn(const wire::BootRecord& life);
  /// What another node says of a third one. Counts once a second node says the same, where there is
  /// one that could; then so much as both say. As note().
  bool learn_from(NodeId teller, const wire::BootRecord& life);
  /// Null where the node is not known, or says nothing of its state directory.
  std::shared_ptr<Entry> find(NodeId node, const StateDirId& state) const;
  /// All but `except`, for others to learn.
  std::vector<wire::BootRecord> all(NodeId except = {}) const;
  /// As all(), but only what has changed since the call that returned `position`, which is moved
  /// on. 0: from the beginning.
  std::vector<wire::BootRecord> changes(NodeId except, uint64_t& position);
  /// It left the cluster for good.
  void forget(NodeId node);

 private:
  /// Of one node, the newest at the end: an emptied state directory is another one.
  using States = std::vector<std::shared_ptr<Entry>>;

  Entry* find_locked(NodeId node, const StateDirId& state) const MR_REQUIRES(mutex_);
  Entry* find_or_add(NodeId node, const StateDirId& state) MR_REQUIRES(mutex_);
  wire::BootRecord life_of(NodeId node, const Entry& entry) const MR_REQUIRES(mutex_);
  bool take(Entry& entry, const wire::BootRecord& life) MR_REQUIRES(mutex_);

  /// Counts calls of changes(): what changes is stamped with it.
  std::atomic<uint64_t> clock_{1};
  const NodeId self_;
  mutable Mutex mutex_;
  absl::flat_hash_map<uint64_t, States> nodes_ MR_GUARDED_BY(mutex_);
};

}  // namespace multiraft::nodes
