#include "host/arrival_check.h"

#include "base/coverage.h"
#include "raft/entry_checksum.h"

namespace multiraft::host {

bool ArrivalCheck::accept(NodeId from, const wire::GroupMessage& message, env::MonotonicTime now) {
  const auto& entries = message.message.entries;
  if (entries.empty()) return true;
  const uint32_t seed = raft::group_checksum_seed(message.group);
  for (const raft::Entry& entry : entries) {
    if (raft::is_intact(seed, entry)) continue;
    MR_COVERAGE("entry failed its checksum on arrival");
    refused(from, "entry " + to_string(entry.index) + " of group " + to_string(message.group), now);
    return false;
  }
  return true;
}

bool ArrivalCheck::accept(NodeId from, const wire::Request& propose, env::MonotonicTime now) {
  const uint32_t seed = raft::group_checksum_seed(propose.group);
  if (propose.checksum == raft::payload_checksum(seed, propose.payload)) return true;
  MR_COVERAGE("forwarded write failed its checksum");
  refused(from, "a write to group " + to_string(propose.group), now);
  return false;
}

void ArrivalCheck::refused(NodeId from, const std::string& what, env::MonotonicTime now) {
  ++failures_;
  if (now < silent_until_) return;
  silent_until_ = now + env::kSecond;
  warn_(what + " came from node " + to_string(from) +
        " in an intact frame and fails its own checksum: it changed in the memory of that node, of "
        "the node where it was written or of this one. It is refused. Where this goes on, test the "
        "memory of the node that is named most often");
}

}  // namespace multiraft::host
