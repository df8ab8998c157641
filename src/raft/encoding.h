#pragma once
// Encodings of the core's types that both the log and the wire use (docs/formats/raft.md). Little-
// endian, fixed widths, bounds-checked: decoders fail on anything malformed and never overread.

#include "base/bytes.h"
#include "raft/types.h"

namespace multiraft::raft {

/// u16 counts of the four lists, u8 auto_leave, then the ids, u64 each.
void encode(const ConfState& state, ByteWriter& out);
/// False: malformed (also unsorted or duplicate ids).
bool decode(ByteReader& in, ConfState& state);

/// index u64, term u64, ConfState.
void encode(const Snapshot& snapshot, ByteWriter& out);
bool decode(ByteReader& in, Snapshot& snapshot);

/// term u64, vote u64, commit u64.
void encode(const HardState& state, ByteWriter& out);
bool decode(ByteReader& in, HardState& state);

}  // namespace multiraft::raft
