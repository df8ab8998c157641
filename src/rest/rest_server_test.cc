// Every route and every error, over real sockets with a backend in memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "base/limits.h"
#include "kv/command.h"
#include "rest/testing/fake_service.h"

namespace multiraft::rest {
namespace {

namespace json = boost::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

std::string put_body(const std::string& key, const std::string& value) {
  return R"({"Key":")" + key + R"(","Value":")" + value + "\"}";
}

/// Checks what every problem has and returns its body.
json::object problem_of(const Answer& answer, int status, const char* code,
                        const char* outcome = nullptr) {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_EQ(answer.header("content-type"), "application/problem+json");
  boost::system::error_code error;
  const json::value value = json::parse(answer.body, error);
  if (error || !value.is_object()) {
    ADD_FAILURE() << "no JSON: " << answer.body;
    return {};
  }
  json::object body = value.get_object();
  EXPECT_EQ(body["status"], status);
  EXPECT_EQ(body["code"], code);
  EXPECT_EQ(body["type"], json::value("urn:multiraft:problem:" + std::string(code)));
  EXPECT_TRUE(body["title"].is_string() && !body["title"].get_string().empty());
  EXPECT_TRUE(body["detail"].is_string());
  EXPECT_TRUE(body["retryable"].is_bool());
  EXPECT_EQ(body["request_id"], json::value(answer.header("x-request-id")));
  if (outcome != nullptr) {
    EXPECT_EQ(body["outcome"], outcome);
  } else {
    EXPECT_FALSE(body.contains("outcome"));
  }
  return body;
}

class RestServerTest : public testing::TestWithParam<bool> {
 protected:
  /// Replies of the backend come later, or from within the call.
  TestServer s_{{}, 2, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Replies, RestServerTest, testing::Bool(),
                         [](auto& param) { return param.param ? "Later" : "AtOnce"; });

TEST_P(RestServerTest, KeyValue_PutGetDelete_AsInTheOriginal) {
  for (const char* method : {"PUT", "POST"}) {
    const Answer put = s_.request(method, "/1", put_body("k", method));
    EXPECT_EQ(put.status, 204);
    EXPECT_EQ(put.body, "");
    EXPECT_EQ(put.header("content-length"), "(absent)");
    const Answer get = s_.request("GET", "/1/k");
    EXPECT_EQ(get.status, 200);
    EXPECT_EQ(get.body, std::string(method) + "\n");
    EXPECT_EQ(get.header("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(get.header("x-content-type-options"), "nosniff");
  }
  EXPECT_EQ(s_.request("DELETE", "/1/k").status, 204);
  problem_of(s_.request("GET", "/1/k"), 404, "no_such_key");
  s_.cluster.set_result_code(static_cast<uint64_t>(kv::ResultCode::kNotFound));
  EXPECT_EQ(s_.request("DELETE", "/1/k").status, 204);
  EXPECT_EQ(s_.cluster.calls().back(), "delete 1 k");
}

TEST_P(RestServerTest, Answers_CarryWhereTheyComeFrom) {
  const Answer put = s_.request("PUT", "/1", put_body("k", "v"));
  const Answer get = s_.request("GET", "/1/k");
  const Answer none = s_.request("GET", "/1/none");
  for (const Answer* answer : {&put, &get, &none}) {
    EXPECT_EQ(answer->header("multiraft-group"), "1");
    EXPECT_EQ(answer->header("multiraft-term"), "3");
    EXPECT_THAT(answer->header("multiraft-index"), MatchesRegex("1[0-9]"));
    EXPECT_EQ(answer->header("multiraft-served-by"), "7");
    EXPECT_THAT(answer->header("date"),
                MatchesRegex("[A-Z][a-z]+, [0-9]+ [A-Z][a-z]+ 20[0-9]+ [0-9:]+ GMT"));
  }
  const Answer live = s_.request("GET", "/livez");
  EXPECT_EQ(live.header("multiraft-served-by"), "7");
  EXPECT_EQ(live.header("multiraft-group"), "(absent)");
}

TEST_P(RestServerTest, RequestId_IsTheClientsIfSane_ElseUnique) {
  EXPECT_EQ(s_.request("GET", "/livez", "", "X-Request-Id: mine-42\r\n").header("x-request-id"),
            "mine-42");
  std::set<std::string> ids;
  for (const std::string& id : {std::string(), std::string("a b"), std::string("<x>"),
                                std::string(200, 'x'), std::string("\x80")}) {
    const Answer answer = s_.request("GET", "/livez", "", "X-Request-Id: " + id + "\r\n");
    EXPECT_THAT(answer.header("x-request-id"), MatchesRegex("7-[0-9a-f]+-[0-9]+-[0-9]+"));
    ids.insert(answer.header("x-request-id"));
  }
  EXPECT_EQ(ids.size(), 5U);
}

TEST_P(RestServerTest, Keys_OfAnyBytes_AreReachable) {
  const std::pair<const char*, std::string> keys[] = {{"a%2Fb", "a/b"},
                                                      {"a/b", "a/b"},
                                                      {"mgmt%2Fnodes", "mgmt/nodes"},
                                                      {"sp%20ace", "sp ace"},
                                                      {"%2525", "%25"},
                                                      {"%00", std::string(1, '\0')},
                                                      {"%3Fq=1%23f", "?q=1#f"},
                                                      {"a+b", "a+b"},
                                                      {".", "."},
                                                      {"..", ".."},
                                                      {"%c3%bc", "\xc3\xbc"},
                                                      {"%FF%FE", "\xff\xfe"},
                                                      {"\xc3\xbc", "\xc3\xbc"}};
  for (const auto& [path, key] : keys) {
    const std::string v1 = "/v1/groups/1/kv/" + std::string(path);
    EXPECT_EQ(s_.request("PUT", v1, "value of " + key).status, 204) << path;
    EXPECT_EQ(s_.cluster.value_of(1, key), "value of " + key) << path;
    EXPECT_EQ(s_.request("GET", "/1/" + std::string(path)).body, "value of " + key + "\n") << path;
    EXPECT_EQ(s_.request("DELETE", "/1/" + std::string(path)).status, 204) << path;
    EXPECT_EQ(s_.cluster.value_of(1, key), "(absent)") << path;
  }
  // The raw path is management; /v1 reaches the key all the same.
  EXPECT_EQ(s_.request("PUT", "/v1/groups/1/kv/mgmt/nodes", "x").status, 204);
  EXPECT_EQ(s_.cluster.value_of(1, "mgmt/nodes"), "x");
}

TEST_P(RestServerTest, Keys_BadOnes_AreTheClientsFault) {
  for (const char* path : {"/1/%zz", "/1/%4", "/1/%", "/v1/groups/1/kv/%g0"}) {
    problem_of(s_.request("GET", path), 400, "bad_request");
  }
  problem_of(s_.request("GET", "/1/"), 400, "empty_key");
  problem_of(s_.request("DELETE", "/1/"), 400, "empty_key", "not_applied");
  problem_of(s_.request("PUT", "/v1/groups/1/kv/", "v"), 400, "empty_key", "not_applied");
  problem_of(s_.request("PUT", "/1", put_body("", "v")), 400, "empty_key", "not_applied");
  const std::string longest(limits::kKeyBytesMax, 'k');
  EXPECT_EQ(s_.request("PUT", "/1", put_body(longest, "v")).status, 204);
  EXPECT_EQ(s_.request("GET", "/1/" + longest).status, 200);
  problem_of(s_.request("PUT", "/1", put_body(longest + "k", "v")), 413, "key_too_large",
             "not_applied");
  problem_of(s_.request("GET", "/1/" + longest + "k"), 413, "key_too_large");
  problem_of(s_.request("DELETE", "/1/" + longest + "k"), 413, "key_too_large", "not_applied");
  // Every byte of the longest key encoded still fits.
  std::string encoded;
  for (size_t i = 0; i < limits::kKeyBytesMax; ++i) encoded += "%6B";
  EXPECT_EQ(s_.request("GET", "/1/" + encoded).status, 200);
}

TEST_P(RestServerTest, Values_ToTheLimit_AndNoFurther) {
  const std::string largest(limits::kValueBytesMax, 'v');
  EXPECT_EQ(s_.request("PUT", "/1", put_body("k", largest)).status, 204);
  EXPECT_EQ(s_.request("GET", "/1/k").body, largest + "\n");
  problem_of(s_.request("PUT", "/1", put_body("k", largest + "v")), 413, "value_too_large",
             "not_applied");
  EXPECT_EQ(s_.request("PUT", "/v1/groups/1/kv/r", largest).status, 204);
  problem_of(s_.request("PUT", "/v1/groups/1/kv/r", largest + "v"), 413, "value_too_large",
             "not_applied");
  EXPECT_EQ(s_.request("GET", "/v1/groups/1/kv/r").body, largest);
  EXPECT_EQ(s_.request("PUT", "/v1/groups/1/kv/r").status, 204);
  EXPECT_EQ(s_.cluster.value_of(1, "r"), "");
}

TEST_P(RestServerTest, Body_Malformed_Is400AndReachesNobody) {
  for (const char* body :
       {"", "{", "[]", "{}", "{\"Key\":\"k\"}", "{\"Key\":1,\"Value\":\"v\"}",
        "{\"Key\":\"k\",\"Value\":\"v\"} x", "{\"Key\":\"k\",\"Value\":\"\xff\"}"}) {
    problem_of(s_.request("PUT", "/1", body), 400, "bad_request", "not_applied");
    problem_of(s_.request("PUT", "/mgmt/groups", body), 400, "bad_request", "not_applied");
  }
  EXPECT_TRUE(s_.cluster.calls().empty());
}

TEST_P(RestServerTest, Paths_Unknown_Are404) {
  for (const char* path :
       {"/", "/abc", "/abc/k", "/-1/k", "/18446744073709551616/k", "/v1/x", "/mgmt"}) {
    problem_of(s_.request("GET", path), 404, "no_such_path");
  }
  const auto body = problem_of(s_.request("GET", "/0/k"), 404, "no_such_path");
  EXPECT_THAT(std::string(body.at("detail").as_string()), HasSubstr("registry"));
  problem_of(s_.request("GET", "/1/a#b"), 400, "bad_request");
  problem_of(s_.request("OPTIONS", "*"), 400, "bad_request", "not_applied");
  EXPECT_TRUE(s_.cluster.calls().empty());
}

TEST_P(RestServerTest, Methods_NotTaken_Are405WithAllow) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"GET", "/1", "PUT, POST"},
      {"DELETE", "/1", "PUT, POST"},
      {"PATCH", "/1", "PUT, POST"},
      {"PUT", "/1/key", "GET, HEAD, DELETE"},
      {"PATCH", "/1/key", "GET, HEAD, DELETE"},
      {"OPTIONS", "/1/key", "GET, HEAD, DELETE"},
      {"POST", "/v1/groups/1/kv/k", "GET, HEAD, PUT, DELETE"},
      {"GET", "/mgmt/groups", "PUT, POST"},
      {"POST", "/1/mgmt/nodes", "GET, HEAD"},
      {"PATCH", "/1/mgmt/nodes/1", "DELETE"},
      {"GET", "/1/mgmt/nodes/1", "DELETE"},
      {"POST", "/livez", "GET, HEAD"},
      {"DELETE", "/metrics", "GET, HEAD"},
      {"PUT", "/v1/nodes", "GET, HEAD"},
      {"PUT", "/v1/cluster", "GET, HEAD"},
  };
  for (const auto& [method, path, allow] : cases) {
    const Answer answer = s_.request(method, path);
    const bool safe = std::string(method) == "GET";
    problem_of(answer, 405, "method_not_allowed", safe ? nullptr : "not_applied");
    EXPECT_EQ(answer.header("allow"), allow) << method << path;
  }
}

TEST_P(RestServerTest, BackendErrors_HaveTheirStatusAndOutcome) {
  struct Case {
    StatusCode error;
    int status;
    const char* code;
    const char* outcome;
    bool retryable;
  };
  constexpr Case kCases[] = {
      {StatusCode::kInvalidArgument, 400, "bad_request", "not_applied", false},
      {StatusCode::kNoSuchGroup, 404, "no_such_group", "not_applied", false},
      {StatusCode::kNotFound, 404, "no_such_member", "not_applied", false},
      {StatusCode::kConflict, 409, "conflict", "not_applied", false},
      {StatusCode::kWrongNode, 421, "wrong_node", "not_applied", false},
      {StatusCode::kTooLarge, 413, "too_large", "not_applied", false},
      {StatusCode::kOverloaded, 429, "overloaded", "not_applied", true},
      {StatusCode::kUnavailable, 503, "unavailable", "not_applied", true},
      {StatusCode::kUnsupported, 503, "upgrade_needed", "not_applied", true},
      {StatusCode::kUnknownOutcome, 504, "outcome_unknown", "unknown", false},
      {StatusCode::kNoSpace, 507, "no_space", "not_applied", true},
      {StatusCode::kInternal, 500, "internal", "unknown", false},
  };
  for (const Case& c : kCases) {
    s_.cluster.fail_with(service::Error{c.error, "because \"of\" this", {}});
    const Answer answer = s_.request("PUT", "/1", put_body("k", "v"));
    const auto body = problem_of(answer, c.status, c.code, c.outcome);
    EXPECT_EQ(body.at("retryable").as_bool(), c.retryable) << c.code;
    EXPECT_EQ(body.at("detail"), "because \"of\" this");
    EXPECT_EQ(body.at("group").to_number<int>(), 1);
    EXPECT_EQ(body.at("leader").to_number<int>(), 7);
    EXPECT_EQ(answer.header("retry-after"), c.status == 429 || c.status == 503 ? "1" : "(absent)");
    problem_of(s_.request("GET", "/1/k"), c.status, c.code);
    problem_of(s_.request("DELETE", "/1/mgmt/nodes/2"), c.status, c.code, c.outcome);
    problem_of(s_.request("PUT", "/mgmt/groups", R"({"GroupID":2,"IDs":[1]})"), c.status, c.code,
               c.outcome);
    problem_of(s_.request("GET", "/v1/groups"), c.status, c.code);
  }
  const auto read =
      problem_of((s_.cluster.fail_with(service::Error{StatusCode::kUnknownOutcome, "", {}}),
                  s_.request("GET", "/1/k")),
                 504, "outcome_unknown");
  EXPECT_TRUE(read.at("retryable").as_bool());
}

TEST_P(RestServerTest, Cluster_SaysItsVersionAndItsRegistry) {
  const auto body = json::parse(s_.request("GET", "/v1/cluster").body).as_object();
  EXPECT_EQ(body.at("id"), json::string(to_string(ClusterId(77))));
  EXPECT_EQ(body.at("node").to_number<int>(), 7);
  EXPECT_EQ(body.at("version"), "0.1.0");
  EXPECT_EQ(body.at("cluster_version").to_number<int>(), 1);
  EXPECT_EQ(body.at("supported_versions").at("max").to_number<int>(), 2);
  EXPECT_EQ(body.at("nodes").to_number<int>(), 3);
  EXPECT_EQ(body.at("groups").to_number<int>(), 5);
  EXPECT_EQ(body.at("registry_leader").to_number<int>(), 2);
}

TEST_P(RestServerTest, ResultCodes_ThatAreNoSuccess_AreErrors) {
  s_.cluster.set_result_code(static_cast<uint64_t>(kv::ResultCode::kUnknownCommand));
  problem_of(s_.request("PUT", "/1", put_body("k", "v")), 500, "internal", "not_applied");
  s_.cluster.set_result_code(static_cast<uint64_t>(kv::ResultCode::kTooLarge));
  problem_of(s_.request("PUT", "/1", put_body("k", "v")), 413, "value_too_large", "not_applied");
  s_.cluster.set_result_code(77);
  problem_of(s_.request("DELETE", "/1/k"), 500, "internal", "not_applied");
}

TEST_P(RestServerTest, Redirect_GoesToAMember_OnTheHostOfTheClient) {
  s_.cluster.add_elsewhere(5, {{NodeId(3), ":9093"}, {NodeId(2), "n2:9092"}});
  const Answer get = s_.request("GET", "/5/a%2Fb?x=y");
  const auto body = problem_of(get, 307, "wrong_node");
  EXPECT_EQ(get.header("location"), "http://localhost:9093/5/a%2Fb?x=y");
  EXPECT_EQ(body.at("members").as_array().size(), 2U);
  const Answer put = s_.request("PUT", "/5", put_body("k", "v"));
  problem_of(put, 307, "wrong_node", "not_applied");
  EXPECT_EQ(put.header("location"), "http://localhost:9093/5");
  const std::string head = "GET /5/k HTTP/1.0\r\n\r\n";
  EXPECT_EQ(s_.connect()->exchange(head).header("location"), "http://127.0.0.1:9093/5/k");
}

TEST_P(RestServerTest, Redirect_Impossible_Is421) {
  s_.cluster.add_elsewhere(5, {{NodeId(3), ""}});
  EXPECT_EQ(s_.request("GET", "/5/k").header("location"), "(absent)");
  problem_of(s_.request("GET", "/5/k"), 421, "wrong_node");
}

TEST(RestServer_RedirectOff, Is421WithTheMembers) {
  RestOptions options;
  options.redirect = false;
  TestServer s(options);
  s.cluster.add_elsewhere(5, {{NodeId(3), ":9093"}});
  const Answer answer = s.request("PUT", "/5", put_body("k", "v"));
  const auto body = problem_of(answer, 421, "wrong_node", "not_applied");
  EXPECT_EQ(answer.header("location"), "(absent)");
  const json::object member = body.at("members").as_array().at(0).as_object();
  EXPECT_EQ(member.at("id").to_number<int>(), 3);
  EXPECT_EQ(member.at("api_address"), ":9093");
}

TEST_P(RestServerTest, Members_AreListed_AsInTheOriginal) {
  const Answer answer = s_.request("GET", "/1/mgmt/nodes");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("content-type"), "application/json");
  const json::array list = json::parse(answer.body).as_array();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].at("id").to_number<int>(), 1);
  EXPECT_EQ(list[0].at("addr"), ":8081");
  EXPECT_EQ(list[0].at("type"), "voter");
  EXPECT_EQ(list[0].at("match").to_number<int>(), 9);
  EXPECT_FALSE(list[0].as_object().contains("leader"));
  EXPECT_EQ(list[1].at("type"), "learner");
  EXPECT_EQ(list[2].at("leader"), true);
  problem_of(s_.request("GET", "/77/mgmt/nodes"), 404, "no_such_group");
}

