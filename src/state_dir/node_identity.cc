#include "state_dir/node_identity.h"

#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"

namespace multiraft::state_dir {
namespace {

constexpr uint64_t kMagic = 0x45444f4e54464d52;  // "RMFTNODE"
constexpr uint32_t kVersion = 3;
constexpr size_t kChecksumBytes = 4;

Status corrupt(const std::string& why) { return Status(StatusCode::kCorruption, why); }

/// A draw that is not zero, which means "none".
uint64_t draw(env::Environment& env) {
  for (;;) {
    if (const uint64_t value = env.random_u64()) return value;
  }
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Makes the directory and those above it, and their names durable: without that a power loss takes
/// the whole state along, identity first.
Status make_durable_directory(env::FileSystem& fs, std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (*exists) return fs.create_directories(path);  // Only complains where it is a file.
  const std::string parent = parent_of(path);
  if (parent != path) MR_RETURN_IF_ERROR(make_durable_directory(fs, parent));
  MR_RETURN_IF_ERROR(fs.create_directories(path));
  return fs.sync_directory(parent);
}

/// Logs without an identity belong to somebody who is not known: nobody may vote with them.
Status check_unused(env::FileSystem& fs, const std::string& state_dir) {
  auto has_logs = fs.exists(state_dir + "/log");
  if (!has_logs) return has_logs.status();
  if (!*has_logs) return Status::ok();
  return corrupt(state_dir +
                 "/node is missing, but there are logs. Remove the node from its cluster, " +
                 "wipe its state directory and join it again");
}

Status refused(StatusCode code, const std::string& what, const Status& cause) {
  return Status(code, what + ": " + cause.message());
}

}  // namespace

std::string encode_facts(const NodeFacts& facts) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u64(kMagic);
  out.u32(kVersion);
  out.u8(static_cast<uint8_t>(facts.phase));
  out.u64(facts.cluster.value);
  out.u64(facts.node.value);
  out.u64(facts.uuid.high);
  out.u64(facts.uuid.low);
  out.u32(facts.serial_floor);
  out.u64(facts.life);
  out.u32(facts.cluster_version);
  out.u32(facts.registry_floor);
  out.u32(crc32c(bytes));
  return bytes;
}

Result<NodeFacts> decode_facts(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u64() != kMagic) return corrupt("offset 0: not the identity of a node");
  if (const uint32_t version = in.u32(); version != kVersion) {
    // In every version the checksum of everything before is at the end.
    const bool intact = bytes.size() > kChecksumBytes &&
                        ByteReader(bytes.substr(bytes.size() - kChecksumBytes)).u32() ==
                            crc32c(bytes.substr(0, bytes.size() - kChecksumBytes));
    const bool newer = intact && version > kVersion;
    return Status(newer ? StatusCode::kUnsupported : StatusCode::kCorruption,
                  "offset 8: version " + std::to_string(version) +
                      (newer ? " was written by a newer version of multiraft" : " is not known"));
  }
  NodeFacts facts;
  const uint8_t phase = in.u8();
  facts.cluster.value = in.u64();
  facts.node.value = in.u64();
  facts.uuid.high = in.u64();
  facts.uuid.low = in.u64();
  facts.serial_floor = in.u32();
  facts.life = in.u64();
  facts.cluster_version = in.u32();
  facts.registry_floor = in.u32();
  const size_t checked = in.position();
  const uint32_t crc = in.u32();
  if (!in.complete()) return corrupt("its length is wrong");
  if (crc != crc32c(bytes.substr(0, checked))) return corrupt("offset 0: the checksum is wrong");
  if (phase < static_cast<uint8_t>(NodePhase::kJoining) ||
      phase > static_cast<uint8_t>(NodePhase::kFounding) || facts.uuid.empty() ||
      facts.node.value < 1 || facts.node.value > limits::kNodeIdMax) {
    return corrupt("offset 12: a value is out of range");
  }
  facts.phase = static_cast<NodePhase>(phase);
  if (facts.cluster == ClusterId{} && facts.phase != NodePhase::kJoining) {
    return corrupt("offset 13: no cluster id");
  }
  return facts;
}

Result<std::unique_ptr<NodeIdentity>> NodeIdentity::open(env::Environment& env,
                                                         const std::string& state_dir, NodeId node,
                                                         bool found_cluster,
                                                         VersionRange versions) {
  env::FileSystem& fs = env.file_system();
  if (Status status = make_durable_directory(fs, state_dir); !status) {
    return refused(status.code(), "state directory " + state_dir + " cannot be used", status);
  }
  auto lock = fs.lock(state_dir + "/LOCK");
  if (!lock) {
    return refused(lock.status().code(), "state directory " + state_dir + " cannot be locked",
                   lock.status());
  }
  std::unique_ptr<NodeIdentity> identity(new NodeIdentity(fs, state_dir, std::move(*lock)));
  auto exists = fs.exists(identity->path_);
  if (!exists) return exists.status();
  if (*exists) {
    MR_RETURN_IF_ERROR(identity->load(node, versions));
  } else {
    MR_RETURN_IF_ERROR(check_unused(fs, state_dir));
    identity->facts_.node = node;
    identity->facts_.uuid = {draw(env), draw(env)};
  }
  NodeFacts facts = identity->facts_;
  if (facts.phase == NodePhase::kJoining && facts.cluster == ClusterId{} && found_cluster) {
    facts.cluster = ClusterId(draw(env));
    facts.phase = NodePhase::kFounding;
  }
  // Counted before anything is announced: no two processes announce the same boot.
  ++facts.life;
  Status saved = identity->save(facts);
  if (saved.code() == StatusCode::kNoSpace) {
    // The reserve is for what must go on although the disk is full (host/disk_guard.h makes it
    // again). Where there is none, the first error counts.
    if (fs.remove(state_dir + "/reserve")) saved = identity->save(facts);
  }
  if (!saved) return saved;
  return identity;
}

Status NodeIdentity::load(NodeId node, const VersionRange& versions) {
  auto bytes = fs_.read_file(path_);
  if (!bytes) return bytes.status();
  auto facts = decode_facts(*bytes);
  if (facts.status().code() == StatusCode::kUnsupported) {
    return Status(StatusCode::kUnsupported,
                  path_ + ": " + facts.status().message() + ". Start the node with that version");
  }
  if (!facts) {
    return corrupt(path_ + ": " + facts.status().message() +
                   ". The node does not know who it is. Remove it from the cluster, wipe its state "
                   "directory and join it again");
  }
  if (facts->node != node) {
    return Status(StatusCode::kConflict, path_ + ": this state directory belongs to node " +
                                             to_string(facts->node) + ", not to node " +
                                             to_string(node));
  }
  if (facts->cluster_version != 0 && !versions.contains(facts->cluster_version)) {
    return Status(StatusCode::kUnsupported,
                  path_ + ": " + version_conflict(node, versions, facts->cluster_version));
  }
  facts_ = *facts;
  return Status::ok();
}

Status NodeIdentity::save(const NodeFacts& facts) {
  MR_ASSERT(facts.node == facts_.node && facts.uuid == facts_.uuid);
  MR_RETURN_IF_ERROR(fs_.write_file_atomically(path_, encode_facts(facts)));
  facts_ = facts;
  return Status::ok();
}

}  // namespace multiraft::state_dir
