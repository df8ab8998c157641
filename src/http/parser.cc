#include "http/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <functional>

#include "base/limits.h"
#include "http/uri.h"

namespace multiraft::http {
namespace {

namespace http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastView = boost::beast::string_view;

constexpr size_t kMethodBytesMax = 32;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::kGet;
    case http::verb::head:
      return Method::kHead;
    case http::verb::put:
      return Method::kPut;
    case http::verb::post:
      return Method::kPost;
    case http::verb::delete_:
      return Method::kDelete;
    case http::verb::unknown:
      return Method::kUnknown;
    default:
      return Method::kOther;
  }
}

/// RFC 9110 5.6.2.
bool is_token_character(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string_view text_of(const BeastError& error) {
  if (error == http::error::bad_version) return "the HTTP version is not 1.0 or 1.1";
  if (error == http::error::bad_method) return "the method is malformed";
  if (error == http::error::bad_target) return "the request target is malformed";
  if (error == http::error::bad_content_length) return "Content-Length is malformed";
  if (error == http::error::multiple_content_length) return "several Content-Lengths";
  if (error == http::error::bad_transfer_encoding) return "Transfer-Encoding is malformed";
  if (error == http::error::bad_line_ending) return "a line does not end in CRLF";
  return "a header field is malformed";
}

HeadOutcome malformed(std::string_view detail) {
  return {false, ProtocolError::kMalformed, detail};
}

/// Takes the head only: Beast is told to skip the body, which needs no parser (a length is a count)
/// or a stricter one (http_chunks.h).
class Parser final : public http::basic_parser<true> {
 public:
  Parser(std::string_view bytes, RequestHead& head) : bytes_(bytes), head_(head) {
    skip(true);
    body_limit(boost::none);
    header_limit(limits::kHttpHeaderBytesMax + 1);
  }

  HeadOutcome run() {
    BeastError error;
    const size_t used = put({bytes_.data(), bytes_.size()}, error);
    if (!refusal_.empty()) return {false, refusal_kind_, refusal_};
    if (error) return malformed(text_of(error));
    if (!is_done() || used != bytes_.size()) return malformed("the head is malformed");
    return finish();
  }

 private:
  HeadOutcome finish() {
    head_.keep_alive = keep_alive();
    if (has_coding_ && has_length_) return malformed("Content-Length and Transfer-Encoding both");
    if (has_coding_ && !head_.http11) return malformed("HTTP/1.0 has no Transfer-Encoding");
    if (head_.http11 && !has_host_) return malformed("the Host field is missing");
    head_.chunked = has_coding_;
    if (has_length_) {
      const auto length = content_length();
      if (!length) return malformed("Content-Length is malformed");
      head_.content_length = *length;
    }
    return {true, {}, {}};
  }

  void refuse(std::string_view why, BeastError& error,
              ProtocolError kind = ProtocolError::kMalformed) {
    refusal_ = why;
    refusal_kind_ = kind;
    error = http::error::bad_value;
  }

  void take_host(std::string_view value, BeastError& error) {
    if (has_host_) return refuse("several Host fields", error);
    if (!is_valid_host(value)) return refuse("the Host field is malformed", error);
    has_host_ = true;
    head_.host = value;
  }

  void take_length(std::string_view value, BeastError& error) {
    // Beast takes "5, 5"; what forwards it may not.
    const bool digits =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (has_length_) return refuse("several Content-Lengths", error);
    if (!digits || value.empty()) return refuse("Content-Length is malformed", error);
    has_length_ = true;
  }

  void take_coding(BeastView value, BeastError& error) {
    if (has_coding_ || !boost::beast::iequals(value, "chunked")) {
      return refuse("Transfer-Encoding is not just \"chunked\"", error);
    }
    has_coding_ = true;
  }

  void take_expectation(BeastView value, BeastError& error) {
    if (!boost::beast::iequals(value, "100-continue")) {
      return refuse("the only expectation known is 100-continue", error,
                    ProtocolError::kBadExpectation);
    }
    head_.expects_continue = true;
  }

  void on_request_impl(http::verb verb, BeastView method, BeastView target, int version,
                       BeastError& error) override {
    // As may_begin_request() says, whether the head comes in one piece or in several.
    if (method.size() > kMethodBytesMax) return refuse("the method is too long", error);
    head_.method = method_of(verb);
    head_.target = view(target);
    head_.http11 = version == 11;
  }

  void on_field_impl(http::field field, BeastView name, BeastView value,
                     BeastError& error) override {
    // A folded value is in a buffer that Beast has on its stack.
    if (!value.empty() && !is_within_input(value.data())) {
      return refuse("a header field is folded over several lines", error);
    }
    switch (field) {
      case http::field::host:
        return take_host(view(value), error);
      case http::field::content_length:
        return take_length(view(value), error);
      case http::field::transfer_encoding:
        return take_coding(value, error);
      case http::field::expect:
        return take_expectation(value, error);
      case http::field::origin:
        head_.origin = view(value);
        return;
      case http::field::sec_fetch_site:
        head_.sec_fetch_site = view(value);
        return;
      case http::field::if_match:
        head_.if_match.push_back(view(value));
        return;
      case http::field::if_none_match:
        head_.if_none_match.push_back(view(value));
        return;
      case http::field::unknown:
        return take_other(name, view(value));
      default:
        return;
    }
  }

  void take_other(BeastView name, std::string_view value) {
    if (boost::beast::iequals(name, "X-Request-Id")) head_.request_id = value;
    if (boost::beast::iequals(name, "Idempotency-Key")) head_.has_idempotency_key = true;
  }

  bool is_within_input(const char* at) const {
    return !std::less<>()(at, bytes_.data()) && std::less<>()(at, bytes_.data() + bytes_.size());
  }

  void on_header_impl(BeastError&) override {}
  void on_finish_impl(BeastError&) override {}
  // Never called: of a response, or of a body.
  void on_response_impl(int, BeastView, int, BeastError&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, BeastError&) override {}
  size_t on_body_impl(BeastView body, BeastError&) override { return body.size(); }
  void on_chunk_header_impl(uint64_t, BeastView, BeastError&) override {}
  size_t on_chunk_body_impl(uint64_t, BeastView body, BeastError&) override { return body.size(); }

  const std::string_view bytes_;
  RequestHead& head_;
  std::string_view refusal_;
  ProtocolError refusal_kind_ = ProtocolError::kMalformed;
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_coding_ = false;
};

}  // namespace

HeadOutcome parse_head(std::string_view bytes, RequestHead& head) {
  head = RequestHead();
  return Parser(bytes, head).run();
}

size_t find_head_end(std::string_view bytes, size_t& searched) {
  const size_t end = bytes.find(kHeadEnd, searched);
  if (end != std::string_view::npos) return end + kHeadEnd.size();
  searched = bytes.size() < kHeadEnd.size() ? 0 : bytes.size() - kHeadEnd.size() + 1;
  return 0;
}

bool has_bare_line_feed(std::string_view bytes) {
  for (size_t at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    if (at == 0 || bytes[at - 1] != '\r') return true;
  }
  return false;
}

bool may_begin_request(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == ' ') return i > 0;
    if (i >= kMethodBytesMax || !is_token_character(bytes[i])) return false;
  }
  return true;
}

}  // namespace multiraft::http
