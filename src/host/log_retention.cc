#include "host/log_retention.h"

#include <algorithm>

namespace multiraft::host {

std::vector<GroupId> groups_to_cut(const LogRetentionLimits& limits, std::vector<LogTail> tails) {
  uint64_t entries = 0;
  uint64_t bytes = 0;
  for (const LogTail& tail : tails) {
    entries += tail.entries;
    bytes += tail.bytes;
  }
  if (entries <= limits.entries && bytes <= limits.bytes) return {};
  const uint64_t entries_target = limits.entries - limits.entries / 8;
  const uint64_t bytes_target = limits.bytes - limits.bytes / 8;
  // Shares of both limits: a group that keeps much of either is worth cutting.
  const auto share = [&](const LogTail& tail) {
    return std::max(
        static_cast<double>(tail.entries) /
            static_cast<double>(std::max<uint64_t>(limits.entries, 1)),
        static_cast<double>(tail.bytes) / static_cast<double>(std::max<uint64_t>(limits.bytes, 1)));
  };
  std::sort(tails.begin(), tails.end(), [&](const LogTail& a, const LogTail& b) {
    const double share_a = share(a);
    const double share_b = share(b);
    return share_a != share_b ? share_a > share_b : a.group < b.group;
  });
  std::vector<GroupId> groups;
  for (const LogTail& tail : tails) {
    if (entries <= entries_target && bytes <= bytes_target) break;
    if (tail.entries == 0) break;
    groups.push_back(tail.group);
    entries -= tail.entries;
    bytes -= tail.bytes;
  }
  return groups;
}

}  // namespace multiraft::host
