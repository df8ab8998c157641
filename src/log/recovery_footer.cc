// Recovery of a finished segment by its footer.

#include "base/coverage.h"
#include "log/recovery.h"

namespace multiraft::log {

Result<bool> Recovery::replay_footer(uint64_t id, uint64_t& offset) {
  ScannedBatch batch;
  uint64_t footer_offset = 0;
  Result<bool> found = find_footer(id, footer_offset, batch);
  if (!found || !*found) return found;
  MR_RETURN_IF_ERROR(check_marks(id, footer_offset, batch.header));
  MR_RETURN_IF_ERROR(apply_footer(id, footer_offset, batch));
  MR_COVERAGE("log.opened_by_footer");
  log_.unverified.push_back(id);
  offset = footer_offset;
  advance(id, offset, batch.header);
  return true;
}

Result<bool> Recovery::find_footer(uint64_t id, uint64_t& offset, ScannedBatch& batch) {
  Result<SegmentScanner*> scan = scanner(id);
  if (!scan) return scan.status();
  const SegmentHeader& header = context_.segments.at(id).file->header;
  Result<std::string_view> trailer = (*scan)->bytes(header.bytes - kBlockBytes, kTrailerBytes);
  if (!trailer) return trailer.status();
  const std::optional<uint64_t> at = decode_trailer(*trailer, header.seed());
  if (!at || *at % kBlockBytes != 0 || *at < kBlockBytes || *at >= header.bytes) return false;
  offset = *at;
  Result<BatchState> state = (*scan)->read(offset, batch);
  if (!state) return state.status();
  if (*state != BatchState::kValid || batch.header.kind != BatchKind::kFooter ||
      batch.header.sequence <= log_.chain.sequence) {
    return false;
  }
  return was_synced(id, batch.header.sequence);
}

/// A footer may have reached the disk without the batches that it covers. Not so if the next
/// segment was begun: that happens after a sync, and its first batch says so.
Result<bool> Recovery::was_synced(uint64_t id, uint64_t sequence) const {
  const SegmentFile& next = *context_.segments.at(id + 1).file;
  SegmentScanner scanner(*next.file, next.header, next.header.bytes);
  BatchHeader header;
  Result<BatchState> state = scanner.read_header(kBlockBytes, header);
  if (!state) return state.status();
  return *state == BatchState::kValid && header.synced >= sequence;
}

Status Recovery::apply_footer(uint64_t id, uint64_t offset, const ScannedBatch& batch) {
  size_t position = 0;
  FooterGroup footer;
  for (uint32_t i = 0; i < batch.header.records; ++i) {
    if (!decode_footer_group(batch.body, position, footer) || !apply_footer_group(id, footer)) {
      return senseless(id, offset, "item " + std::to_string(i) + " of the footer", footer.group);
    }
  }
  return Status::ok();
}

bool Recovery::apply_footer_group(uint64_t id, const FooterGroup& footer) {
  if (footer.removed || footer.created) groups_.erase(footer.group);
  if (footer.removed) {
    context_.segments.at(id).removed.push_back(footer.group);
    return true;
  }
  GroupState& group = group_of(footer.group, footer.replica);
  touch(group, id);
  return group.recover_footer(footer, id, holes_max_);
}

}  // namespace multiraft::log
