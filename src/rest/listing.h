#pragma once
// Groups, members and nodes as JSON text.

#include <string>
#include <vector>

#include "service/service.h"

namespace multiraft::rest {

/// [{"id":1,"addr":":8080","type":"voter","leader":true}, ...]: the original interface. "leader" is
/// there only where it is true.
std::string members_text(const std::vector<service::MemberInfo>& members);
/// {"GroupID":2,"IDs":[1,2]}
std::string v1_members_text(const std::vector<service::MemberInfo>& members);
std::string new_group_text(GroupId group, const std::vector<NodeId>& nodes);
/// {"GroupID":2,"ID":1}
std::string removed_member_text(GroupId group, NodeId node);
/// /v1: fields that this node does not know are left out.
std::string cluster_text(const service::ClusterInfo& cluster);
std::string group_text(const service::GroupInfo& group);
std::string node_text(const service::NodeInfo& node);

}  // namespace multiraft::rest
