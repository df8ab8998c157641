#include "host/campaign_queue.h"

#include "base/coverage.h"

namespace multiraft::host {

std::optional<CampaignQueue::Entry> CampaignQueue::next(env::MonotonicTime now) {
  std::deque<Entry>& from = busy_.empty() ? quiet_ : busy_;
  if (from.empty()) return std::nullopt;
  if (under_way_.size() >= kUnderWayMax) {
    MR_COVERAGE("campaign waits for others");
    absl::erase_if(under_way_, [&](const auto& one) { return now - one.second > patience_ns_; });
    if (under_way_.size() >= kUnderWayMax) return std::nullopt;
  }
  const Entry entry = from.front();
  from.pop_front();
  under_way_[entry.group.value] = now;
  return entry;
}

}  // namespace multiraft::host
