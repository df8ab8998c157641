#pragma once
// Checks a finished segment in full, and puts damage into words.

#include <cstdint>
#include <string>

#include "log/segment_scanner.h"
#include "log/segment_table.h"
#include "multiraft/status.h"

namespace multiraft::log {

/// Reads a segment that has a footer: every batch has to check and to follow the one before, up to
/// the footer. kCorruption with file, offset and, where known, group.
Status verify_segment(const SegmentFile& segment);

/// "in entry 5 of group 7", if the batch at `offset` is intact enough to tell.
std::string damaged_group(SegmentScanner& scanner, uint64_t offset);
/// `why` says how it is known that the batch was durable once.
Status damage_status(const std::string& path, uint64_t offset, uint64_t sequence,
                     const std::string& why, const std::string& group);

}  // namespace multiraft::log
