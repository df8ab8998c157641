#include "raft/conf_change.h"

#include <string>

#include "base/assert.h"
#include "base/bytes.h"

namespace multiraft::raft {
namespace {

constexpr size_t kSingleBytes = 1 + sizeof(uint64_t);

Status malformed() { return Status(StatusCode::kCorruption, "malformed configuration change"); }

}  // namespace

SharedBytes encode_conf_change(const ConfChange& change) {
  MR_ASSERT(!change.v1 ||
            (change.changes.size() == 1 && change.transition == ConfChangeTransition::kAuto));
  MR_ASSERT(change.changes.size() <= UINT16_MAX);
  if (change.changes.empty() && change.transition == ConfChangeTransition::kAuto &&
      change.context.empty()) {
    return {};
  }
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(static_cast<uint8_t>(change.transition));
  out.u16(static_cast<uint16_t>(change.changes.size()));
  for (const ConfChangeSingle& single : change.changes) {
    out.u8(static_cast<uint8_t>(single.op));
    out.u64(single.replica.value);
  }
  out.bytes(change.context);
  return SharedBytes::copy_of(bytes);
}

Result<ConfChange> decode_conf_change(EntryType type, std::string_view data) {
  ConfChange change;
  change.v1 = type == EntryType::kConfChange;
  if (type == EntryType::kNormal) return malformed();
  if (data.empty()) return change.v1 ? Result<ConfChange>(malformed()) : change;

  ByteReader in(data);
  const uint8_t transition = in.u8();
  const size_t count = in.u16();
  if (transition > static_cast<uint8_t>(ConfChangeTransition::kJointExplicit)) return malformed();
  if (in.failed() || count > in.remaining() / kSingleBytes) return malformed();
  change.transition = static_cast<ConfChangeTransition>(transition);
  change.changes.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t op = in.u8();
    if (op > static_cast<uint8_t>(ConfChangeOp::kAddLearner)) return malformed();
    change.changes.push_back({static_cast<ConfChangeOp>(op), ReplicaId(in.u64())});
  }
  if (change.v1 && (count != 1 || change.transition != ConfChangeTransition::kAuto)) {
    return malformed();
  }
  change.context = SharedBytes::copy_of(in.bytes(in.remaining()));
  return change;
}

}  // namespace multiraft::raft
