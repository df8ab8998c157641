#pragma once
// A read of entries from one segment: planned on the owner's thread, carried out on any.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "log/format.h"
#include "log/segment_table.h"
#include "multiraft/status.h"
#include "raft/types.h"

namespace multiraft::log {

/// What to do about damage: the last part of every message about it.
inline constexpr std::string_view kHowToHeal =
    "the other members have the data: with the node stopped, `multiraft-log repair -from_peers "
    "-yes -state_dir=DIR` puts the damaged log aside, then start the node with -join; or remove "
    "DIR "
    "and start with -join. `multiraft-log verify -state_dir=DIR` names every damaged place";

/// Consecutive entries of one group that lie in one segment. Holds the file, which may be retired
/// and used again meanwhile: what was read then is not what the plan says, and the owner, who knows
/// where the entries lie now, drops it (GroupState::holds()).
struct EntryRead {
  struct Place {
    Term term;
    uint32_t offset = 0;  ///< Of the entry's header in the segment.
    uint32_t data_bytes = 0;
  };
  GroupId group;
  LogIndex low;
  std::vector<Place> places;
  uint64_t segment = 0;
  std::shared_ptr<SegmentFile> file;

  LogIndex high() const { return low + places.size(); }
};

/// Whether one system call fetches both: it skips other groups' records up to a gap rather than pay
/// for another call.
bool lie_together(const EntryRead::Place& one, const EntryRead::Place& next);

/// Reads the entries and compares all that is known of them. kCorruption, or the error of the disk;
/// the message names file, offset and group. Waits for the disk.
Result<std::vector<raft::Entry>> carry_out(const EntryRead& read);

}  // namespace multiraft::log
