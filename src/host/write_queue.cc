#include "host/write_queue.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/coverage.h"

namespace multiraft::host {
namespace {

void answer(PendingWrite& write, StatusCode code, std::string_view message) {
  WriteResult result;
  result.status = Status(code, std::string(message));
  write.done(std::move(result));
}

constexpr std::string_view kUnknownText =
    "the write was handed to replication, and its outcome is not known: read the key to find out";

}  // namespace

std::deque<PendingWrite> WriteQueue::take_waiting(size_t bytes_max, bool one_at_least) {
  size_t bytes = 0;
  auto end = waiting_.begin();
  for (; end != waiting_.end(); ++end) {
    const size_t more = end->command.size();
    const bool fits = more <= bytes_max - bytes;
    if (!fits && !(one_at_least && end == waiting_.begin())) break;
    bytes += std::min(more, bytes_max - bytes);
  }
  if (end == waiting_.end()) return take_waiting();
  std::deque<PendingWrite> taken(std::make_move_iterator(waiting_.begin()),
                                 std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return taken;
}

void WriteQueue::proposed(std::deque<PendingWrite> writes, LogIndex index, Term term) {
  for (PendingWrite& write : writes) {
    write.index = index;
    write.term = term;
    ++index;
    proposed_.push_back(std::move(write));
  }
}

void WriteQueue::lost(PendingWrite write) {
  MR_COVERAGE("write of a deposed leader certainly lost");
  if (write.forwarded) {
    answer(write, StatusCode::kNotLeader, "leadership changed before the write was replicated");
  } else {
    waiting_.push_back(std::move(write));
  }
}

bool WriteQueue::applied(LogIndex index, Term term, PendingWrite& out) {
  while (!proposed_.empty()) {
    PendingWrite& front = proposed_.front();
    if (front.index == index && front.term == term) {
      out = std::move(front);
      proposed_.pop_front();
      return true;
    }
    if (front.index > index && front.term >= term) return false;
    PendingWrite write = std::move(front);
    proposed_.pop_front();
    lost(std::move(write));
  }
  return false;
}

void WriteQueue::skipped_to(LogIndex index) {
  while (!proposed_.empty() && proposed_.front().index <= index) {
    PendingWrite write = std::move(proposed_.front());
    proposed_.pop_front();
    answer(write, StatusCode::kUnknownOutcome, kUnknownText);
  }
}

void WriteQueue::give_up_proposed(std::string_view text) {
  const std::string message = std::string(kUnknownText) + ". " + std::string(text);
  for (PendingWrite& write : std::exchange(proposed_, {})) {
    answer(write, StatusCode::kUnknownOutcome, message);
  }
}

void WriteQueue::expire(env::MonotonicTime now, std::string_view no_leader_text) {
  // Not in the order of their deadlines: a write that comes back to wait again is older than those
  // that came meanwhile.
  auto take_late = [&](std::deque<PendingWrite>& writes) {
    const auto late = [&](const PendingWrite& write) { return write.deadline <= now; };
    std::deque<PendingWrite> taken;
    if (std::none_of(writes.begin(), writes.end(), late)) return taken;
    std::deque<PendingWrite> kept;
    for (PendingWrite& write : writes) (late(write) ? taken : kept).push_back(std::move(write));
    writes = std::move(kept);
    return taken;
  };
  for (PendingWrite& write : take_late(waiting_)) {
    answer(write, write.forwarded ? StatusCode::kNotLeader : StatusCode::kUnavailable,
           no_leader_text);
  }
  for (PendingWrite& write : take_late(proposed_)) {
    answer(write, StatusCode::kUnknownOutcome, kUnknownText);
  }
}

void WriteQueue::fail_all(const Status& not_applied) {
  for (PendingWrite& write : take_waiting())
    answer(write, not_applied.code(), not_applied.message());
  for (PendingWrite& write : std::exchange(proposed_, {})) {
    answer(write, StatusCode::kUnknownOutcome, kUnknownText);
  }
}

}  // namespace multiraft::host
