#pragma once
// Whether what a stopped node's RocksDB holds can be read, for multiraft-log.

#include <string>
#include <vector>

#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::kv {

/// How far the stored state of a group has come.
struct StoredPosition {
  GroupId group;
  LogIndex index;
  Term term;
};

/// Reads the positions of all groups, ascending, and with `every_byte` also compares all checksums.
/// kCorruption with the file where something is damaged. Writes nothing. Blocks.
Result<std::vector<StoredPosition>> verify_rocks(const std::string& directory, bool every_byte);

}  // namespace multiraft::kv
