#pragma once
// Where a client finds a group that this node does not have.

#include <string>
#include <string_view>
#include <vector>

#include "service/service.h"

namespace multiraft::rest {

/// The URL of the same request on the first member with a usable address; empty if there is none.
/// An address without a host, or with one that means "all interfaces", is on the host by which the
/// client came: `request_host` (its Host field), else `local_address` (of the connection). Path and
/// query of `target` stay as they are.
std::string redirect_location(const std::vector<service::MemberAddress>& members,
                              std::string_view target, std::string_view request_host,
                              std::string_view local_address);

}  // namespace multiraft::rest
