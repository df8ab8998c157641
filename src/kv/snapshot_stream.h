#pragma once
// From a walk over records to a snapshot's chunks or to a hash; what both engines share.

#include <memory>

#include "kv/record.h"
#include "kv/snapshot_format.h"
#include "multiraft/state_machine.h"

namespace multiraft::kv {

/// A reader over `cursor`, whose view stands at this position.
std::unique_ptr<SnapshotReader> make_snapshot_reader(LogIndex index, Term term,
                                                     std::unique_ptr<RecordCursor> cursor);

/// The hash of the state that the cursor walks over.
Result<uint64_t> hash_of(LogIndex index, RecordCursor& cursor);

}  // namespace multiraft::kv
