#include <charconv>
#include <string>

#include "env/network.h"

namespace multiraft::env {
namespace {

constexpr uint32_t kPortMax = 65'535;

Status bad(std::string_view text, const std::string& why) {
  return {StatusCode::kInvalidArgument, "address \"" + std::string(text) + "\": " + why};
}

Result<uint16_t> parse_port(std::string_view text, std::string_view port) {
  if (port.empty()) return bad(text, "the port is missing (HOST:PORT or :PORT)");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error == std::errc::invalid_argument || end != port.data() + port.size()) {
    return bad(text, "port \"" + std::string(port) + "\" is not a number");
  }
  if (error == std::errc::result_out_of_range || value > kPortMax) {
    return bad(
        text, "port " + std::string(port) + " is out of range 1..65535 (0 lets the system choose)");
  }
  return static_cast<uint16_t>(value);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.empty()) return bad(text, "it is empty (HOST:PORT or :PORT)");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return bad(text, "it contains a space or a control character");
    }
  }
  std::string_view host;
  std::string_view port;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return bad(text, "the closing ] is missing");
    host = text.substr(1, close - 1);
    if (host.empty()) return bad(text, "there is nothing between [ and ]");
    const std::string_view rest = text.substr(close + 1);
    if (rest.empty()) return bad(text, "the port is missing ([HOST]:PORT)");
    if (rest.front() != ':') return bad(text, "a colon must follow ]");
    port = rest.substr(1);
  } else {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
      return bad(text, "the port is missing (HOST:PORT or :PORT)");
    }
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos) {
      return bad(text, "an IPv6 address must be in brackets, as in [::1]:8080");
    }
    if (host.find_first_of("[]/") != std::string_view::npos) {
      return bad(text, "\"" + std::string(host) + "\" is not a host name");
    }
  }
  Result<uint16_t> number = parse_port(text, port);
  if (!number) return number.status();
  return Address{std::string(host), *number};
}

std::string Address::to_string() const {
  const std::string tail = ":" + std::to_string(port);
  if (host.find(':') != std::string::npos) return "[" + host + "]" + tail;
  return host + tail;
}

}  // namespace multiraft::env
