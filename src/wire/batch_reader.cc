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
  if (!travels(record.type)) return malformed("a message that never leaves its node");
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
  if (m.type == raft::MessageType::kSnap && !read_snapshot()) return malformed("a bad snapshot");
  return Item::kMessage;
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
    if (!is_entry_type(head.type) || head.zero[0] != 0 || head.zero[1] != 0 || head.zero[2] != 0 ||
        head.size > remaining() - sizeof head) {
      return false;
    }
    position_ += sizeof head;
    entries.push_back({Term(head.term), LogIndex(head.index),
                       static_cast<raft::EntryType>(head.type),
                       payload_.slice(position_, head.size)});
    position_ += head.size;
  }
  return true;
}

bool BatchReader::read_snapshot() {
  ByteReader in(payload_.view().substr(position_));
  auto snapshot = std::make_shared<raft::Snapshot>();
  if (!raft::decode(in, *snapshot)) return false;
  position_ += in.position();
  message_.message.snapshot = std::move(snapshot);
  return true;
}

BatchReader::Item BatchReader::read_request() {
  RequestRecord record;
  if (remaining() < sizeof record) return malformed("a cut-off request");
  std::memcpy(&record, here(), sizeof record);
  if (!is_request_kind(record.kind) || record.zero != 0) return malformed("an unknown request");
  if (record.size > remaining() - sizeof record) return malformed("a cut-off request");
  position_ += sizeof record;
  request_.id = record.id;
  request_.kind = static_cast<RequestKind>(record.kind);
  request_.group = GroupId(record.group);
  request_.payload = payload_.slice(position_, record.size);
  position_ += record.size;
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
  response_.payload = payload_.slice(position_, record.size);
  position_ += record.size;
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
