#pragma once
// Request targets, hosts and percent-encoding (RFC 3986, RFC 9112 section 3.2).

#include <optional>
#include <string>
#include <string_view>

namespace multiraft::http {

/// A request target in its parts, still encoded; views into it.
struct Target {
  std::string_view path;       ///< Begins with '/'.
  std::string_view query;      ///< Without its '?'.
  std::string_view authority;  ///< Of the absolute form "http://HOST:PORT/path"; else empty.
};

/// Nothing for what is neither "/path" nor "http://HOST/path", or has a '#'.
std::optional<Target> split_target(std::string_view target);

/// Appends the decoded bytes; false where a '%' is not followed by two hexadecimal digits. '+' is a
/// plus sign.
bool percent_decode(std::string_view text, std::string& out);

/// Appends `text` with everything outside of printable ASCII percent-encoded; what is encoded
/// already stays as it is.
void append_ascii_uri(std::string_view text, std::string& out);

/// HOST or HOST:PORT of a Host field: letters, digits, "-._~" or an IPv6 address in brackets, a
/// decimal port. Nothing else may reach a Location.
bool is_valid_host(std::string_view host);
/// The part before the port; brackets stay. "" for ":PORT".
std::string_view host_without_port(std::string_view host);

/// Takes the next NAME=VALUE off `query`, still encoded; false at its end.
struct QueryParameter {
  std::string_view name;
  std::string_view value;
};
bool next_parameter(std::string_view& query, QueryParameter& parameter);

}  // namespace multiraft::http
