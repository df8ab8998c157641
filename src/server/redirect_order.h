#pragma once
// To which member of a group a client is sent.

#include <cstdint>
#include <functional>
#include <vector>

#include "env/clock.h"
#include "rest/backend.h"
#include "transport/contact_table.h"

namespace multiraft::server {

/// The members in the order in which to try them: those that this node hears from, then those of
/// which it knows nothing, then those that did not answer some time ago. Those that were found dead
/// a moment ago are left out: an empty answer means that nobody is known to be alive. `turn` is a
/// counter: equals take turns. `leader`, if it is one of them and not dead, goes first.
std::vector<rest::MemberAddress> order_for_redirect(
    std::vector<rest::MemberAddress> members,
    const std::function<transport::Contact(NodeId)>& contact, env::MonotonicTime now, uint64_t turn,
    NodeId leader = {});

}  // namespace multiraft::server
