#include "service/leader_gauge.h"

namespace multiraft::service {
namespace {

constexpr uint32_t kLooks = 2;

}  // namespace

void LeaderGauge::update(bool registry_has_leader, const UserGroups& groups) {
  user_groups_ = groups;
  looks_without_registry_ = registry_has_leader ? 0 : looks_without_registry_ + 1;
  const bool none = groups.all > 0 && groups.leaderless == groups.all;
  looks_without_groups_ = none ? looks_without_groups_ + 1 : 0;
}

LeaderGauge::Verdict LeaderGauge::registry() const {
  if (looks_without_registry_ < kLooks) return {};
  return {false,
          "group 0, the cluster's registry, has no leader: a majority of its voters is down"};
}

LeaderGauge::Verdict LeaderGauge::groups() const {
  const auto count = [this](uint64_t part) {
    return std::to_string(part) + " of " + std::to_string(user_groups_.all) +
           " groups on this node ";
  };
  if (2 * user_groups_.unfilled > user_groups_.all) {
    return {false, count(user_groups_.unfilled) + "wait for their state to arrive"};
  }
  const std::string leaderless = count(user_groups_.leaderless) + "know no leader";
  if (looks_without_groups_ >= kLooks) return {false, leaderless};
  if (user_groups_.leaderless > 0) return {true, leaderless};
  if (user_groups_.unfilled > 0) {
    return {true, count(user_groups_.unfilled) + "wait for their state to arrive"};
  }
  return {};
}

}  // namespace multiraft::service
