// Reading entries: from the cache, or from what was read back from the segments.

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"
#include "log/group_state.h"
#include "log/old_entries.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

/// Of one read, where its entries lie far from each other: whoever waits for it, and for those
/// behind it, waits for all of them.
constexpr size_t kSystemCallsMax = 32;

}  // namespace

Result<std::vector<raft::Entry>> GroupState::entries(LogIndex low, LogIndex high,
                                                     size_t bytes_max) {
  return collect_entries(low, high, bytes_max, context_.old_entries == nullptr);
}

Result<std::vector<raft::Entry>> GroupState::entries_now(LogIndex low, LogIndex high,
                                                         size_t bytes_max) {
  return collect_entries(low, high, bytes_max, true);
}

Result<std::vector<raft::Entry>> GroupState::collect_entries(LogIndex low, LogIndex high,
                                                             size_t bytes_max, bool wait) {
  MR_ASSERT(low < high);
  MR_ASSERT_MSG(high.value <= end(), "entries beyond the log");
  if (low.value < first_) {
    return Status(StatusCode::kNotFound, "index " + to_string(low) + " is compacted");
  }
  const uint64_t until = end_within(low.value, high.value, bytes_max);
  std::vector<raft::Entry> entries;
  entries.reserve(until - low.value);
  uint64_t next = low.value;
  while (next < until && next < cache_begin()) {
    const LogIndex old_end(std::min(until, cache_begin()));
    if (!wait) {
      const size_t taken = context_.old_entries->take(*this, LogIndex(next), old_end, entries);
      if (taken == 0) break;
      next += taken;
      continue;
    }
    const EntryRead read = plan_read(LogIndex(next), old_end, bytes_max);
    auto old = carry_out(read);
    if (!old) return unreadable(old.status());
    std::move(old->begin(), old->end(), std::back_inserter(entries));
    next = read.high().value;
  }
  if (next < cache_begin()) {
    if (!entries.empty() || next == until) return entries;
    context_.old_entries->request(group_, low, LogIndex(until), bytes_max);
    return Status(StatusCode::kUnavailable, "index " + to_string(low) + " is being read");
  }
  MR_RETURN_IF_ERROR(cached_entries(next, until, entries));
  return entries;
}

uint64_t GroupState::end_within(uint64_t low, uint64_t high, size_t bytes_max) const {
  uint64_t until = low;
  for (size_t bytes = 0; until < high; ++until) {
    bytes += ref(until).data_bytes() + kCountedOverhead;
    if (bytes > bytes_max && until > low) break;
  }
  return until;
}

EntryRead GroupState::plan_read(LogIndex low, LogIndex high, size_t bytes_max) const {
  uint64_t limit = std::min({high.value, end(), cache_begin()});
  if (low.value < first_ || low.value >= limit) return {group_, low, {}, 0, nullptr};
  const auto& runs = segments_.runs();
  const size_t run = segments_.run_of(low.value);
  if (run + 1 < runs.size()) limit = std::min(limit, runs[run + 1].first);
  limit = end_within(low.value, limit, bytes_max);
  EntryRead read = locate(low, LogIndex(limit));
  context_.cache_misses += read.places.size();
  return read;
}

EntryRead GroupState::locate(LogIndex low, LogIndex high) const {
  EntryRead read{group_, low, {}, segments_.at(low.value), nullptr};
  MR_ASSERT(segments_.at(high.value - 1) == read.segment);
  read.file = context_.segments.at(read.segment).file;
  size_t scattered = 0;
  for (uint64_t i = low.value; i < high.value; ++i) {
    const EntryRead::Place place{Term(terms_.at(i)), ref(i).offset, ref(i).data_bytes()};
    if (!read.places.empty() && !lie_together(read.places.back(), place)) ++scattered;
    if (scattered >= kSystemCallsMax) break;
    read.places.push_back(place);
  }
  return read;
}

bool GroupState::holds(const EntryRead& read) const {
  const uint64_t low = read.low.value;
  const uint64_t high = read.high().value;
  if (low >= high || low < first_ || high > end()) return false;
  const size_t run = segments_.run_of(low);
  if (segments_.runs()[run].value != read.segment || run != segments_.run_of(high - 1)) {
    return false;
  }
  // A place is used once only: what lies elsewhere now was written again, or replaced.
  for (uint64_t i = low; i < high; ++i) {
    if (ref(i).offset != read.places[i - low].offset) return false;
  }
  return true;
}

bool GroupState::is_at(const EntryRead& read, size_t i) const {
  const uint64_t index = read.low.value + i;
  return index >= first_ && index < end() &&
         location(LogIndex(index)) == Location{read.segment, read.places[i].offset};
}

Status GroupState::cached_entries(uint64_t low, uint64_t high,
                                  std::vector<raft::Entry>& entries) const {
  for (uint64_t i = low; i < high; ++i) {
    const Cached& cached = cache_[i - cache_begin()];
    entries.push_back(
        {Term(terms_.at(i)), LogIndex(i), ref(i).type(), cached.data, cached.checksum});
    if (!raft::is_intact(checksum_seed_, entries.back())) {
      MR_COVERAGE("log.cached_entry_changed");
      return unreadable(changed_in_memory(LogIndex(i), "while it was cached"));
    }
  }
  return Status::ok();
}

Status GroupState::changed_in_memory(LogIndex index, std::string_view when) const {
  return {
      StatusCode::kCorruption,
      "entry " + to_string(index) + " of group " + to_string(group_) + " has changed in memory " +
          std::string(when) +
          ": the memory of this machine is faulty, or something writes where it should not. The "
          "log on disk is not affected: test the memory, then start the node again"};
}

Status GroupState::unreadable(Status why) const {
  // Whoever reads (an apply, an append to a lagging member) can only try again, and would for ever:
  // what to do about a bad disk is the log's decision.
  MR_COVERAGE("log.entry_unreadable");
  if (context_.on_unreadable) context_.on_unreadable(why);
  return why;
}

}  // namespace multiraft::log
