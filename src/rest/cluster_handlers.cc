// The part of RestHandler that speaks about the node and the cluster.

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "rest/listing.h"
#include "rest/rest_handler.h"

namespace multiraft::rest {
namespace {

constexpr size_t kPageDefault = 100;
constexpr size_t kPageMax = 10'000;
/// Between two slices the worker does everything else that is ready.
constexpr size_t kSliceItems = 128;
constexpr size_t kListingsMax = 4;

}  // namespace

void RestHandler::new_group(http::ExchangePtr exchange, std::string_view body) {
  api::NewGroupBody request;
  std::string wrong = api::parse_new_group_body(body, request);
  if (wrong.empty()) {
    state_of(*exchange).group = request.group;
    exchange->response.add_header("Multiraft-Group", request.group.value);
    // What it says does not depend on the reply, and is replaced where the reply is an error.
    exchange->response.text = new_group_text(request.group, request.nodes);
    return service_.create_group(request.group, std::move(request.nodes),
                                 answer<&RestHandler::on_done, service::Done>(std::move(exchange)));
  }
  fill_problem(*exchange, api::bad_request(std::move(wrong)));
  exchange->finish();
}

void RestHandler::add_member(http::ExchangePtr exchange, const api::Route& route,
                             std::string_view body) {
  api::MemberBody request;
  if (std::string wrong = api::parse_member_body(body, request); !wrong.empty()) {
    fill_problem(*exchange, api::bad_request(std::move(wrong)));
    return exchange->finish();
  }
  service_.add_member(route.group, request.node, request.voter,
                      answer<&RestHandler::on_v1_members, service::GroupInfo>(std::move(exchange)));
}

void RestHandler::remove_member(http::ExchangePtr exchange, const api::Route& route) {
  uint64_t id = 0;
  if (!api::parse_number(route.name, id) || id == 0 || id > limits::kNodeIdMax) {
    fill_problem(*exchange,
                 api::status_problem({StatusCode::kNotFound, "a node id is a number from 1", {}},
                                     NodeId(), false));
    return exchange->finish();
  }
  exchange->response.text = removed_member_text(route.group, NodeId(id));
  service_.remove_member(route.group, NodeId(id),
                         answer<&RestHandler::on_done, service::Done>(std::move(exchange)));
}

void RestHandler::on_done(http::Exchange& exchange, const service::Done&) {
  exchange.response.status = 200;
  exchange.response.content_type = kJsonType;
}

void RestHandler::on_members(http::Exchange& exchange, const service::GroupInfo& group) {
  fill_text(exchange, kJsonType, members_text(group.members));
}

void RestHandler::on_v1_members(http::Exchange& exchange, const service::GroupInfo& group) {
  fill_text(exchange, kJsonType, v1_members_text(group.members));
}

void RestHandler::on_group(http::Exchange& exchange, const service::GroupInfo& group) {
  fill_text(exchange, kJsonType, group_text(group));
}

void RestHandler::on_cluster(http::Exchange& exchange, const service::ClusterInfo& cluster) {
  fill_text(exchange, kJsonType, cluster_text(cluster));
}

bool RestHandler::take_list_query(http::Exchange& exchange, std::string_view query, size_t& limit,
                                  uint64_t& after) {
  const auto refuse_with = [&](std::string detail) {
    fill_problem(exchange, api::bad_request(std::move(detail)));
    return false;
  };
  limit = kPageDefault;
  after = 0;
  http::QueryParameter parameter;
  while (http::next_parameter(query, parameter)) {
    uint64_t number = 0;
    const bool is_number = api::parse_number(parameter.value, number);
    if (parameter.name == "limit") {
      if (!is_number || number == 0 || number > kPageMax) {
        return refuse_with("\"limit\" is a number from 1 to " + std::to_string(kPageMax));
      }
      limit = static_cast<size_t>(number);
    } else if (parameter.name == "page_token") {
      if (!is_number || number == 0) return refuse_with("this is no \"page_token\" of a list");
      after = number;
    } else {
      return refuse_with("the only query parameters here are \"limit\" and \"page_token\"");
    }
  }
  if (listings_ >= kListingsMax) {
    MR_COVERAGE("list refused: others are under way");
    fill_problem(exchange, api::overloaded("other lists are under way"));
    return false;
  }
  return true;
}

/// A token is the id at which the next page begins: it works on every node, at any time.
void RestHandler::list_groups(http::ExchangePtr exchange, const api::Route& route) {
  auto listing = std::make_unique<Listing>();
  uint64_t from = 0;
  if (!take_list_query(*exchange, route.query, listing->left, from)) return exchange->finish();
  ++listings_;
  listing->exchange = std::move(exchange);
  listing->text = "{\"groups\":[";
  next_groups(std::move(listing), GroupId(from));
}

void RestHandler::next_groups(std::unique_ptr<Listing> listing, GroupId from) {
  const size_t slice = std::min(listing->left, kSliceItems);
  service_.list_groups(
      from, slice,
      [this, listing = std::move(listing)](service::Reply<service::GroupPage> reply) mutable {
        on_groups(std::move(listing), std::move(reply));
      });
}

void RestHandler::on_groups(std::unique_ptr<Listing> listing,
                            service::Reply<service::GroupPage> reply) {
  http::Exchange& exchange = *listing->exchange;
  if (exchange.is_abandoned() || !reply.is_ok()) {
    --listings_;
    if (exchange.is_abandoned()) return;
    add_position(exchange, reply.position);
    fail(exchange, reply.error(), reply.position.leader);
    return exchange.finish();
  }
  const service::GroupPage& page = reply.value();
  for (const service::GroupInfo& group : page.groups) {
    if (std::exchange(listing->any, true)) listing->text += ',';
    listing->text += group_text(group);
    listing->text.pop_back();  // Its newline.
  }
  listing->left -= std::min(listing->left, page.groups.size());
  const GroupId next(page.groups.empty() ? 0 : page.groups.back().id.value + 1);
  if (page.more && listing->left > 0) return next_groups(std::move(listing), next);
  --listings_;
  listing->text += ']';
  if (page.more) listing->text += ",\"next_page_token\":\"" + to_string(next) + "\"";
  listing->text += "}\n";
  fill_text(exchange, kJsonType, std::move(listing->text));
  exchange.finish();
}

void RestHandler::list_nodes(http::ExchangePtr exchange, const api::Route& route) {
  size_t limit = 0;
  uint64_t from = 0;
  if (!take_list_query(*exchange, route.query, limit, from)) return exchange->finish();
  service_.list_nodes([this, limit, from, exchange = std::move(exchange)](
                          service::Reply<std::vector<service::NodeInfo>> reply) mutable {
    if (exchange->is_abandoned()) return;
    if (!reply.is_ok()) {
      fail(*exchange, reply.error(), reply.position.leader);
      return exchange->finish();
    }
    std::string text = "{\"nodes\":[";
    size_t taken = 0;
    std::string next;
    for (const service::NodeInfo& node : reply.value()) {
      if (node.id.value < from) continue;
      if (taken == limit) {
        next = to_string(node.id);
        break;
      }
      if (taken++ > 0) text += ',';
      text += node_text(node);
      text.pop_back();  // Its newline.
    }
    text += ']';
    if (!next.empty()) text += ",\"next_page_token\":\"" + next + "\"";
    text += "}\n";
    fill_text(*exchange, kJsonType, std::move(text));
    exchange->finish();
  });
}

/// "?verbose" has a line per check, whatever the result.
void RestHandler::ready(http::Exchange& exchange, std::string_view query) {
  std::vector<service::ReadinessCheck> checks = service_.readiness();
  if (draining_) checks.push_back({"draining", false, "the node is about to stop"});
  bool verbose = false;
  http::QueryParameter parameter;
  while (http::next_parameter(query, parameter)) verbose |= parameter.name == "verbose";

  bool all_ok = true;
  std::string lines;
  std::string failed;
  for (const service::ReadinessCheck& check : checks) {
    lines += (check.ok ? "[+]" : "[-]") + check.name + (check.ok ? " ok" : " failed");
    if (!check.detail.empty()) lines += ": " + check.detail;
    lines += "\n";
    if (check.ok) continue;
    all_ok = false;
    failed += (failed.empty() ? "" : "; ") + check.name + ": " + check.detail;
  }
  if (verbose) {
    fill_text(exchange, kTextType, lines + (all_ok ? "ready\n" : "not ready\n"));
    if (!all_ok) exchange.response.status = 503;
  } else if (all_ok) {
    fill_text(exchange, kTextType, "ok\n");
  } else {
    fill_problem(exchange, api::status_problem({StatusCode::kUnavailable, std::move(failed), {}},
                                               NodeId(), true));
  }
}

void RestHandler::metrics(http::ExchangePtr exchange) {
  service_.metrics([this, exchange = std::move(exchange)](std::string text) {
    if (exchange->is_abandoned()) return;
    text += http::AccessStats::render(config_.all_stats);
    fill_text(*exchange, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
    exchange->finish();
  });
}

}  // namespace multiraft::rest
