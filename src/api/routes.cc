#include "api/routes.h"

#include <algorithm>
#include <charconv>

namespace multiraft::api {
namespace {

constexpr std::string_view kUnknownPath =
    "there is no such path; data is at /{group}/{key}, with a number for the group";
constexpr std::string_view kBadGroup = "a group is a number from 1 to 2^64-1";
constexpr std::string_view kInternalGroup =
    "group 0 is the cluster's own registry and holds no keys; see /v1/groups and /v1/nodes";

Route none(std::string_view detail) {
  Route route;
  route.detail = detail;
  return route;
}

/// Splits the first segment off: "a/b/c" is "a" and "b/c". `more` says whether a slash followed.
struct Segment {
  std::string_view first;
  std::string_view rest;
  bool more = false;
};
Segment take_segment(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}, false};
  return {path.substr(0, slash), path.substr(slash + 1), true};
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Route named(Resource resource) {
  Route route;
  route.resource = resource;
  return route;
}

bool take_group(std::string_view text, Route& route) {
  uint64_t number = 0;
  if (!parse_number(text, number)) return false;
  route.group = GroupId(number);
  route.has_group = true;
  return true;
}

Route group_route(const Segment& path) {
  Route route;
  if (!take_group(path.first, route)) return none(kBadGroup);
  if (route.group == GroupId(0)) return none(kInternalGroup);
  if (!path.more) {
    route.resource = Resource::kGroupRoot;
    return route;
  }
  constexpr std::string_view kMembersPath = "mgmt/nodes";
  constexpr std::string_view kMemberPath = "mgmt/nodes/";
  if (path.rest == kMembersPath) {
    route.resource = Resource::kMembers;
  } else if (path.rest.substr(0, kMemberPath.size()) == kMemberPath) {
    route.resource = Resource::kMember;
    route.name = path.rest.substr(kMemberPath.size());
  } else {
    route.resource = Resource::kKey;
    route.name = path.rest;
  }
  return route;
}

Route v1_route(std::string_view path) {
  if (path == "groups") return named(Resource::kV1Groups);
  if (path == "nodes") return named(Resource::kV1Nodes);
  if (path == "cluster") return named(Resource::kV1Cluster);
  const Segment area = take_segment(path);
  if (area.first != "groups" || !area.more) return none("there is no such path below /v1");
  const Segment group = take_segment(area.rest);
  Route route;
  if (!take_group(group.first, route)) return none(kBadGroup);
  if (!group.more) {
    route.resource = Resource::kV1Group;
    return route;
  }
  const Segment inside = take_segment(group.rest);
  if (group.rest == "members" && route.group != GroupId(0)) {
    route.resource = Resource::kV1Members;
    return route;
  }
  if (inside.first != "kv" || !inside.more) return none("there is no such path below a group");
  if (route.group == GroupId(0)) return none(kInternalGroup);
  route.resource = Resource::kV1Key;
  route.name = inside.rest;
  return route;
}

Route path_route(std::string_view path) {
  path.remove_prefix(1);
  if (path == "livez") return named(Resource::kLive);
  if (path == "readyz") return named(Resource::kReady);
  if (path == "metrics") return named(Resource::kMetrics);
  if (path == "mgmt/groups") return named(Resource::kNewGroup);
  const Segment first = take_segment(path);
  if (is_digits(first.first)) return group_route(first);
  if (first.first == "v1" && first.more) return v1_route(first.rest);
  return none(kUnknownPath);
}

}  // namespace

bool parse_number(std::string_view text, uint64_t& number) {
  if (!is_digits(text)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Route find_route(std::string_view target) {
  const std::optional<http::Target> parts = http::split_target(target);
  if (!parts) {
    Route route = none("the request target is neither a path nor an http URL without a fragment");
    route.resource = Resource::kBadTarget;
    return route;
  }
  Route route = path_route(parts->path);
  route.query = parts->query;
  return route;
}

std::string_view allowed_methods(Resource resource) {
  switch (resource) {
    case Resource::kNone:
    case Resource::kBadTarget:
      return "";
    case Resource::kGroupRoot:
    case Resource::kNewGroup:
      return "PUT, POST";
    case Resource::kKey:
      return "GET, HEAD, DELETE";
    case Resource::kV1Key:
      return "GET, HEAD, PUT, DELETE";
    case Resource::kMember:
      return "DELETE";
    case Resource::kV1Members:
      return "GET, HEAD, POST";
    case Resource::kMembers:
    case Resource::kV1Groups:
    case Resource::kV1Group:
    case Resource::kV1Nodes:
    case Resource::kV1Cluster:
    case Resource::kLive:
    case Resource::kReady:
    case Resource::kMetrics:
      return "GET, HEAD";
  }
  return "";
}

bool is_allowed(Resource resource, http::Method method) {
  switch (resource) {
    case Resource::kNone:
    case Resource::kBadTarget:
      return true;  // Refused for what it is, whatever the method.
    case Resource::kGroupRoot:
    case Resource::kNewGroup:
      return method == http::Method::kPut || method == http::Method::kPost;
    case Resource::kKey:
      return is_safe(method) || method == http::Method::kDelete;
    case Resource::kV1Key:
      return is_safe(method) || method == http::Method::kPut || method == http::Method::kDelete;
    case Resource::kMember:
      return method == http::Method::kDelete;
    case Resource::kV1Members:
      return is_safe(method) || method == http::Method::kPost;
    case Resource::kMembers:
    case Resource::kV1Groups:
    case Resource::kV1Group:
    case Resource::kV1Nodes:
    case Resource::kV1Cluster:
    case Resource::kLive:
    case Resource::kReady:
    case Resource::kMetrics:
      return is_safe(method);
  }
  return false;
}

RouteClass class_of(Resource resource) {
  switch (resource) {
    case Resource::kNone:
    case Resource::kBadTarget:
      return RouteClass::kOther;
    case Resource::kGroupRoot:
    case Resource::kKey:
      return RouteClass::kKeyValue;
    case Resource::kV1Key:
      return RouteClass::kKeyValueV1;
    case Resource::kMembers:
    case Resource::kMember:
    case Resource::kNewGroup:
    case Resource::kV1Members:
      return RouteClass::kManagement;
    case Resource::kV1Groups:
    case Resource::kV1Group:
    case Resource::kV1Nodes:
    case Resource::kV1Cluster:
      return RouteClass::kListing;
    case Resource::kLive:
    case Resource::kReady:
      return RouteClass::kProbe;
    case Resource::kMetrics:
      return RouteClass::kMetrics;
  }
  return RouteClass::kOther;
}

}  // namespace multiraft::api
