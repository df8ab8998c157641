#include "rest/request_state.h"

#include "base/reuse.h"

#include <utility>

namespace multiraft::rest {
namespace {

constexpr uint64_t kRetryAfterSeconds = 1;

/// Statuses that say "not now" (RFC 9110 10.2.3).
bool has_retry_after(uint16_t status) { return status == 429 || status == 503; }

}  // namespace

void RequestState::clear() {
  group.reset();
  clear_for_reuse(if_match, http::kReusedTextBytesMax);
  clear_for_reuse(if_none_match, http::kReusedTextBytesMax);
  wants_etag = false;
}

RequestState& state_of(http::Exchange& exchange) {
  if (!exchange.state) exchange.state = std::make_unique<RequestState>();
  return static_cast<RequestState&>(*exchange.state);
}

void fill_problem(http::Exchange& exchange, const api::Problem& problem) {
  http::Response& response = exchange.response;
  response.status = problem.status;
  response.content_type = api::kProblemType;
  response.text = api::problem_text(
      problem, {!http::is_safe(exchange.method), state_of(exchange).group, exchange.request_id});
  response.value = SharedBytes();
  response.tail = {};
  if (has_retry_after(problem.status)) response.add_header("Retry-After", kRetryAfterSeconds);
}

void fill_text(http::Exchange& exchange, std::string_view type, std::string text) {
  exchange.response.status = 200;
  exchange.response.content_type = type;
  exchange.response.text = std::move(text);
}

}  // namespace multiraft::rest
