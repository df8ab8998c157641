#include "rest/redirect.h"

#include "http/uri.h"

namespace multiraft::rest {
namespace {

bool means_all_interfaces(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "[::]";
}

}  // namespace

std::string redirect_location(const std::vector<service::MemberAddress>& members,
                              std::string_view target, std::string_view request_host,
                              std::string_view local_address) {
  const std::optional<http::Target> parts = http::split_target(target);
  if (!parts) return {};
  // RFC 9112 3.2.2: an absolute target overrides the Host field.
  std::string_view client_host =
      http::host_without_port(parts->authority.empty() ? request_host : parts->authority);
  if (client_host.empty()) client_host = http::host_without_port(local_address);
  for (const service::MemberAddress& member : members) {
    // It comes from an operator's command line and ends in a header.
    if (!http::is_valid_host(member.api_address)) continue;
    std::string_view host = http::host_without_port(member.api_address);
    const std::string_view port = std::string_view(member.api_address).substr(host.size());
    if (port.size() < 2) continue;
    if (means_all_interfaces(host)) host = client_host;
    std::string location = "http://";
    location.append(host).append(port);
    http::append_ascii_uri(parts->path, location);
    if (parts->query.data() != nullptr) {
      location.push_back('?');
      http::append_ascii_uri(parts->query, location);
    }
    return location;
  }
  return {};
}

}  // namespace multiraft::rest
