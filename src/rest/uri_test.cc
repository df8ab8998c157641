#include "rest/uri.h"

#include <gtest/gtest.h>

#include "rest/redirect.h"

namespace multiraft::rest {
namespace {

std::string decode(std::string_view text) {
  std::string out;
  return percent_decode(text, out) ? out : "(malformed)";
}

TEST(PercentDecode_AnyByte, ComesBack) {
  EXPECT_EQ(decode("plain+plus"), "plain+plus");
  EXPECT_EQ(decode("a%2Fb%2fc"), "a/b/c");
  EXPECT_EQ(decode("%00%ff%25"), std::string("\0\xff%", 3));
  EXPECT_EQ(decode(""), "");
}

TEST(PercentDecode_Malformed, IsRefused) {
  for (const char* text : {"%", "%4", "a%", "%zz", "%4g", "%%41"}) {
    EXPECT_EQ(decode(text), "(malformed)") << text;
  }
}

TEST(SplitTarget_Forms, AreTold) {
  const auto origin = split_target("/1/key?a=b?c");
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->path, "/1/key");
  EXPECT_EQ(origin->query, "a=b?c");
  const auto absolute = split_target("HTTP://h:1/x?q");
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->authority, "h:1");
  EXPECT_EQ(absolute->path, "/x");
  EXPECT_EQ(split_target("http://h")->path, "/");
  for (const char* bad : {"", "*", "h:1", "x/y", "/a#b", "http://", "http://a b/", "http:///x",
                          "https://h/", "http://user@h/"}) {
    EXPECT_FALSE(split_target(bad)) << bad;
  }
}

TEST(Host_Validation, LetsNothingIntoALocation) {
  for (const char* good :
       {"", "localhost", "a.b-c_d~e:80", "127.0.0.1:1", "[::1]", "[fe80::1]:80", ":9090", "h:"}) {
    EXPECT_TRUE(is_valid_host(good)) << good;
  }
  for (const char* bad : {"a b", "a/b", "a@b", "a:b", "a:123456", "a\r\nX: y", "[::1", "[]", "[x]",
                          "[::1]x", "a?b", "<script>", "a,b", "::1"}) {
    EXPECT_FALSE(is_valid_host(bad)) << bad;
  }
  EXPECT_EQ(host_without_port("h:1"), "h");
  EXPECT_EQ(host_without_port("[::1]:1"), "[::1]");
  EXPECT_EQ(host_without_port(":1"), "");
}

TEST(Query_Parameters, AreTakenOneByOne) {
  std::string_view query = "a=1&&b&c==2";
  QueryParameter p;
  ASSERT_TRUE(next_parameter(query, p));
  EXPECT_EQ(p.name, "a");
  EXPECT_EQ(p.value, "1");
  ASSERT_TRUE(next_parameter(query, p));
  EXPECT_EQ(p.name, "b");
  EXPECT_EQ(p.value, "");
  ASSERT_TRUE(next_parameter(query, p));
  EXPECT_EQ(p.value, "=2");
  EXPECT_FALSE(next_parameter(query, p));
}

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
