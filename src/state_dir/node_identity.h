#pragma once
// Who this node is: the file `state_dir/node`, and the lock that keeps a second process away
// (format: docs/formats/meta.md).

#include <cstdint>
#include <memory>
#include <string>

#include "base/version_range.h"
#include "env/env.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::state_dir {

enum class NodePhase : uint8_t {
  kJoining = 1,   ///< Not answered yet, or its replica of group 0 may not exist yet.
  kMember = 2,    ///< Its replica of group 0 is in the log.
  kRemoved = 3,   ///< Not part of the cluster any more, for good.
  kFounding = 4,  ///< Makes a new cluster; its replica of group 0 may not exist yet.
};

struct NodeFacts {
  ClusterId cluster;  ///< 0 while the node joins and has no answer yet.
  NodeId node;
  StateDirId uuid;
  /// A replica with a serial up to this that is not in the log must never be created here: it was
  /// destroyed, or belonged to a disk that is gone (trap 27).
  uint32_t serial_floor = 0;
  NodePhase phase = NodePhase::kJoining;
  /// How often a process has started from here: 1 is the first. What a node announces in one
  /// boot it must still know in the next (docs/adr/0010-state-rollback.md).
  uint64_t life = 0;
  /// The newest version of the cluster that this node has seen; 0: none yet.
  uint32_t cluster_version = 0;
  /// Replicas of group 0 with a serial up to this were given up for a group 0 that was made again:
  /// whoever offers one has not heard of that yet.
  uint32_t registry_floor = 0;
  friend bool operator==(const NodeFacts&, const NodeFacts&) = default;
};

/// The file's content.
std::string encode_facts(const NodeFacts& facts);
/// kUnsupported: a newer program has written it. kCorruption; the message says where, not in which
/// file.
Result<NodeFacts> decode_facts(std::string_view bytes);

/// Owns the state directory while it lives. Not thread-safe; all calls block.
class NodeIdentity {
 public:
  /// Locks `state_dir`, which is made where there is none, and reads who lives there. A new one
  /// gets a uuid, and with `found_cluster` a cluster id; a node that has not begun to join may
  /// still change its mind. One more life has begun, durably, when this returns. Every error is one
  /// to end with status 3 on: in use, another id, corrupt, or of a cluster with a version that is
  /// not among `versions`.
  static Result<std::unique_ptr<NodeIdentity>> open(env::Environment& env,
                                                    const std::string& state_dir, NodeId node,
                                                    bool found_cluster,
                                                    VersionRange versions = kSupportedVersions);

  const NodeFacts& facts() const { return facts_; }
  const std::string& state_dir() const { return state_dir_; }
  /// Durable when it returns ok. Node and uuid never change.
  Status save(const NodeFacts& facts);

 private:
  NodeIdentity(env::FileSystem& fs, std::string state_dir, std::unique_ptr<env::FileLock> lock)
      : fs_(fs),
        state_dir_(std::move(state_dir)),
        path_(state_dir_ + "/node"),
        lock_(std::move(lock)) {}
  Status load(NodeId node, const VersionRange& versions);

  env::FileSystem& fs_;
  const std::string state_dir_;
  const std::string path_;
  std::unique_ptr<env::FileLock> lock_;
  NodeFacts facts_;
};

}  // namespace multiraft::state_dir
