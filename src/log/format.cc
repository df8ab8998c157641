#include "log/format.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "raft/encoding.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

constexpr std::string_view kSegmentMagic = "mrlogseg";
constexpr uint32_t kBatchMagic = 0x3142'524d;  // "MRB1"
constexpr size_t kNameDigits = 16;

enum RecordFlags : uint8_t {
  kHasHardState = 1,
  kHasMark = 2,
  kHasEntries = 4,
  kHasAnnounced = 8,
};
constexpr uint8_t kAllFlags = kHasHardState | kHasMark | kHasEntries | kHasAnnounced;

template <class T>
char* put(char* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return out + sizeof value;
}

size_t snapshot_bytes(const raft::Snapshot& s) {
  const raft::ConfState& c = s.conf_state;
  return 16 + 9 +
         8 * (c.voters.size() + c.voters_outgoing.size() + c.learners.size() +
              c.learners_next.size());
}

char* put_snapshot(char* out, const raft::Snapshot& snapshot) {
  std::string bytes;
  ByteWriter writer(bytes);
  raft::encode(snapshot, writer);
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

/// The index behind it must exist: indexes come from bytes and may not wrap around.
bool decode_snapshot(ByteReader& in, std::optional<raft::Snapshot>& snapshot) {
  return raft::decode(in, snapshot.emplace()) && snapshot->index.value != UINT64_MAX;
}

bool decode_entries(std::string_view body, ByteReader& in, RecordView& record) {
  const uint64_t first = in.u64();
  const uint32_t count = in.u32();
  if (in.failed() || first == 0 || count == 0 || first + count < first) return false;
  for (uint32_t i = 0; i < count; ++i) {
    EntryView entry;
    const size_t offset = in.position();
    if (!decode_entry(body.substr(offset), LogIndex(first + i), entry)) return false;
    in.bytes(kEntryHeaderBytes + entry.data.size());
    entry.offset = offset;
    record.entries.push_back(entry);
  }
  return true;
}

/// Which parts each type may and must have.
bool flags_fit(RecordType type, uint8_t flags) {
  switch (type) {
    case RecordType::kAppend:
      return flags != 0 && (flags & kHasAnnounced) == 0;
    case RecordType::kCreate:
    case RecordType::kCompact:
      return flags == kHasMark;
    case RecordType::kRemove:
      return flags == 0;
    case RecordType::kAnnounce:
      return flags == kHasAnnounced;
    case RecordType::kRewrite:
      return (flags & kHasMark) != 0 && (flags & kHasHardState) != 0;
  }
  return false;
}

uint8_t flags_of(const RecordParts& parts) {
  return static_cast<uint8_t>((parts.hard_state ? kHasHardState : 0) | (parts.mark ? kHasMark : 0) |
                              (parts.entries > 0 ? kHasEntries : 0) |
                              (parts.announced ? kHasAnnounced : 0));
}

}  // namespace

uint32_t SegmentHeader::seed() const {
  char name[24];
  put(put(put(name, id), log_id), salt);
  return crc32c({name, sizeof name});
}

void encode(const SegmentHeader& header, char* out) {
  std::memset(out, 0, kSegmentHeaderBytes);
  std::memcpy(out, kSegmentMagic.data(), kSegmentMagic.size());
  put(out + 8, kFormatVersion);
  put(put(put(put(out + 16, header.id), header.log_id), header.salt), header.bytes);
  // The magic and the version are inside the checksum: every used byte is covered.
  const uint32_t head = crc32c({out, 12});
  put(out + 12, crc32c({out + 16, kSegmentHeaderBytes - 16}, head));
}

bool decode(std::string_view in, SegmentHeader& header) {
  ByteReader reader(in.substr(0, kSegmentHeaderBytes));
  if (reader.bytes(kSegmentMagic.size()) != kSegmentMagic) return false;
  const uint32_t version = reader.u32();
  const uint32_t checksum = reader.u32();
  header.id = reader.u64();
  header.log_id = reader.u64();
  header.salt = reader.u64();
  header.bytes = reader.u64();
  reader.bytes(16);
  if (!reader.complete() || version != kFormatVersion) return false;
  const uint32_t head = crc32c(in.substr(0, 12));
  if (checksum != crc32c(in.substr(16, kSegmentHeaderBytes - 16), head)) return false;
  return header.id != 0 && header.bytes % kBlockBytes == 0 && header.bytes >= kSegmentBytesMin &&
         header.bytes <= kSegmentBytesMax;
}

void encode(BatchHeader& header, uint32_t seed, char* out) {
  std::memset(out, 0, kBatchHeaderBytes);
  put(out, kBatchMagic);
  char* p = out + 8;
  p = put(put(put(put(p, header.sequence), header.synced), header.epoch), header.needed_segment);
  p = put(put(put(put(p, header.previous), header.body_checksum), header.body_bytes),
          header.records);
  put(p, header.kind);
  header.checksum = crc32c({out + 8, kBatchHeaderBytes - 8}, seed);
  put(out + 4, header.checksum);
}

bool decode(std::string_view in, uint32_t seed, BatchHeader& header) {
  ByteReader reader(in.substr(0, kBatchHeaderBytes));
  const uint32_t magic = reader.u32();
  header.checksum = reader.u32();
  header.sequence = reader.u64();
  header.synced = reader.u64();
  header.epoch = reader.u64();
  header.needed_segment = reader.u64();
  header.previous = reader.u32();
  header.body_checksum = reader.u32();
  header.body_bytes = reader.u32();
  header.records = reader.u32();
  const uint8_t kind = reader.u8();
  reader.bytes(7);
  if (!reader.complete() || magic != kBatchMagic) return false;
  if (header.checksum != crc32c(in.substr(8, kBatchHeaderBytes - 8), seed)) return false;
  header.kind = static_cast<BatchKind>(kind);
  return kind <= static_cast<uint8_t>(BatchKind::kFooter) && header.sequence != 0;
}

