// Golden bytes of docs/formats/log.md: a change here is a change of the format.

#include "log/format.h"

#include <gtest/gtest.h>

#include <string>

#include "base/crc32c.h"
#include "log/batch.h"
#include "log/footer.h"

namespace multiraft::log {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % 32 == 0) out += '\n';
    if (i % 32 != 0 && i % 4 == 0) out += ' ';
    out += kDigits[static_cast<unsigned char>(bytes[i]) >> 4];
    out += kDigits[static_cast<unsigned char>(bytes[i]) & 15];
  }
  return out;
}

const SegmentHeader kSegment{7, 0x1122334455667788, 0x99aabbccddeeff00, 64 * 1024 * 1024};

raft::Snapshot mark() {
  raft::Snapshot snapshot;
  snapshot.index = LogIndex(10);
  snapshot.term = Term(2);
  snapshot.conf_state.voters = {ReplicaId(1), ReplicaId(2)};
  return snapshot;
}

std::string append_record() {
  const raft::HardState state{Term(3), ReplicaId(2), LogIndex(11)};
  RecordParts parts{.type = RecordType::kAppend,
                    .group = GroupId(5),
                    .replica = ReplicaId(0x100000001),
                    .hard_state = &state};
  parts.first_index = LogIndex(12);
  parts.entries = 2;
  parts.entry_data_bytes = 5;
  std::string bytes(parts.bytes(), '?');
  char* out = encode_record_head(parts, bytes.data());
  EntryView first{LogIndex(12), Term(3), raft::EntryType::kNormal, 0, "hello", 0};
  first.checksum = entry_checksum(parts.group, first);
  out = encode_entry_header(first, out);
  out = std::copy(first.data.begin(), first.data.end(), out);
  EntryView second{LogIndex(13), Term(3), raft::EntryType::kConfChangeV2, 0, "", 0};
  second.checksum = entry_checksum(parts.group, second);
  out = encode_entry_header(second, out);
  EXPECT_EQ(out, bytes.data() + bytes.size());
  return bytes;
}

TEST(LogFormat, SegmentHeader_IsAsDocumented) {
  char bytes[kSegmentHeaderBytes];
  encode(kSegment, bytes);
  EXPECT_EQ(hex({bytes, sizeof bytes}),
            "6d726c6f 67736567 01000000 45b029b8 07000000 00000000 88776655 44332211\n"
            "00ffeedd ccbbaa99 00000004 00000000 00000000 00000000 00000000 00000000");
  SegmentHeader decoded;
  ASSERT_TRUE(decode({bytes, sizeof bytes}, decoded));
  EXPECT_EQ(decoded, kSegment);
}

/// A size that no segment has would make recovery look beyond the file, or at nothing of it.
TEST(LogFormat, SegmentHeaderOfAnImpossibleSize_IsRefused) {
  char bytes[kSegmentHeaderBytes];
  for (const uint64_t size : {uint64_t{0}, kSegmentBytesMin - kBlockBytes, kSegmentBytesMin + 1,
                              kSegmentBytesMax + kBlockBytes, UINT64_MAX}) {
    SegmentHeader header = kSegment;
    header.bytes = size;
    encode(header, bytes);
    EXPECT_FALSE(decode({bytes, sizeof bytes}, header)) << size;
  }
  for (const uint64_t size : {kSegmentBytesMin, kSegmentBytesMax}) {
    SegmentHeader header = kSegment;
    header.bytes = size;
    encode(header, bytes);
    EXPECT_TRUE(decode({bytes, sizeof bytes}, header)) << size;
  }
}

TEST(LogFormat, RecordAtTheLastIndexOfAll_IsRefused) {
  raft::Snapshot mark;
  for (const uint64_t index : {UINT64_MAX - 1, UINT64_MAX}) {
    mark.index = LogIndex(index);
    RecordParts parts;
    parts.type = RecordType::kCompact;
    parts.mark = &mark;
    std::string bytes(parts.bytes(), '\0');
    encode_record_head(parts, bytes.data());
    RecordView record;
    size_t position = 0;
    EXPECT_EQ(decode_record(bytes, position, record), index != UINT64_MAX);
  }
}

