#include "api/json_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace multiraft::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string wrong_put(std::string_view text) {
  PutBody body;
  return parse_put_body(text, body);
}
std::string wrong_group(std::string_view text) {
  NewGroupBody body;
  return parse_new_group_body(text, body);
}

TEST(PutBody_Valid, GivesKeyAndValue) {
  PutBody body{"old", "old"};
  EXPECT_EQ(parse_put_body(R"( {"Value":"v\u00fc\ud83d\ude00\u0000","Key":"a\/b"} )", body), "");
  EXPECT_EQ(body.key, "a/b");
  EXPECT_EQ(body.value, std::string("v\u00fc\U0001f600\0", 8));
  EXPECT_EQ(parse_put_body(R"({"Key":"","Value":""})", body), "");
  EXPECT_EQ(body.key, "");
}

TEST(PutBody_UnknownFields_AreSkippedWhateverTheyHold, OnlyKeyAndValueCount) {
  PutBody body;
  EXPECT_EQ(
      parse_put_body(
          R"({"x":{"Key":"no","Value":[1]},"y":[{"Key":1}],"Key":"k","z":null,"Value":"v"})", body),
      "");
  EXPECT_EQ(body.key, "k");
  EXPECT_EQ(body.value, "v");
}

TEST(PutBody_LargeValue, IsWhole) {
  const std::string value(3 * limits::kMiB, 'v');
  PutBody body;
  EXPECT_EQ(parse_put_body(R"({"Key":"k","Value":")" + value + "\"}", body), "");
  EXPECT_EQ(body.value, value);
}

TEST(PutBody_Wrong, NamesTheField) {
  EXPECT_THAT(wrong_put(""), HasSubstr("empty"));
  EXPECT_THAT(wrong_put("{}"), HasSubstr("\"Key\" is missing"));
  EXPECT_THAT(wrong_put(R"({"Key":"k"})"), HasSubstr("\"Value\" is missing"));
  EXPECT_THAT(wrong_put(R"({"key":"k","Value":"v"})"), HasSubstr("case matters"));
  EXPECT_THAT(wrong_put(R"({"Key":1,"Value":"v"})"), HasSubstr("\"Key\" is not a string"));
  for (const char* value :
       {"2", "-2", "2.5", "null", "true", "[]", "{}", "[\"v\"]", "18446744073709551615", "1e400"}) {
    EXPECT_THAT(wrong_put(R"({"Key":"k","Value":)" + std::string(value) + "}"),
                HasSubstr("\"Value\" is not a string"))
        << value;
  }
  EXPECT_THAT(wrong_put(R"({"Key":"k","Key":"k","Value":"v"})"),
              HasSubstr("\"Key\" is there twice"));
}

TEST(PutBody_NoObject, IsSaid) {
  for (const char* text :
       {"[]", "null", "\"Key\"", "1", "-1", "1.5", "true", "[{\"Key\":\"k\"}]"}) {
    EXPECT_THAT(wrong_put(text), HasSubstr("not a JSON object")) << text;
  }
}

TEST(PutBody_NotJson, IsRefused) {
  const std::string deep = R"({"Key":"k","Value":"v","a":)" + std::string(100, '[');
  for (const std::string& text : std::vector<std::string>{
           "{", "}", "not json", "{'Key':1}", "{\"Key\":\"k\",}", "{\"Key\"}",
           R"({"Key":"k","Value":"v"})"
           "\xff",
           "{\"Key\":\"\xff\xfe\"}", R"({"Key":"k","Value":"\ud800"})",
           R"({"Key":"k","Value":"\udc00"})", R"({"Key":"k","Value":"v)", "{\"Key\":\"a\nb\"}",
           R"({"Key":"\x"})", "/**/{}", "{\"a\":NaN}", deep, std::string("\0", 1)}) {
    EXPECT_NE(wrong_put(text), "") << text;
  }
  EXPECT_THAT(wrong_put(deep), HasSubstr("too deeply"));
}

