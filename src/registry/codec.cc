#include "registry/codec.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/bytes.h"
#include "base/limits.h"

namespace multiraft::registry {
namespace {

constexpr uint32_t kSnapshotVersion = 3;
constexpr uint8_t kVoterFlag = 1;
constexpr uint8_t kLeavingFlag = 2;
constexpr uint8_t kSettledFlag = 4;

void encode(const NodeRecord& node, ByteWriter& out) {
  out.u64(node.id.value);
  out.u64(node.uuid.high);
  out.u64(node.uuid.low);
  out.u8(static_cast<uint8_t>(node.state));
  out.u32(node.serial_floor);
  out.sized(node.raft_address);
  out.sized(node.api_address);
  out.u32(node.versions.min);
  out.u32(node.versions.max);
}

void encode(const GroupRecord& group, ByteWriter& out) {
  out.u64(group.id.value);
  out.u32(static_cast<uint32_t>(group.members.size()));
  for (const MemberRecord& m : group.members) {
    out.u64(m.replica.value);
    out.u8(static_cast<uint8_t>((m.voter ? kVoterFlag : 0) | (m.leaving ? kLeavingFlag : 0) |
                                (m.settled ? kSettledFlag : 0)));
  }
  out.u32(static_cast<uint32_t>(group.founders.size()));
  for (ReplicaId founder : group.founders) out.u64(founder.value);
}

bool decode(ByteReader& in, NodeRecord& node) {
  node.id.value = in.u64();
  node.uuid.high = in.u64();
  node.uuid.low = in.u64();
  const uint8_t state = in.u8();
  node.serial_floor = in.u32();
  node.raft_address = in.sized();
  node.api_address = in.sized();
  node.versions.min = in.u32();
  node.versions.max = in.u32();
  node.state = static_cast<NodeState>(state);
  return !in.failed() && node.id.value >= 1 && node.id.value <= limits::kNodeIdMax &&
         node.versions.is_valid() &&
         (state == static_cast<uint8_t>(NodeState::kMember) ||
          state == static_cast<uint8_t>(NodeState::kLeaving));
}

/// A count of things of at least `bytes_each`; more than fit is malformed and must not be reserved.
uint32_t decode_count(ByteReader& in, size_t bytes_each) {
  const uint32_t count = in.u32();
  if (count > in.remaining() / bytes_each) in.fail();
  return in.failed() ? 0 : count;
}

bool decode(ByteReader& in, GroupRecord& group) {
  group.id.value = in.u64();
  group.members.resize(decode_count(in, 9));
  for (MemberRecord& m : group.members) {
    m.replica.value = in.u64();
    const uint8_t flags = in.u8();
    if (flags > (kVoterFlag | kLeavingFlag | kSettledFlag)) in.fail();
    m.voter = flags & kVoterFlag;
    m.leaving = flags & kLeavingFlag;
    m.settled = flags & kSettledFlag;
  }
  group.founders.resize(decode_count(in, 8));
  for (ReplicaId& founder : group.founders) founder.value = in.u64();
  return !in.failed();
}

bool sensible(const GroupRecord& group, uint32_t next_serial) {
  const auto known = [&](ReplicaId r) { return r.serial() >= 1 && r.serial() < next_serial; };
  const auto not_ascending = [](const MemberRecord& a, const MemberRecord& b) {
    return a.replica >= b.replica;
  };
  return std::adjacent_find(group.members.begin(), group.members.end(), not_ascending) ==
             group.members.end() &&
         std::adjacent_find(group.founders.begin(), group.founders.end(), std::greater_equal<>()) ==
             group.founders.end() &&
         std::all_of(group.members.begin(), group.members.end(),
                     [&](const MemberRecord& m) { return known(m.replica); }) &&
         std::all_of(group.founders.begin(), group.founders.end(), known);
}

}  // namespace

RegistryWriter::RegistryWriter(std::shared_ptr<const RegistryView> view)
    : view_(std::move(view)), groups_(view_->groups()) {}

RegistryWriter::~RegistryWriter() = default;

void RegistryWriter::next(size_t bytes_target, std::string& piece) {
  piece.clear();
  ByteWriter out(piece);
  if (!header_written_) {
    header_written_ = true;
    out.u32(kSnapshotVersion);
    out.u64(view_->cluster().value);
    out.u32(view_->cluster_version());
    out.u32(view_->next_serial());
    out.u64(view_->version().value);
    out.u64(view_->version_base_);
    out.u32(static_cast<uint32_t>(view_->lost_serials_.size()));
    for (const RegistryView::SerialRange& lost : view_->lost_serials_) {
      out.u32(lost.first);
      out.u32(lost.last);
    }
    out.u32(static_cast<uint32_t>(view_->nodes().size()));
    out.u32(static_cast<uint32_t>(groups_.size()));
  }
  while (nodes_written_ < view_->nodes().size() && piece.size() < bytes_target) {
    encode(view_->nodes()[nodes_written_++], out);
  }
  while (groups_written_ < groups_.size() && piece.size() < bytes_target) {
    encode(*groups_[groups_written_++], out);
  }
}

Result<RegistryView> RegistryReader::read(std::string_view bytes) {
  const auto corrupt = [](const char* why) {
    return Status(StatusCode::kCorruption, std::string("registry snapshot: ") + why);
  };
  ByteReader in(bytes);
  if (const uint32_t version = in.u32(); version != kSnapshotVersion) {
    if (in.failed() || version < kSnapshotVersion) return corrupt("unknown version");
    return Status(StatusCode::kUnsupported,
                  "registry snapshot of version " + std::to_string(version) +
                      ", and this program knows " + std::to_string(kSnapshotVersion) +
                      ": a newer version of multiraft has written it, upgrade this node");
  }
  RegistryView view;
  view.cluster_.value = in.u64();
  view.cluster_version_ = in.u32();
  view.next_serial_ = in.u32();
  view.version_.value = in.u64();
  view.version_base_ = in.u64();
  view.lost_serials_.resize(decode_count(in, 8));
  uint32_t last_lost = 0;
  for (RegistryView::SerialRange& lost : view.lost_serials_) {
    lost.first = in.u32();
    lost.last = in.u32();
    if (lost.first <= last_lost || lost.last < lost.first || lost.last >= view.next_serial_) {
      return corrupt("lost serials that do not fit");
    }
    last_lost = lost.last;
  }
  const uint32_t nodes = in.u32();
  const uint32_t groups = in.u32();
  if (view.empty() != (view.cluster_version_ == 0)) return corrupt("no cluster version");
  if (view.next_serial_ == 0) return corrupt("no next replica serial");
  NodeId last_node;
  for (uint32_t i = 0; i < nodes; ++i) {
    NodeRecord node;
    if (!decode(in, node)) return corrupt("malformed node");
    if (node.id <= last_node) return corrupt("nodes do not ascend");
    last_node = node.id;
    view.put_node(std::move(node));
  }
  GroupId last_group;
  for (uint32_t i = 0; i < groups; ++i) {
    GroupRecord group;
    if (!decode(in, group)) return corrupt("malformed group");
    if (!sensible(group, view.next_serial_)) return corrupt("replica ids that do not fit");
    if (i > 0 && group.id <= last_group) return corrupt("groups do not ascend");
    last_group = group.id;
    view.put_group(std::move(group));
  }
  if (!in.complete()) return corrupt("its length is wrong");
  // The commands take group 0 for granted once there is a cluster.
  if (view.empty() ? groups != 0 : !view.group(kRegistryGroup)) return corrupt("no group 0");
  return view;
}

uint64_t hash_of(std::shared_ptr<const RegistryView> view) {
  // FNV-1a, 64 bits.
  uint64_t hash = 0xcbf29ce484222325ULL;
  RegistryWriter writer(std::move(view));
  std::string piece;
  for (writer.next(limits::kSnapshotChunkBytes, piece); !piece.empty();
       writer.next(limits::kSnapshotChunkBytes, piece)) {
    for (const char c : piece) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
  }
  return hash;
}

}  // namespace multiraft::registry
