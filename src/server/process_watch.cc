#include "server/process_watch.h"

#include <algorithm>
#include <utility>

#include "env/posix/process.h"
#include "meta/registry_types.h"
#include "server/logging.h"

namespace multiraft::server {
namespace {

constexpr int64_t kPollNs = env::kSecond;
constexpr uint32_t kLooks = 2;
constexpr uint64_t kAlarmPercent = 80;
constexpr uint64_t kQuietPercent = 70;

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

bool DescriptorAlarm::update(uint64_t used, uint64_t limit) {
  if (raised_) {
    raised_ = used * 100 >= limit * kQuietPercent;
    return false;
  }
  raised_ = used * 100 >= limit * kAlarmPercent;
  return raised_;
}

ProcessWatch::ProcessWatch(env::Environment& env, host::NodeHost& host)
    : env_(env), host_(host), thread_(env.start_executor("watch")) {
  thread_->post([this] { poll(); });
}

ProcessWatch::~ProcessWatch() { stop(); }

void ProcessWatch::stop() {
  thread_->post([this] { stopped_ = true; });
  thread_->stop();
}

LeaderGauge ProcessWatch::leaders() const {
  MutexLock lock(mutex_);
  return leaders_;
}

void ProcessWatch::poll() {
  if (stopped_) return;
  look_at_descriptors();
  if (!std::exchange(asking_, true)) look_at_leaders();
  thread_->run_at(env_.clock().now() + kPollNs, [this] { poll(); });
}

void ProcessWatch::look_at_leaders() {
  host_.status(meta::kRegistryGroup, *thread_, [this](Result<host::ReplicaStatus> registry) {
    // A node without a replica of group 0 cannot tell; its own groups can.
    const bool hosted = registry.is_ok();
    const bool led = !hosted || registry->raft.soft_state.leader != raft::kNoReplica;
    host_.stats(*thread_, [this, hosted, led](const host::HostStats& stats) {
      asking_ = false;
      LeaderGauge::UserGroups groups;
      groups.all = stats.groups - std::min<uint64_t>(stats.groups, hosted ? 1 : 0);
      groups.leaderless =
          std::min(groups.all, stats.groups_without_leader -
                                   std::min<uint64_t>(stats.groups_without_leader, led ? 0 : 1));
      groups.unfilled = std::min(groups.all, stats.groups_unfilled);
      MutexLock lock(mutex_);
      leaders_.update(led, groups);
    });
  });
}

void ProcessWatch::look_at_descriptors() {
  const uint64_t limit = env::open_files_max();
  const uint64_t used = env::open_files();
  if (!descriptors_.update(used, limit)) return;
  log_event(Severity::kWarn, "file descriptors run out",
            {{"used", std::to_string(used)},
             {"limit", std::to_string(limit)},
             {"advice", "raise the limit of open files (ulimit -n, LimitNOFILE)"}});
}

}  // namespace multiraft::server
