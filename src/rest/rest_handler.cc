#include "rest/rest_handler.h"

#include "base/assert.h"
#include "base/coverage.h"
#include "rest/listing.h"
#include "rest/redirect.h"

namespace multiraft::rest {
namespace {

/// Enough for any request whose body means nothing or is a short list.
constexpr size_t kSmallBodyBytesMax = 64 * limits::kKiB;

bool takes_put_json(const api::Route& route, http::Method method) {
  return route.resource == api::Resource::kGroupRoot && api::is_allowed(route.resource, method);
}
bool takes_raw_value(const api::Route& route, http::Method method) {
  return route.resource == api::Resource::kV1Key && method == http::Method::kPut;
}

/// Whether a browser says that a page of another origin made it send a request that may change
/// something: any page could otherwise write to a node that its reader's machine reaches. Clients
/// that are no browsers send neither field.
bool is_cross_site(const http::RequestHead& head) {
  if (is_safe(head.method)) return false;
  if (!head.sec_fetch_site.empty()) {
    return head.sec_fetch_site != "same-origin" && head.sec_fetch_site != "none";
  }
  if (head.origin.empty()) return false;
  const size_t scheme = head.origin.find("://");
  return scheme == std::string_view::npos || head.origin.substr(scheme + 3) != head.host;
}

}  // namespace

size_t RestHandler::body_bytes_max(const http::RequestHead& head) {
  const api::Route route = api::find_route(head.target);
  if (takes_put_json(route, head.method)) return limits::kHttpBodyBytesMax;
  if (takes_raw_value(route, head.method)) return limits::kValueBytesMax;
  return kSmallBodyBytesMax;
}

bool RestHandler::is_probe(const http::RequestHead& head) {
  const api::RouteClass route = api::class_of(api::find_route(head.target).resource);
  return route == api::RouteClass::kProbe || route == api::RouteClass::kMetrics;
}

void RestHandler::handle(http::ExchangePtr exchange, const http::RequestHead& head,
                         std::string_view body) {
  const api::Route route = api::find_route(head.target);
  if (!admit(*exchange, route, head)) return exchange->finish();
  dispatch(std::move(exchange), route, head, body);
}

bool RestHandler::wants_body(const http::RequestHead& head) {
  const api::Route route = api::find_route(head.target);
  return route.resource != api::Resource::kNone && route.resource != api::Resource::kBadTarget &&
         api::is_allowed(route.resource, head.method) && !is_cross_site(head);
}

bool RestHandler::admit(http::Exchange& exchange, const api::Route& route,
                        const http::RequestHead& head) {
  const http::Method method = head.method;
  const api::RouteClass route_class = api::class_of(route.resource);
  exchange.route = static_cast<size_t>(route_class);
  if (route.has_group) state_of(exchange).group = route.group;
  if (route.has_group) exchange.response.add_header("Multiraft-Group", route.group.value);
  if (route.resource == api::Resource::kNone) {
    fill_problem(exchange, api::no_such_path(std::string(route.detail)));
    return false;
  }
  if (route.resource == api::Resource::kBadTarget) {
    fill_problem(exchange, api::bad_request(std::string(route.detail)));
    return false;
  }
  if (!api::is_allowed(route.resource, method)) {
    const std::string_view allowed = api::allowed_methods(route.resource);
    exchange.response.add_header("Allow", allowed);
    fill_problem(exchange, api::method_not_allowed(allowed));
    return false;
  }
  if (is_cross_site(head)) {
    MR_COVERAGE("write of another site's page refused");
    fill_problem(exchange, api::cross_site());
    return false;
  }
  // Probes and counters have to answer most of all when there is too much of everything else.
  if (route_class != api::RouteClass::kProbe && route_class != api::RouteClass::kMetrics &&
      exchange.is_server_overloaded()) {
    MR_COVERAGE("request refused by overload");
    fill_problem(exchange,
                 api::overloaded("too many requests are waiting, or too many bytes are held"));
    return false;
  }
  return true;
}

void RestHandler::dispatch(http::ExchangePtr exchange, const api::Route& route,
                           const http::RequestHead& head, std::string_view body) {
  switch (route.resource) {
    case api::Resource::kGroupRoot:
      return put_json(std::move(exchange), route, body);
    case api::Resource::kKey:
      return key(std::move(exchange), route, head);
    case api::Resource::kV1Key:
      return v1_key(std::move(exchange), route, head, body);
    case api::Resource::kMembers:
      return service_.group_info(
          route.group, answer<&RestHandler::on_members, service::GroupInfo>(std::move(exchange)));
    case api::Resource::kMember:
      return remove_member(std::move(exchange), route);
    case api::Resource::kV1Members:
      if (head.method == http::Method::kPost) return add_member(std::move(exchange), route, body);
      return service_.group_info(
          route.group,
          answer<&RestHandler::on_v1_members, service::GroupInfo>(std::move(exchange)));
    case api::Resource::kNewGroup:
      return new_group(std::move(exchange), body);
    case api::Resource::kV1Groups:
      return list_groups(std::move(exchange), route);
    case api::Resource::kV1Group:
      return service_.group_info(
          route.group, answer<&RestHandler::on_group, service::GroupInfo>(std::move(exchange)));
    case api::Resource::kV1Nodes:
      return list_nodes(std::move(exchange), route);
    case api::Resource::kV1Cluster:
      return service_.cluster_info(
          answer<&RestHandler::on_cluster, service::ClusterInfo>(std::move(exchange)));
    case api::Resource::kLive:
      fill_text(*exchange, kTextType, "ok\n");
      return exchange->finish();
    case api::Resource::kReady:
      ready(*exchange, route.query);
      return exchange->finish();
    case api::Resource::kMetrics:
      return metrics(std::move(exchange));
    case api::Resource::kNone:
    case api::Resource::kBadTarget:
      break;
  }
  MR_UNREACHABLE("admit() has refused it");
}

void RestHandler::refuse(http::Exchange& exchange, const http::RequestHead* head,
                         http::ProtocolError error, std::string_view detail) {
  if (head != nullptr) {
    const api::Route route = api::find_route(head->target);
    // What the request would have got anyway is the better answer.
    if (!admit(exchange, route, *head)) return;
    if (error == http::ProtocolError::kBodyTooLarge && takes_raw_value(route, head->method)) {
      return fill_problem(exchange, api::value_too_large());
    }
  }
  fill_problem(exchange, api::protocol_problem(error, detail));
}

void RestHandler::add_position(http::Exchange& exchange, const service::Position& position) {
  http::Response& response = exchange.response;
  if (position.term) response.add_header("Multiraft-Term", position.term.value);
  if (position.index) response.add_header("Multiraft-Index", position.index.value);
}

void RestHandler::fail(http::Exchange& exchange, const service::Error& error, NodeId leader) {
  if (error.code == StatusCode::kWrongNode) return redirect(exchange, error, leader);
  fill_problem(exchange, api::status_problem(error, leader, is_safe(exchange.method)));
}

void RestHandler::redirect(http::Exchange& exchange, const service::Error& error, NodeId leader) {
  api::Problem problem = api::status_problem(error, leader, is_safe(exchange.method));
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
