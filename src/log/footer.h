#pragma once
// The index of a finished segment (docs/formats/log.md, "Footers"): what its records have come to,
// so that a restart reads this instead of all of them.
//
// The footer is an ordinary batch at the end of the segment's chain, of kind kFooter. The last
// block of the segment, the trailer, says where it begins. A segment without a footer is read in
// full.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/format.h"
#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::log {

/// Entries with consecutive indexes and one term that lie in the segment.
struct FooterExtent {
  struct Item {
    uint32_t offset = 0;         ///< Of the entry's header, in the segment.
    uint32_t size_and_type = 0;  ///< As in the entry's header.
    friend bool operator==(const Item&, const Item&) = default;
  };
  LogIndex first;
  Term term;
  std::vector<Item> items;
  friend bool operator==(const FooterExtent&, const FooterExtent&) = default;
};

/// A group that has records in the segment, as it is at the segment's end. States are there if they
/// were last written in this segment.
struct FooterGroup {
  GroupId group;
  bool removed = false;  ///< Nothing of what follows then.
  bool created = false;  ///< In this segment: nothing from before counts.
  ReplicaId replica;
  LogIndex last_index;  ///< Of its log: entries beyond it went in this segment.
  std::optional<raft::HardState> hard_state;
  std::optional<raft::Snapshot> mark;
  std::optional<raft::Snapshot> announced;
  bool no_announced = false;  ///< An announcement of before is settled.
  std::vector<FooterExtent> extents;
  friend bool operator==(const FooterGroup&, const FooterGroup&) = default;
};

void encode(const FooterGroup& group, std::string& out);
/// Decodes the item at `position` and moves it behind.
bool decode_footer_group(std::string_view body, size_t& position, FooterGroup& group);

/// At the start of the last block.
inline constexpr size_t kTrailerBytes = 32;
void encode_trailer(uint64_t footer_offset, uint32_t seed, char* out);
std::optional<uint64_t> decode_trailer(std::string_view in, uint32_t seed);

}  // namespace multiraft::log
