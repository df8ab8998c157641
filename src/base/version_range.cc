#include "base/version_range.h"

namespace multiraft {

std::string version_conflict(NodeId node, const VersionRange& versions, uint32_t cluster_version) {
  const bool too_old = versions.max < cluster_version;
  return "the cluster works with version " + std::to_string(cluster_version) +
         ", and the program of node " + to_string(node) + " with " + to_string(versions) +
         (too_old ? ": start the node with the version of multiraft that the other nodes run"
                  : ": upgrade the cluster in smaller steps, first to a version of multiraft that "
                    "supports both");
}

}  // namespace multiraft
