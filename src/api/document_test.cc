// docs/api.md and the routes say the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "api/routes.h"

namespace multiraft::api {
namespace {

using ::testing::Not;
using ::testing::SizeIs;

struct DocumentedRequest {
  std::string method;
  std::string path;
};

http::Method method_of(const std::string& word) {
  if (word == "GET") return http::Method::kGet;
  if (word == "HEAD") return http::Method::kHead;
  if (word == "PUT") return http::Method::kPut;
  if (word == "POST") return http::Method::kPost;
  if (word == "DELETE") return http::Method::kDelete;
  return http::Method::kUnknown;
}

/// The first column of the document's tables: | `GET /{group}/{key}` | ...
std::vector<DocumentedRequest> documented() {
  std::ifstream document(MULTIRAFT_API_DOCUMENT);
  const std::regex row("^\\| `([A-Z]+) (/[^` ]*)`.*");
  std::vector<DocumentedRequest> requests;
  std::string line;
  std::smatch found;
  while (std::getline(document, line)) {
    if (std::regex_match(line, found, row)) requests.push_back({found[1], found[2]});
  }
  return requests;
}

/// With values in the place of its parameters.
std::string example_of(std::string path) {
  path = std::regex_replace(path, std::regex("\\{group\\}"), "7");
  path = std::regex_replace(path, std::regex("\\{id\\}"), "3");
  return std::regex_replace(path, std::regex("\\{key\\}"), "k");
}

std::set<std::string> methods_of(Resource resource) {
  std::set<std::string> methods;
  const std::string list(allowed_methods(resource));
  const std::regex word("[A-Z]+");
  for (std::sregex_iterator it(list.begin(), list.end(), word), end; it != end; ++it) {
    // HEAD works where GET does, which the document says once.
    if (it->str() != "HEAD") methods.insert(it->str());
  }
  return methods;
}

TEST(ApiDocument, EveryRequest_HasARoute) {
  const std::vector<DocumentedRequest> requests = documented();
  ASSERT_THAT(requests, Not(SizeIs(0)));
  for (const DocumentedRequest& request : requests) {
    const std::string target = example_of(request.path);
    const Route route = find_route(target);
    EXPECT_NE(route.resource, Resource::kNone) << request.path;
    EXPECT_TRUE(is_allowed(route.resource, method_of(request.method)))
        << request.method << " " << request.path;
  }
}

TEST(ApiDocument, EveryRoute_IsDocumentedWithItsMethods) {
  std::map<Resource, std::set<std::string>> by_resource;
  for (const DocumentedRequest& request : documented()) {
    const std::string target = example_of(request.path);
    by_resource[find_route(target).resource].insert(request.method);
  }
  for (int i = static_cast<int>(Resource::kGroupRoot); i <= static_cast<int>(Resource::kMetrics);
       ++i) {
    const auto resource = static_cast<Resource>(i);
    EXPECT_EQ(by_resource[resource], methods_of(resource)) << "resource number " << i;
  }
}

}  // namespace
}  // namespace multiraft::api
