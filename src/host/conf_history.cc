#include "host/conf_history.h"

#include <algorithm>

#include "base/assert.h"

namespace multiraft::host {

void ConfHistory::reset(LogIndex index, raft::ConfState state) {
  steps_.assign(1, {index, std::move(state)});
}

Status ConfHistory::apply(LogIndex index, const raft::ConfChange& change) {
  MR_ASSERT(!steps_.empty() && steps_.back().first < index);
  auto state = raft::next_conf_state(latest(), change);
  if (!state) return state.status();
  steps_.emplace_back(index, std::move(*state));
  return Status::ok();
}

const raft::ConfState& ConfHistory::at(LogIndex index) const {
  auto after = std::find_if(steps_.begin(), steps_.end(),
                            [&](const auto& step) { return step.first > index; });
  MR_ASSERT(after != steps_.begin());
  return std::prev(after)->second;
}

void ConfHistory::forget_before(LogIndex index) {
  auto after = std::find_if(steps_.begin(), steps_.end(),
                            [&](const auto& step) { return step.first > index; });
  if (after != steps_.begin()) steps_.erase(steps_.begin(), std::prev(after));
}

}  // namespace multiraft::host
