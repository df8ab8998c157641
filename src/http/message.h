#pragma once
// Requests as views into the connection's read buffer, responses as parts to be written.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "multiraft/bytes.h"

namespace multiraft::http {

/// kOther: known to HTTP, taken by no resource here. kUnknown: no method that HTTP knows.
enum class Method : uint8_t { kGet, kHead, kPut, kPost, kDelete, kOther, kUnknown };

/// Changes nothing (RFC 9110 9.2.1). An OPTIONS counts as kOther and waits its turn.
constexpr bool is_safe(Method method) { return method == Method::kGet || method == Method::kHead; }

/// What a request says before its body. Views are valid while Handler::handle() runs.
struct RequestHead {
  Method method = Method::kOther;
  bool http11 = true;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  bool has_idempotency_key = false;
  std::optional<uint64_t> content_length;
  std::string_view target;  ///< As sent: neither split nor decoded.
  std::string_view host;    ///< Checked; with its port. Empty where the client sent none.
  std::string_view request_id;
  // Lists; a field may come in several lines (RFC 9110 5.3).
  std::vector<std::string_view> if_match;
  std::vector<std::string_view> if_none_match;
  std::string_view origin;          ///< What page made the browser ask; empty: not said.
  std::string_view sec_fetch_site;  ///< "cross-site", ...: the same in the browser's own words.
};

/// Why a request is not handed to its handler. The connection is closed after the answer.
enum class ProtocolError : uint8_t {
  kMalformed,           ///< 400
  kTimeout,             ///< 408
  kTargetTooLong,       ///< 414
  kBodyTooLarge,        ///< 413
  kBadExpectation,      ///< 417
  kHeadTooLarge,        ///< 431
  kOverloaded,          ///< 429
  kTooManyConnections,  ///< 503
};

/// An answer. Its body is text, then value, then tail.
struct Response {
  uint16_t status = 200;
  std::string_view content_type;  ///< Of static storage; empty: there is no body.
  std::string headers;            ///< Further lines, each with its CRLF: add_header().
  std::string text;
  SharedBytes value;
  std::shared_ptr<const MemoryCharge> charge;  ///< For `value`, until it is sent. May be null.
  std::string_view tail;                       ///< Of static storage.

  size_t body_bytes() const { return text.size() + value.size() + tail.size(); }
  /// Bytes that would end or split the line (all control characters) become '?'.
  void add_header(std::string_view name, std::string_view value_text);
  void add_header(std::string_view name, uint64_t number);
  /// Empty again; keeps the memory of short strings for the next use.
  void clear();
};

/// "Not Found" for 404; empty for a status that is never sent.
std::string_view reason_phrase(uint16_t status);

}  // namespace multiraft::http
