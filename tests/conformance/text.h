#pragma once
// How scenario files show the core's types.

#include <string>
#include <string_view>

#include "raft/raft.h"

namespace multiraft::conformance {

/// Lower-case hexadecimal; None and the names of the local threads.
std::string hex_id(ReplicaId id);
/// A double-quoted string with escapes.
std::string quoted(std::string_view bytes);
/// "v1 l2 r3".
std::string conf_change_text(const raft::ConfChange& change);
/// "TERM/INDEX TYPE PAYLOAD".
std::string entry_text(const raft::Entry& entry);
std::string snapshot_text(const raft::Snapshot& snapshot);
/// One line or several; `indent` goes before all but the first.
std::string message_text(const raft::Message& message, const std::string& indent = "");
std::string progress_text(const raft::MemberProgress& progress);
std::string hard_state_text(const raft::HardState& state);

}  // namespace multiraft::conformance
