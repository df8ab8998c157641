// The part of RestHandler that reads and writes keys.

#include "base/coverage.h"
#include "base/reuse.h"
#include "kv/command.h"
#include "rest/rest_handler.h"

namespace multiraft::rest {
namespace {

/// Memory kept for the next request; large values give theirs back.
constexpr size_t kKeptBytesMax = 64 * limits::kKiB;

std::string etag_of(LogIndex index) { return "\"" + std::to_string(index.value) + "\""; }

/// Whether `etag` is in a list of entity tags (RFC 9110 13.1.1, 13.1.2), or the list is "*".
/// `weak`: "W/" does not matter. Our tags hold neither commas nor quotes.
bool lists_etag(std::string_view list, std::string_view etag, bool weak) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view tag = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!tag.empty() && (tag.front() == ' ' || tag.front() == '\t')) tag.remove_prefix(1);
    while (!tag.empty() && (tag.back() == ' ' || tag.back() == '\t')) tag.remove_suffix(1);
    if (weak && tag.substr(0, 2) == "W/") tag.remove_prefix(2);
    if (tag == "*" || tag == etag) return true;
  }
  return false;
}

/// One list of all lines of a field.
std::string joined(const std::vector<std::string_view>& lines) {
  std::string list;
  for (const std::string_view line : lines) {
    if (!list.empty()) list += ',';
    list += line;
  }
  return list;
}

/// Result codes that a client sees as an error. Nothing was applied.
bool code_problem(uint64_t code, api::Problem& problem) {
  switch (static_cast<kv::ResultCode>(code)) {
    case kv::ResultCode::kApplied:
    case kv::ResultCode::kNotFound:
      return false;
    case kv::ResultCode::kTooLarge:
      problem = api::value_too_large();
      return true;
    case kv::ResultCode::kBadCommand:
    case kv::ResultCode::kUnknownCommand:
      break;
  }
  problem.status = 500;
  problem.code = "internal";
  problem.title = "The node has an internal error";
  problem.detail =
      "the state machine refused the command: " + std::string(kv::result_code_name(code));
  return true;
}

}  // namespace

/// The command waits in its group, perhaps for a leader, and is charged until it is answered.
void RestHandler::write(http::ExchangePtr exchange, GroupId group, SharedBytes command) {
  if (!exchange->hold(command.size())) {
    MR_COVERAGE("write refused for the bytes that wait");
    fill_problem(*exchange, api::overloaded("too many bytes of writes and answers are held"));
    return exchange->finish();
  }
  service_.write(group, std::move(command),
                 answer<&RestHandler::on_written, service::WriteAnswer>(std::move(exchange)));
}

void RestHandler::put_json(http::ExchangePtr exchange, const api::Route& route,
                           std::string_view body) {
  std::string wrong = api::parse_put_body(body, put_);
  const auto refuse_with = [&](const api::Problem& problem) {
    fill_problem(*exchange, problem);
    exchange->finish();
  };
  if (!wrong.empty()) {
    refuse_with(api::bad_request(std::move(wrong)));
  } else if (put_.key.empty()) {
    refuse_with(api::empty_key());
  } else if (!kv::valid_key(put_.key)) {
    refuse_with(api::key_too_large());
  } else if (!kv::valid_value(put_.value)) {
    refuse_with(api::value_too_large());
  } else {
    write(std::move(exchange), route.group, kv::encode_put(put_.key, put_.value));
  }
  clear_for_reuse(put_.key, kKeptBytesMax);
  clear_for_reuse(put_.value, kKeptBytesMax);
}

bool RestHandler::take_key(http::Exchange& exchange, std::string_view encoded, std::string& key) {
  key.clear();
  if (!http::percent_decode(encoded, key)) {
    fill_problem(exchange,
                 api::bad_request("a % in the path is not followed by two hex digits; the "
                                  "byte itself is %25"));
    return false;
  }
  if (key.empty()) {
    fill_problem(exchange, api::empty_key());
    return false;
  }
  if (!kv::valid_key(key)) {
    fill_problem(exchange, api::key_too_large());
    return false;
  }
  return true;
}

void RestHandler::key(http::ExchangePtr exchange, const api::Route& route,
                      const http::RequestHead& head) {
  if (!take_key(*exchange, route.name, key_)) return exchange->finish();
  if (head.method == http::Method::kDelete) {
    return write(std::move(exchange), route.group, kv::encode_delete(key_));
  }
  service_.read(route.group, key_, config_.reads,
                answer<&RestHandler::on_read, service::ReadAnswer>(std::move(exchange)));
}

