#include "log/recovery.h"

#include <algorithm>

#include "base/coverage.h"
#include "log/segment_maker.h"
#include "log/verify.h"

namespace multiraft::log {
namespace {

std::string segment_path(const std::string& directory, uint64_t id) {
  return directory + "/" + segment_file_name(id);
}

std::shared_ptr<const raft::Snapshot> share(const raft::Snapshot& snapshot) {
  return std::make_shared<const raft::Snapshot>(snapshot);
}

}  // namespace

Result<RecoveredLog> Recovery::run() {
  MR_RETURN_IF_ERROR(list_directory());
  if (!context_.segments.empty()) {
    MR_RETURN_IF_ERROR(replay());
    MR_RETURN_IF_ERROR(finish_groups());
  }
  return std::move(log_);
}

Status Recovery::list_directory() {
  auto names = files_.list(directory_);
  if (!names) return names.status();
  std::vector<uint64_t> ids;
  for (const std::string& name : *names) {
    if (auto id = parse_segment_file_name(name)) ids.push_back(*id);
    if (name.ends_with(kSpareSuffix)) log_.spares.push_back(name);
    if (name.ends_with(kNewSuffix)) log_.unfinished.push_back(name);
  }
  std::sort(ids.begin(), ids.end());
  std::sort(log_.spares.begin(), log_.spares.end());
  if (ids.empty()) return Status::ok();
  // Retired segments lose their names in any order: only the newest row without a hole is the log,
  // and whether it is long enough is known once its last batch is read.
  size_t from = ids.size() - 1;
  while (from > 0 && ids[from - 1] + 1 == ids[from]) --from;
  log_.obsolete.assign(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(from));
  ids.erase(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(from));
  return open_segments(ids);
}

Status Recovery::open_segments(const std::vector<uint64_t>& ids) {
  for (uint64_t id : ids) {
    const std::string path = segment_path(directory_, id);
    auto segment = SegmentMaker::open(files_, path);
    if (!segment) {
      Status status = segment.status();
      if (status.code() != StatusCode::kCorruption) return status;
      return {StatusCode::kCorruption, status.message() + "; " + std::string(kHowToHeal)};
    }
    const SegmentHeader& header = (*segment)->header;
    if (log_.log_id == 0) log_.log_id = header.log_id;
    if (header.id != id || header.log_id != log_.log_id) {
      return {StatusCode::kCorruption,
              path + ": this segment belongs to another log or was renamed; " +
                  std::string(kHowToHeal)};
    }
    auto file_bytes = (*segment)->file->size();
    if (!file_bytes) return file_bytes.status();
    holes_max_ += std::min(*file_bytes, header.bytes) / kEntryHeaderBytes;
    context_.segments.push_back(id).file = std::move(*segment);
  }
  return Status::ok();
}

Result<SegmentScanner*> Recovery::scanner(uint64_t id) {
  if (scanner_ && scanner_segment_ == id) return scanner_.get();
  SegmentFile& segment = *context_.segments.at(id).file;
  Result<uint64_t> size = segment.file->size();
  if (!size) return size.status();
  scanner_ = std::make_unique<SegmentScanner>(*segment.file, segment.header,
                                              std::min(*size, segment.header.bytes));
  scanner_segment_ = id;
  return scanner_.get();
}

Status Recovery::replay() {
  const SegmentTable& segments = context_.segments;
  log_.needed_segment = segments.first_id();
  const uint64_t scan_from = first_to_scan();
  End end{segments.first_id(), kBlockBytes};
  while (true) {
    bool replayed = false;
    if (end.segment < scan_from) {
      Result<bool> by_footer = replay_footer(end.segment, end.offset);
      if (!by_footer) return by_footer.status();
      replayed = *by_footer;
    }
    if (!replayed) MR_RETURN_IF_ERROR(replay_segment(end.segment, end.offset));
    // A first segment without a batch is an empty log, or damage that judge_tail() finds.
    if (!any_batch_ || end.segment == segments.last_id()) break;
    Result<bool> more = continues_in(end.segment + 1);
    if (!more) return more.status();
    if (!*more) break;
    end = {end.segment + 1, kBlockBytes};
  }
  note_end(end);
  MR_RETURN_IF_ERROR(judge_tail({log_.active_segment, log_.next_offset}));
  // A segment is prepared once the one before it is begun, and that one is needed at least until
  // there is a batch here: without any batch only segment 1 can be the beginning of the log.
  const bool lost_its_batches = !any_batch_ && segments.first_id() > 1;
  if (lost_its_batches || segments.first_id() > log_.needed_segment) {
    return {StatusCode::kCorruption, segment_path(directory_, segments.first_id() - 1) +
                                         ": this segment is missing; " + std::string(kHowToHeal)};
  }
  return Status::ok();
}

uint64_t Recovery::first_to_scan() {
  SegmentTable& segments = context_.segments;
  uint64_t id = segments.last_id();
  uint64_t bytes = segments.at(id).file->header.bytes;
  while (id > segments.first_id()) {
    bytes += segments.at(id - 1).file->header.bytes;
    if (bytes > full_scan_bytes_) break;
    --id;
  }
  return id;
}

void Recovery::note_end(const End& end) {
  log_.last_segment = end.segment;
  log_.end_offset = log_.unmarked_offset = end.offset;
  for (const auto& [sequence, segment, offset] : unmarked_) {
    // Those in earlier segments were synced before this one was begun.
    if (segment != end.segment) continue;
    log_.unmarked_offset = offset;
    break;
  }
  log_.active_segment = in_footer_ ? end.segment + 1 : end.segment;
  log_.next_offset = in_footer_ ? kBlockBytes : end.offset;
}

void Recovery::advance(uint64_t id, uint64_t& offset, const BatchHeader& header) {
  any_batch_ = true;
  in_footer_ = header.kind == BatchKind::kFooter;
  log_.chain.sequence = header.sequence;
  log_.chain.checksum = header.checksum;
  log_.needed_segment = header.needed_segment;
  unmarked_.emplace_back(header.sequence, id, offset);
  while (!unmarked_.empty() && std::get<0>(unmarked_.front()) <= header.synced) {
    unmarked_.pop_front();
  }
  offset += header.total_bytes();
}

Status Recovery::replay_segment(uint64_t id, uint64_t& offset) {
  Result<SegmentScanner*> scan = scanner(id);
  if (!scan) return scan.status();
  while (true) {
    ScannedBatch batch;
    Result<BatchState> state = (*scan)->read(offset, batch);
    if (!state) return state.status();
    if (*state != BatchState::kValid) return Status::ok();
    // The first batch that is left of the log has no predecessor to be checked against.
    const bool follows = !any_batch_ || (batch.header.sequence == log_.chain.sequence + 1 &&
                                         batch.header.previous == log_.chain.checksum);
    if (!follows) return Status::ok();
    MR_RETURN_IF_ERROR(check_marks(id, offset, batch.header));
    if (batch.header.kind == BatchKind::kRecords) {
      MR_RETURN_IF_ERROR(replay_batch(id, offset, batch));
    }
    advance(id, offset, batch.header);
    if (in_footer_) return Status::ok();
  }
}

Result<bool> Recovery::continues_in(uint64_t id) {
  Result<SegmentScanner*> scan = scanner(id);
  if (!scan) return scan.status();
  ScannedBatch batch;
  Result<BatchState> state = (*scan)->read(kBlockBytes, batch);
  if (!state) return state.status();
  if (*state != BatchState::kValid) return false;
  return batch.header.sequence == log_.chain.sequence + 1 &&
         batch.header.previous == log_.chain.checksum;
}

Status Recovery::replay_batch(uint64_t id, uint64_t offset, const ScannedBatch& batch) {
  size_t position = 0;
  for (uint32_t i = 0; i < batch.header.records; ++i) {
    if (!decode_record(batch.body, position, record_) ||
        !replay_record(id, offset + kBatchHeaderBytes, record_)) {
      return senseless(id, offset, "record " + std::to_string(i) + " of the batch", record_.group);
    }
  }
  return Status::ok();
}

/// A batch can neither do without its own segment nor follow its own sync.
Status Recovery::check_marks(uint64_t id, uint64_t offset, const BatchHeader& header) const {
  if (header.needed_segment <= id && header.synced < header.sequence) return Status::ok();
  return senseless(id, offset, "the header of the batch", {});
}

Status Recovery::senseless(uint64_t id, uint64_t offset, const std::string& what,
                           std::optional<GroupId> group) const {
  return {StatusCode::kCorruption,
          segment_path(directory_, id) + ": " + what + " at offset " + std::to_string(offset) +
              (group ? " (group " + to_string(*group) + ")" : "") +
              " makes no sense although its checksum is right: it was written by another version " +
              "or by a defect of this program"};
}

GroupState& Recovery::group_of(GroupId id, ReplicaId replica) {
  std::unique_ptr<GroupState>& group = groups_[id];
  if (!group) {
    group = std::make_unique<GroupState>(id, context_);
    group->set_replica(replica);
  }
  return *group;
}

void Recovery::touch(GroupState& group, uint64_t id) {
  if (group.touch(id)) context_.segments.at(id).groups.push_back(group.group());
}

bool Recovery::replay_record(uint64_t id, uint64_t batch_offset, const RecordView& record) {
  if (record.type == RecordType::kRemove) {
    groups_.erase(record.group);
    context_.segments.at(id).removed.push_back(record.group);
    return true;
  }
  if (record.type == RecordType::kCreate) groups_.erase(record.group);
  GroupState& group = group_of(record.group, record.replica);
  if (group.replica() != record.replica) return false;
  touch(group, id);
  if (record.hard_state) group.set_hard_state(*record.hard_state, id);
  switch (record.type) {
    case RecordType::kCreate:
      group.set_created(record.replica, id);
      group.reset(share(*record.mark), id);
      return true;
    case RecordType::kAppend:
      if (record.mark) group.reset(share(*record.mark), id);
      if (!record.entries.empty()) group.truncate_from(record.entries.front().index);
      return replay_entries(group, id, batch_offset, record);
    case RecordType::kAnnounce:
      group.set_announced(share(*record.announced), id);
      return true;
    case RecordType::kCompact:
      group.drop_through(record.mark->index);
      group.set_mark(share(*record.mark), id);
      return true;
    case RecordType::kRewrite:
      group.drop_through(record.mark->index);
      group.set_mark(share(*record.mark), id);
      group.set_announced(record.announced ? share(*record.announced) : nullptr,
                          record.announced ? id : 0);
      return replay_entries(group, id, batch_offset, record);
    case RecordType::kRemove:
      break;
  }
  return false;
}

bool Recovery::replay_entries(GroupState& group, uint64_t id, uint64_t batch_offset,
                              const RecordView& record) {
  for (const EntryView& entry : record.entries) {
    const EntryMeta meta{entry.index, entry.term, entry.type,
                         static_cast<uint32_t>(entry.data.size())};
    const Location location{id, static_cast<uint32_t>(batch_offset + entry.offset)};
    if (!group.recover_entry(meta, location, holes_max_)) return false;
  }
  return true;
}

Status Recovery::judge_tail(const End& end) {
  if (!context_.segments.contains(end.segment)) return Status::ok();
  Result<SegmentScanner*> scan = scanner(end.segment);
  if (!scan) return scan.status();
  Result<std::string_view> head = (*scan)->bytes(end.offset, kBatchHeaderBytes);
  if (!head) return head.status();
  BatchHeader header;
  const SegmentHeader& segment = context_.segments.at(end.segment).file->header;
  if (decode(*head, segment.seed(), header)) {
    if (header.sequence > log_.chain.sequence) log_.torn_bytes = header.total_bytes();
  } else if (looks_like_batch(*head, log_.chain.sequence + 1)) {
    log_.torn_bytes = kBlockBytes;
  }
  MR_RETURN_IF_ERROR(judge_batches(end.segment, end.offset, end));
  for (uint64_t id = end.segment + 1; id <= context_.segments.last_id(); ++id) {
    MR_RETURN_IF_ERROR(judge_batches(id, kBlockBytes, end));
  }
  if (log_.torn_bytes > 0) MR_COVERAGE("log.torn_tail_cut");
  return Status::ok();
}

Status Recovery::judge_batches(uint64_t id, uint64_t from, const End& end) {
  Result<SegmentScanner*> scan = scanner(id);
  if (!scan) return scan.status();
  for (uint64_t at = from; at < (*scan)->file_bytes(); at += kBlockBytes) {
    BatchHeader header;
    Result<BatchState> state = (*scan)->read_header(at, header);
    if (!state) return state.status();
    if (*state != BatchState::kValid) continue;
    // Leftovers of a tail that was cut before carry smaller marks: they prove nothing.
    if (header.synced > log_.chain.sequence) return damage(end, header.synced);
    if (id == end.segment && header.sequence > log_.chain.sequence) {
      log_.torn_bytes = std::max(log_.torn_bytes, at + header.total_bytes() - end.offset);
    }
  }
  return Status::ok();
}

Status Recovery::damage(const End& end, uint64_t mark) {
  MR_COVERAGE("log.damage_below_mark");
  Result<SegmentScanner*> scan = scanner(end.segment);
  return damage_status(segment_path(directory_, end.segment), end.offset, log_.chain.sequence + 1,
                       "which was durable (synced up to batch " + std::to_string(mark) + ")",
                       scan ? damaged_group(**scan, end.offset) : "group unknown");
}

Status Recovery::finish_groups() {
  for (auto& [id, group] : groups_) {
    Status status = group->finish_recovery();
    if (!status) {
      return {status.code(), directory_ + ": " + status.message() + "; " + std::string(kHowToHeal)};
    }
  }
  return Status::ok();
}

}  // namespace multiraft::log
