#include "rest/rest_handler.h"

#include "base/coverage.h"
#include "rest/listing.h"
#include "rest/redirect.h"

namespace multiraft::rest {
namespace {

/// Enough for any request whose body means nothing or is a short list.
constexpr size_t kSmallBodyBytesMax = 64 * limits::kKiB;

bool takes_put_json(const Route& route, Method method) {
  return route.resource == Resource::kGroupRoot && is_allowed(route.resource, method);
}
bool takes_raw_value(const Route& route, Method method) {
  return route.resource == Resource::kV1Key && method == Method::kPut;
}

/// Whether a browser says that a page of another origin made it send a request that may change
/// something: any page could otherwise write to a node that its reader's machine reaches. Clients
/// that are no browsers send neither field.
bool is_cross_site(const RequestHead& head) {
  if (is_safe(head.method)) return false;
  if (!head.sec_fetch_site.empty()) {
    return head.sec_fetch_site != "same-origin" && head.sec_fetch_site != "none";
  }
  if (head.origin.empty()) return false;
  const size_t scheme = head.origin.find("://");
  return scheme == std::string_view::npos || head.origin.substr(scheme + 3) != head.host;
}

}  // namespace

void fill_text(Exchange& exchange, std::string_view type, std::string text) {
  exchange.response.status = 200;
  exchange.response.content_type = type;
  exchange.response.text = std::move(text);
}

size_t RestHandler::body_bytes_max(const RequestHead& head) {
  const Route route = find_route(head.target);
  if (takes_put_json(route, head.method)) return limits::kHttpBodyBytesMax;
  if (takes_raw_value(route, head.method)) return limits::kValueBytesMax;
  return kSmallBodyBytesMax;
}

bool RestHandler::is_probe(const RequestHead& head) {
  const RouteClass route = class_of(find_route(head.target).resource);
  return route == RouteClass::kProbe || route == RouteClass::kMetrics;
}

void RestHandler::handle(ExchangePtr exchange, const RequestHead& head, std::string_view body) {
  const Route route = find_route(head.target);
  if (!admit(*exchange, route, head)) return exchange->finish();
  dispatch(std::move(exchange), route, head, body);
}

bool RestHandler::wants_body(const RequestHead& head) {
  const Route route = find_route(head.target);
  return route.resource != Resource::kNone && route.resource != Resource::kBadTarget &&
         is_allowed(route.resource, head.method) && !is_cross_site(head);
}

bool RestHandler::admit(Exchange& exchange, const Route& route, const RequestHead& head) {
  const Method method = head.method;
  exchange.route = class_of(route.resource);
  exchange.group = route.group;
  exchange.has_group = route.has_group;
  if (route.has_group) exchange.response.add_header("Multiraft-Group", route.group.value);
  if (route.resource == Resource::kNone) {
    fill_problem(exchange, no_such_path(std::string(route.detail)));
    return false;
  }
  if (route.resource == Resource::kBadTarget) {
    fill_problem(exchange, bad_request(std::string(route.detail)));
    return false;
  }
  if (!is_allowed(route.resource, method)) {
    const std::string_view allowed = allowed_methods(route.resource);
    exchange.response.add_header("Allow", allowed);
    fill_problem(exchange, method_not_allowed(allowed));
    return false;
  }
  if (is_cross_site(head)) {
    MR_COVERAGE("write of another site's page refused");
    fill_problem(exchange, cross_site());
    return false;
  }
  // Probes and counters have to answer most of all when there is too much of everything else.
  if (exchange.route != RouteClass::kProbe && exchange.route != RouteClass::kMetrics &&
      exchange.is_server_overloaded()) {
    MR_COVERAGE("request refused by overload");
    fill_problem(exchange, overloaded("too many requests are waiting, or too many bytes are held"));
    return false;
  }
  return true;
}

void RestHandler::dispatch(ExchangePtr exchange, const Route& route, const RequestHead& head,
                           std::string_view body) {
  switch (route.resource) {
    case Resource::kGroupRoot:
      return put_json(std::move(exchange), route, body);
    case Resource::kKey:
      return key(std::move(exchange), route, head);
    case Resource::kV1Key:
      return v1_key(std::move(exchange), route, head, body);
    case Resource::kMembers:
      return backend_.group_info(route.group,
                                 answer<&RestHandler::on_members, GroupInfo>(std::move(exchange)));
    case Resource::kMember:
      return remove_member(std::move(exchange), route);
    case Resource::kV1Members:
      if (head.method == Method::kPost) return add_member(std::move(exchange), route, body);
      return backend_.group_info(
          route.group, answer<&RestHandler::on_v1_members, GroupInfo>(std::move(exchange)));
    case Resource::kNewGroup:
      return new_group(std::move(exchange), body);
    case Resource::kV1Groups:
      return list_groups(std::move(exchange), route);
    case Resource::kV1Group:
      return backend_.group_info(route.group,
                                 answer<&RestHandler::on_group, GroupInfo>(std::move(exchange)));
    case Resource::kV1Nodes:
      return list_nodes(std::move(exchange), route);
    case Resource::kV1Cluster:
      return backend_.cluster_info(
          answer<&RestHandler::on_cluster, ClusterInfo>(std::move(exchange)));
    case Resource::kLive:
      fill_text(*exchange, kTextType, "ok\n");
      return exchange->finish();
    case Resource::kReady:
      ready(*exchange, route.query);
      return exchange->finish();
    case Resource::kMetrics:
      return metrics(std::move(exchange));
    case Resource::kNone:
    case Resource::kBadTarget:
      break;
  }
  MR_UNREACHABLE("admit() has refused it");
}

void RestHandler::refuse(Exchange& exchange, const RequestHead* head, ProtocolError error,
                         std::string_view detail) {
  if (head != nullptr) {
    const Route route = find_route(head->target);
    // What the request would have got anyway is the better answer.
    if (!admit(exchange, route, *head)) return;
    if (error == ProtocolError::kBodyTooLarge && takes_raw_value(route, head->method)) {
      return fill_problem(exchange, value_too_large());
    }
  }
  fill_problem(exchange, protocol_problem(error, detail));
}

void RestHandler::add_position(Exchange& exchange, const Position& position) {
  Response& response = exchange.response;
  if (position.term) response.add_header("Multiraft-Term", position.term.value);
  if (position.index) response.add_header("Multiraft-Index", position.index.value);
}

void RestHandler::fail(Exchange& exchange, const Error& error, NodeId leader) {
  if (error.kind == ErrorKind::kNotHere) return redirect(exchange, error, leader);
  fill_problem(exchange, backend_problem(error, leader, is_safe(exchange.method)));
}

void RestHandler::redirect(Exchange& exchange, const Error& error, NodeId leader) {
  Problem problem = backend_problem(error, leader, is_safe(exchange.method));
  if (config_.redirect) {
    const std::string location =
        redirect_location(error.members, exchange.target, exchange.host, exchange.local_address());
    if (!location.empty()) {
      exchange.response.add_header("Location", location);
      problem.status = 307;
    }
  }
  fill_problem(exchange, problem);
}

}  // namespace multiraft::rest
