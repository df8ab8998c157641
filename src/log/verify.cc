#include "log/verify.h"

#include <algorithm>

#include "log/group_state.h"

namespace multiraft::log {

std::string damaged_group(SegmentScanner& scanner, uint64_t offset) {
  // Best effort: where the records' borders are intact, the entries' own checksums tell whose data
  // is hit.
  ScannedBatch batch;
  Result<BatchState> state = scanner.read(offset, batch);
  if (!state || *state != BatchState::kBodyDamaged) return "group unknown";
  RecordView record;
  size_t position = 0;
  while (decode_record(batch.body, position, record)) {
    for (const EntryView& entry : record.entries) {
      if (entry.checksum != entry_checksum(record.group, entry)) {
        return "in entry " + to_string(entry.index) + " of group " + to_string(record.group);
      }
    }
  }
  return "group unknown";
}

Status damage_status(const std::string& path, uint64_t offset, uint64_t sequence,
                     const std::string& why, const std::string& group) {
  return {StatusCode::kCorruption, path + ": damage at offset " + std::to_string(offset) +
                                       " in batch " + std::to_string(sequence) + ", " + why + ", " +
                                       group + "; " + std::string(kHowToHeal)};
}

Status verify_segment(const SegmentFile& segment) {
  Result<uint64_t> size = segment.file->size();
  if (!size) return size.status();
  SegmentScanner scanner(*segment.file, segment.header, std::min(*size, segment.header.bytes));
  BatchHeader last;
  for (uint64_t offset = kBlockBytes;;) {
    ScannedBatch batch;
    Result<BatchState> state = scanner.read(offset, batch);
    if (!state) return state.status();
    const bool follows = *state == BatchState::kValid &&
                         (last.sequence == 0 || (batch.header.sequence == last.sequence + 1 &&
                                                 batch.header.previous == last.checksum));
    if (!follows) {
      return damage_status(segment.file->path(), offset, last.sequence + 1,
                           "which the segment's footer covers", damaged_group(scanner, offset));
    }
    if (batch.header.kind == BatchKind::kFooter) return Status::ok();
    last = batch.header;
    offset += batch.header.total_bytes();
  }
}

}  // namespace multiraft::log