bool looks_like_batch(std::string_view in, uint64_t sequence) {
  ByteReader reader(in);
  const uint32_t magic = reader.u32();
  reader.u32();
  return magic == kBatchMagic && reader.u64() == sequence && !reader.failed();
}

std::string_view record_type_name(RecordType type) {
  switch (type) {
    case RecordType::kAppend:
      return "append";
    case RecordType::kCreate:
      return "create";
    case RecordType::kRemove:
      return "remove";
    case RecordType::kAnnounce:
      return "announce";
    case RecordType::kCompact:
      return "compact";
    case RecordType::kRewrite:
      return "rewrite";
  }
  return "unknown";
}

bool decode_record(std::string_view body, size_t& position, RecordView& record) {
  ByteReader head(body.substr(position));
  const uint32_t bytes = head.u32();
  if (head.failed() || bytes < kRecordHeaderBytes || bytes > body.size() - position) return false;
  const size_t end = position + bytes;
  // Positions in `in` are positions in the body, as the entries' offsets have to be.
  ByteReader in(body.substr(0, end));
  in.bytes(position + sizeof bytes);
  const uint8_t type = in.u8();
  const uint8_t flags = in.u8();
  const uint16_t reserved = in.u16();
  record.type = static_cast<RecordType>(type);
  record.group = GroupId(in.u64());
  record.replica = ReplicaId(in.u64());
  record.hard_state.reset();
  record.mark.reset();
  record.announced.reset();
  record.entries.clear();
  if (reserved != 0 || (flags & ~kAllFlags) != 0 || !flags_fit(record.type, flags)) return false;
  if ((flags & kHasHardState) && !raft::decode(in, record.hard_state.emplace())) return false;
  if ((flags & kHasMark) && !decode_snapshot(in, record.mark)) return false;
  if ((flags & kHasAnnounced) && !decode_snapshot(in, record.announced)) return false;
  if ((flags & kHasEntries) && !decode_entries(body.substr(0, end), in, record)) return false;
  if (!in.complete()) return false;
  position = end;
  return true;
}

uint32_t entry_checksum(GroupId group, const EntryView& entry) {
  return raft::entry_checksum(raft::payload_checksum(raft::group_checksum_seed(group), entry.data),
                              entry.term, entry.index, entry.type, entry.data.size());
}

bool decode_entry(std::string_view in, LogIndex index, EntryView& entry) {
  ByteReader reader(in);
  entry.index = index;
  entry.term = Term(reader.u64());
  const uint32_t size_and_type = reader.u32();
  entry.checksum = reader.u32();
  const uint32_t type = size_and_type >> 28;
  if (type > static_cast<uint32_t>(raft::EntryType::kConfChangeV2)) return false;
  entry.type = static_cast<raft::EntryType>(type);
  entry.data = reader.bytes(size_and_type & kEntrySizeMask);
  return !reader.failed();
}

size_t RecordParts::head_bytes() const {
  return kRecordHeaderBytes + (hard_state ? kHardStateBytes : 0) +
         (mark ? snapshot_bytes(*mark) : 0) + (announced ? snapshot_bytes(*announced) : 0) +
         (entries > 0 ? kEntriesHeaderBytes : 0);
}

size_t RecordParts::bytes() const {
  return head_bytes() + entries * kEntryHeaderBytes + entry_data_bytes;
}

char* encode_record_head(const RecordParts& parts, char* out) {
  out = put(out, static_cast<uint32_t>(parts.bytes()));
  out = put(out, parts.type);
  out = put(out, flags_of(parts));
  out = put(out, uint16_t{0});
  out = put(out, parts.group.value);
  out = put(out, parts.replica.value);
  if (parts.hard_state) {
    out = put(out, parts.hard_state->term.value);
    out = put(out, parts.hard_state->vote.value);
    out = put(out, parts.hard_state->commit.value);
  }
  if (parts.mark) out = put_snapshot(out, *parts.mark);
  if (parts.announced) out = put_snapshot(out, *parts.announced);
  if (parts.entries > 0) {
    out = put(out, parts.first_index.value);
    out = put(out, parts.entries);
  }
  return out;
}

char* encode_entry_header(const EntryView& entry, char* out) {
  out = put(out, entry.term.value);
  out = put(out,
            static_cast<uint32_t>(entry.data.size()) | (static_cast<uint32_t>(entry.type) << 28));
  return put(out, entry.checksum);
}

std::string segment_file_name(uint64_t id) {
  char digits[kNameDigits];
  const auto end = std::to_chars(digits, digits + kNameDigits, id, 16).ptr;
  const size_t length = static_cast<size_t>(end - digits);
  return std::string(kNameDigits - length, '0').append(digits, length).append(kSegmentSuffix);
}

std::optional<uint64_t> parse_segment_file_name(std::string_view name) {
  if (name.size() != kNameDigits + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) {
    return std::nullopt;
  }
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, id, 16);
  if (error != std::errc{} || end != name.data() + kNameDigits || segment_file_name(id) != name) {
    return std::nullopt;
  }
  return id;
}

}  // namespace multiraft::log
