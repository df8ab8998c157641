#pragma once
// Which resource a path names. Paths are split before they are decoded, so that an encoded slash is
// a byte of a key and never a separator.

#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "rest/access_stats.h"
#include "rest/http_message.h"
#include "rest/uri.h"

namespace multiraft::rest {

enum class Resource : uint8_t {
  kNone,  ///< No such path, or a bad target: `detail` says which.
  kBadTarget,
  kGroupRoot,  ///< /{group}: takes a key and a value as JSON.
  kKey,        ///< /{group}/{key}
  kMembers,    ///< /{group}/mgmt/nodes
  kMember,     ///< /{group}/mgmt/nodes/{id}
  kNewGroup,   ///< /mgmt/groups
  kV1Groups,   ///< /v1/groups
  kV1Group,    ///< /v1/groups/{g}
  kV1Members,  ///< /v1/groups/{g}/members
  kV1Key,      ///< /v1/groups/{g}/kv/{key}
  kV1Nodes,    ///< /v1/nodes
  kV1Cluster,  ///< /v1/cluster
  kLive,       ///< /livez
  kReady,      ///< /readyz
  kMetrics,    ///< /metrics
};

/// Views into the target.
struct Route {
  Resource resource = Resource::kNone;
  GroupId group;
  bool has_group = false;
  std::string_view name;   ///< Key or node id, still encoded.
  std::string_view query;  ///< Still encoded.
  std::string_view detail;
};

Route find_route(std::string_view target);

/// For the Allow field: "GET, HEAD".
std::string_view allowed_methods(Resource resource);
bool is_allowed(Resource resource, Method method);
RouteClass class_of(Resource resource);

/// A decimal number of 64 bits, digits only.
bool parse_number(std::string_view text, uint64_t& number);

}  // namespace multiraft::rest
