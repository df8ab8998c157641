#pragma once
// What nodes know of each other's past (docs/adr/0010-state-rollback.md).
//
// A state directory is lived in by one process after the other. Each start is one more life, and in
// each life the logs of the workers grow. What was announced of a boot is true for good, so two
// accounts of the same state directory are merged by taking the larger numbers.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::wire {

inline constexpr size_t kWorkersMax = 64;  ///< Of a node.
inline constexpr size_t kBootRecordsBytesMax = 1 * limits::kMiB;

/// What is known of a node with a certain state directory.
struct BootRecord {
  NodeId node;
  StateDirId state;
  uint64_t number = 0;       ///< Of its newest start.
  uint64_t incarnation = 0;  ///< Of the process that was started then.
  /// For each worker, up to which sequence its log is known to have been durable.
  std::vector<uint64_t> durable;
  friend bool operator==(const BootRecord&, const BootRecord&) = default;
};

void encode(const BootRecord& life, ByteWriter& out);
/// False: malformed.
bool decode(ByteReader& in, BootRecord& life);
/// A count and that many numbers, one for each worker.
void encode_sequences(const std::vector<uint64_t>& sequences, ByteWriter& out);
bool decode_sequences(ByteReader& in, std::vector<uint64_t>& sequences);

/// Whole frames: one, or more where they do not fit into one.
std::string encode(const std::vector<BootRecord>& boots);
/// From a frame's payload. kCorruption: malformed.
Status decode(std::string_view payload, std::vector<BootRecord>& boots);

}  // namespace multiraft::wire
