// How much log the groups of a worker keep together (log_retention.h).

#include <algorithm>

#include "base/coverage.h"
#include "host/log_retention.h"
#include "host/worker.h"

namespace multiraft::host {
namespace {

/// Cuts wait for states to become durable: asking more often would not make that faster.
constexpr int64_t kCutIntervalNs = env::kSecond;

}  // namespace

void Worker::watch_log() {
  const LogRetentionLimits& limits = options_.log_retention;
  // A part of the groups with every tick, so that each one's turn comes once in idle_ns.
  const auto ticks =
      static_cast<size_t>(std::max<int64_t>(limits.idle_ns / options_.heartbeat_ns, 1));
  for (size_t n = (in_order_.size() + ticks - 1) / ticks; n > 0; --n) {
    if (next_to_trim_ >= in_order_.size()) next_to_trim_ = 0;
    in_order_[next_to_trim_++]->trim_if_idle();
  }
  const log::LogRetained kept = log_->retained();
  if (kept.entries <= limits.entries && kept.bytes <= limits.bytes) return;
  if (now() < no_log_cut_before_) return;
  no_log_cut_before_ = now() + kCutIntervalNs;
  MR_COVERAGE("worker keeps too much log");
  std::vector<LogTail> tails;
  tails.reserve(in_order_.size());
  for (const Replica* group : in_order_) tails.push_back(group->log_tail());
  for (GroupId id : groups_to_cut(limits, std::move(tails))) group(id)->cut_for_room();
}

}  // namespace multiraft::host
