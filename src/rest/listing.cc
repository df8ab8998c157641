#include "rest/listing.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace multiraft::rest {
namespace {

namespace json = boost::json;

std::string text_of(const json::value& value) { return json::serialize(value) + "\n"; }

const char* type_of(const service::MemberInfo& member) {
  return member.voter ? "voter" : "learner";
}

void add_progress(const service::MemberInfo& member, json::object& out) {
  if (member.match) out["match"] = *member.match;
  if (member.next) out["next"] = *member.next;
  if (member.lag) out["lag"] = *member.lag;
  if (member.active) out["active"] = *member.active;
  if (!member.progress.empty()) out["progress"] = member.progress;
}

json::object member_json(const service::MemberInfo& member) {
  json::object out;
  out["id"] = member.id.value;
  // A replica id has 64 bits, of which JavaScript would lose some: as text.
  out["replica"] = std::to_string(member.replica);
  out["raft_address"] = member.raft_address;
  out["api_address"] = member.api_address;
  out["type"] = type_of(member);
  out["leader"] = member.leader;
  if (member.leaving) out["leaving"] = true;
  add_progress(member, out);
  return out;
}

json::object group_json(const service::GroupInfo& group) {
  json::object out;
  out["id"] = group.id.value;
  out["hosted"] = group.hosted;
  if (group.hosted) {
    out["role"] = group.role;
    if (group.leader) {
      out["leader"] = group.leader.value;
    } else {
      out["leader"] = nullptr;
    }
    out["term"] = group.term.value;
    out["commit"] = group.commit.value;
    out["applied"] = group.applied.value;
    out["first_index"] = group.first.value;
    out["last_index"] = group.last.value;
    if (!group.stopped.empty()) out["stopped"] = group.stopped;
  }
  json::array members;
  for (const service::MemberInfo& member : group.members) members.push_back(member_json(member));
  out["members"] = std::move(members);
  return out;
}

}  // namespace

std::string members_text(const std::vector<service::MemberInfo>& members) {
  json::array list;
  for (const service::MemberInfo& member : members) {
    json::object out;
    out["id"] = member.id.value;
    out["addr"] = member.raft_address;
    out["type"] = type_of(member);
    if (member.leader) out["leader"] = true;
    if (member.leaving) out["leaving"] = true;
    out["api_addr"] = member.api_address;
    add_progress(member, out);
    list.push_back(std::move(out));
  }
  return text_of(list);
}

std::string v1_members_text(const std::vector<service::MemberInfo>& members) {
  json::array list;
  for (const service::MemberInfo& member : members) list.push_back(member_json(member));
  return text_of(json::object{{"members", std::move(list)}});
}

std::string new_group_text(GroupId group, const std::vector<NodeId>& nodes) {
  json::array ids;
  for (const NodeId node : nodes) ids.push_back(node.value);
  return text_of(json::object{{"GroupID", group.value}, {"IDs", std::move(ids)}});
}

std::string removed_member_text(GroupId group, NodeId node) {
  return text_of(json::object{{"GroupID", group.value}, {"ID", node.value}});
}

std::string cluster_text(const service::ClusterInfo& cluster) {
  json::object out;
  out["id"] = to_string(cluster.id);
  out["node"] = cluster.node.value;
  out["version"] = cluster.version;
  out["cluster_version"] = cluster.cluster_version;
  out["supported_versions"] = {{"min", cluster.versions.min}, {"max", cluster.versions.max}};
  out["nodes"] = cluster.nodes;
  out["groups"] = cluster.groups;
  if (cluster.registry_leader) {
    out["registry_leader"] = cluster.registry_leader.value;
  } else {
    out["registry_leader"] = nullptr;
  }
  return text_of(out);
}

std::string group_text(const service::GroupInfo& group) { return text_of(group_json(group)); }

std::string node_text(const service::NodeInfo& node) {
  json::array groups;
  for (const GroupId group : node.groups) groups.push_back(group.value);
  return text_of(json::object{{"id", node.id.value},
                              {"raft_address", node.raft_address},
                              {"api_address", node.api_address},
                              {"state", node.state},
                              {"self", node.self},
                              {"groups", std::move(groups)}});
}

}  // namespace multiraft::rest
