#pragma once
// The groups of a worker that are to elect a leader, a bounded number at a time (trap 48).

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "env/clock.h"
#include "multiraft/types.h"

namespace multiraft::host {

class CampaignQueue {
 public:
  static constexpr size_t kUnderWayMax = 64;
  struct Entry {
    GroupId group;
    ReplicaId replica;
  };

  /// A campaign that has come to nothing for so long does not hold up others.
  explicit CampaignQueue(int64_t patience_ns) : patience_ns_(patience_ns) {}

  /// `busy`: clients wait for the group; it goes before those for which nobody does.
  void add(Entry entry, bool busy) { (busy ? busy_ : quiet_).push_back(entry); }
  /// The next one that may begin; its campaign is under way then until ended().
  std::optional<Entry> next(env::MonotonicTime now);
  /// The group has a leader, or has given up. No effect where none was under way.
  void ended(GroupId group) { under_way_.erase(group.value); }
  bool empty() const { return busy_.empty() && quiet_.empty(); }

 private:
  const int64_t patience_ns_;
  std::deque<Entry> busy_;
  std::deque<Entry> quiet_;
  absl::flat_hash_map<uint64_t, env::MonotonicTime> under_way_;  ///< Since when.
};

}  // namespace multiraft::host
