#pragma once
// What the handlers keep about a request until its answer is written.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.h"
#include "http/exchange.h"
#include "multiraft/types.h"

namespace multiraft::rest {

struct RequestState final : http::HandlerState {
  std::optional<GroupId> group;
  // Of a read; the request's head is gone when the answer is decided by them.
  std::string if_match;
  std::string if_none_match;
  bool wants_etag = false;

  void clear() override;
};

/// The state of this request. Made on first use; every exchange that comes here has a RequestState
/// or none.
RequestState& state_of(http::Exchange& exchange);

/// Fills the exchange's response; headers that are there already stay. A failed write says whether
/// it may have happened; without a method, as of a malformed request, it has not.
void fill_problem(http::Exchange& exchange, const api::Problem& problem);
/// Fills a 200 whose body is `text`; `type` is of static storage.
void fill_text(http::Exchange& exchange, std::string_view type, std::string text);

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";

}  // namespace multiraft::rest
