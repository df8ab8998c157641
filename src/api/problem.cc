#include "api/problem.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/limits.h"

namespace multiraft::api {
namespace {

namespace json = boost::json;

Problem make(uint16_t status, std::string_view code, std::string_view title, std::string detail,
             bool retryable = false) {
  Problem problem;
  problem.status = status;
  problem.code = code;
  problem.title = title;
  problem.detail = std::move(detail);
  problem.retryable = retryable;
  return problem;
}

json::array members_json(const std::vector<service::MemberAddress>& members) {
  json::array list;
  for (const service::MemberAddress& member : members) {
    list.push_back({{"id", member.node.value}, {"api_address", member.api_address}});
  }
  return list;
}

}  // namespace

Problem bad_request(std::string detail) {
  return make(400, "bad_request", "The request is malformed", std::move(detail));
}

Problem no_such_path(std::string detail) {
  return make(404, "no_such_path", "There is no such path", std::move(detail));
}

Problem method_not_allowed(std::string_view allowed) {
  return make(405, "method_not_allowed", "The path does not take this method",
              "allowed here: " + std::string(allowed));
}

Problem cross_site() {
  return make(403, "cross_site", "A page of another site asks",
              "requests that change something are not taken from pages of other sites; the Origin "
              "or Sec-Fetch-Site field names one");
}

Problem no_such_key() {
  return make(404, "no_such_key", "There is no such key", "the group holds no value for this key");
}

Problem empty_key() {
  return make(400, "empty_key", "The key is empty", "a key has at least one byte");
}

Problem key_too_large() {
  return make(413, "key_too_large", "The key is too large",
              "a key has at most " + std::to_string(limits::kKeyBytesMax) + " bytes");
}

Problem value_too_large() {
  return make(413, "value_too_large", "The value is too large",
              "a value has at most " + std::to_string(limits::kValueBytesMax) + " bytes");
}

Problem overloaded(std::string detail) {
  return make(429, "overloaded", "The node is overloaded", std::move(detail), true);
}

Problem protocol_problem(http::ProtocolError error, std::string_view detail) {
  std::string why(detail);
  switch (error) {
    case http::ProtocolError::kMalformed:
      return make(400, "malformed_http", "The request is not valid HTTP", std::move(why));
    case http::ProtocolError::kTimeout:
      return make(408, "timeout", "The request took too long to arrive", std::move(why), true);
    case http::ProtocolError::kTargetTooLong:
      return make(414, "target_too_long", "The request target is too long",
                  why + ": request line and header fields have at most " +
                      std::to_string(limits::kHttpHeaderBytesMax) + " bytes");
    case http::ProtocolError::kBodyTooLarge:
      return make(413, "body_too_large", "The body is too large", std::move(why));
    case http::ProtocolError::kBadExpectation:
      return make(417, "bad_expectation", "The expectation is not known", std::move(why));
    case http::ProtocolError::kHeadTooLarge:
      return make(431, "header_too_large", "The header fields are too large",
                  why + ": request line and header fields have at most " +
                      std::to_string(limits::kHttpHeaderBytesMax) + " bytes");
    case http::ProtocolError::kOverloaded:
      return overloaded(std::move(why));
    case http::ProtocolError::kTooManyConnections:
      return make(503, "too_many_connections", "The node has too many connections", std::move(why),
                  true);
  }
  return make(400, "malformed_http", "The request is not valid HTTP", std::move(why));
}

Problem status_problem(const service::Error& error, NodeId leader, bool retry_is_safe) {
  Problem problem;
  switch (error.code) {
    case StatusCode::kInvalidArgument:
      problem = bad_request(error.detail);
      break;
    case StatusCode::kNoSuchGroup:
      problem = make(404, "no_such_group", "There is no such group", error.detail);
      break;
    case StatusCode::kNotFound:
      problem = make(404, "no_such_member", "There is no such member", error.detail);
      break;
    case StatusCode::kConflict:
    case StatusCode::kAlreadyExists:
      problem = make(409, "conflict", "The request contradicts the present state", error.detail);
      break;
    case StatusCode::kWrongNode:
      problem = make(421, "wrong_node", "This node has no replica of the group", error.detail);
      break;
    case StatusCode::kTooLarge:
      problem = make(413, "too_large", "The request is too large", error.detail);
      break;
    case StatusCode::kOverloaded:
      problem = overloaded(error.detail);
      break;
    case StatusCode::kUnavailable:
    case StatusCode::kNotLeader:
    case StatusCode::kCancelled:
      problem = make(503, "unavailable", "The group cannot serve now", error.detail, true);
      break;
    case StatusCode::kUnsupported:
      problem = make(503, "upgrade_needed", "The node runs a version that is too old for the group",
                     error.detail, true);
      break;
    case StatusCode::kUnknownOutcome:
      problem = make(504, "outcome_unknown", "The request was not confirmed in time", error.detail,
                     retry_is_safe);
      problem.outcome_unknown = true;
      break;
    case StatusCode::kNoSpace:
      problem = make(507, "no_space", "The disk is full", error.detail, true);
      break;
    case StatusCode::kInternal:
    case StatusCode::kOk:
    case StatusCode::kCorruption:
    case StatusCode::kIoError:
    case StatusCode::kStateRollback:
      problem = make(500, "internal", "The node has an internal error", error.detail);
      problem.outcome_unknown = true;
      break;
  }
  problem.leader = leader;
  problem.members = error.members;
  return problem;
}

std::string problem_text(const Problem& problem, const ProblemContext& context) {
  json::object body;
  body["type"] = "urn:multiraft:problem:" + std::string(problem.code);
  body["title"] = problem.title;
  body["status"] = problem.status;
  body["detail"] = problem.detail;
  body["code"] = problem.code;
  if (context.changes_something) {
    body["outcome"] = problem.outcome_unknown ? "unknown" : "not_applied";
  }
  body["retryable"] = problem.retryable;
  if (context.group) body["group"] = context.group->value;
  if (problem.leader) body["leader"] = problem.leader.value;
  if (!problem.members.empty()) body["members"] = members_json(problem.members);
  body["request_id"] = context.request_id;
  return json::serialize(body) + "\n";
}

}  // namespace multiraft::api