TEST_P(RestServerTest, Members_AreAddedByIdAndListed) {
  const Answer answer = s_.request("POST", "/v1/groups/1/members", R"({"id":3,"type":"learner"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body).at("members").as_array().size(), 3U);
  EXPECT_EQ(s_.request("POST", "/v1/groups/1/members", R"({"id":4})").status, 200);
  EXPECT_THAT(s_.cluster.calls(), ElementsAre("add 1 3 learner", "add 1 4 voter"));
  for (const char* body : {"", "{}", R"({"id":0})", R"({"id":3,"type":"x"})", R"({"id":"3"})"}) {
    problem_of(s_.request("POST", "/v1/groups/1/members", body), 400, "bad_request", "not_applied");
  }
  EXPECT_EQ(s_.cluster.calls().size(), 2U);
  EXPECT_EQ(s_.request("GET", "/v1/groups/1/members").status, 200);
}

TEST_P(RestServerTest, Members_AreRemovedById) {
  const Answer answer = s_.request("DELETE", "/1/mgmt/nodes/3");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body).at("ID").to_number<int>(), 3);
  EXPECT_THAT(s_.cluster.calls(), ElementsAre("remove 1 3"));
  for (const char* id : {"", "x", "0", "-1", "4294967295", "1/2", "99999999999999999999"}) {
    problem_of(s_.request("DELETE", "/1/mgmt/nodes/" + std::string(id)), 404, "no_such_member",
               "not_applied");
  }
  EXPECT_EQ(s_.cluster.calls().size(), 1U);
}

