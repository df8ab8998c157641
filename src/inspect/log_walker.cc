#include "inspect/log_walker.h"

#include <algorithm>
#include <memory>

#include "log/footer.h"
#include "log/format.h"
#include "log/segment_maker.h"
#include "log/verify.h"

namespace multiraft::inspect {
namespace {

using log::BatchHeader;
using log::BatchKind;
using log::BatchState;
using log::kBlockBytes;
using log::ScannedBatch;
using log::SegmentScanner;

struct OpenSegment {
  std::shared_ptr<log::SegmentFile> file;  ///< Null: its header is damaged.
  std::unique_ptr<SegmentScanner> scanner;
};

class Walk {
 public:
  Walk(env::FileSystem& files, LogReport& report, const RecordVisitor& visit)
      : files_(files), report_(report), visit_(visit) {}

  Status add(const std::string& path, uint64_t id);
  Status run();
  Status check_missing();

 private:
  Status walk(size_t at);
  /// Batches of the chain from `offset` on; `offset` ends behind the last one.
  Status follow(size_t at, uint64_t& offset);
  Result<bool> continues_in(size_t at);
  Status look_inside(size_t at, uint64_t offset, const ScannedBatch& batch);
  void check_footer(size_t at, uint64_t offset, const ScannedBatch& batch);
  Status judge(size_t at, uint64_t offset, bool& stop);
  /// The highest mark of any batch at or behind this place.
  Result<uint64_t> highest_mark_from(size_t at, uint64_t offset);
  /// Where the next intact batch of this segment lies that is newer than the chain.
  Result<std::optional<uint64_t>> next_intact(size_t at, uint64_t offset);
  void note_torn(size_t at, uint64_t offset, const BatchHeader* header);
  void damage(size_t at, uint64_t offset, std::string what, std::vector<GroupId> groups = {});
  bool follows(const BatchHeader& header) const {
    return !any_ || (header.sequence == sequence_ + 1 && header.previous == checksum_);
  }

