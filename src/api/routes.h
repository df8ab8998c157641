#pragma once
// Which resource a path names. Paths are split before they are decoded, so that an encoded slash is
// a byte of a key and never a separator.

#include <array>
#include <cstdint>
#include <string_view>

#include "http/message.h"
#include "http/uri.h"
#include "multiraft/types.h"

namespace multiraft::api {

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

/// What requests are counted by in the metrics. Never a group or a key: a node may host ten
/// thousand groups.
enum class RouteClass : uint8_t {
  kOther,       ///< No such path, or no request at all.
  kKeyValue,    ///< /{group}, /{group}/{key}
  kKeyValueV1,  ///< /v1/groups/{g}/kv/{key}
  kManagement,  ///< /mgmt/groups, /{group}/mgmt/nodes
  kListing,     ///< /v1/groups, /v1/nodes
  kProbe,       ///< /livez, /readyz
  kMetrics,
};
/// The label of each class, in the order of the enumeration.
inline constexpr std::array<std::string_view, 7> kRouteClassNames = {
    "other", "kv", "kv_v1", "management", "listing", "probe", "metrics"};

/// For the Allow field: "GET, HEAD".
std::string_view allowed_methods(Resource resource);
bool is_allowed(Resource resource, http::Method method);
RouteClass class_of(Resource resource);

/// A decimal number of 64 bits, digits only.
bool parse_number(std::string_view text, uint64_t& number);

}  // namespace multiraft::api
