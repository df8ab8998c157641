#include "kv/snapshot_format.h"

#include <isa-l/crc64.h>

#include "base/assert.h"
#include "kv/command.h"

namespace multiraft::kv {
namespace {

enum class Tag : uint8_t { kBegin = 1, kRecord = 2, kEnd = 3 };

constexpr uint32_t kMagic = 0x31564b4d;  // "MKV1"

uint64_t finished_hash(uint64_t crc, LogIndex index) {
  std::string bytes;
  ByteWriter(bytes).u64(index.value);
  return crc64(bytes, crc);
}

Status corrupt(const std::string& what) {
  return {StatusCode::kCorruption, "key-value snapshot: " + what};
}

}  // namespace

uint64_t crc64(std::string_view bytes, uint64_t seed) {
  return crc64_ecma_refl(seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

void SnapshotEncoder::begin(std::string& chunk) const {
  ByteWriter out(chunk);
  out.u8(static_cast<uint8_t>(Tag::kBegin));
  out.u32(kMagic);
  out.u16(kSnapshotVersion);
  out.u64(index_.value);
  out.u64(term_.value);
}

void SnapshotEncoder::record(const Record& record, std::string& chunk) {
  MR_ASSERT(valid_key(record.key));
  MR_ASSERT(valid_value(record.value));
  const size_t start = chunk.size();
  ByteWriter out(chunk);
  out.u8(static_cast<uint8_t>(Tag::kRecord));
  out.u16(static_cast<uint16_t>(record.key.size()));
  out.u32(static_cast<uint32_t>(record.value.size()));
  out.u64(record.modified_index.value);
  out.bytes(record.key);
  out.bytes(record.value);
  crc_ = crc64(std::string_view(chunk).substr(start), crc_);
  ++records_;
}

void SnapshotEncoder::end(std::string& chunk) const {
  ByteWriter out(chunk);
  out.u8(static_cast<uint8_t>(Tag::kEnd));
  out.u64(records_);
  out.u64(hash());
}

uint64_t SnapshotEncoder::hash() const { return finished_hash(crc_, index_); }

Status SnapshotDecoder::append(std::string_view chunk, const Sink& sink) {
  if (error_.is_ok()) error_ = decode(chunk, sink);
  return error_;
}

Status SnapshotDecoder::decode(std::string_view chunk, const Sink& sink) {
  ByteReader in(chunk);
  while (in.remaining() > 0) {
    if (state_ == State::kEnded) return corrupt("bytes after the end");
    const size_t start = in.position();
    const uint8_t tag = in.u8();
    if (state_ == State::kBegin) {
      if (tag != static_cast<uint8_t>(Tag::kBegin)) return corrupt("no beginning");
      MR_RETURN_IF_ERROR(begin(in));
    } else if (tag == static_cast<uint8_t>(Tag::kRecord)) {
      Record next;
      MR_RETURN_IF_ERROR(record(in, next));
      crc_ = crc64(chunk.substr(start, in.position() - start), crc_);
      MR_RETURN_IF_ERROR(sink(next));
    } else if (tag == static_cast<uint8_t>(Tag::kEnd)) {
      MR_RETURN_IF_ERROR(end(in));
    } else {
      return corrupt("item kind " + std::to_string(tag) + " has no place here");
    }
  }
  return Status::ok();
}

Status SnapshotDecoder::begin(ByteReader& in) {
  const uint32_t magic = in.u32();
  const uint16_t version = in.u16();
  const LogIndex index(in.u64());
  const Term term(in.u64());
  if (in.failed()) return corrupt("cut off in its beginning");
  if (magic != kMagic) return corrupt("not of this state machine");
  if (version != kSnapshotVersion) {
    if (version < kSnapshotVersion) {
      return corrupt("format version " + std::to_string(version) + " is not known");
    }
    return {StatusCode::kUnsupported,
            "a newer version of multiraft has written the snapshot (format " +
                std::to_string(version) + ", and this program knows " +
                std::to_string(kSnapshotVersion) + "): upgrade this node"};
  }
  if (index != index_ || term != term_) {
    return corrupt("stands at index " + to_string(index) + " term " + to_string(term) +
                   " and was announced at " + to_string(index_) + " term " + to_string(term_));
  }
  state_ = State::kRecords;
  return Status::ok();
}

Status SnapshotDecoder::record(ByteReader& in, Record& out) {
  const uint16_t key_size = in.u16();
  const uint32_t value_size = in.u32();
  out.modified_index = LogIndex(in.u64());
  out.key = in.bytes(key_size);
  out.value = in.bytes(value_size);
  if (in.failed()) return corrupt("cut off in a record");
  if (!valid_key(out.key)) return corrupt("a key of " + std::to_string(key_size) + " bytes");
  if (!valid_value(out.value)) {
    return corrupt("a value of " + std::to_string(value_size) + " bytes");
  }
  // The empty key, which no record has, stands before the first.
  if (out.key <= last_key_) return corrupt("keys out of order");
  if (!out.modified_index || out.modified_index > index_) {
    return corrupt("a value of index " + to_string(out.modified_index) + " in a state at " +
                   to_string(index_));
  }
  last_key_ = out.key;
  ++records_;
  return Status::ok();
}

Status SnapshotDecoder::end(ByteReader& in) {
  const uint64_t records = in.u64();
  const uint64_t hash = in.u64();
  if (in.failed()) return corrupt("cut off in its end");
  if (records != records_) {
    return corrupt(std::to_string(records_) + " of " + std::to_string(records) + " records");
  }
  if (hash != finished_hash(crc_, index_)) return corrupt("the hash does not agree");
  state_ = State::kEnded;
  return Status::ok();
}

Status SnapshotDecoder::finish() const {
  MR_RETURN_IF_ERROR(error_);
  if (state_ != State::kEnded) return corrupt("no end");
  return Status::ok();
}

}  // namespace multiraft::kv
