#include "wire/batch.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "wire/batch_layout.h"

namespace multiraft::wire {
namespace {

constexpr size_t kBufferBytesInitial = 4 * limits::kKiB;
/// A larger buffer is given back, so that one burst does not hold memory for good.
constexpr size_t kBufferBytesKept = 256 * limits::kKiB;

}  // namespace

using namespace layout;

size_t record_bytes(const GroupMessage& message) {
  const raft::Message& m = message.message;
  size_t bytes = sizeof(MessageRecord) + m.entries.size() * sizeof(EntryHead);
  for (const raft::Entry& entry : m.entries) bytes += entry.data.size();
  return bytes;
}

size_t record_bytes(const Request& request) {
  return sizeof(RequestRecord) + request.payload.size();
}

size_t record_bytes(const Response& response) {
  return sizeof(ResponseRecord) + response.payload.size();
}

BatchEncoder::BatchEncoder()
    : buffer_(new char[kBufferBytesInitial]), capacity_(kBufferBytesInitial) {}

char* BatchEncoder::grow(size_t bytes) {
  if (bytes > capacity_ - used_) {
    capacity_ = std::max(2 * capacity_, used_ + bytes);
    std::unique_ptr<char[]> bigger(new char[capacity_]);
    std::memcpy(bigger.get(), buffer_.get(), used_);
    buffer_ = std::move(bigger);
  }
  char* out = buffer_.get() + used_;
  used_ += bytes;
  return out;
}

void BatchEncoder::add_payload(const SharedBytes& payload) {
  if (payload.size() >= kSpliceBytesMin) {
    splices_.push_back({used_, payload});
    spliced_bytes_ += payload.size();
  } else if (!payload.empty()) {
    std::memcpy(grow(payload.size()), payload.data(), payload.size());
  }
}

void BatchEncoder::add(const GroupMessage& message) {
  const raft::Message& m = message.message;
  MR_ASSERT_MSG(travels(static_cast<uint8_t>(m.type)) && m.responses.empty() && !m.snapshot,
                "a message that does not travel in batches is sent to another node");
  MR_ASSERT(m.entries.empty() || may_have_entries(m.type));
  MessageRecord record;
  record.record = kMessageRecord;
  record.type = static_cast<uint8_t>(m.type);
  record.flags = static_cast<uint8_t>((m.reject ? kReject : 0) |
                                      (m.leadership_transfer ? kLeadershipTransfer : 0) |
                                      (m.lease ? kLease : 0));
  record.zero = 0;
  record.entries_or_promise_ms = m.type == raft::MessageType::kHeartbeatResp
                                     ? m.promise_ms
                                     : static_cast<uint32_t>(m.entries.size());
  record.group = message.group.value;
  record.from = m.from.value;
  record.to = m.to.value;
  record.term = m.term.value;
  record.log_term = m.log_term.value;
  record.index = m.index.value;
  record.commit = m.commit.value;
  record.vote = m.vote.value;
  record.reject_hint = m.reject_hint.value;
  record.read_id = m.read_id.value;
  std::memcpy(grow(sizeof record), &record, sizeof record);
  for (const raft::Entry& entry : m.entries) {
    EntryHead head{};
    head.term = entry.term.value;
    head.index = entry.index.value;
    MR_ASSERT(entry.data.size() <= kEntrySizeMask);
    head.size_and_type =
        static_cast<uint32_t>(entry.data.size()) | (static_cast<uint32_t>(entry.type) << 28);
    head.checksum = entry.checksum;
    std::memcpy(grow(sizeof head), &head, sizeof head);
    add_payload(entry.data);
  }
  ++records_;
}

void BatchEncoder::add(const Request& request) {
  RequestRecord record{};
  record.record = kRequestRecord;
  record.kind = static_cast<uint8_t>(request.kind);
  record.size = static_cast<uint32_t>(request.payload.size());
  record.id = request.id;
  record.group = request.group.value;
  record.checksum = request.checksum;
  std::memcpy(grow(sizeof record), &record, sizeof record);
  add_payload(request.payload);
  ++records_;
}

void BatchEncoder::add(const Response& response) {
  ResponseRecord record{};
  record.record = kResponseRecord;
  record.code = static_cast<uint8_t>(response.code);
  record.size = static_cast<uint32_t>(response.payload.size());
  record.id = response.id;
  record.asker = response.asker;
  std::memcpy(grow(sizeof record), &record, sizeof record);
  add_payload(response.payload);
  ++records_;
}

void BatchEncoder::add(const Durable& durable) {
  MR_ASSERT(!empty() && durable.sequence != 0);
  static_assert(sizeof(DurableRecord) == kDurableBytes);
  DurableRecord record{};
  record.record = kDurableRecord;
  record.sequence = durable.sequence;
  std::memcpy(grow(sizeof record), &record, sizeof record);
}

std::span<const std::string_view> BatchEncoder::finish() {
  MR_ASSERT(!empty() && frame_bytes() <= limits::kFrameBytesMax);
  char* const header = buffer_.get();
  uint32_t checksum =
      internal::begin_frame_header(FrameKind::kBatch, frame_bytes() - kFrameHeaderBytes, header);
  parts_.clear();
  size_t part_begin = 0;  // The header goes out with the first records.
  size_t checked = kFrameHeaderBytes;
  auto end_part_at = [&](size_t end) {
    if (end > checked) checksum = crc32c({header + checked, end - checked}, checksum);
    checked = end;
    if (end > part_begin) parts_.emplace_back(header + part_begin, end - part_begin);
    part_begin = end;
  };
  for (const Splice& splice : splices_) {
    end_part_at(splice.at);
    checksum = crc32c(splice.bytes.view(), checksum);
    parts_.push_back(splice.bytes.view());
  }
  end_part_at(used_);
  internal::finish_frame_header(checksum, header);
  return parts_;
}

void BatchEncoder::clear() {
  used_ = kFrameHeaderBytes;
  records_ = 0;
  spliced_bytes_ = 0;
  splices_.clear();
  parts_.clear();
  if (capacity_ > kBufferBytesKept) {
    buffer_.reset(new char[kBufferBytesInitial]);
    capacity_ = kBufferBytesInitial;
  }
}

}  // namespace multiraft::wire
