#include "http/uri.h"

namespace multiraft::http {
namespace {

constexpr size_t kPortDigitsMax = 5;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

constexpr int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

bool is_valid_port(std::string_view port) {
  if (port.size() > kPortDigitsMax) return false;
  for (const char c : port) {
    if (!is_digit(c)) return false;
  }
  return true;
}

bool is_valid_name(std::string_view name) {
  for (const char c : name) {
    if (!is_digit(c) && !is_letter(c) && c != '-' && c != '.' && c != '_' && c != '~') return false;
  }
  return true;
}

bool is_valid_ipv6(std::string_view address) {
  for (const char c : address) {
    if (hex_digit(c) < 0 && c != ':' && c != '.') return false;
  }
  return !address.empty();
}

}  // namespace

std::optional<Target> split_target(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  Target parts;
  if (target.size() > kScheme.size() &&
      equals_ignoring_case(target.substr(0, kScheme.size()), kScheme)) {
    target.remove_prefix(kScheme.size());
    const size_t end = std::min(target.find_first_of("/?#"), target.size());
    parts.authority = target.substr(0, end);
    target.remove_prefix(end);
    if (parts.authority.empty() || !is_valid_host(parts.authority)) return std::nullopt;
    if (target.empty()) target = "/";
  }
  if (target.empty() || target.front() != '/') return std::nullopt;
  if (target.find('#') != std::string_view::npos) return std::nullopt;
  const size_t question = target.find('?');
  parts.path = target.substr(0, question);
  if (question != std::string_view::npos) parts.query = target.substr(question + 1);
  return parts;
}

bool percent_decode(std::string_view text, std::string& out) {
  for (;;) {
    const size_t percent = text.find('%');
    out.append(text.substr(0, percent));
    if (percent == std::string_view::npos) return true;
    if (text.size() - percent < 3) return false;
    const int high = hex_digit(text[percent + 1]);
    const int low = hex_digit(text[percent + 2]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    text.remove_prefix(percent + 3);
  }
}

void append_ascii_uri(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
}

bool is_valid_host(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view rest = host.substr(close + 1);
    return is_valid_ipv6(host.substr(1, close - 1)) &&
           (rest.empty() || (rest.front() == ':' && is_valid_port(rest.substr(1))));
  }
  const size_t colon = host.find(':');
  return is_valid_name(host.substr(0, colon)) &&
         (colon == std::string_view::npos || is_valid_port(host.substr(colon + 1)));
}

std::string_view host_without_port(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool next_parameter(std::string_view& query, QueryParameter& parameter) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    parameter.name = pair.substr(0, equals);
    parameter.value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    return true;
  }
  return false;
}

}  // namespace multiraft::http