TEST_P(RestServerTest, Groups_AreMade) {
  for (const char* method : {"PUT", "POST"}) {
    const Answer answer =
        s_.request(method, "/mgmt/groups", R"({"GroupID":2,"IDs":[2,1],"JoinAddr":":8080"})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("multiraft-group"), "2");
    EXPECT_EQ(json::parse(answer.body), json::parse(R"({"GroupID":2,"IDs":[1,2]})"));
  }
  EXPECT_THAT(s_.cluster.calls(), ElementsAre("create 2 1 2", "create 2 1 2"));
}

TEST_P(RestServerTest, ListOfGroups_ComesInPages) {
  std::set<uint64_t> ids;
  for (uint64_t id = 1; id <= 700; ++id) ids.insert(3 * id);
  s_.cluster.list_groups(ids);
  std::vector<uint64_t> seen;
  std::string target = "/v1/groups?limit=300";
  for (int pages = 1;; ++pages) {
    const json::object page = json::parse(s_.request("GET", target).body).as_object();
    for (const json::value& group : page.at("groups").as_array()) {
      seen.push_back(group.at("id").to_number<uint64_t>());
    }
    const json::value* token = page.if_contains("next_page_token");
    if (token == nullptr) {
      EXPECT_EQ(pages, 3);
      break;
    }
    target = "/v1/groups?limit=300&page_token=" + std::string(token->as_string());
  }
  EXPECT_THAT(seen, testing::ElementsAreArray(ids));
  EXPECT_EQ(json::parse(s_.request("GET", "/v1/groups").body).at("groups").as_array().size(), 100U);
}

TEST_P(RestServerTest, ListOfGroups_IsAskedForInSlices) {
  std::set<uint64_t> ids;
  for (uint64_t id = 1; id <= 300; ++id) ids.insert(id);
  s_.cluster.list_groups(ids);
  s_.request("GET", "/v1/groups?limit=10000");
  EXPECT_THAT(s_.cluster.calls(), ElementsAre("groups 0 128", "groups 129 128", "groups 257 128"));
}

TEST_P(RestServerTest, ListQuery_ThatIsWrong_IsRefused) {
  for (const char* query : {"limit=0", "limit=10001", "limit=x", "limit", "page_token=x",
                            "page_token=", "colour=blue"}) {
    problem_of(s_.request("GET", "/v1/groups?" + std::string(query)), 400, "bad_request");
    problem_of(s_.request("GET", "/v1/nodes?" + std::string(query)), 400, "bad_request");
  }
}

TEST_P(RestServerTest, PageOfAnotherSite_CannotWrite) {
  const std::string body = R"({"Key":"k","Value":"v"})";
  for (const char* fields :
       {"Origin: http://evil\r\n", "Origin: null\r\n", "Origin: http://localhost:2\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://localhost:1\r\nSec-Fetch-Site: cross-site\r\n"}) {
    problem_of(s_.request("POST", "/1", body, fields), 403, "cross_site", "not_applied");
    problem_of(s_.request("DELETE", "/1/k", "", fields), 403, "cross_site", "not_applied");
    EXPECT_EQ(s_.request("GET", "/1/k", "", fields).status, 404) << fields;
  }
  for (const char* fields : {"", "Origin: http://localhost:1\r\n",
                             "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n"}) {
    EXPECT_EQ(s_.request("POST", "/1", body, fields).status, 204) << fields;
  }
}

TEST_P(RestServerTest, MethodThatHttpDoesNotKnow_IsTheClientsFault) {
  EXPECT_EQ(s_.request("BREW", "/1/k").status, 405);
  EXPECT_EQ(s_.request("PATCH", "/1/k").status, 405);
}

TEST_P(RestServerTest, SeveralLinesOfACondition_AreOneList) {
  const std::string path = "/v1/groups/1/kv/k";
  const std::string etag = s_.request("PUT", path, "v").header("etag");
  const std::string others = "If-None-Match: \"9998\"\r\n";
  const std::string own = "If-None-Match: " + etag + "\r\n";
  EXPECT_EQ(s_.request("GET", path, "", others + own).status, 304);
  EXPECT_EQ(s_.request("GET", path, "", own + others).status, 304);
  EXPECT_EQ(s_.request("GET", path, "", others + others).status, 200);
  EXPECT_EQ(s_.request("GET", path, "", "If-Match: " + etag + "\r\nIf-Match: \"9998\"\r\n").status,
            200);
}

TEST_P(RestServerTest, Listings_OfV1) {
  const json::object group = json::parse(s_.request("GET", "/v1/groups/1").body).as_object();
  EXPECT_EQ(group.at("id").to_number<int>(), 1);
  EXPECT_EQ(group.at("role"), "leader");
  EXPECT_EQ(group.at("leader").to_number<int>(), 7);
  for (const char* field : {"term", "commit", "applied", "first_index", "last_index"}) {
    EXPECT_GE(group.at(field).to_number<int>(), 1) << field;
  }
  EXPECT_EQ(group.at("members").as_array().size(), 3U);
  EXPECT_EQ(group.at("members").at(0).at("progress"), "replicate");
  const json::array groups =
      json::parse(s_.request("GET", "/v1/groups").body).at("groups").as_array();
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[1].at("hosted"), false);
  const json::array nodes = json::parse(s_.request("GET", "/v1/nodes").body).at("nodes").as_array();
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes[0].at("raft_address"), ":8087");
  EXPECT_EQ(nodes[0].at("self"), true);
  problem_of(s_.request("GET", "/v1/groups/77"), 404, "no_such_group");
}

