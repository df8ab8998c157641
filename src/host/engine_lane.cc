#include "host/engine_lane.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "base/limits.h"
#include "host/group.h"

namespace multiraft::host {
namespace {

/// In election timeouts. A short stall is bridged: what waits is done a little later.
constexpr int64_t kPatience = 3;

bool is_refusal(const Status& status) {
  return status.code() == StatusCode::kOverloaded || status.code() == StatusCode::kNoSpace;
}

}  // namespace

EngineLane::EngineLane(StateMachineEngine& engine, const Options& options)
    : engine_(engine),
      options_(options),
      retry_ns_(options.retry_min_ns),
      stall_(options.stall_ns) {}

void EngineLane::add(Group& group) {
  if (group.waiting_to_apply || group.applying) return;
  group.waiting_to_apply = true;
  waiting_.push_back(&group);
}

void EngineLane::forget(const Group& group) {
  for (std::vector<Group*>* list : {&waiting_, &applied_}) {
    std::erase_if(*list, [&](const Group* listed) { return listed == &group; });
  }
  for (Group*& listed : finishing_) {
    if (listed == &group) listed = nullptr;
  }
}

Status EngineLane::run(env::MonotonicTime now) {
  if (refusing()) return now < retry_at_ ? Status::ok() : commit(now);
  if (!waiting_.empty()) apply_piece();
  return uncommitted_ ? commit(now) : Status::ok();
}

void EngineLane::apply_piece() {
  size_t bytes_left = limits::kApplyBytesPerCommit;
  size_t taken = 0;
  for (; taken < waiting_.size() && bytes_left > 0; ++taken) {
    Group* group = waiting_[taken];
    group->waiting_to_apply = false;
    group->applying = true;
    applied_.push_back(group);
    group->apply(bytes_left);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  uncommitted_ = true;
}

Status EngineLane::commit(env::MonotonicTime now) {
  Status status = engine_.commit(options_.worker);
  if (is_refusal(status)) {
    MR_COVERAGE("engine refused a batch");
    if (!refused_since_) {
      refused_since_ = now;
      retry_ns_ = options_.retry_min_ns;
    }
    refusal_ = std::move(status);
    retry_at_ = now + retry_ns_;
    retry_ns_ = std::min(2 * retry_ns_, options_.retry_max_ns);
    return Status::ok();
  }
  MR_RETURN_IF_ERROR(status);
  uncommitted_ = false;
  if (refusing()) {
    refused_since_.reset();
    resumed_ = true;
  }
  finish();
  return Status::ok();
}

void EngineLane::finish() {
  finishing_ = std::exchange(applied_, {});
  for (Group* group : finishing_) group->applying = false;
  // Answers may end replicas of this list.
  for (size_t i = 0; i < finishing_.size(); ++i) {  // NOLINT(modernize-loop-convert)
    if (finishing_[i] != nullptr) finishing_[i]->finish_apply();
  }
  for (Group* group : finishing_) {
    if (group != nullptr && group->has_apply()) add(*group);
  }
  finishing_.clear();
}

bool EngineLane::take_resumed() { return std::exchange(resumed_, false); }

StallWatch::Change EngineLane::watch(env::MonotonicTime now) {
  return stall_.update(refused_since_, now);
}

bool EngineLane::stall_lasts() const {
  return stall_.stalled() && stall_.lasted_ns() > kPatience * options_.stall_ns;
}

}  // namespace multiraft::host
