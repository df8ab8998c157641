// Giving segments back: the oldest one goes when nothing in it is needed any more. What cold groups
// still have in it is written again first (docs/formats/log.md, "Rewriting").

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"
#include "log/log_impl.h"

namespace multiraft::log {
namespace {

/// What the states of a group cost in a rewrite, about.
constexpr uint64_t kStateBytes = 128;
/// How much is written again before the disk gets a say.
constexpr uint64_t kRewriteBytes = 256 * limits::kKiB;
constexpr int64_t kRetireRetryNs = env::kSecond;

}  // namespace

void LogImpl::collect() {
  if (failed_ || closed_) return;
  advance_needed();
  if (collection_ || !worth_rewriting(needed_segment_)) return;
  collection_ = Collection{};
  Collection& collection = *collection_;
  collection.segment = needed_segment_;
  collection.groups = context_.segments.at(needed_segment_).groups;
  rewrite_some();
}

void LogImpl::advance_needed() {
  // Each batch says which segments are not needed after it; once one is durable that does not need
  // the oldest, that one goes. All that made it superfluous is in that batch or before.
  while (needed_segment_ < active_segment_ && !context_.segments.at(needed_segment_).needed()) {
    ++needed_segment_;
  }
}

void LogImpl::drop_segments(uint64_t needed) {
  SegmentTable& segments = context_.segments;
  while (segments.first_id() < needed && !segments.at(segments.first_id()).needed()) {
    const uint64_t id = segments.first_id();
    segments.pop_front();
    ++stats_.segments_recycled;
    retire(id);
  }
}

void LogImpl::retire(uint64_t id) {
  prepare_thread_->post([maker = maker_.get(), id, owner = &owner_, self = self_] {
    Status retired = maker->retire(id);
    if (retired) return;
    owner->post([self, id, retired] {
      if (*self) (*self)->on_not_retired(id, retired);
    });
  });
}

void LogImpl::on_not_retired(uint64_t id, const Status& why) {
  if (failed_ || closed_) return;
  // Without descriptors, or where even a new name needs room, the file keeps its name for now: a
  // start would find in it an old segment that nothing needs.
  if (why.code() != StatusCode::kNoSpace && why.code() != StatusCode::kOverloaded) return fail(why);
  MR_COVERAGE("log.segment_retired_later");
  owner_.run_at(env_.clock().now() + kRetireRetryNs, [self = self_, id] {
    if (*self && !(*self)->failed_ && !(*self)->closed_) (*self)->retire(id);
  });
}

bool LogImpl::worth_rewriting(uint64_t id) {
  const uint64_t count = active_segment_ - id + 1;
  if (count <= options_.segments_kept) return false;
  const Segment& segment = context_.segments.at(id);
  // Rewrites fill segments too. At most as much is written again as is written anew: that bounds
  // what they cost, and keeps them from feeding on themselves where little fits a segment.
  if (rewrite_credit_ < segment.live_bytes + segment.pins * kStateBytes) return false;
  const uint64_t bytes = options_.segment_bytes;
  // Either little is left in it, or all segments together hold mostly what nobody needs.
  return segment.live_bytes < bytes / 4 ||
         count * bytes > 3 * (context_.segments.live_bytes() + bytes);
}

void LogImpl::rewrite_some() {
  Collection& collection = *collection_;
  uint64_t written = 0;
  while (collection.next < collection.groups.size() && written < kRewriteBytes && !failed_) {
    GroupState* group = find(collection.groups[collection.next]);
    const uint64_t bytes = group ? rewrite_group(*group, collection.segment) : 0;
    written += bytes;
    if (bytes == 0) {
      ++collection.next;
      collection.from = LogIndex(0);
    }
  }
  if (written == 0) {
    MR_COVERAGE("log.segment_rewritten");
    collection_.reset();
    advance_needed();
    return;
  }
  gathering_->must_sync = true;
  gathering_->callbacks.push_back([this] { rewrite_some(); });
  flush();
}

uint64_t LogImpl::rewrite_group(GroupState& group, uint64_t segment) {
  LogIndex& from = collection_->from;
  const auto range = group.entries_in(segment, from);
  const StateSegments& states_in = group.state_segments();
  const bool states = states_in.hard_state == segment || states_in.mark == segment ||
                      states_in.announced == segment;
  if (!range && (!states || from > LogIndex(0))) return 0;
  std::vector<raft::Entry> entries;
  if (range) {
    auto read = group.entries(range->first, range->second, kRewriteBytes);
    if (!read) return 0;  // The log has failed over it.
    entries = std::move(*read);
  }
  RecordParts parts{.type = RecordType::kRewrite,
                    .group = group.group(),
                    .replica = group.replica(),
                    .hard_state = &group.hard_state(),
                    .mark = &group.mark(),
                    .announced = group.announced_install().get()};
  parts.entries = static_cast<uint32_t>(entries.size());
  parts.first_index = range ? range->first : LogIndex(0);
  for (const raft::Entry& entry : entries) parts.entry_data_bytes += entry.data.size();
  uint64_t at = 0;
  Batch& batch = write_record(parts, entries, at);
  touch(group, batch.segment());
  std::vector<uint32_t> offsets;
  for (const raft::Entry& entry : entries) {
    offsets.push_back(static_cast<uint32_t>(at));
    at += kEntryHeaderBytes + entry.data.size();
  }
  stats_.entries_rewritten += entries.size();
  rewrite_credit_ -= std::min<uint64_t>(rewrite_credit_, parts.bytes());
  // The index follows only when the copy can be read back.
  rewrites_.push_back({group.group(), segment, batch.segment(), group.state_segments(),
                       parts.first_index, std::move(offsets)});
  batch.callbacks.push_back([this] { on_rewritten(); });
  from = LogIndex(std::max<uint64_t>(parts.first_index.value + entries.size(), 1));
  return parts.bytes();
}

void LogImpl::on_rewritten() {
  const Rewrite rewrite = std::move(rewrites_.front());
  rewrites_.pop_front();
  GroupState* state = find(rewrite.group);
  if (!state) return;
  // Whatever was changed meanwhile lies in a newer segment and is left alone; so is a group that
  // was removed and created again.
  state->move_states(rewrite.states, rewrite.to);
  state->relocate(rewrite.from, rewrite.to, rewrite.low, rewrite.offsets);
}

void LogImpl::evict() {
  const uint64_t budget = options_.cache_bytes;
  if (context_.cache_bytes <= budget) return;
  const uint64_t target = budget - budget / 8;
  SegmentTable& segments = context_.segments;
  evict_segment_ = std::max(evict_segment_, segments.first_id());
  // The oldest entries of all groups go first, segment by segment.
  for (uint64_t id = evict_segment_; id <= written_end_.segment; ++id) {
    const Location end = std::min(written_end_, Location{id + 1, 0});
    for (GroupId group : segments.at(id).groups) {
      if (context_.cache_bytes <= target) return;
      if (GroupState* state = find(group)) state->evict_before(end);
    }
    if (id < written_end_.segment) evict_segment_ = id + 1;
  }
}

}  // namespace multiraft::log