TEST_P(RestServerTest, V1Key_ServesRawBytes_ThatNoBrowserRuns) {
  const std::string bytes("<script>\0\xff", 10);
  const Answer put = s_.request("PUT", "/v1/groups/1/kv/k", bytes);
  EXPECT_EQ(put.status, 204);
  const Answer get = s_.request("GET", "/v1/groups/1/kv/k");
  EXPECT_EQ(get.body, bytes);
  EXPECT_EQ(get.header("content-type"), "application/octet-stream");
  EXPECT_EQ(get.header("x-content-type-options"), "nosniff");
  EXPECT_EQ(get.header("content-security-policy"), "sandbox");
  EXPECT_EQ(get.header("etag"), put.header("etag"));
  EXPECT_EQ(get.header("etag"), "\"" + put.header("multiraft-index") + "\"");
  const Answer head = s_.request("HEAD", "/v1/groups/1/kv/k");
  EXPECT_EQ(head.header("content-length"), "10");
  EXPECT_EQ(s_.request("DELETE", "/v1/groups/1/kv/k").status, 204);
  problem_of(s_.request("GET", "/v1/groups/1/kv/k"), 404, "no_such_key");
}

TEST_P(RestServerTest, V1Key_ConditionalReads) {
  const std::string path = "/v1/groups/1/kv/k";
  const std::string etag = s_.request("PUT", path, "v").header("etag");
  const auto get = [&](const std::string& header) {
    return s_.request("GET", path, "", header + "\r\n");
  };
  EXPECT_EQ(get("If-None-Match: " + etag).status, 304);
  EXPECT_EQ(get("If-None-Match: \"1\", W/" + etag).status, 304);
  EXPECT_EQ(get("If-None-Match: *").status, 304);
  EXPECT_EQ(get("If-None-Match: \"1\"").status, 200);
  EXPECT_EQ(get("If-Match: " + etag).status, 200);
  EXPECT_EQ(get("If-Match: *").status, 200);
  problem_of(get("If-Match: W/" + etag), 412, "precondition_failed");
  problem_of(get("If-Match: \"1\""), 412, "precondition_failed");
  EXPECT_EQ(get("If-None-Match: " + etag).header("etag"), etag);
  problem_of(s_.request("GET", "/v1/groups/1/kv/no", "", "If-Match: *\r\n"), 412,
             "precondition_failed");
  problem_of(s_.request("GET", "/v1/groups/1/kv/no", "", "If-None-Match: *\r\n"), 404,
             "no_such_key");
}

