// Staging: records go into the batch that gathers, and into the index at the same time.

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/coverage.h"
#include "log/log_impl.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

/// A batch this large is not made larger: a torn batch is lost as a whole, and recovery holds one
/// in memory. A single record may exceed it.
constexpr size_t kBatchBytesTarget = 4 * limits::kMiB;

std::shared_ptr<const raft::Snapshot> share(const raft::Snapshot& snapshot) {
  return std::make_shared<const raft::Snapshot>(snapshot);
}

}  // namespace

GroupState* LogImpl::find(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second.get();
}

GroupState& LogImpl::must_find(GroupId group) const {
  GroupState* state = find(group);
  MR_ASSERT_MSG(state != nullptr, "no such group in this log");
  return *state;
}

void LogImpl::touch(GroupState& group, uint64_t segment) {
  if (group.touch(segment)) context_.segments.at(segment).groups.push_back(group.group());
}

uint64_t LogImpl::segment_bytes(uint64_t id) {
  const Segment& segment = context_.segments.at(id);
  return segment.file ? segment.file->header.bytes : options_.segment_bytes;
}

void LogImpl::start_batch() {
  if (idle_batches_.empty()) {
    gathering_ = std::make_unique<Batch>();
  } else {
    gathering_ = std::move(idle_batches_.back());
    idle_batches_.pop_back();
  }
  gathering_->reset(next_sequence_++, active_segment_, next_offset_);
}

void LogImpl::seal() {
  gathering_->needed_segment = needed_segment_;
  next_offset_ = gathering_->offset() + gathering_->total_bytes();
  sealed_.push_back(std::move(gathering_));
}

bool LogImpl::fits(uint64_t at, size_t bytes) {
  // The last block is the trailer's, and before it goes the footer. A record that leaves no room
  // for that in an empty segment costs the segment its footer, nothing else.
  const uint64_t end = round_up_to_block(at + bytes);
  const uint64_t limit = segment_bytes(active_segment_) - kBlockBytes;
  if (end + footer_bytes_estimate() <= limit) return true;
  return end <= limit && at == kBlockBytes + kBatchHeaderBytes;
}

void LogImpl::roll() {
  MR_ASSERT(active_segment_ < context_.segments.last_id());
  write_footer();
  ++active_segment_;
  next_offset_ = kBlockBytes;
  request_segment();
}

Batch& LogImpl::room_for(size_t bytes) {
  MR_ASSERT_MSG(bytes <= record_bytes_max_, "record larger than a segment");
  if (gathering_ && gathering_->size() + bytes > kBatchBytesTarget) seal();
  const uint64_t at =
      gathering_ ? gathering_->offset() + gathering_->size() : next_offset_ + kBatchHeaderBytes;
  if (!fits(at, bytes)) {
    if (gathering_) seal();
    roll();
  }
  if (!gathering_) start_batch();
  return *gathering_;
}

Batch& LogImpl::write_record(const RecordParts& parts, std::span<const raft::Entry> entries,
                             uint64_t& entries_at) {
  Batch& batch = room_for(parts.bytes());
  size_t spliced = 0;
  for (const raft::Entry& entry : entries) {
    if (entry.data.size() >= splice_bytes_min_) spliced += entry.data.size();
  }
  char* const start = batch.reserve(parts.bytes() - spliced);
  char* out = encode_record_head(parts, start);
  entries_at = batch.offset() + batch.size() + static_cast<uint64_t>(out - start);
  char* committed = start;
  for (const raft::Entry& entry : entries) {
    const EntryView view{entry.index, entry.term, entry.type, entry.checksum, entry.data, 0};
    out = encode_entry_header(view, out);
    if (entry.data.size() >= splice_bytes_min_) {
      batch.commit(static_cast<size_t>(out - committed));
      batch.splice(entry.data);
      committed = out;
    } else if (!entry.data.empty()) {
      std::memcpy(out, entry.data.data(), entry.data.size());
      out += entry.data.size();
    }
  }
  batch.commit(static_cast<size_t>(out - committed));
  batch.count_records(1);
  ++stats_.records;
  if (parts.type != RecordType::kRewrite) rewrite_credit_ += parts.bytes();
  return batch;
}

Result<GroupLog*> LogImpl::create_group(GroupId group, ReplicaId replica,
                                        const raft::Snapshot& mark) {
  if (find(group)) {
    return Status(StatusCode::kAlreadyExists, "group " + to_string(group) + " is in this log");
  }
  RecordParts parts{.type = RecordType::kCreate, .group = group, .replica = replica, .mark = &mark};
  uint64_t at = 0;
  Batch& batch = write_record(parts, {}, at);
  batch.must_sync = true;
  auto state = std::make_unique<GroupState>(group, context_);
  state->set_created(replica, batch.segment());
  state->reset(share(mark), batch.segment());
  touch(*state, batch.segment());
  return (groups_[group] = std::move(state)).get();
}

Status LogImpl::remove_group(GroupId group, Callback<void()> durable) {
  GroupState* state = find(group);
  if (!state) return {StatusCode::kNotFound, "group " + to_string(group) + " is not in this log"};
  RecordParts parts{.type = RecordType::kRemove, .group = group, .replica = state->replica()};
  uint64_t at = 0;
  Batch& batch = write_record(parts, {}, at);
  batch.must_sync = true;
  if (durable) batch.callbacks.push_back(std::move(durable));
  context_.segments.at(batch.segment()).removed.push_back(group);
  groups_.erase(group);
  old_entries_->forget(group);
  return Status::ok();
}

