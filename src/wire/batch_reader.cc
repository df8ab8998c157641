#include <cstring>
#include <memory>

#include "wire/batch.h"
#include "wire/batch_layout.h"
#include "wire/status_code.h"

namespace multiraft::wire {

using namespace layout;

namespace {

/// A replica names its node; the values of local threads are beyond the nodes'.
bool is_replica(uint64_t id) {
  const uint64_t node = ReplicaId(id).node().value;
  return node >= 1 && node <= limits::kNodeIdMax;
}

bool is_request_kind(uint8_t kind) {
  switch (static_cast<RequestKind>(kind)) {
    case RequestKind::kJoin:
    case RequestKind::kPropose:
    case RequestKind::kAdmin:
      return true;
  }
  return false;
}

}  // namespace

BatchReader::Item BatchReader::malformed(std::string_view what) {
  status_ = Status(StatusCode::kCorruption, "a malformed batch: " + std::string(what) +
                                                " in the record that byte " +
                                                std::to_string(position_) + " is part of");
  position_ = payload_.size();
  return Item::kMalformed;
}

BatchReader::Item BatchReader::next() {
  if (remaining() == 0) {
    if (!status_.is_ok()) return Item::kMalformed;
    // Nobody sends an empty batch.
    return payload_.empty() ? malformed("nothing") : Item::kEnd;
  }
  switch (static_cast<uint8_t>(*here())) {
    case kMessageRecord:
      return read_message();
    case kRequestRecord:
      return read_request();
    case kResponseRecord:
      return read_response();
    case kDurableRecord:
      return read_durable();
    default:
      return malformed("an unknown kind");
  }
}

BatchReader::Item BatchReader::read_message() {
  MessageRecord record;
  if (remaining() < sizeof record) return malformed("a cut-off message");
  std::memcpy(&record, here(), sizeof record);
  if (!travels(record.type)) return malformed("a message that does not travel in batches");
  if (record.flags > kFlagsMax || record.zero != 0) return malformed("unknown flags");
  if (!is_replica(record.from) || !is_replica(record.to)) return malformed("an impossible replica");
  position_ += sizeof record;

  message_.group = GroupId(record.group);
  raft::Message& m = message_.message;
  m.type = static_cast<raft::MessageType>(record.type);
  m.reject = (record.flags & kReject) != 0;
  m.leadership_transfer = (record.flags & kLeadershipTransfer) != 0;
  m.lease = (record.flags & kLease) != 0;
  m.from = ReplicaId(record.from);
  m.to = ReplicaId(record.to);
  m.term = Term(record.term);
  m.log_term = Term(record.log_term);
  m.index = LogIndex(record.index);
  m.commit = LogIndex(record.commit);
  m.vote = ReplicaId(record.vote);
  m.reject_hint = LogIndex(record.reject_hint);
  m.read_id = raft::ReadId(record.read_id);
  // What the taker of the last message has left.
  m.entries.clear();
  m.snapshot.reset();
  m.promise_ms = 0;
  if (m.type == raft::MessageType::kHeartbeatResp) {
    m.promise_ms = record.entries_or_promise_ms;
  } else if (record.entries_or_promise_ms > 0) {
    if (!may_have_entries(m.type)) return malformed("entries where none belong");
    if (!read_entries(record.entries_or_promise_ms)) return malformed("bad entries");
  }
  return Item::kMessage;
}

SharedBytes BatchReader::take(size_t size) {
  SharedBytes bytes = payload_.slice(position_, size).trimmed();
  position_ += size;
  return bytes;
}

bool BatchReader::read_entries(uint32_t count) {
  // Before anything is allocated: so many heads must be there.
  if (remaining() / sizeof(EntryHead) < count) return false;
  std::vector<raft::Entry>& entries = message_.message.entries;
  entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    EntryHead head;
    if (remaining() < sizeof head) return false;
    std::memcpy(&head, here(), sizeof head);
    const uint32_t size = head.size_and_type & kEntrySizeMask;
    const auto type = static_cast<uint8_t>(head.size_and_type >> 28);
    if (!is_entry_type(type) || size > remaining() - sizeof head ||
        // A log record holds one of that size, and no leader has a larger one.
        size > limits::kProposalBytesMax) {
      return false;
    }
    position_ += sizeof head;
    entries.push_back({Term(head.term), LogIndex(head.index), static_cast<raft::EntryType>(type),
                       take(size), head.checksum});
  }
  return true;
}

BatchReader::Item BatchReader::read_request() {
  RequestRecord record;
  if (remaining() < sizeof record) return malformed("a cut-off request");
  std::memcpy(&record, here(), sizeof record);
  if (!is_request_kind(record.kind) || record.zero != 0 || record.zero_too != 0)
    return malformed("an unknown request");
  if (record.size > remaining() - sizeof record) return malformed("a cut-off request");
  position_ += sizeof record;
  request_.id = record.id;
  request_.kind = static_cast<RequestKind>(record.kind);
  request_.group = GroupId(record.group);
  request_.checksum = record.checksum;
  request_.payload = take(record.size);
  return Item::kRequest;
}

BatchReader::Item BatchReader::read_response() {
  ResponseRecord record;
  if (remaining() < sizeof record) return malformed("a cut-off response");
  std::memcpy(&record, here(), sizeof record);
  if (!is_status_code(record.code) || record.zero != 0) return malformed("an unknown response");
  if (record.size > remaining() - sizeof record) return malformed("a cut-off response");
  position_ += sizeof record;
  response_.id = record.id;
  response_.asker = record.asker;
  response_.code = static_cast<StatusCode>(record.code);
  response_.payload = take(record.size);
  return Item::kResponse;
}

BatchReader::Item BatchReader::read_durable() {
  DurableRecord record;
  // It ends a batch, and is none by itself.
  if (remaining() != sizeof record || position_ == 0)
    return malformed("a misplaced sequence number");
  std::memcpy(&record, here(), sizeof record);
  for (const uint8_t zero : record.zero) {
    if (zero != 0) return malformed("a reserved byte that is not 0");
  }
  if (record.sequence == 0) return malformed("no sequence number");
  position_ += sizeof record;
  durable_.sequence = record.sequence;
  return Item::kDurable;
}

}  // namespace multiraft::wire
