#include "host/engine_lane.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "base/limits.h"
#include "host/replica.h"

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

void EngineLane::add(Replica& group) {
  if (group.waiting_to_apply || group.applying) return;
  group.waiting_to_apply = true;
  waiting_.push_back(&group);
}

void EngineLane::forget(const Replica& group) {
  for (std::vector<Replica*>* list : {&waiting_, &applied_}) {
    std::erase_if(*list, [&](const Replica* listed) { return listed == &group; });
  }
  for (Replica*& listed : finishing_) {
    if (listed == &group) listed = nullptr;
  }
  read_ended(group);
}

void EngineLane::read_began(const Replica& group, env::MonotonicTime now) {
  reads_.push_back({&group, now});
}

void EngineLane::read_ended(const Replica& group) {
  std::erase_if(reads_, [&](const Reading& read) { return read.group == &group; });
}

Status EngineLane::run(env::MonotonicTime now, size_t& bytes_left) {
  if (refusing()) return now < retry_at_ ? Status::ok() : commit(now);
  if (!waiting_.empty() && bytes_left > 0) {
    bytes_left -= apply_piece(std::min(bytes_left, limits::kApplyBytesPerCommit));
  }
  return uncommitted_ ? commit(now) : Status::ok();
}

size_t EngineLane::apply_piece(size_t bytes_max) {
  size_t bytes_left = bytes_max;
  size_t taken = 0;
  for (; taken < waiting_.size() && bytes_left > 0; ++taken) {
    Replica* group = waiting_[taken];
    group->waiting_to_apply = false;
    group->applying = true;
    applied_.push_back(group);
    group->apply(bytes_left);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  uncommitted_ = true;
  return bytes_max - bytes_left;
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
    refusal_ = Status::ok();
    resumed_ = true;
  }
  finish();
  return Status::ok();
}

void EngineLane::finish() {
  finishing_ = std::exchange(applied_, {});
  for (Replica* group : finishing_) group->applying = false;
  // Answers may end replicas of this list.
  for (size_t i = 0; i < finishing_.size(); ++i) {  // NOLINT(modernize-loop-convert)
    if (finishing_[i] != nullptr) finishing_[i]->finish_apply();
  }
  for (Replica* group : finishing_) {
    if (group != nullptr && group->begin_apply()) add(*group);
  }
  finishing_.clear();
}

bool EngineLane::take_resumed() { return std::exchange(resumed_, false); }

DiskStallDetector::Change EngineLane::watch(env::MonotonicTime now) {
  return stall_.update(waiting_since(), now);
}

std::optional<env::MonotonicTime> EngineLane::waiting_since() const {
  if (reads_.empty()) return refused_since_;
  const env::MonotonicTime read = reads_.front().since;
  return refused_since_ && *refused_since_ < read ? refused_since_ : read;
}

bool EngineLane::stall_lasts() const {
  return stall_.stalled() && stall_.lasted_ns() > kPatience * options_.stall_ns;
}

}  // namespace multiraft::host
