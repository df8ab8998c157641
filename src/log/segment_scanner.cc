#include "log/segment_scanner.h"

#include <algorithm>

#include "base/crc32c.h"

namespace multiraft::log {
namespace {

constexpr uint64_t kWindowBytes = 1024 * 1024;

}  // namespace

Result<std::string_view> SegmentScanner::bytes(uint64_t offset, uint64_t size) {
  if (offset >= file_bytes_) return std::string_view();
  size = std::min(size, file_bytes_ - offset);
  if (offset < window_offset_ || offset + size > window_offset_ + window_.size()) {
    const uint64_t wanted = std::min(std::max(size, kWindowBytes), file_bytes_ - offset);
    window_.resize(wanted);
    Result<size_t> read = file_.read_at(offset, window_);
    if (!read) return read.status();
    window_.resize(*read);
    window_offset_ = offset;
  }
  return std::string_view(window_).substr(offset - window_offset_, size);
}

Result<BatchState> SegmentScanner::read_header(uint64_t offset, BatchHeader& header) {
  Result<std::string_view> head = bytes(offset, kBatchHeaderBytes);
  if (!head) return head.status();
  if (!decode(*head, header_.seed(), header)) return BatchState::kNoHeader;
  return BatchState::kValid;
}

Result<BatchState> SegmentScanner::read(uint64_t offset, ScannedBatch& batch) {
  Result<BatchState> state = read_header(offset, batch.header);
  if (!state || *state != BatchState::kValid) return state;
  Result<std::string_view> whole = bytes(offset, kBatchHeaderBytes + batch.header.body_bytes);
  if (!whole) return whole.status();
  batch.body = whole->substr(std::min(kBatchHeaderBytes, whole->size()));
  const bool valid = batch.body.size() == batch.header.body_bytes &&
                     crc32c(batch.body, header_.seed()) == batch.header.body_checksum;
  return valid ? BatchState::kValid : BatchState::kBodyDamaged;
}

}  // namespace multiraft::log
