#pragma once
// Errors as answers: application/problem+json (RFC 9457), the same everywhere.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "service/service.h"

namespace multiraft::api {

/// What is wrong with a request, as clients see it.
struct Problem {
  uint16_t status = 500;
  std::string_view code;   ///< For programs: "no_such_key". Static text, never renamed.
  std::string_view title;  ///< The same for each occurrence.
  std::string detail;      ///< This occurrence: what happened and what to do. Valid UTF-8.
  bool retryable = false;  ///< The same request may succeed later, and repeating it does no harm.
  bool outcome_unknown = false;  ///< Of a write: it may have been applied. 503 never, 504 always.
  NodeId leader;                 ///< Zero: unknown.
  std::vector<service::MemberAddress> members;  ///< Where else to ask.
};

/// The problems of this module; `detail` is up to the caller.
Problem bad_request(std::string detail);
Problem no_such_path(std::string detail);
Problem method_not_allowed(std::string_view allowed);
/// A browser was made to write by a page of somebody else.
Problem cross_site();
Problem no_such_key();
Problem empty_key();
Problem key_too_large();
Problem value_too_large();
Problem overloaded(std::string detail);
Problem protocol_problem(http::ProtocolError error, std::string_view detail);
/// `retry_is_safe`: of a request whose repetition changes nothing (a read).
Problem status_problem(const service::Error& error, NodeId leader, bool retry_is_safe);

/// Which request a problem answers.
struct ProblemContext {
  bool changes_something = false;  ///< The answer says whether it may have happened.
  std::optional<GroupId> group;
  std::string_view request_id;
};
/// The body of the answer: a JSON object and a line feed. Its type is kProblemType.
std::string problem_text(const Problem& problem, const ProblemContext& context);
inline constexpr std::string_view kProblemType = "application/problem+json";

}  // namespace multiraft::api