TEST_P(RestServerTest, V1Key_GuardsThatAreNotKept_AreRefused) {
  for (const char* guard :
       {"If-Match: \"1\"\r\n", "If-None-Match: *\r\n", "Idempotency-Key: x\r\n"}) {
    problem_of(s_.request("PUT", "/v1/groups/1/kv/k", "v", guard), 400, "bad_request",
               "not_applied");
    problem_of(s_.request("DELETE", "/v1/groups/1/kv/k", "", guard), 400, "bad_request",
               "not_applied");
  }
  EXPECT_TRUE(s_.cluster.calls().empty());
}

TEST_P(RestServerTest, V1Key_Consistency_IsAsAsked) {
  for (const char* word : {"linearizable", "lease", "local"}) {
    s_.request("GET", "/v1/groups/1/kv/k?consistency=" + std::string(word));
    EXPECT_EQ(s_.cluster.calls().back(), "get 1 k " + std::string(word));
  }
  s_.request("GET", "/v1/groups/1/kv/k");
  EXPECT_EQ(s_.cluster.calls().back(), "get 1 k linearizable");
  for (const char* query : {"consistency=", "consistency=strong", "consistency",
                            "consistancy=local", "consistency=local&x=1", "min_index=5"}) {
    problem_of(s_.request("GET", "/v1/groups/1/kv/k?" + std::string(query)), 400, "bad_request");
  }
  problem_of(s_.request("PUT", "/v1/groups/1/kv/k?if=1", "v"), 400, "bad_request", "not_applied");
  EXPECT_EQ(s_.cluster.calls().size(), 4U);
}