TEST(PutBody_TrailingBytes, AreRefused) {
  EXPECT_THAT(wrong_put(R"({"Key":"k","Value":"v"} x)"), HasSubstr("behind"));
  EXPECT_THAT(wrong_put(R"({"Key":"k","Value":"v"}{})"), HasSubstr("behind"));
  EXPECT_EQ(wrong_put("{\"Key\":\"k\",\"Value\":\"v\"}\r\n"), "");
}

TEST(PutBody_HostileFieldName_StaysPrintable, InTheMessage) {
  const std::string text = R"({"KEY\u0007":"k"})";
  EXPECT_THAT(wrong_put(text), HasSubstr("\"Key\" is missing"));
}

TEST(NewGroupBody_Valid, SortsTheNodes) {
  NewGroupBody body;
  EXPECT_EQ(parse_new_group_body(R"({"GroupID":2,"IDs":[3,1,2],"JoinAddr":":8080"})", body), "");
  EXPECT_EQ(body.group, GroupId(2));
  EXPECT_THAT(body.nodes, ElementsAre(NodeId(1), NodeId(2), NodeId(3)));
  EXPECT_EQ(parse_new_group_body(R"({"IDs":[1],"GroupID":18446744073709551615})", body), "");
  EXPECT_EQ(body.group, GroupId(UINT64_MAX));
}

TEST(NewGroupBody_Wrong, NamesTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"GroupID":9})", "\"IDs\" is missing"},
      {R"({"IDs":[1]})", "\"GroupID\" is missing"},
      {R"({"GroupID":"9","IDs":[1]})", "\"GroupID\" is not"},
      {R"({"GroupID":-9,"IDs":[1]})", "\"GroupID\" is not"},
      {R"({"GroupID":9.5,"IDs":[1]})", "\"GroupID\" is not"},
      {R"({"GroupID":18446744073709551616,"IDs":[1]})", "\"GroupID\" is not"},
      {R"({"GroupID":[9],"IDs":[1]})", "\"GroupID\" is not"},
      {R"({"GroupID":0,"IDs":[1]})", "\"GroupID\" is 0"},
      {R"({"GroupID":9,"IDs":[]})", "\"IDs\" is empty"},
      {R"({"GroupID":9,"IDs":["1"]})", "\"IDs\" is not"},
      {R"({"GroupID":9,"IDs":[[1]]})", "\"IDs\" is not"},
      {R"({"GroupID":9,"IDs":[{}]})", "\"IDs\" is not"},
      {R"({"GroupID":9,"IDs":[null]})", "\"IDs\" is not"},
      {R"({"GroupID":9,"IDs":1})", "\"IDs\" is not"},
      {R"({"GroupID":9,"IDs":[1,1]})", "twice"},
      {R"({"GroupID":9,"IDs":[0]})", "\"IDs\" has an id"},
      {R"({"GroupID":9,"IDs":[4294967296]})", "\"IDs\" has an id"},
      {R"({"GroupID":9,"IDs":[1],"JoinAddr":5})", "\"JoinAddr\" is not a string"},
      {R"({"GroupID":9,"IDs":[1],"IDs":[2]})", "\"IDs\" is there twice"},
  };
  for (const auto& [text, why] : cases) EXPECT_THAT(wrong_group(text), HasSubstr(why)) << text;
}

TEST(NewGroupBody_TooManyNodes, IsRefusedWithoutKeepingThem) {
  std::string ids = "1";
  for (int i = 2; i < 10'000; ++i) ids += "," + std::to_string(i);
  NewGroupBody body;
  EXPECT_THAT(parse_new_group_body(R"({"GroupID":9,"IDs":[)" + ids + "]}", body),
              HasSubstr("more than 64"));
  EXPECT_LE(body.nodes.size(), limits::kGroupMembersMax + 1);
}

}  // namespace
}  // namespace multiraft::api