TEST(LogFormat, BatchHeader_IsAsDocumented) {
  BatchHeader header;
  header.sequence = 42;
  header.synced = 41;
  header.epoch = 0x0102030405060708;
  header.needed_segment = 3;
  header.previous = 0xdeadbeef;
  header.body_checksum = 0x01234567;
  header.body_bytes = 100;
  header.records = 2;
  char bytes[kBatchHeaderBytes];
  encode(header, kSegment.seed(), bytes);
  EXPECT_EQ(hex({bytes, sizeof bytes}),
            "4d524231 a6582d6e 2a000000 00000000 29000000 00000000 08070605 04030201\n"
            "03000000 00000000 efbeadde 67452301 64000000 02000000 00000000 00000000");
  BatchHeader decoded;
  ASSERT_TRUE(decode({bytes, sizeof bytes}, kSegment.seed(), decoded));
  EXPECT_EQ(decoded, header);
  EXPECT_EQ(decoded.total_bytes(), kBlockBytes);
}

TEST(LogFormat, BatchOfAnEarlierLife_DoesNotCheck) {
  // trap 33
  BatchHeader header;
  header.sequence = 1;
  char bytes[kBatchHeaderBytes];
  encode(header, kSegment.seed(), bytes);
  for (int changed = 0; changed < 3; ++changed) {
    SegmentHeader other = kSegment;
    if (changed == 0) ++other.id;
    if (changed == 1) ++other.log_id;
    if (changed == 2) ++other.salt;
    BatchHeader decoded;
    EXPECT_FALSE(decode({bytes, sizeof bytes}, other.seed(), decoded));
  }
}

TEST(LogFormat, AppendRecord_IsAsDocumented) {
  const std::string bytes = append_record();
  EXPECT_EQ(hex(bytes),
            "61000000 01050000 05000000 00000000 01000000 01000000 03000000 00000000\n"
            "02000000 00000000 0b000000 00000000 0c000000 00000000 02000000 03000000\n"
            "00000000 05000000 509fcd36 68656c6c 6f030000 00000000 00000000 2052e005\n"
            "a5");
  RecordView record;
  size_t position = 0;
  ASSERT_TRUE(decode_record(bytes, position, record));
  EXPECT_EQ(position, bytes.size());
  EXPECT_EQ(record.type, RecordType::kAppend);
  EXPECT_EQ(record.group, GroupId(5));
  EXPECT_EQ(record.hard_state, (raft::HardState{Term(3), ReplicaId(2), LogIndex(11)}));
  ASSERT_EQ(record.entries.size(), 2u);
  EXPECT_EQ(record.entries[0].data, "hello");
  EXPECT_EQ(record.entries[0].checksum, entry_checksum(GroupId(5), record.entries[0]));
  EXPECT_EQ(record.entries[1].index, LogIndex(13));
  EXPECT_EQ(record.entries[1].type, raft::EntryType::kConfChangeV2);
}

TEST(LogFormat, CreateRecord_IsAsDocumented) {
  const raft::Snapshot snapshot = mark();
  const RecordParts parts{
      .type = RecordType::kCreate, .group = GroupId(5), .replica = ReplicaId(9), .mark = &snapshot};
  std::string bytes(parts.bytes(), '?');
  EXPECT_EQ(encode_record_head(parts, bytes.data()), bytes.data() + bytes.size());
  EXPECT_EQ(hex(bytes),
            "41000000 02020000 05000000 00000000 09000000 00000000 0a000000 00000000\n"
            "02000000 00000000 02000000 00000000 00010000 00000000 00020000 00000000\n"
            "00");
  RecordView record;
  size_t position = 0;
  ASSERT_TRUE(decode_record(bytes, position, record));
  EXPECT_EQ(record.mark, snapshot);
}

TEST(LogFormat, RewriteRecord_IsAsDocumented) {
  const raft::Snapshot snapshot = mark();
  const raft::HardState state{Term(4), ReplicaId(1), LogIndex(10)};
  const RecordParts parts{.type = RecordType::kRewrite,
                          .group = GroupId(5),
                          .replica = ReplicaId(9),
                          .hard_state = &state,
                          .mark = &snapshot,
                          .announced = &snapshot};
  std::string bytes(parts.bytes(), '?');
  EXPECT_EQ(encode_record_head(parts, bytes.data()), bytes.data() + bytes.size());
  EXPECT_EQ(hex(bytes),
            "82000000 060b0000 05000000 00000000 09000000 00000000 04000000 00000000\n"
            "01000000 00000000 0a000000 00000000 0a000000 00000000 02000000 00000000\n"
            "02000000 00000000 00010000 00000000 00020000 00000000 000a0000 00000000\n"
            "00020000 00000000 00020000 00000000 00000100 00000000 00000200 00000000\n"
            "0000");
  RecordView record;
  size_t position = 0;
  ASSERT_TRUE(decode_record(bytes, position, record));
  EXPECT_EQ(record.hard_state, state);
  EXPECT_EQ(record.announced, snapshot);
}

