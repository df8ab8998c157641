#pragma once
// The versions of commands and formats that the nodes of a cluster share.

#include <cstdint>
#include <string>

#include "multiraft/types.h"

namespace multiraft {

/// Versions of the cluster that a program can work with, both included.
struct VersionRange {
  uint32_t min = 1;
  uint32_t max = 1;

  bool contains(uint32_t version) const { return version >= min && version <= max; }
  bool is_valid() const { return min >= 1 && min <= max; }
  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

inline std::string to_string(const VersionRange& range) {
  return range.min == range.max ? std::to_string(range.min)
                                : std::to_string(range.min) + " to " + std::to_string(range.max);
}

/// What this program works with (docs/adr/0016-the-cluster-version.md). A new kind of command, or a
/// new meaning of an old one, takes the next number as the new `max`.
inline constexpr VersionRange kSupportedVersions{1, 1};

/// What to do with a node whose program does not support the cluster's version; for people.
std::string version_conflict(NodeId node, const VersionRange& versions, uint32_t cluster_version);

}  // namespace multiraft
