// The first byte says which structure of a segment the rest is. Every decoder takes any bytes,
// those with a checksum once as they are and once with the right one; what it accepts lies within
// them and encodes to something that decodes to the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/crc32c.h"
#include "fuzz/input.h"
#include "log/footer.h"
#include "log/format.h"

using namespace multiraft;

namespace {

/// A record of the parts that were decoded, entries aside, decodes to the same.
void expect_same_head(const log::RecordView& record) {
  log::RecordParts parts;
  parts.type = record.type;
  parts.group = record.group;
  parts.replica = record.replica;
  if (record.hard_state) parts.hard_state = &*record.hard_state;
  if (record.mark) parts.mark = &*record.mark;
  if (record.announced) parts.announced = &*record.announced;
  std::string bytes(parts.bytes(), '\0');
  MR_ASSERT(log::encode_record_head(parts, bytes.data()) == bytes.data() + bytes.size());
  log::RecordView again;
  size_t end = 0;
  // An append with entries only has nothing left without them.
  if (!log::decode_record(bytes, end, again)) {
    MR_ASSERT(record.type == log::RecordType::kAppend && !record.entries.empty());
    return;
  }
  MR_ASSERT(again.hard_state == record.hard_state && again.mark == record.mark);
  MR_ASSERT(again.announced == record.announced && again.replica == record.replica);
}

void records(std::string_view body) {
  log::RecordView record;
  for (size_t position = 0;;) {
    const size_t before = position;
    if (!log::decode_record(body, position, record)) return;
    MR_ASSERT(position > before && position <= body.size());
    expect_same_head(record);
    for (const log::EntryView& entry : record.entries) {
      MR_ASSERT(entry.offset >= before);
      MR_ASSERT(entry.offset + log::kEntryHeaderBytes + entry.data.size() <= position);
      (void)log::entry_checksum(record.group, entry);
      log::EntryView again;
      MR_ASSERT(log::decode_entry(body.substr(entry.offset), entry.index, again));
      MR_ASSERT(again.data == entry.data);
    }
  }
}

void footers(std::string_view body) {
  log::FooterGroup group;
  for (size_t position = 0;;) {
    const size_t before = position;
    if (!log::decode_footer_group(body, position, group)) return;
    MR_ASSERT(position > before && position <= body.size());
    std::string bytes;
    log::encode(group, bytes);
    log::FooterGroup again;
    size_t end = 0;
    MR_ASSERT(log::decode_footer_group(bytes, end, again));
    MR_ASSERT(again == group);
  }
}

void segment_header(std::string bytes) {
  log::SegmentHeader header;
  (void)log::decode(bytes, header);
  if (bytes.size() < log::kSegmentHeaderBytes) return;
  const uint32_t head = crc32c(std::string_view(bytes).substr(0, 12));
  fuzz::mend_checksum(
      bytes, 12, crc32c(std::string_view(bytes).substr(16, log::kSegmentHeaderBytes - 16), head));
  if (!log::decode(bytes, header)) return;
  MR_ASSERT(header.id != 0 && header.bytes >= log::kSegmentBytesMin);
  MR_ASSERT(header.bytes <= log::kSegmentBytesMax);
  char out[log::kSegmentHeaderBytes];
  log::encode(header, out);
  log::SegmentHeader again;
  MR_ASSERT(log::decode({out, sizeof out}, again) && again == header);
}

void batch_header(std::string bytes) {
  constexpr uint32_t kSeed = 7;
  log::BatchHeader header;
  (void)log::looks_like_batch(bytes, 1);
  (void)log::decode(bytes, kSeed, header);
  if (bytes.size() < log::kBatchHeaderBytes) return;
  fuzz::mend_checksum(bytes, 4,
                      crc32c(std::string_view(bytes).substr(8, log::kBatchHeaderBytes - 8), kSeed));
  if (!log::decode(bytes, kSeed, header)) return;
  MR_ASSERT(log::looks_like_batch(bytes, header.sequence));
  MR_ASSERT(header.total_bytes() % log::kBlockBytes == 0);
  log::BatchHeader copy = header;
  char out[log::kBatchHeaderBytes];
  log::encode(copy, kSeed, out);
  log::BatchHeader again;
  MR_ASSERT(log::decode({out, sizeof out}, kSeed, again) && again == copy);
}

void trailer(std::string bytes) {
  constexpr uint32_t kSeed = 7;
  (void)log::decode_trailer(bytes, kSeed);
  if (bytes.size() < log::kTrailerBytes) return;
  fuzz::mend_checksum(bytes, 4,
                      crc32c(std::string_view(bytes).substr(8, log::kTrailerBytes - 8), kSeed));
  const auto offset = log::decode_trailer(bytes, kSeed);
  if (!offset) return;
  char out[log::kTrailerBytes];
  log::encode_trailer(*offset, kSeed, out);
  MR_ASSERT(log::decode_trailer({out, sizeof out}, kSeed) == offset);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  log::EntryView entry;
  switch (data[0]) {
    case 0:
      segment_header(std::string(bytes));
      break;
    case 1:
      batch_header(std::string(bytes));
      break;
    case 2:
      records(bytes);
      break;
    case 3:
      footers(bytes);
      break;
    case 4:
      trailer(std::string(bytes));
      break;
    case 5:
      (void)log::decode_entry(bytes, LogIndex(1), entry);
      break;
    default:
      (void)log::parse_segment_file_name(bytes);
  }
  return 0;
}
