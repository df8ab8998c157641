#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "env/network.h"

namespace multiraft::env {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text) {
  Result<Address> address = Address::parse(text);
  if (address) return "parsed as " + address->to_string();
  EXPECT_EQ(address.status().code(), StatusCode::kInvalidArgument);
  return address.status().message();
}

TEST(Address, Parse_AcceptsEveryForm) {
  EXPECT_EQ(*Address::parse(":8080"), (Address{"", 8080}));
  EXPECT_EQ(*Address::parse("host.example:80"), (Address{"host.example", 80}));
  EXPECT_EQ(*Address::parse("10.0.0.1:65535"), (Address{"10.0.0.1", 65535}));
  EXPECT_EQ(*Address::parse("[::1]:80"), (Address{"::1", 80}));
  EXPECT_EQ(*Address::parse(":0"), (Address{"", 0}));
}

TEST(Address, ToString_IsWhatParseTakes) {
  for (const char* text : {":8080", "host:80", "[fe80::1]:7"}) {
    EXPECT_EQ(Address::parse(text)->to_string(), text);
  }
}

TEST(Address, Parse_SaysWhatIsWrong) {
  EXPECT_EQ(error_of(":99999"),
            "address \":99999\": port 99999 is out of range 1..65535 (0 lets the system choose)");
  EXPECT_THAT(error_of(":65536"), HasSubstr("out of range"));
  EXPECT_THAT(error_of("h:123456789012345678901234567890"), HasSubstr("out of range"));
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of("8080"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("host"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("host:"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("host:http"), HasSubstr("port \"http\" is not a number"));
  EXPECT_THAT(error_of("host:-1"), HasSubstr("is not a number"));
  EXPECT_THAT(error_of("host:80x"), HasSubstr("is not a number"));
  EXPECT_THAT(error_of("host:80 "), HasSubstr("space"));
  EXPECT_THAT(error_of("::1:80"), HasSubstr("in brackets"));
  EXPECT_THAT(error_of("[::1:80"), HasSubstr("closing ]"));
  EXPECT_THAT(error_of("[]:80"), HasSubstr("nothing between"));
  EXPECT_THAT(error_of("[::1]"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("[::1]80"), HasSubstr("colon must follow"));
  EXPECT_THAT(error_of("http://host:80"), HasSubstr("in brackets"));
  EXPECT_THAT(error_of("host/:80"), HasSubstr("not a host name"));
}

}  // namespace
}  // namespace multiraft::env
