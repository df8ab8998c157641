#pragma once
// One stored pair and the walk over all of them: what hashes and snapshots are made from.

#include <string_view>

#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::kv {

/// Views into memory that somebody else holds.
struct Record {
  std::string_view key;
  std::string_view value;
  LogIndex modified_index;
};

/// Walks over one consistent view of a group in key order. One thread at a time, any thread.
class RecordCursor {
 public:
  virtual ~RecordCursor() = default;
  /// The next record, valid until the next call; false at the end.
  virtual Result<bool> next(Record& out) = 0;
  /// Called between chunks: lets go of what is expensive to hold while a slow receiver is awaited.
  virtual void pause() {}
};

}  // namespace multiraft::kv
