#pragma once
// The bytes of the log on disk (docs/formats/log.md). Pure functions; nothing here does I/O.
//
// A log is a row of segment files with ascending ids. A segment is a header block and then batches,
// each on a block boundary; a batch is a header and the records of one write. Decoders never
// overread and fail on anything malformed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::log {

/// Batches start at multiples of it: whole pages and sectors are written, never parts.
inline constexpr uint64_t kBlockBytes = 4096;
/// Of a segment, in whole blocks; offsets in it are kept in 32 bits.
inline constexpr uint64_t kSegmentBytesMin = 4 * kBlockBytes;
inline constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 31;
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 64;  ///< Used bytes of the first block.
inline constexpr size_t kBatchHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 24;
inline constexpr size_t kEntriesHeaderBytes = 12;
inline constexpr size_t kEntryHeaderBytes = 16;
inline constexpr size_t kHardStateBytes = 24;
inline constexpr uint32_t kEntrySizeMask = 0x0fff'ffff;  ///< The upper four bits are the type.

constexpr uint64_t round_up_to_block(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

/// Names a segment's life. The salt is drawn again each time a file is used, so that what an
/// earlier life left behind in the file never checks (trap 33), nor does an entry's payload that
/// imitates a batch.
struct SegmentHeader {
  uint64_t id = 0;      ///< 1, 2, ... without holes.
  uint64_t log_id = 0;  ///< Of the whole log: a segment copied from elsewhere is refused.
  uint64_t salt = 0;
  uint64_t bytes = 0;  ///< Of the file: whole blocks, kSegmentBytesMin to kSegmentBytesMax.

  /// What the checksums of this segment's batches start from.
  uint32_t seed() const;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};
void encode(const SegmentHeader& header, char* out);  ///< kSegmentHeaderBytes.
bool decode(std::string_view in, SegmentHeader& header);

enum class BatchKind : uint8_t {
  kRecords = 0,
  kFooter = 1,  ///< The index of the segment that it ends.
};

struct BatchHeader {
  uint64_t sequence = 0;  ///< Grows by one from batch to batch, over all segments.
  /// Every batch up to this one had been synced when this one was written. Damage at or below it
  /// cannot be a torn write (trap 32).
  uint64_t synced = 0;
  /// Drawn at each open. Makes a batch written after a torn tail was cut differ from the one cut,
  /// so that leftovers behind it do not chain to it.
  uint64_t epoch = 0;
  /// Segments below this id are not needed to recover the state after this batch.
  uint64_t needed_segment = 0;
  uint32_t previous = 0;       ///< checksum of the batch before; 0 for the first of the log.
  uint32_t body_checksum = 0;  ///< Of the records, from the segment's seed.
  uint32_t body_bytes = 0;
  uint32_t records = 0;
  BatchKind kind = BatchKind::kRecords;
  uint32_t checksum = 0;  ///< Of all of the above: set by encode and decode.

  uint64_t total_bytes() const { return round_up_to_block(kBatchHeaderBytes + body_bytes); }
  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};
/// Fills header.checksum.
void encode(BatchHeader& header, uint32_t seed, char* out);
/// False where the bytes are not a batch header of the segment with this seed.
bool decode(std::string_view in, uint32_t seed, BatchHeader& header);
/// A header that was written here whose checksum is wrong: distinguishes a torn write from old
/// content.
bool looks_like_batch(std::string_view in, uint64_t sequence);

enum class RecordType : uint8_t {
  kAppend = 1,  ///< Hard state, snapshot that replaces the log, entries: any of them.
  kCreate = 2,  ///< A group begins at `mark`.
  kRemove = 3,
  kAnnounce = 4,  ///< A snapshot is about to be installed: `announced`.
  kCompact = 5,   ///< Entries up to `mark` go.
  kRewrite = 6,  ///< All of a group's state but its entries, and some entries once more, unchanged.
};
std::string_view record_type_name(RecordType type);

struct EntryView {
  LogIndex index;
  Term term;
  raft::EntryType type = raft::EntryType::kNormal;
  uint32_t checksum = 0;
  std::string_view data;
  size_t offset = 0;  ///< Of the entry's header, in what was decoded.
};

/// A decoded record; views into the decoded bytes.
struct RecordView {
  RecordType type = RecordType::kAppend;
  GroupId group;
  ReplicaId replica;
  std::optional<raft::HardState> hard_state;
  std::optional<raft::Snapshot> mark;
  std::optional<raft::Snapshot> announced;
  std::vector<EntryView> entries;
};
/// Decodes the record at `position` and moves it behind. Entries' checksums are not looked at.
bool decode_record(std::string_view body, size_t& position, RecordView& record);

/// What EntryView::checksum has to be (raft/entry_checksum.h). It covers the group and index too:
/// an entry that is read from the wrong place fails it. Here it is only ever compared: the log
/// writes the checksum that the entry came with.
uint32_t entry_checksum(GroupId group, const EntryView& entry);
/// The entry at the start of `in`, header and data; `index` is not in the bytes.
bool decode_entry(std::string_view in, LogIndex index, EntryView& entry);

/// What a record is made of; null parts are absent.
struct RecordParts {
  RecordType type = RecordType::kAppend;
  GroupId group;
  ReplicaId replica;
  const raft::HardState* hard_state = nullptr;
  const raft::Snapshot* mark = nullptr;
  const raft::Snapshot* announced = nullptr;
  LogIndex first_index = {};
  uint32_t entries = 0;
  size_t entry_data_bytes = 0;  ///< Sum over the entries.

  size_t bytes() const;       ///< Of the whole record.
  size_t head_bytes() const;  ///< Up to the first entry's header.
};
/// Writes all up to the first entry; returns the position behind. `out` has head_bytes().
char* encode_record_head(const RecordParts& parts, char* out);
/// Writes an entry's header, kEntryHeaderBytes; the data follows it.
char* encode_entry_header(const EntryView& entry, char* out);

std::string segment_file_name(uint64_t id);
/// The id from a live segment's file name; nullopt for any other name.
std::optional<uint64_t> parse_segment_file_name(std::string_view name);
inline constexpr std::string_view kSegmentSuffix = ".seg";
inline constexpr std::string_view kSpareSuffix = ".spare";  ///< Waits to be used again.
inline constexpr std::string_view kNewSuffix = ".new";      ///< Being filled with zeros.

}  // namespace multiraft::log
