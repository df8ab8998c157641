#include <utility>

#include "base/assert.h"
#include "raft/core.h"

namespace multiraft::raft {

bool Core::has_ready() const {
  const Unstable& unstable = log_.unstable();
  return !messages_.empty() || !after_append_.empty() || !read_states_.empty() ||
         soft_state() != reported_soft_state_ || hard_state() != reported_hard_state_ ||
         unstable.has_next_snapshot() || !unstable.next_entries().empty() ||
         log_.has_next_committed(!config_.async_storage_writes);
}

Ready Core::ready() {
  Ready rd;
  if (soft_state() != reported_soft_state_) {
    reported_soft_state_ = soft_state();
    rd.soft_state = reported_soft_state_;
  }
  rd.read_states = std::exchange(read_states_, {});
  rd.messages = std::exchange(messages_, {});
  rd.append = take_append();
  rd.apply = take_apply();
  if (!config_.async_storage_writes) {
    keep_for_advance(rd.append ? &*rd.append : nullptr, rd.apply ? &*rd.apply : nullptr);
    for (Message& message : std::exchange(after_append_, {})) {
      if (message.to != id()) rd.messages.push_back(std::move(message));
    }
  }
  // These heartbeats leave now; who asks to read later needs newer ones.
  if (LeaderRole* leader = leading()) leader->reads.open = false;
  return rd;
}

std::optional<StorageAppend> Core::take_append() {
  const Unstable& unstable = log_.unstable();
  StorageAppend append;
  const HardState hard = hard_state();
  if (hard != reported_hard_state_) {
    append.must_sync =
        hard.term != reported_hard_state_.term || hard.vote != reported_hard_state_.vote;
    append.hard_state = hard;
    reported_hard_state_ = hard;
  }
  if (unstable.has_next_snapshot()) append.snapshot = unstable.snapshot();
  const auto entries = unstable.next_entries();
  append.entries.assign(entries.begin(), entries.end());
  append.must_sync = append.must_sync || append.snapshot || !append.entries.empty();

  const bool async = config_.async_storage_writes;
  const bool any = append.hard_state || append.snapshot || !append.entries.empty() ||
                   (async && !after_append_.empty());
  if (!any) return std::nullopt;
  if (async) {
    append.responses = std::exchange(after_append_, {});
    if (!unstable.empty() || append.snapshot) {
      append.responses.push_back(append_response(append.snapshot));
    }
  }
  log_.accept_unstable();
  return append;
}

std::optional<StorageApply> Core::take_apply() {
  const bool allow_unstable = !config_.async_storage_writes;
  StorageApply apply;
  apply.entries = log_.next_committed(allow_unstable);
  if (apply.entries.empty()) return std::nullopt;
  log_.accept_applying(apply.entries, allow_unstable);
  if (config_.async_storage_writes) apply.responses.push_back(apply_response(apply.entries));
  return apply;
}

Message Core::append_response(const std::shared_ptr<const Snapshot>& snapshot) const {
  // It names the end of the whole tail, not of what this write holds: writes complete in order, so
  // the last of them confirms everything, and a response that was ignored because the term changed
  // in between does not leave the tail unconfirmed for ever.
  Message response;
  response.type = MessageType::kStorageAppendResp;
  response.from = kLocalAppend;
  response.to = id();
  response.term = term_;
  if (!log_.unstable().empty()) {
    const LogPosition last = log_.last();
    response.index = last.index;
    response.log_term = last.term;
  }
  response.snapshot = snapshot;
  return response;
}

Message Core::apply_response(const std::vector<Entry>& entries) const {
  Message response;
  response.type = MessageType::kStorageApplyResp;
  response.from = kLocalApply;
  response.to = id();
  response.index = entries.back().index;
  return response;
}

void Core::keep_for_advance(const StorageAppend* append, const StorageApply* apply) {
  MR_ASSERT_MSG(on_advance_.empty(), "advance() was not called after the last Ready");
  for (const Message& message : after_append_) {
    if (message.to == id()) on_advance_.push_back(message);
  }
  const auto snapshot = append != nullptr ? append->snapshot : nullptr;
  if (!log_.unstable().empty() || snapshot) on_advance_.push_back(append_response(snapshot));
  if (apply != nullptr) on_advance_.push_back(apply_response(apply->entries));
}

void Core::advance() {
  MR_ASSERT(!config_.async_storage_writes);
  for (Message& message : std::exchange(on_advance_, {})) {
    // A vote or an acknowledgement of its own; any outcome is fine.
    (void)step_checked(std::move(message));
  }
}

RaftStatus Core::status() const {
  RaftStatus status;
  status.id = id();
  status.soft_state = soft_state();
  status.hard_state = hard_state();
  status.applied_index = log_.applied();
  status.conf_state = conf_;
  if (const LeaderRole* leader = leader_role()) {
    status.transfer_target = leader->transfer_target;
    for (const Progress& member : leader->progress) status.members.push_back(describe(member));
  }
  return status;
}

}  // namespace multiraft::raft
