#include "server/process_watch.h"

#include <algorithm>
#include <utility>

#include "env/posix/process.h"
#include "registry/types.h"
#include "server/logging.h"

namespace multiraft::server {
namespace {

constexpr int64_t kPollNs = env::kSecond;
constexpr uint64_t kAlarmPercent = 80;
constexpr uint64_t kQuietPercent = 70;

}  // namespace

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

service::LeaderGauge ProcessWatch::leaders() const {
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
  host_.status(registry::kRegistryGroup, *thread_, [this](Result<host::ReplicaStatus> registry) {
    // A node without a replica of group 0 cannot tell; its own groups can.
    const bool hosted = registry.is_ok();
    const bool led = !hosted || registry->raft.soft_state.leader != raft::kNoReplica;
    host_.stats(*thread_, [this, hosted, led](const host::HostStats& stats) {
      asking_ = false;
      service::LeaderGauge::UserGroups groups;
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
