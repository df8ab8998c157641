#include "api/routes.h"

#include <gtest/gtest.h>

namespace multiraft::api {
namespace {

struct Case {
  std::string_view target;
  Resource resource;
  uint64_t group = 0;
  std::string_view name = "";
};

TEST(Router_Paths, NameTheirResource) {
  constexpr Case kCases[] = {
      {"/1", Resource::kGroupRoot, 1},
      {"/18446744073709551615", Resource::kGroupRoot, UINT64_MAX},
      {"/1/k", Resource::kKey, 1, "k"},
      {"/1/a/b", Resource::kKey, 1, "a/b"},
      {"/1//", Resource::kKey, 1, "/"},
      {"/1/", Resource::kKey, 1, ""},
      {"/1/.", Resource::kKey, 1, "."},
      {"/1/..", Resource::kKey, 1, ".."},
      {"/1/k?x=1", Resource::kKey, 1, "k"},
      {"/1/mgmt", Resource::kKey, 1, "mgmt"},
      {"/1/mgmt/other", Resource::kKey, 1, "mgmt/other"},
      {"/1/mgmt/nodesx", Resource::kKey, 1, "mgmt/nodesx"},
      {"/1/mgmt%2Fnodes", Resource::kKey, 1, "mgmt%2Fnodes"},
      {"/1/mgmt/nodes", Resource::kMembers, 1},
      {"/1/mgmt/nodes/3", Resource::kMember, 1, "3"},
      {"/1/mgmt/nodes/", Resource::kMember, 1, ""},
      {"/mgmt/groups", Resource::kNewGroup},
      {"/v1/groups/7/members", Resource::kV1Members, 7},
      {"/v1/groups", Resource::kV1Groups},
      {"/v1/groups/5", Resource::kV1Group, 5},
      {"/v1/groups/0", Resource::kV1Group, 0},
      {"/v1/groups/5/kv/mgmt/nodes", Resource::kV1Key, 5, "mgmt/nodes"},
      {"/v1/groups/5/kv/", Resource::kV1Key, 5, ""},
      {"/v1/nodes", Resource::kV1Nodes},
      {"/v1/cluster", Resource::kV1Cluster},
      {"/livez", Resource::kLive},
      {"/readyz?verbose", Resource::kReady},
      {"/metrics", Resource::kMetrics},
      {"http://h/1/k", Resource::kKey, 1, "k"},
  };
  for (const Case& c : kCases) {
    const Route route = find_route(c.target);
    EXPECT_EQ(route.resource, c.resource) << c.target;
    EXPECT_EQ(route.group.value, c.group) << c.target;
    EXPECT_EQ(route.name, c.name) << c.target;
  }
}

TEST(Router_UnknownPaths, SayWhatIsWrong) {
  for (const char* target : {"/",
                             "//",
                             "/0",
                             "/0/k",
                             "/-1/k",
                             "/+1/k",
                             "/1x/k",
                             "/abc",
                             "/18446744073709551616/k",
                             "/v1",
                             "/v1/",
                             "/v1/groups/",
                             "/v1/groups/x",
                             "/v1/groups/1/",
                             "/v1/groups/1/kv",
                             "/v1/groups/0/kv/k",
                             "/v1/other",
                             "/mgmt",
                             "/mgmt/groups/1",
                             "/livez/",
                             "/%31/k"}) {
    const Route route = find_route(target);
    EXPECT_EQ(route.resource, Resource::kNone) << target;
    EXPECT_FALSE(route.detail.empty()) << target;
  }
  EXPECT_EQ(find_route("*").resource, Resource::kBadTarget);
  EXPECT_EQ(find_route("/1/a#b").resource, Resource::kBadTarget);
}

TEST(Router_AllowedMethods, AgreeWithTheAllowField) {
  for (int r = 0; r <= static_cast<int>(Resource::kMetrics); ++r) {
    const auto resource = static_cast<Resource>(r);
    if (resource == Resource::kNone || resource == Resource::kBadTarget) continue;
    const std::string allowed = ", " + std::string(allowed_methods(resource)) + ",";
    const auto says = [&](const char* name) {
      return allowed.find(", " + std::string(name) + ",") != std::string::npos;
    };
    EXPECT_EQ(is_allowed(resource, http::Method::kGet), says("GET")) << r;
    EXPECT_EQ(is_allowed(resource, http::Method::kHead), says("HEAD")) << r;
    EXPECT_EQ(is_allowed(resource, http::Method::kPut), says("PUT")) << r;
    EXPECT_EQ(is_allowed(resource, http::Method::kPost), says("POST")) << r;
    EXPECT_EQ(is_allowed(resource, http::Method::kDelete), says("DELETE")) << r;
    EXPECT_FALSE(is_allowed(resource, http::Method::kOther)) << r;
  }
}

}  // namespace
}  // namespace multiraft::api
