// Reading entries: from the cache, else from the segments, checked.

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"
#include "log/group_state.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

/// One read fetches at most this much, and skips other groups' records up to the gap rather than
/// pay for another system call.
constexpr uint64_t kReadBytesMax = 1024 * 1024;
constexpr uint64_t kReadGapBytesMax = 16 * 1024;

}  // namespace

Result<std::vector<raft::Entry>> GroupState::entries(LogIndex low, LogIndex high,
                                                     size_t bytes_max) {
  MR_ASSERT(low < high);
  if (low.value < first_) {
    return Status(StatusCode::kNotFound, "index " + to_string(low) + " is compacted");
  }
  if (high.value > end()) {
    return Status(StatusCode::kUnavailable, "index " + to_string(high - 1) + " is beyond the log");
  }
  uint64_t until = low.value;
  for (size_t bytes = 0; until < high.value; ++until) {
    bytes += ref(until).data_bytes() + sizeof(uint64_t) * 3;  // raft::entry_bytes()
    if (bytes > bytes_max && until > low.value) break;
  }
  std::vector<raft::Entry> entries;
  entries.reserve(until - low.value);
  uint64_t next = low.value;
  std::vector<EntryView> views;
  while (next < until && next < cache_begin()) {
    const uint64_t span = read_span(next, std::min(until, cache_begin()));
    SharedBytes buffer;
    MR_RETURN_IF_ERROR(read_entries(next, span, buffer, views));
    // Between small entries of a cold group the buffer holds mostly other groups' records.
    uint64_t data_bytes = 0;
    for (const EntryView& view : views) data_bytes += view.data.size();
    const bool sparse = data_bytes < buffer.size() / 2;
    for (const EntryView& view : views) {
      const size_t at = view.offset + kEntryHeaderBytes;
      SharedBytes data = buffer.slice(at, view.data.size());
      if (sparse) data = std::move(data).trimmed();
      entries.push_back({view.term, view.index, view.type, std::move(data), view.checksum});
    }
    next = span;
  }
  MR_RETURN_IF_ERROR(cached_entries(next, until, entries));
  return entries;
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

uint64_t GroupState::read_span(uint64_t low, uint64_t high) const {
  const auto& runs = segments_.runs();
  const size_t run = segments_.run_of(low);
  if (run + 1 < runs.size()) high = std::min(high, runs[run + 1].first);
  const uint64_t start = ref(low).offset;
  uint64_t position = start;
  uint64_t i = low;
  for (; i < high; ++i) {
    const uint64_t offset = ref(i).offset;
    const uint64_t entry_end = offset + kEntryHeaderBytes + ref(i).data_bytes();
    const bool follows = offset >= position && offset - position <= kReadGapBytesMax;
    if (i > low && (!follows || entry_end - start > kReadBytesMax)) break;
    position = entry_end;
  }
  return i;
}

Status GroupState::read_entries(uint64_t low, uint64_t high, SharedBytes& buffer,
                                std::vector<EntryView>& views) {
  const SegmentFile& segment = *context_.segments.at(segments_.at(low)).file;
  const uint64_t start = ref(low).offset;
  const uint64_t size =
      ref(high - 1).offset + kEntryHeaderBytes + ref(high - 1).data_bytes() - start;
  buffer = SharedBytes::allocate(size);
  Result<size_t> read = segment.file->read_at(start, {buffer.mutable_data(), size});
  if (!read) {
    return unreadable({read.status().code(), describe("a read failed", low) + ": " +
                                                 std::string(read.status().message())});
  }
  context_.cache_misses += high - low;
  views.clear();
  for (uint64_t i = low; i < high; ++i) {
    EntryView view;
    const size_t at = ref(i).offset - start;
    const bool whole =
        at <= *read && decode_entry(buffer.view().substr(at, *read - at), LogIndex(i), view);
    if (!whole || view.data.size() != ref(i).data_bytes() || view.term.value != terms_.at(i) ||
        view.checksum != entry_checksum(group_, view)) {
      return unreadable(damaged(i));
    }
    view.offset = at;
    views.push_back(view);
  }
  return Status::ok();
}

Status GroupState::unreadable(Status why) const {
  // Whoever reads (an apply, an append to a lagging member) can only try again, and would for ever:
  // what to do about a bad disk is the log's decision.
  MR_COVERAGE("log.entry_unreadable");
  if (context_.on_unreadable) context_.on_unreadable(why);
  return why;
}

std::string GroupState::describe(std::string_view what, uint64_t index) const {
  const SegmentFile& segment = *context_.segments.at(segments_.at(index)).file;
  return segment.file->path() + ": " + std::string(what) + " at offset " +
         std::to_string(ref(index).offset) + " in entry " + std::to_string(index) + " of group " +
         to_string(group_);
}

Status GroupState::damaged(uint64_t index) const {
  return {StatusCode::kCorruption, describe("damage", index) + "; " + std::string(kHowToHeal)};
}

}  // namespace multiraft::log
