#pragma once
// A log directory from any bytes. Checksums and the chain of batches would keep a fuzzer out of
// everything behind them, so the input is a program that says what is in the files, and what of it
// is wrong; what it does not spoil is put right:
//
//   u8 kind of step, then
//   0 segment  u8 id, u8 blocks, u8 flags: 1 its size is a u64 that follows, 2 of another log,
//              4 spoiled, 8 under the name of another id, 16 salt follows (u8)
//   1 batch    u8 flags: 1 out of the chain, 2 header spoiled, 4 body spoiled, 8 the entries'
//              checksums stay as they are, 16 the number of records follows (u8);
//              u8 how far the synced mark is behind, u8 oldest segment needed, u16 size, body
//   2 footer   the same, and a trailer
//   3 bytes    u8 block of the present segment, u16 offset in it, u16 size, bytes
//   4 file     u8 kind (spare, unfinished, of another name), u16 size, content
//
// program_of() makes such a program from a real directory, for the corpus.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "env/file_system.h"
#include "fuzz/input.h"
#include "log/footer.h"
#include "log/format.h"
#include "log/segment_scanner.h"

namespace multiraft::fuzz {

class LogDirectory {
 public:
  static constexpr size_t kStepsMax = 64;
  static constexpr uint64_t kBlocksMax = 24;
  static constexpr uint64_t kLogId = 0x0123'4567'89ab'cdef;

  LogDirectory(env::FileSystem& files, std::string directory)
      : files_(files), directory_(std::move(directory)) {
    MR_ASSERT(files_.create_directories(directory_).is_ok());
  }

  void build(Input& input) {
    for (size_t step = 0; step < kStepsMax && !input.done(); ++step) {
      switch (input.u8() % 5) {
        case 0:
          begin_segment(input);
          break;
        case 1:
          add_batch(input, log::BatchKind::kRecords);
          break;
        case 2:
          add_batch(input, log::BatchKind::kFooter);
          break;
        case 3:
          overwrite(input);
          break;
        default:
          add_file(input);
      }
    }
    end_segment();
  }

 private:
  void begin_segment(Input& input) {
    end_segment();
    const uint64_t id = input.u8();
    const uint64_t blocks = input.u8() % kBlocksMax + 4;
    const uint8_t flags = input.u8();
    content_.assign(blocks * log::kBlockBytes, '\0');
    header_ = log::SegmentHeader{id, kLogId, id * 7, content_.size()};
    if ((flags & 1U) != 0) header_.bytes = input.u64();
    if ((flags & 2U) != 0) ++header_.log_id;
    if ((flags & 16U) != 0) header_.salt = input.u8();
    name_ = log::segment_file_name((flags & 8U) != 0 ? id + 1 : id);
    log::encode(header_, content_.data());
    if ((flags & 4U) != 0) ++content_[20];
    next_ = log::kBlockBytes;
  }

  void end_segment() {
    if (!name_.empty()) write(name_, content_);
    name_.clear();
    content_.clear();
  }

  void add_batch(Input& input, log::BatchKind kind) {
    const uint8_t flags = input.u8();
    log::BatchHeader batch;
    batch.kind = kind;
    batch.sequence = (flags & 1U) != 0 ? input.u8() : sequence_ + 1;
    batch.synced = batch.sequence - std::min<uint64_t>(batch.sequence, input.u8());
    batch.epoch = 5;
    batch.needed_segment = input.u8();
    batch.previous = previous_;
    if ((flags & 16U) != 0) batch.records = input.u8();
    std::string body(input.sized());
    if (content_.empty()) return;
    mend_body(body, batch, flags);
    batch.body_bytes = static_cast<uint32_t>(body.size());
    batch.body_checksum = crc32c(body, header_.seed());
    const uint64_t at = next_;
    if (at + batch.total_bytes() > content_.size()) return;
    log::encode(batch, header_.seed(), &content_[at]);
    content_.replace(at + log::kBatchHeaderBytes, body.size(), body);
    if ((flags & 2U) != 0) ++content_[at + 9];
    if ((flags & 4U) != 0 && !body.empty()) ++content_[at + log::kBatchHeaderBytes];
    next_ = at + batch.total_bytes();
    sequence_ = batch.sequence;
    previous_ = batch.checksum;
    if (kind == log::BatchKind::kFooter) {
      log::encode_trailer(at, header_.seed(), &content_[content_.size() - log::kBlockBytes]);
    }
  }

  /// Counts the records that decode and makes their entries check.
  static void mend_body(std::string& body, log::BatchHeader& batch, uint8_t flags) {
    uint32_t records = 0;
    size_t position = 0;
    if (batch.kind == log::BatchKind::kFooter) {
      log::FooterGroup group;
      while (log::decode_footer_group(body, position, group)) ++records;
    } else {
      log::RecordView record;
      while (log::decode_record(body, position, record)) {
        ++records;
        if ((flags & 8U) != 0) continue;
        for (const log::EntryView& entry : record.entries) {
          mend_checksum(body, entry.offset + 12, log::entry_checksum(record.group, entry));
        }
      }
    }
    if ((flags & 16U) == 0) batch.records = records;
  }

  void overwrite(Input& input) {
    const uint64_t at = input.u8() * log::kBlockBytes + input.u16();
    const std::string_view bytes = input.sized();
    if (at + bytes.size() <= content_.size()) content_.replace(at, bytes.size(), bytes);
  }

  void add_file(Input& input) {
    static constexpr std::string_view kNames[] = {
        "0000000000000009.seg.spare", "0000000000000009.seg.new", "000000000000000G.seg", ".seg"};
    const std::string_view name = kNames[input.u8() % std::size(kNames)];
    write(std::string(name), input.sized());
  }

  void write(const std::string& name, std::string_view content) {
    MR_ASSERT(files_.write_file_atomically(directory_ + "/" + name, content).is_ok());
  }

  env::FileSystem& files_;
  const std::string directory_;
  log::SegmentHeader header_;
  std::string name_;  ///< Of the segment that is being made; none yet.
  std::string content_;
  uint64_t next_ = 0;
  uint64_t sequence_ = 0;
  uint32_t previous_ = 0;
};

/// Of the segments in the directory whose batches check.
inline std::string program_of(env::FileSystem& files, const std::string& directory) {
  std::string program;
  ByteWriter out(program);
  auto names = files.list(directory);
  MR_ASSERT(names.is_ok());
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    const auto id = log::parse_segment_file_name(name);
    if (!id) continue;
    auto file = files.open(directory + "/" + name, env::OpenMode::kRead);
    const std::string content = *files.read_file(directory + "/" + name);
    log::SegmentHeader header;
    MR_ASSERT(log::decode(content, header));
    out.u8(0);
    out.u8(static_cast<uint8_t>(*id));
    out.u8(static_cast<uint8_t>(content.size() / log::kBlockBytes - 4));
    out.u8(0);
    log::SegmentScanner scanner(**file, header, content.size());
    log::ScannedBatch batch;
    uint64_t offset = log::kBlockBytes;
    while (*scanner.read(offset, batch) == log::BatchState::kValid) {
      out.u8(batch.header.kind == log::BatchKind::kFooter ? 2 : 1);
      out.u8(0);
      out.u8(static_cast<uint8_t>(batch.header.sequence - batch.header.synced));
      out.u8(static_cast<uint8_t>(batch.header.needed_segment));
      out.u16(static_cast<uint16_t>(batch.body.size()));
      out.bytes(batch.body);
      offset += batch.header.total_bytes();
      if (batch.header.kind == log::BatchKind::kFooter) break;
    }
  }
  return program;
}

}  // namespace multiraft::fuzz