TEST(RestServer_DefaultConsistency, IsTheNodes) {
  RestOptions options;
  options.reads = service::Consistency::kLease;
  TestServer s(options);
  s.request("GET", "/1/k");
  s.request("GET", "/v1/groups/1/kv/k?consistency=linearizable");
  EXPECT_THAT(s.cluster.calls(), ElementsAre("get 1 k lease", "get 1 k linearizable"));
}

TEST_P(RestServerTest, Probes_LiveWithoutQuorum_ReadyAsTheBackendSays) {
  s_.cluster.fail_with(service::Error{StatusCode::kUnavailable, "no quorum", {}});
  EXPECT_EQ(s_.request("GET", "/livez").body, "ok\n");
  EXPECT_EQ(s_.request("GET", "/readyz").body, "ok\n");
  EXPECT_EQ(s_.request("GET", "/readyz?verbose").body,
            "[+]recovered ok\n[+]registry ok: 3 nodes\nready\n");
  s_.cluster.set_ready(false);
  const auto body = problem_of(s_.request("GET", "/readyz"), 503, "unavailable");
  EXPECT_EQ(body.at("detail"), "registry: 3 nodes");
  const Answer verbose = s_.request("GET", "/readyz?verbose");
  EXPECT_EQ(verbose.status, 503);
  EXPECT_THAT(verbose.body, HasSubstr("[-]registry failed"));
  EXPECT_EQ(s_.request("GET", "/livez").status, 200);
}

TEST_P(RestServerTest, Metrics_CountByRouteAndStatus_OverAllWorkers) {
  for (int i = 0; i < 4; ++i) s_.request("PUT", "/1", put_body("k", "v"));
  s_.request("GET", "/1/none");
  s_.request("GET", "/nowhere");
  const Answer answer = s_.request("GET", "/metrics");
  EXPECT_EQ(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"fake 1\n", "# TYPE multiraft_http_requests_total counter\n",
        "multiraft_http_requests_total{route=\"kv\",code=\"204\"} 4\n",
        "multiraft_http_requests_total{route=\"kv\",code=\"404\"} 1\n",
        "multiraft_http_requests_total{route=\"other\",code=\"404\"} 1\n",
        "multiraft_http_request_duration_seconds_bucket{route=\"kv\",le=\"+Inf\"} 5\n",
        "multiraft_http_request_duration_seconds_count{route=\"kv\"} 5\n",
        "multiraft_http_connections_total 7\n"}) {
    EXPECT_THAT(answer.body, HasSubstr(line));
  }
}

}  // namespace
}  // namespace multiraft::rest
