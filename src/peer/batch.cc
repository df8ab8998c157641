#include "peer/batch.h"

#include "base/bytes.h"
#include "base/crc32c.h"

namespace multiraft::peer {
namespace {

/// Below this a copy is cheaper than another part of a scattered write.
constexpr size_t kLargeBytes = 4096;

enum class RecordKind : uint8_t { kMessage = 1, kRequest = 2, kResponse = 3 };

constexpr uint8_t kFlagReject = 1;
constexpr uint8_t kFlagTransfer = 2;
constexpr size_t kEntryHeaderBytes = 8 + 8 + 1 + 4;

Status malformed(const char* what) {
  return Status(StatusCode::kInvalidArgument, std::string("malformed ") + what);
}

/// Snapshots travel on streams of their own, and local messages never leave.
bool on_the_wire(uint8_t type) {
  using raft::MessageType;
  return type >= static_cast<uint8_t>(MessageType::kProp) &&
         type <= static_cast<uint8_t>(MessageType::kReadIndexResp) &&
         type != static_cast<uint8_t>(MessageType::kSnap);
}

bool valid_status_code(uint8_t code) { return code <= static_cast<uint8_t>(StatusCode::kInternal); }

/// A slice of the frame; where it is small beside it, a copy, so that a key of ten bytes does not
/// hold a megabyte.
SharedBytes take(const SharedBytes& frame, std::string_view bytes) {
  if (bytes.empty()) return {};
  const SharedBytes slice =
      frame.slice(static_cast<size_t>(bytes.data() - frame.data()), bytes.size());
  return bytes.size() * 16 < frame.size() ? slice.cut() : slice;
}

Status decode_message(const SharedBytes& frame, ByteReader& in, BatchVisitor& visitor) {
  GroupMessage out;
  raft::Message& m = out.message;
  out.group = GroupId(in.u64());
  const uint8_t type = in.u8();
  const uint8_t flags = in.u8();
  m.type = static_cast<raft::MessageType>(type);
  m.reject = (flags & kFlagReject) != 0;
  m.leadership_transfer = (flags & kFlagTransfer) != 0;
  m.from = ReplicaId(in.u64());
  m.to = ReplicaId(in.u64());
  m.term = Term(in.u64());
  m.log_term = Term(in.u64());
  m.index = LogIndex(in.u64());
  m.commit = LogIndex(in.u64());
  m.reject_hint = LogIndex(in.u64());
  m.read_id = raft::ReadId(in.u64());
  const size_t entries = in.u32();
  if (in.failed() || !on_the_wire(type) || flags > 3) return malformed("message");
  if (entries > in.remaining() / kEntryHeaderBytes) return malformed("number of entries");
  m.entries.reserve(entries);
  for (size_t i = 0; i < entries; ++i) {
    raft::Entry& entry = m.entries.emplace_back();
    entry.term = Term(in.u64());
    entry.index = LogIndex(in.u64());
    const uint8_t entry_type = in.u8();
    entry.type = static_cast<raft::EntryType>(entry_type);
    const std::string_view data = in.sized();
    if (in.failed() || entry_type > 2 || data.size() > limits::kProposalBytesMax) {
      return malformed("entry");
    }
    entry.data = take(frame, data);
  }
  visitor.on_message(std::move(out));
  return Status::ok();
}

Status decode_request(const SharedBytes& frame, ByteReader& in, BatchVisitor& visitor) {
  Request out;
  out.id = in.u64();
  const uint8_t kind = in.u8();
  out.kind = static_cast<RequestKind>(kind);
  out.group = GroupId(in.u64());
  const std::string_view payload = in.sized();
  if (in.failed() || kind < 1 || kind > 3) return malformed("request");
  out.payload = take(frame, payload);
  visitor.on_request(std::move(out));
  return Status::ok();
}

Status decode_response(const SharedBytes& frame, ByteReader& in, BatchVisitor& visitor) {
  Response out;
  out.id = in.u64();
  const uint8_t code = in.u8();
  out.code = static_cast<StatusCode>(code);
  const std::string_view payload = in.sized();
  if (in.failed() || !valid_status_code(code)) return malformed("response");
  out.payload = take(frame, payload);
  visitor.on_response(std::move(out));
  return Status::ok();
}

}  // namespace

void BatchWriter::put_bytes(const SharedBytes& bytes) {
  ByteWriter w(buffer_);
  w.u32(static_cast<uint32_t>(bytes.size()));
  if (bytes.size() < kLargeBytes) {
    w.bytes(bytes);
    return;
  }
  large_.push_back({buffer_.size(), bytes});
  large_bytes_ += bytes.size();
}

void BatchWriter::add(const GroupMessage& message) {
  const raft::Message& m = message.message;
  ByteWriter w(buffer_);
  w.u8(static_cast<uint8_t>(RecordKind::kMessage));
  w.u64(message.group.value);
  w.u8(static_cast<uint8_t>(m.type));
  w.u8(static_cast<uint8_t>((m.reject ? kFlagReject : 0) |
                            (m.leadership_transfer ? kFlagTransfer : 0)));
  w.u64(m.from.value);
  w.u64(m.to.value);
  w.u64(m.term.value);
  w.u64(m.log_term.value);
  w.u64(m.index.value);
  w.u64(m.commit.value);
  w.u64(m.reject_hint.value);
  w.u64(m.read_id.value);
  w.u32(static_cast<uint32_t>(m.entries.size()));
  for (const raft::Entry& entry : m.entries) {
    w.u64(entry.term.value);
    w.u64(entry.index.value);
    w.u8(static_cast<uint8_t>(entry.type));
    put_bytes(entry.data);
  }
  ++records_;
}

void BatchWriter::add(const Request& request) {
  ByteWriter w(buffer_);
  w.u8(static_cast<uint8_t>(RecordKind::kRequest));
  w.u64(request.id);
  w.u8(static_cast<uint8_t>(request.kind));
  w.u64(request.group.value);
  put_bytes(request.payload);
  ++records_;
}

void BatchWriter::add(const Response& response) {
  ByteWriter w(buffer_);
  w.u8(static_cast<uint8_t>(RecordKind::kResponse));
  w.u64(response.id);
  w.u8(static_cast<uint8_t>(response.code));
  put_bytes(response.payload);
  ++records_;
}

std::vector<std::string_view> BatchWriter::finish() {
  std::vector<std::string_view> parts(1);
  const std::string_view all = buffer_;
  size_t from = 0;
  for (const Large& large : large_) {
    if (large.at > from) parts.push_back(all.substr(from, large.at - from));
    parts.push_back(large.bytes.view());
    from = large.at;
  }
  if (from < all.size()) parts.push_back(all.substr(from));
  const auto size = static_cast<uint32_t>(payload_bytes());
  uint32_t checksum = frame_seed(FrameKind::kBatch, size);
  for (size_t i = 1; i < parts.size(); ++i) checksum = crc32c(parts[i], checksum);
  header_ = encode_frame_header(FrameKind::kBatch, size, checksum);
  parts[0] = header_;
  return parts;
}

void BatchWriter::clear() {
  buffer_.clear();
  large_.clear();
  large_bytes_ = 0;
  records_ = 0;
}

Status decode_batch(const SharedBytes& payload, BatchVisitor& visitor) {
  ByteReader in(payload.view());
  while (in.remaining() > 0) {
    switch (static_cast<RecordKind>(in.u8())) {
      case RecordKind::kMessage:
        MR_RETURN_IF_ERROR(decode_message(payload, in, visitor));
        break;
      case RecordKind::kRequest:
        MR_RETURN_IF_ERROR(decode_request(payload, in, visitor));
        break;
      case RecordKind::kResponse:
        MR_RETURN_IF_ERROR(decode_response(payload, in, visitor));
        break;
      default:
        return malformed("record: its kind is unknown");
    }
  }
  return Status::ok();
}

}  // namespace multiraft::peer
