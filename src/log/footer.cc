#include "log/footer.h"

#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "raft/encoding.h"

namespace multiraft::log {
namespace {

constexpr uint32_t kTrailerMagic = 0x3146'524d;  // "MRF1"

enum Flags : uint8_t {
  kHasHardState = 1,
  kHasMark = 2,
  kHasAnnounced = 8,
  kRemoved = 16,
  kCreated = 32,
  kNoAnnounced = 64,
};
constexpr uint8_t kAllFlags =
    kHasHardState | kHasMark | kHasAnnounced | kRemoved | kCreated | kNoAnnounced;

uint8_t flags_of(const FooterGroup& group) {
  return static_cast<uint8_t>((group.hard_state ? kHasHardState : 0) | (group.mark ? kHasMark : 0) |
                              (group.announced ? kHasAnnounced : 0) |
                              (group.removed ? kRemoved : 0) | (group.created ? kCreated : 0) |
                              (group.no_announced ? kNoAnnounced : 0));
}

bool decode_extent(ByteReader& in, FooterExtent& extent) {
  extent.first = LogIndex(in.u64());
  extent.term = Term(in.u64());
  const uint32_t count = in.u32();
  if (in.failed() || count == 0 || extent.first.value == 0 ||
      extent.first.value + count < extent.first.value) {
    return false;
  }
  if (in.remaining() / sizeof(FooterExtent::Item) < count) return false;
  extent.items.resize(count);
  for (FooterExtent::Item& item : extent.items) {
    item.offset = in.u32();
    item.size_and_type = in.u32();
    if (item.size_and_type >> 28 > static_cast<uint32_t>(raft::EntryType::kConfChangeV2)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void encode(const FooterGroup& group, std::string& out) {
  ByteWriter writer(out);
  const size_t start = writer.size();
  writer.u32(0);
  writer.u8(flags_of(group));
  writer.u8(0);
  writer.u16(0);
  writer.u64(group.group.value);
  if (!group.removed) {
    writer.u64(group.replica.value);
    writer.u64(group.last_index.value);
    if (group.hard_state) raft::encode(*group.hard_state, writer);
    if (group.mark) raft::encode(*group.mark, writer);
    if (group.announced) raft::encode(*group.announced, writer);
    writer.u32(static_cast<uint32_t>(group.extents.size()));
    for (const FooterExtent& extent : group.extents) {
      writer.u64(extent.first.value);
      writer.u64(extent.term.value);
      writer.u32(static_cast<uint32_t>(extent.items.size()));
      for (const FooterExtent::Item& item : extent.items) {
        writer.u32(item.offset);
        writer.u32(item.size_and_type);
      }
    }
  }
  writer.patch_u32(start, static_cast<uint32_t>(writer.size() - start));
}

bool decode_footer_group(std::string_view body, size_t& position, FooterGroup& group) {
  group = FooterGroup{};
  ByteReader head(body.substr(position));
  const uint32_t bytes = head.u32();
  if (head.failed() || bytes < sizeof bytes || bytes > body.size() - position) return false;
  ByteReader in(body.substr(position + sizeof bytes, bytes - sizeof bytes));
  const uint8_t flags = in.u8();
  const uint8_t reserved8 = in.u8();
  const uint16_t reserved16 = in.u16();
  if (reserved8 != 0 || reserved16 != 0 || (flags & ~kAllFlags) != 0) return false;
  group.group = GroupId(in.u64());
  group.removed = (flags & kRemoved) != 0;
  group.created = (flags & kCreated) != 0;
  group.no_announced = (flags & kNoAnnounced) != 0;
  if (!group.removed) {
    group.replica = ReplicaId(in.u64());
    group.last_index = LogIndex(in.u64());
    if ((flags & kHasHardState) && !raft::decode(in, group.hard_state.emplace())) return false;
    if ((flags & kHasMark) && !raft::decode(in, group.mark.emplace())) return false;
    if ((flags & kHasAnnounced) && !raft::decode(in, group.announced.emplace())) return false;
    const uint32_t extents = in.u32();
    for (uint32_t i = 0; i < extents; ++i) {
      if (!decode_extent(in, group.extents.emplace_back())) return false;
    }
  } else if (flags != kRemoved) {
    return false;
  }
  // The index behind each must exist.
  if (!in.complete() || group.last_index.value == UINT64_MAX) return false;
  if (group.mark && group.mark->index.value == UINT64_MAX) return false;
  if (group.announced && group.announced->index.value == UINT64_MAX) return false;
  position += bytes;
  return true;
}

void encode_trailer(uint64_t footer_offset, uint32_t seed, char* out) {
  std::memset(out, 0, kTrailerBytes);
  std::memcpy(out, &kTrailerMagic, sizeof kTrailerMagic);
  std::memcpy(out + 8, &footer_offset, sizeof footer_offset);
  const uint32_t checksum = crc32c({out + 8, kTrailerBytes - 8}, seed);
  std::memcpy(out + 4, &checksum, sizeof checksum);
}

std::optional<uint64_t> decode_trailer(std::string_view in, uint32_t seed) {
  ByteReader reader(in.substr(0, kTrailerBytes));
  const uint32_t magic = reader.u32();
  const uint32_t checksum = reader.u32();
  const uint64_t offset = reader.u64();
  reader.bytes(16);
  if (!reader.complete() || magic != kTrailerMagic) return std::nullopt;
  if (checksum != crc32c(in.substr(8, kTrailerBytes - 8), seed)) return std::nullopt;
  return offset;
}

}  // namespace multiraft::log