TEST(LogFormat, FooterItem_IsAsDocumented) {
  FooterGroup group;
  group.group = GroupId(5);
  group.created = true;
  group.no_announced = true;
  group.replica = ReplicaId(9);
  group.last_index = LogIndex(12);
  group.hard_state = raft::HardState{Term(4), ReplicaId(1), LogIndex(10)};
  group.mark = mark();
  group.extents = {{LogIndex(11), Term(2), {{4160, 5}, {4181, 0x20000007}}}};
  std::string bytes;
  encode(group, bytes);
  EXPECT_EQ(hex(bytes),
            "89000000 63000000 05000000 00000000 09000000 00000000 0c000000 00000000\n"
            "04000000 00000000 01000000 00000000 0a000000 00000000 0a000000 00000000\n"
            "02000000 00000000 02000000 00000000 00010000 00000000 00020000 00000000\n"
            "00010000 000b0000 00000000 00020000 00000000 00020000 00401000 00050000\n"
            "00551000 00070000 20");
  FooterGroup decoded;
  size_t position = 0;
  ASSERT_TRUE(decode_footer_group(bytes, position, decoded));
  EXPECT_EQ(decoded, group);
  EXPECT_EQ(position, bytes.size());

  FooterGroup removed;
  removed.group = GroupId(6);
  removed.removed = true;
  bytes.clear();
  encode(removed, bytes);
  EXPECT_EQ(hex(bytes), "10000000 10000000 06000000 00000000");
  position = 0;
  ASSERT_TRUE(decode_footer_group(bytes, position, decoded));
  EXPECT_EQ(decoded, removed);
}

TEST(LogFormat, Trailer_IsAsDocumented) {
  char bytes[kTrailerBytes];
  encode_trailer(0x123000, kSegment.seed(), bytes);
  EXPECT_EQ(hex({bytes, sizeof bytes}),
            "4d524631 1003ff87 00301200 00000000 00000000 00000000 00000000 00000000");
  EXPECT_EQ(decode_trailer({bytes, sizeof bytes}, kSegment.seed()), 0x123000u);
  EXPECT_FALSE(decode_trailer({bytes, sizeof bytes}, kSegment.seed() + 1));
}

TEST(LogFormat, Batch_HoldsHeaderRecordsSplicesAndPadding) {
  Batch batch;
  batch.reset(42, 7, 8192);
  const std::string record = append_record();
  std::copy(record.begin(), record.end(), batch.reserve(record.size()));
  batch.commit(record.size());
  batch.splice(SharedBytes::copy_of("spliced"));
  batch.count_records(1);
  BatchHeader header;
  header.previous = 5;
  batch.finish(kSegment.seed(), header);
  std::string bytes;
  for (std::string_view part : batch.parts()) bytes += part;
  ASSERT_EQ(bytes.size(), kBlockBytes);
  const std::string body = record + "spliced";
  EXPECT_EQ(bytes.substr(kBatchHeaderBytes, body.size()), body);
  EXPECT_EQ(bytes.find_first_not_of('\0', kBatchHeaderBytes + body.size()), std::string::npos);
  BatchHeader decoded;
  ASSERT_TRUE(decode(bytes, kSegment.seed(), decoded));
  EXPECT_EQ(decoded.body_checksum, crc32c(body, kSegment.seed()));
  EXPECT_EQ(decoded.body_bytes, body.size());
}

TEST(LogFormat, EveryTruncationOfARecord_IsRefused) {
  const std::string bytes = append_record();
  for (size_t size = 0; size < bytes.size(); ++size) {
    RecordView record;
    size_t position = 0;
    EXPECT_FALSE(decode_record(std::string_view(bytes).substr(0, size), position, record)) << size;
    EXPECT_EQ(position, 0u);
  }
}

TEST(LogFormat, SegmentNames_AreExact) {
  EXPECT_EQ(segment_file_name(0xabc), "0000000000000abc.seg");
  EXPECT_EQ(parse_segment_file_name("0000000000000abc.seg"), 0xabcu);
  for (const char* name : {"0000000000000abc.seg.spare", "abc.seg", "0000000000000ABC.seg",
                           "000000000000-abc.seg", "0000000000000abc", "LOCK"}) {
    EXPECT_FALSE(parse_segment_file_name(name)) << name;
  }
}

}  // namespace
}  // namespace multiraft::log
