#include "rest/redirect.h"

#include <gtest/gtest.h>

namespace multiraft::rest {
namespace {

std::string location(const std::string& address, std::string_view target,
                     std::string_view host = "client:5") {
  return redirect_location({{NodeId(1), address}}, target, host, "10.0.0.9:9090");
}

TEST(Redirect_Location, KeepsPathAndQueryAndFindsAHost) {
  EXPECT_EQ(location("n1:9090", "/2/k?a=b"), "http://n1:9090/2/k?a=b");
  EXPECT_EQ(location("n1:9090", "/2/k?"), "http://n1:9090/2/k?");
  EXPECT_EQ(location(":9090", "/2/a%2Fb"), "http://client:9090/2/a%2Fb");
  EXPECT_EQ(location("0.0.0.0:9090", "/2/k"), "http://client:9090/2/k");
  EXPECT_EQ(location("[::]:9090", "/2/k", "[::1]:5"), "http://[::1]:9090/2/k");
  EXPECT_EQ(location(":9090", "/2/k", ""), "http://10.0.0.9:9090/2/k");
  EXPECT_EQ(location(":9090", "/2/k", ":5"), "http://10.0.0.9:9090/2/k");
  EXPECT_EQ(location(":9090", "http://other:1/2/k"), "http://other:9090/2/k");
  EXPECT_EQ(location("n1:9090", "/2/\xc3\xbc"), "http://n1:9090/2/%C3%BC");
}

TEST(Redirect_UnusableAddresses, AreSkipped) {
  EXPECT_EQ(location("", "/2/k"), "");
  EXPECT_EQ(location("host-without-port", "/2/k"), "");
  EXPECT_EQ(location("h:1\r\nSet-Cookie: x", "/2/k"), "");
  EXPECT_EQ(redirect_location({{NodeId(1), "bad host:1"}, {NodeId(2), "n2:1"}}, "/2/k", "c", "l:1"),
            "http://n2:1/2/k");
}

}  // namespace
}  // namespace multiraft::rest