  env::FileSystem& files_;
  LogReport& report_;
  const RecordVisitor& visit_;
  std::vector<OpenSegment> segments_;
  bool any_ = false;  ///< There is a batch that the next one has to follow.
  uint64_t sequence_ = 0;
  uint32_t checksum_ = 0;
  uint64_t needed_segment_ = 0;
  log::RecordView record_;
};

void Walk::damage(size_t at, uint64_t offset, std::string what, std::vector<GroupId> groups) {
  SegmentReport& segment = report_.segments[at];
  segment.state = "damaged";
  report_.damages.push_back({segment.file, offset, std::move(what), std::move(groups)});
}

Status Walk::add(const std::string& path, uint64_t id) {
  SegmentReport& segment = report_.segments.emplace_back();
  OpenSegment& open = segments_.emplace_back();
  segment.file = path;
  segment.id = id;
  auto file = log::SegmentMaker::open(files_, path);
  if (!file) {
    if (file.status().code() != StatusCode::kCorruption) return file.status();
    damage(segments_.size() - 1, 0,
           "the segment header fails its checksum: nothing of it is readable");
    return Status::ok();
  }
  auto bytes = (*file)->file->size();
  if (!bytes) return bytes.status();
  open.file = std::move(*file);
  const log::SegmentHeader& header = open.file->header;
  if (id == 0) segment.id = header.id;
  segment.bytes = *bytes;
  segment.made_bytes = header.bytes;
  if (report_.log_id == 0) report_.log_id = header.log_id;
  if (header.log_id != report_.log_id || header.id != segment.id) {
    damage(segments_.size() - 1, 0, "the segment belongs to another log or was renamed");
    open.file.reset();
    return Status::ok();
  }
  open.scanner =
      std::make_unique<SegmentScanner>(*open.file->file, header, std::min(*bytes, header.bytes));
  return Status::ok();
}

Status Walk::run() {
  for (size_t at = 0; at < segments_.size(); ++at) {
    if (!segments_[at].scanner) {
      any_ = false;
      continue;
    }
    uint64_t offset = kBlockBytes;
    bool stop = false;
    while (true) {
      MR_RETURN_IF_ERROR(follow(at, offset));
      if (report_.segments[at].footer) break;
      if (at + 1 < segments_.size() && any_) {
        Result<bool> more = continues_in(at + 1);
        if (!more) return more.status();
        if (*more) break;
      }
      MR_RETURN_IF_ERROR(judge(at, offset, stop));
      if (stop) break;
      // Past damage: the next intact batch starts a chain of its own.
      auto next = next_intact(at, offset);
      if (!next) return next.status();
      any_ = false;
      if (!*next) break;
      offset = **next;
    }
    if (stop) break;
  }
  report_.last_sequence = sequence_;
  return Status::ok();
}

Status Walk::follow(size_t at, uint64_t& offset) {
  SegmentReport& segment = report_.segments[at];
  while (true) {
    ScannedBatch batch;
    auto state = segments_[at].scanner->read(offset, batch);
    if (!state) return state.status();
    if (*state != BatchState::kValid || !follows(batch.header)) return Status::ok();
    const BatchHeader header = batch.header;
    any_ = true;
    sequence_ = header.sequence;
    checksum_ = header.checksum;
    needed_segment_ = header.needed_segment;
    if (segment.batches++ == 0) segment.first_sequence = header.sequence;
    segment.last_sequence = header.sequence;
    segment.synced = std::max(segment.synced, header.synced);
    if (segment.state == "prepared") segment.state = "written";
    if (header.kind == BatchKind::kFooter) {
      segment.footer = true;
      if (segment.state == "written") segment.state = "full";
      check_footer(at, offset, batch);
      return Status::ok();
    }
    MR_RETURN_IF_ERROR(look_inside(at, offset, batch));
    offset += header.total_bytes();
  }
}

Status Walk::look_inside(size_t at, uint64_t offset, const ScannedBatch& batch) {
  SegmentReport& segment = report_.segments[at];
  size_t position = 0;
  for (uint32_t i = 0; i < batch.header.records; ++i) {
    if (!log::decode_record(batch.body, position, record_)) {
      damage(at, offset, "record " + std::to_string(i) + " of the batch makes no sense");
      return Status::ok();
    }
    ++segment.records;
    segment.entries += record_.entries.size();
    for (const log::EntryView& entry : record_.entries) {
      if (entry.checksum == log::entry_checksum(record_.group, entry)) continue;
      damage(at, offset, "entry " + to_string(entry.index) + " fails its checksum",
             {record_.group});
    }
    if (visit_) {
      visit_({segment.file, segment.id, offset, batch.header.sequence, record_});
    }
  }
  return Status::ok();
}

void Walk::check_footer(size_t at, uint64_t offset, const ScannedBatch& batch) {
  size_t position = 0;
  log::FooterGroup group;
  for (uint32_t i = 0; i < batch.header.records; ++i) {
    if (log::decode_footer_group(batch.body, position, group)) continue;
    damage(at, offset, "item " + std::to_string(i) + " of the footer makes no sense");
    return;
  }
  const log::SegmentHeader& header = segments_[at].file->header;
  const uint64_t trailer = header.bytes - kBlockBytes;
  auto bytes = segments_[at].scanner->bytes(trailer, log::kTrailerBytes);
  // Without it the segment is read in full at start: slower, nothing else.
  if (!bytes || log::decode_trailer(*bytes, header.seed()) != offset) {
    damage(at, trailer,
           "the trailer does not name the footer; the segment is read in full instead");
  }
}

Result<bool> Walk::continues_in(size_t at) {
  if (!segments_[at].scanner) return false;
  ScannedBatch batch;
  auto state = segments_[at].scanner->read(kBlockBytes, batch);
  if (!state) return state.status();
  return *state == BatchState::kValid && follows(batch.header);
}

Status Walk::judge(size_t at, uint64_t offset, bool& stop) {
  auto mark = highest_mark_from(at, offset);
  if (!mark) return mark.status();
  if (*mark > sequence_ || !any_) {
    if (*mark == 0) {
      stop = true;
      return Status::ok();  // An empty log.
    }
    std::string group = log::damaged_group(*segments_[at].scanner, offset);
    damage(at, offset,
           "batch " + std::to_string(sequence_ + 1) +
               " fails its checksum, and it was durable (synced " + "up to batch " +
               std::to_string(*mark) + "), " + group);
    return Status::ok();
  }
  stop = true;
  BatchHeader header;
  auto state = segments_[at].scanner->read_header(offset, header);
  if (!state) return state.status();
  if (*state == BatchState::kValid && header.sequence > sequence_) {
    note_torn(at, offset, &header);
  } else {
    auto head = segments_[at].scanner->bytes(offset, log::kBatchHeaderBytes);
    if (!head) return head.status();
    if (log::looks_like_batch(*head, sequence_ + 1)) note_torn(at, offset, nullptr);
  }
  return Status::ok();
}

void Walk::note_torn(size_t at, uint64_t offset, const BatchHeader* header) {
  const uint64_t bytes = header != nullptr ? header->total_bytes() : kBlockBytes;
  report_.torn_tail = Damage{report_.segments[at].file,
                             offset,
                             "a torn write of " + std::to_string(bytes) +
                                 " bytes that was never acknowledged; the next start cuts it",
                             {}};
}

Result<uint64_t> Walk::highest_mark_from(size_t at, uint64_t offset) {
  uint64_t mark = 0;
  for (; at < segments_.size(); ++at, offset = kBlockBytes) {
    SegmentScanner* scanner = segments_[at].scanner.get();
    if (!scanner) continue;
    for (; offset < scanner->file_bytes(); offset += kBlockBytes) {
      BatchHeader header;
      auto state = scanner->read_header(offset, header);
      if (!state) return state.status();
      if (*state == BatchState::kValid) mark = std::max(mark, header.synced);
    }
  }
  return mark;
}

Result<std::optional<uint64_t>> Walk::next_intact(size_t at, uint64_t offset) {
  SegmentScanner& scanner = *segments_[at].scanner;
  for (offset += kBlockBytes; offset < scanner.file_bytes(); offset += kBlockBytes) {
    ScannedBatch batch;
    auto state = scanner.read(offset, batch);
    if (!state) return state.status();
    if (*state == BatchState::kValid && batch.header.sequence > sequence_) {
      return std::optional<uint64_t>(offset);
    }
  }
  return std::optional<uint64_t>();
}

Status Walk::check_missing() {
  if (segments_.empty()) return Status::ok();
  // As in log/recovery.cc: only segment 1 can be the beginning of a log without any batch.
  const uint64_t first = report_.segments.front().id;
  const bool empty = std::all_of(report_.segments.begin(), report_.segments.end(),
                                 [](const SegmentReport& s) { return s.state == "prepared"; });
  const uint64_t missing = empty ? first - 1 : needed_segment_;
  if (missing != 0 && missing < first) {
    report_.damages.push_back({report_.directory + "/" + log::segment_file_name(missing),
                               0,
                               "this segment is missing",
                               {}});
  }
  return Status::ok();
}

}  // namespace

Result<LogReport> walk_log(env::FileSystem& files, const std::string& directory,
                           const RecordVisitor& visit) {
  auto names = files.list(directory);
  if (!names) return names.status();
  LogReport report;
  report.directory = directory;
  std::vector<uint64_t> ids;
  for (const std::string& name : *names) {
    if (auto id = log::parse_segment_file_name(name)) ids.push_back(*id);
    if (name.ends_with(log::kSpareSuffix)) ++report.spares;
    if (name.ends_with(log::kNewSuffix)) ++report.unfinished;
  }
  std::sort(ids.begin(), ids.end());
  // As recovery does: the newest row without a hole is the log.
  size_t from = ids.empty() ? 0 : ids.size() - 1;
  while (from > 0 && ids[from - 1] + 1 == ids[from]) --from;
  Walk walk(files, report, visit);
  for (size_t i = from; i < ids.size(); ++i) {
    MR_RETURN_IF_ERROR(walk.add(directory + "/" + log::segment_file_name(ids[i]), ids[i]));
  }
  MR_RETURN_IF_ERROR(walk.run());
  MR_RETURN_IF_ERROR(walk.check_missing());
  for (size_t i = 0; i < from; ++i) {
    SegmentReport obsolete;
    obsolete.file = directory + "/" + log::segment_file_name(ids[i]);
    obsolete.id = ids[i];
    obsolete.state = "obsolete";
    report.segments.insert(report.segments.begin() + static_cast<ptrdiff_t>(i), obsolete);
  }
  return report;
}

Result<LogReport> walk_segment(env::FileSystem& files, const std::string& path,
                               const RecordVisitor& visit) {
  LogReport report;
  report.directory = path;
  Walk walk(files, report, visit);
  MR_RETURN_IF_ERROR(walk.add(path, 0));
  MR_RETURN_IF_ERROR(walk.run());
  return report;
}

}  // namespace multiraft::inspect
