// The first byte says which structure of a segment the rest is. Every decoder takes any bytes; what
// it accepts lies within them, and a footer's item encodes to something that decodes to the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "log/footer.h"
#include "log/format.h"

using namespace multiraft;

namespace {

void records(std::string_view body) {
  log::RecordView record;
  for (size_t position = 0;;) {
    const size_t before = position;
    if (!log::decode_record(body, position, record)) return;
    MR_ASSERT(position > before && position <= body.size());
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  log::SegmentHeader segment;
  log::BatchHeader batch;
  log::EntryView entry;
  switch (data[0]) {
    case 0:
      (void)log::decode(bytes, segment);
      break;
    case 1:
      (void)log::decode(bytes, 7, batch);
      (void)log::looks_like_batch(bytes, 1);
      break;
    case 2:
      records(bytes);
      break;
    case 3:
      footers(bytes);
      break;
    case 4:
      (void)log::decode_trailer(bytes, 7);
      break;
    case 5:
      (void)log::decode_entry(bytes, LogIndex(1), entry);
      break;
    default:
      (void)log::parse_segment_file_name(bytes);
  }
  return 0;
}
