#pragma once
// The checksum of an entry: made once, where a command enters the system, and checked wherever the
// entry arrives, is written, is read back or is applied. Nobody makes it again from bytes that were
// in memory meanwhile: a bit that flips there would be given a valid checksum and replicated
// (trap 38).
//
//   checksum of the payload = CRC-32C of the group's number and the command
//   checksum of the entry   = the same continued over term, index, type and size
//
// The second is made from the first without reading the command again, when the leader has chosen
// the entry's place in the log. The group is covered so that an entry that strays into the log of
// another group fails its checksum there.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "multiraft/types.h"
#include "raft/types.h"

namespace multiraft::raft {

/// What the checksums of a group's payloads start from.
uint32_t group_checksum_seed(GroupId group);
uint32_t payload_checksum(uint32_t seed, std::string_view payload);
/// `size` is the payload's.
uint32_t entry_checksum(uint32_t payload_checksum, Term term, LogIndex index, EntryType type,
                        size_t size);

/// Whether the entry is what it was when its checksum was made. Reads all of it.
bool is_intact(uint32_t seed, const Entry& entry);
/// Gives an entry that was just made, and never left its maker's hands, its checksum.
void seal(uint32_t seed, Entry& entry);

}  // namespace multiraft::raft