size_t LogImpl::piece_length(std::span<const raft::Entry> entries) const {
  // Room for everything else a record may carry.
  const size_t limit = std::min(kBatchBytesTarget, record_bytes_max_ / 2);
  size_t bytes = 0;
  size_t n = 0;
  for (; n < entries.size(); ++n) {
    bytes += kEntryHeaderBytes + entries[n].data.size();
    if (bytes > limit && n > 0) break;
  }
  return n;
}

void LogImpl::check_entries(const GroupState& group, std::span<const raft::Entry> entries) {
  for (const raft::Entry& entry : entries) {
    if (raft::is_intact(group.checksum_seed(), entry)) continue;
    MR_COVERAGE("log.entry_changed_in_memory");
    fail(group.changed_in_memory(entry.index, "before it was written to the log"));
    return;
  }
}

void LogImpl::stage(const GroupAppend& append, Callback<void()> durable) {
  GroupState& group = must_find(append.group);
  MR_ASSERT(!closed_);
  // Nothing is written any more after a failure: what is staged below stays in memory.
  check_entries(group, append.entries);
  std::span<const raft::Entry> entries = append.entries;
  if (!entries.empty()) {
    const uint64_t first =
        append.snapshot ? append.snapshot->index.value + 1 : group.first_index().value;
    const uint64_t last = append.snapshot ? first : group.last_index().value + 1;
    MR_ASSERT_MSG(entries.front().index.value >= first && entries.front().index.value <= last,
                  "entries leave a gap or overwrite what is compacted");
  }
  const raft::HardState* hard_state = append.hard_state ? &*append.hard_state : nullptr;
  std::shared_ptr<const raft::Snapshot> snapshot = append.snapshot;
  size_t n = piece_length(entries);
  while (n < entries.size()) {
    // A piece that survives alone has to be a state that could have been: without a commit index
    // beyond its last entry.
    raft::HardState part = hard_state ? *hard_state : raft::HardState{};
    part.commit = std::min(part.commit, entries[n - 1].index);
    stage_piece(group, hard_state ? &part : nullptr, snapshot, entries.first(n));
    snapshot.reset();
    entries = entries.subspan(n);
    n = piece_length(entries);
  }
  if (hard_state || snapshot || !entries.empty()) {
    stage_piece(group, hard_state, snapshot, entries);
  } else if (!gathering_) {
    start_batch();  // Nothing to write, but the callback keeps its place in the order.
  }
  gathering_->must_sync |= append.must_sync;
  if (durable) gathering_->callbacks.push_back(std::move(durable));
}

void LogImpl::stage_piece(GroupState& group, const raft::HardState* hard_state,
                          const std::shared_ptr<const raft::Snapshot>& snapshot,
                          std::span<const raft::Entry> entries) {
  RecordParts parts{.type = RecordType::kAppend,
                    .group = group.group(),
                    .replica = group.replica(),
                    .hard_state = hard_state,
                    .mark = snapshot.get()};
  parts.entries = static_cast<uint32_t>(entries.size());
  if (!entries.empty()) parts.first_index = entries.front().index;
  for (const raft::Entry& entry : entries) parts.entry_data_bytes += entry.data.size();
  uint64_t at = 0;
  Batch& batch = write_record(parts, entries, at);
  const uint64_t segment = batch.segment();
  touch(group, segment);
  if (hard_state) group.set_hard_state(*hard_state, segment);
  if (snapshot) group.reset(snapshot, segment);
  if (!entries.empty()) group.truncate_from(entries.front().index);
  for (const raft::Entry& entry : entries) {
    MR_ASSERT_MSG(entry.index == group.last_index() + 1, "entries are not in a row");
    group.append(entry, {segment, static_cast<uint32_t>(at)});
    at += kEntryHeaderBytes + entry.data.size();
  }
}

void LogImpl::announce_install(GroupId group, const raft::Snapshot& snapshot,
                               Callback<void()> durable) {
  GroupState& state = must_find(group);
  RecordParts parts{.type = RecordType::kAnnounce,
                    .group = group,
                    .replica = state.replica(),
                    .announced = &snapshot};
  uint64_t at = 0;
  Batch& batch = write_record(parts, {}, at);
  batch.must_sync = true;
  if (durable) batch.callbacks.push_back(std::move(durable));
  touch(state, batch.segment());
  state.set_announced(share(snapshot), batch.segment());
}

void LogImpl::compact(GroupId group, const raft::Snapshot& mark) {
  GroupState& state = must_find(group);
  if (mark.index <= state.mark().index) return;
  MR_ASSERT(mark.index <= state.last_index());
  RecordParts parts{
      .type = RecordType::kCompact, .group = group, .replica = state.replica(), .mark = &mark};
  uint64_t at = 0;
  Batch& batch = write_record(parts, {}, at);
  touch(state, batch.segment());
  state.drop_through(mark.index);
  state.set_mark(share(mark), batch.segment());
  collect();
}

}  // namespace multiraft::log