void RestHandler::v1_key(http::ExchangePtr exchange, const api::Route& route,
                         const http::RequestHead& head, std::string_view body) {
  const auto refuse_with = [&](const api::Problem& problem) {
    fill_problem(*exchange, problem);
    exchange->finish();
  };
  if (!take_key(*exchange, route.name, key_)) return exchange->finish();
  service::Consistency consistency = config_.reads;
  if (!take_read_query(*exchange, route.query, consistency)) return exchange->finish();
  if (is_safe(head.method)) {
    // Its answer decides by them; the request's head is gone then.
    state_of(*exchange).if_match = joined(head.if_match);
    state_of(*exchange).if_none_match = joined(head.if_none_match);
    return service_.read(
        route.group, key_, consistency,
        answer<&RestHandler::on_read_v1, service::ReadAnswer>(std::move(exchange)));
  }
  // To ignore what guards a write would be worse than to refuse it.
  if (!head.if_match.empty() || !head.if_none_match.empty() || head.has_idempotency_key) {
    return refuse_with(
        api::bad_request("If-Match, If-None-Match and Idempotency-Key are not supported on writes; "
                         "nothing changed"));
  }
  if (head.method == http::Method::kDelete) {
    return write(std::move(exchange), route.group, kv::encode_delete(key_));
  }
  if (!kv::valid_value(body)) return refuse_with(api::value_too_large());
  state_of(*exchange).wants_etag = true;
  write(std::move(exchange), route.group, kv::encode_put(key_, body));
}

/// Strict: an unknown word would otherwise silently weaken or strengthen what was asked for.
bool RestHandler::take_read_query(http::Exchange& exchange, std::string_view query,
                                  service::Consistency& consistency) {
  const bool reads = is_safe(exchange.method);
  http::QueryParameter parameter;
  while (http::next_parameter(query, parameter)) {
    if (reads && parameter.name == "consistency") {
      if (parameter.value == "linearizable") {
        consistency = service::Consistency::kLinearizable;
      } else if (parameter.value == "lease") {
        consistency = service::Consistency::kLease;
      } else if (parameter.value == "local") {
        consistency = service::Consistency::kLocal;
      } else {
        fill_problem(exchange,
                     api::bad_request("\"consistency\" is none of linearizable, lease, local"));
        return false;
      }
      continue;
    }
    fill_problem(exchange,
                 api::bad_request(reads ? "the only query parameter here is \"consistency\""
                                        : "there are no query parameters here"));
    return false;
  }
  return true;
}

void RestHandler::on_written(http::Exchange& exchange, const service::WriteAnswer& answer) {
  api::Problem problem;
  if (code_problem(answer.code, problem)) return fill_problem(exchange, problem);
  exchange.response.status = 204;
  if (state_of(exchange).wants_etag) exchange.response.add_header("ETag", etag_of(answer.index));
}

void RestHandler::on_read(http::Exchange& exchange, const service::ReadAnswer& answer) {
  if (!answer.value) return fill_problem(exchange, api::no_such_key());
  http::Response& response = exchange.response;
  response.status = 200;
  response.content_type = kTextType;
  // A value that looks like a page must not become one.
  response.headers.append("X-Content-Type-Options: nosniff\r\n");
  response.value = *answer.value;
  response.charge = answer.charge;
  response.tail = "\n";
}

void RestHandler::on_read_v1(http::Exchange& exchange, const service::ReadAnswer& answer) {
  const std::string etag = answer.value ? etag_of(answer.modified_index) : std::string();
  if (!state_of(exchange).if_match.empty() &&
      (!answer.value || !lists_etag(state_of(exchange).if_match, etag, false))) {
    api::Problem problem;
    problem.status = 412;
    problem.code = "precondition_failed";
    problem.title = "The precondition does not hold";
    problem.detail = answer.value ? "the key was last modified at " + etag : "there is no such key";
    return fill_problem(exchange, problem);
  }
  if (!answer.value) return fill_problem(exchange, api::no_such_key());
  http::Response& response = exchange.response;
  response.add_header("ETag", etag);
  response.headers.append("Cache-Control: no-cache\r\n");
  if (!state_of(exchange).if_none_match.empty() &&
      lists_etag(state_of(exchange).if_none_match, etag, true)) {
    response.status = 304;
    return;
  }
  response.status = 200;
  response.content_type = "application/octet-stream";
  response.headers.append(
      "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n");
  response.value = *answer.value;
  response.charge = answer.charge;
}

}  // namespace multiraft::rest
