#pragma once
// What waits inside a replica: writes and reads of clients, with their deadlines.

#include <vector>

#include "base/task.h"
#include "env/clock.h"
#include "host/admission.h"
#include "host/node_host.h"
#include "multiraft/bytes.h"
#include "multiraft/types.h"

namespace multiraft::host {

struct PendingWrite {
  SharedBytes command;
  /// raft::payload_checksum(), made where the command entered the system.
  uint32_t checksum = 0;
  env::MonotonicTime deadline;
  Callback<void(WriteResult)> done;
  /// Where it was proposed; zero while it waits for a leader.
  LogIndex index;
  Term term;
  /// It came from another node: it is proposed here or refused, never forwarded again.
  bool forwarded = false;
  Admission::Ticket ticket;
};

struct PendingRead {
  raft::ReadMode mode = raft::ReadMode::kConfirmed;
  env::MonotonicTime deadline;
  Callback<void(ReadPermit)> done;
  Admission::Ticket ticket = {};
};

}  // namespace multiraft::host
