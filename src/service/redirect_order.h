#pragma once
// To which member of a group a client is sent.

#include <cstdint>
#include <functional>
#include <vector>

#include "env/clock.h"
#include "nodes/contact_table.h"
#include "service/service.h"

namespace multiraft::service {

/// The members in the order in which to try them: those that this node hears from, then those of
/// which it knows nothing, then those that did not answer some time ago. Those that were found dead
/// a moment ago are left out: an empty answer means that nobody is known to be alive. `turn` is a
/// counter: equals take turns. `leader`, if it is one of them and not dead, goes first.
std::vector<MemberAddress> order_for_redirect(std::vector<MemberAddress> members,
                                              const std::function<nodes::Contact(NodeId)>& contact,
                                              env::MonotonicTime now, uint64_t turn,
                                              NodeId leader = {});

}  // namespace multiraft::service
