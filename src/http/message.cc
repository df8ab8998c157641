#include "http/message.h"

#include "base/reuse.h"

#include <charconv>

namespace multiraft::http {
namespace {

/// Strings that grew beyond it give their memory back: exchanges are kept for reuse.
constexpr size_t kKeptBytesMax = 1024;

}  // namespace

void Response::add_header(std::string_view name, std::string_view value_text) {
  headers.append(name).append(": ");
  for (const char c : value_text) {
    const auto byte = static_cast<unsigned char>(c);
    headers.push_back(byte < ' ' || byte == 0x7f ? '?' : c);
  }
  headers.append("\r\n");
}

void Response::add_header(std::string_view name, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  headers.append(name).append(": ").append(digits, end).append("\r\n");
}

void Response::clear() {
  status = 200;
  content_type = {};
  clear_for_reuse(headers, kKeptBytesMax);
  clear_for_reuse(text, kKeptBytesMax);
  value = SharedBytes();
  charge.reset();
  tail = {};
}

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

}  // namespace multiraft::http
