#pragma once
// How much one turn of a worker proposes, so that a group with a great deal to do does not make all
// others wait: what is left is the next turn's, where groups take turns. How much is applied at a
// time is up to engine_lane.h.

#include <algorithm>
#include <cstddef>

#include "base/limits.h"

namespace multiraft::host {

/// In bytes of commands. On the worker's thread only.
class TurnBudget {
 public:
  void begin_turn() { *this = TurnBudget(); }
  /// How much a group may propose in this turn; 0: nothing.
  size_t proposals() const {
    return std::min(proposals_, limits::kProposalBytesPerGroupAndTurnMax);
  }
  /// A single write may exceed what was left.
  void proposed(size_t bytes) { proposals_ -= std::min(proposals_, bytes); }

 private:
  size_t proposals_ = limits::kProposalBytesPerTurnMax;
};

}  // namespace multiraft::host
