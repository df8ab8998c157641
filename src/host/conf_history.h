#pragma once
// Which configuration holds at which index, from the log's mark up to what is applied. A snapshot
// or a mark of the log says the configuration at its own index, which is older than the core's.

#include <utility>
#include <vector>

#include "multiraft/status.h"
#include "multiraft/types.h"
#include "raft/conf_change.h"
#include "raft/types.h"

namespace multiraft::host {

/// Of one replica, on its worker's thread. Not durable: the log's mark and its entries tell it
/// again.
class ConfHistory {
 public:
  /// All that is known is that `state` holds at `index`.
  void reset(LogIndex index, raft::ConfState state);
  /// The entry at `index` holds this change. What follows from it depends on the configuration
  /// before, and on nothing that the core may know by now. An error: the change is not allowed
  /// there, and changes nothing.
  Status apply(LogIndex index, const raft::ConfChange& change);
  /// `index` is not before the first.
  const raft::ConfState& at(LogIndex index) const;
  const raft::ConfState& latest() const { return steps_.back().second; }
  /// Nobody will ask for what lies before `index`.
  void forget_before(LogIndex index);

 private:
  /// (index, configuration from there on), ascending.
  std::vector<std::pair<LogIndex, raft::ConfState>> steps_;
};

}  // namespace multiraft::host
