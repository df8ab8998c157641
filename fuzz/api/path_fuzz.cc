// Any target is routed, and what comes out of it is fit for a header.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/routes.h"
#include "base/assert.h"
#include "rest/redirect.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  const api::Route route = api::find_route(target);
  const bool refused =
      route.resource == api::Resource::kNone || route.resource == api::Resource::kBadTarget;
  MR_ASSERT(refused != route.detail.empty());
  std::string key;
  if (http::percent_decode(route.name, key)) MR_ASSERT(key.size() <= route.name.size());
  std::string_view query = route.query;
  http::QueryParameter parameter;
  while (http::next_parameter(query, parameter)) {
  }

  // The target as the address and as the Host field of the client, too.
  const std::vector<service::MemberAddress> members = {{NodeId(1), std::string(target)},
                                                       {NodeId(2), ":9090"}};
  const std::string_view host = http::is_valid_host(target) ? target : "h:1";
  const std::string location = rest::redirect_location(members, target, host, "127.0.0.1:1");
  MR_ASSERT(location.empty() || location.substr(0, 7) == "http://");
  for (const char c : location) MR_ASSERT(c > ' ' && c < 0x7f);
  return 0;
}
