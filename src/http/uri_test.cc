#include "http/uri.h"

#include <gtest/gtest.h>

namespace multiraft::http {
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

}  // namespace
}  // namespace multiraft::http
