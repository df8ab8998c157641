#include "log/batch.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"

namespace multiraft::log {
namespace {

constexpr size_t kBufferBytesMin = 64 * 1024;
/// A buffer that grew beyond it is given back, so that one large batch does not cost for ever.
constexpr size_t kBufferBytesKept = 4 * 1024 * 1024;

}  // namespace

void BlockBuffer::grow(size_t capacity, size_t keep) {
  capacity = round_up_to_block(std::max({capacity, capacity_ * 2, kBufferBytesMin}));
  std::unique_ptr<char, Free> data(
      static_cast<char*>(::operator new(capacity, std::align_val_t(kBlockBytes))));
  if (keep > 0) std::memcpy(data.get(), data_.get(), keep);
  data_ = std::move(data);
  capacity_ = capacity;
}

void Batch::reset(uint64_t sequence, uint64_t segment, uint64_t offset) {
  sequence_ = sequence;
  segment_ = segment;
  offset_ = offset;
  if (buffer_.capacity() > kBufferBytesKept) {
    buffer_.~BlockBuffer();
    new (&buffer_) BlockBuffer();
  }
  if (buffer_.capacity() == 0) buffer_.grow(kBufferBytesMin, 0);
  used_ = kBatchHeaderBytes;
  padding_ = 0;
  splices_.clear();
  spliced_bytes_ = 0;
  records_ = 0;
  must_sync = false;
  needed_segment = 0;
  kind = BatchKind::kRecords;
  callbacks.clear();
}

char* Batch::reserve(size_t bytes) {
  // A block more than asked for: the padding at the end always fits.
  const size_t wanted = used_ + bytes + kBlockBytes;
  if (wanted > buffer_.capacity()) buffer_.grow(wanted, used_);
  return buffer_.data() + used_;
}

void Batch::splice(const SharedBytes& data) {
  splices_.push_back({used_, data});
  spliced_bytes_ += data.size();
}

void Batch::finish(uint32_t seed, BatchHeader& header) {
  reserve(0);
  padding_ = static_cast<size_t>(total_bytes() - size());
  std::memset(buffer_.data() + used_, 0, padding_);
  header.sequence = sequence_;
  header.needed_segment = needed_segment;
  header.kind = kind;
  header.records = records_;
  header.body_bytes = static_cast<uint32_t>(size() - kBatchHeaderBytes);
  uint32_t checksum = seed;
  size_t at = kBatchHeaderBytes;
  for (const Splice& splice : splices_) {
    checksum = crc32c({buffer_.data() + at, splice.at - at}, checksum);
    checksum = crc32c(splice.data, checksum);
    at = splice.at;
  }
  header.body_checksum = crc32c({buffer_.data() + at, used_ - at}, checksum);
  encode(header, seed, buffer_.data());
}

std::span<char> Batch::block() {
  MR_ASSERT(splices_.empty());
  return {buffer_.data(), used_ + padding_};
}

std::vector<std::string_view> Batch::parts() const {
  std::vector<std::string_view> parts;
  parts.reserve(2 * splices_.size() + 1);
  size_t at = 0;
  for (const Splice& splice : splices_) {
    if (splice.at > at) parts.emplace_back(buffer_.data() + at, splice.at - at);
    parts.push_back(splice.data);
    at = splice.at;
  }
  if (used_ + padding_ > at) parts.emplace_back(buffer_.data() + at, used_ + padding_ - at);
  return parts;
}

}  // namespace multiraft::log
