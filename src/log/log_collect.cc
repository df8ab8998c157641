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
/// How much is written again before the disk gets a say, ...
constexpr uint64_t kRewriteBytes = 256 * limits::kKiB;
/// ... and in how many places it is read before.
constexpr size_t kReadsMax = 256;
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
  // Rewrites fill segments too. At most as much is rewritten as is newly written: that bounds
  // what they cost, and keeps them from feeding on themselves where little fits a segment.
  if (rewrite_credit_ < segment.live_bytes + segment.pins * kStateBytes) return false;
  const uint64_t bytes = options_.segment_bytes;
  // Either little is left in it, or all segments together hold mostly what nobody needs.
  return segment.live_bytes < bytes / 4 ||
         count * bytes > 3 * (context_.segments.live_bytes() + bytes);
}

/// What one step of a collection writes again.
struct LogImpl::RewriteStep {
  struct Part {
    EntryRead read;  ///< Without places: only the states of the group.
    /// As far as they are there.
    std::optional<Result<std::vector<raft::Entry>>> entries;
  };
  std::vector<Part> parts;
  uint64_t bytes = 0;
  size_t to_read = 0;  ///< Parts.

  /// In the order of the file.
  void read_all() {
    std::vector<Part*> order;
    for (Part& part : parts) {
      if (!part.entries) order.push_back(&part);
    }
    std::sort(order.begin(), order.end(), [](const Part* a, const Part* b) {
      return a->read.places.front().offset < b->read.places.front().offset;
    });
    for (Part* part : order) part->entries.emplace(carry_out(part->read));
  }
};

void LogImpl::rewrite_some() {
  Collection& collection = *collection_;
  auto step = std::make_shared<RewriteStep>();
  while (collection.next < collection.groups.size() && step->bytes < kRewriteBytes &&
         step->to_read < kReadsMax && !failed_) {
    GroupState* group = find(collection.groups[collection.next]);
    if (group && plan_rewrite(*group, *step)) continue;
    ++collection.next;
    collection.from = LogIndex(0);
  }
  if (step->parts.empty()) {
    MR_COVERAGE("log.segment_rewritten");
    collection_.reset();
    advance_needed();
  } else if (step->to_read == 0) {
    rewrite(*step);
  } else {
    read_for_rewrite(std::move(step));
  }
}

bool LogImpl::has_states_in(const GroupState& group, uint64_t segment) const {
  const StateSegments& states = group.state_segments();
  return states.hard_state == segment || states.mark == segment || states.announced == segment;
}

/// The next part of what the group has in the segment. False: that was all.
bool LogImpl::plan_rewrite(GroupState& group, RewriteStep& step) {
  LogIndex& from = collection_->from;
  const uint64_t segment = collection_->segment;
  const auto range = group.entries_in(segment, from);
  RewriteStep::Part part;
  if (!range) {
    if (!has_states_in(group, segment) || from > LogIndex(0)) return false;
    part.read.group = group.group();
    part.entries.emplace(std::vector<raft::Entry>());
    from = LogIndex(1);
  } else if (group.is_cached(range->first)) {
    auto cached = group.entries(range->first, range->second, kRewriteBytes);
    if (!cached) return false;  // The log has failed over it.
    part.read = group.locate(range->first, range->first + cached->size());
    cached->resize(part.read.places.size());
    part.entries.emplace(std::move(cached));
    from = part.read.high();
  } else {
    part.read = group.plan_read(range->first, range->second, kRewriteBytes);
    ++step.to_read;
    from = part.read.high();
  }
  step.bytes += kStateBytes;
  for (const EntryRead::Place& place : part.read.places) {
    step.bytes += kEntryHeaderBytes + place.data_bytes;
  }
  step.parts.push_back(std::move(part));
  return true;
}

void LogImpl::read_for_rewrite(std::shared_ptr<RewriteStep> step) {
  readers_->post(env::BlockingPool::Lane::kBulk,
                 [step = std::move(step), owner = &owner_, self = self_] {
                   step->read_all();
                   owner->post([step, self] {
                     if (*self) (*self)->rewrite(*step);
                   });
                 });
}

void LogImpl::rewrite(const RewriteStep& step) {
  if (failed_) return;
  uint64_t written = 0;
  for (const RewriteStep::Part& part : step.parts) {
    if (*part.entries) {
      written += rewrite_what_is_left(part.read, **part.entries);
      continue;
    }
    const GroupState* group = find(part.read.group);
    if (group && group->holds(part.read)) return fail(part.entries->status());
    // Some of it has gone meanwhile, perhaps what cannot be read. What is left is read again when
    // this segment is collected next.
    MR_COVERAGE("log.rewrite_read_failed_of_what_has_gone");
  }
  if (written == 0) return rewrite_some();  // All of it has gone meanwhile.
  gathering_->must_sync = true;
  // The disk gets a say before the next step.
  gathering_->callbacks.push_back([this] { rewrite_some(); });
  flush();
}

uint64_t LogImpl::rewrite_what_is_left(const EntryRead& read,
                                       std::span<const raft::Entry> entries) {
  const GroupState* group = find(read.group);
  if (!group) return 0;
  if (entries.empty()) {
    return has_states_in(*group, collection_->segment) ? write_again(*group, {}) : 0;
  }
  // What was truncated, replaced or compacted meanwhile is missing at the ends, not in the middle.
  size_t first = 0;
  while (first < entries.size() && !group->is_at(read, first)) ++first;
  size_t end = first;
  while (end < entries.size() && group->is_at(read, end)) ++end;
  if (first == end) return 0;
  if (end - first < entries.size()) MR_COVERAGE("log.part_of_a_rewrite_has_gone");
  return write_again(*group, entries.subspan(first, end - first));
}

/// Returns the bytes of the record.
uint64_t LogImpl::write_again(const GroupState& group, std::span<const raft::Entry> entries) {
  RecordParts parts{.type = RecordType::kRewrite,
                    .group = group.group(),
                    .replica = group.replica(),
                    .hard_state = &group.hard_state(),
                    .mark = &group.mark(),
                    .announced = group.announced_install().get()};
  parts.entries = static_cast<uint32_t>(entries.size());
  parts.first_index = entries.empty() ? LogIndex(0) : entries.front().index;
  for (const raft::Entry& entry : entries) parts.entry_data_bytes += entry.data.size();
  uint64_t at = 0;
  Batch& batch = write_record(parts, entries, at);
  touch(must_find(group.group()), batch.segment());
  std::vector<uint32_t> offsets;
  offsets.reserve(entries.size());
  for (const raft::Entry& entry : entries) {
    offsets.push_back(static_cast<uint32_t>(at));
    at += kEntryHeaderBytes + entry.data.size();
  }
  stats_.entries_rewritten += entries.size();
  rewrite_credit_ -= std::min<uint64_t>(rewrite_credit_, parts.bytes());
  // The index follows only when the copy can be read back.
  rewrites_.push_back({group.group(), collection_->segment, batch.segment(), group.state_segments(),
                       parts.first_index, std::move(offsets)});
  batch.callbacks.push_back([this] { on_rewritten(); });
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
