// The part of RestHandler that speaks about the node and the cluster.

#include "rest/listing.h"
#include "rest/rest_handler.h"

namespace multiraft::rest {

void RestHandler::new_group(ExchangePtr exchange, std::string_view body) {
  NewGroupBody request;
  std::string wrong = parse_new_group_body(body, request);
  if (wrong.empty()) {
    exchange->group = request.group;
    exchange->has_group = true;
    exchange->response.add_header("Multiraft-Group", request.group.value);
    // What it says does not depend on the reply, and is replaced where the reply is an error.
    exchange->response.text = new_group_text(request.group, request.nodes);
    return backend_.create_group(request.group, std::move(request.nodes),
                                 answer<&RestHandler::on_done, Done>(std::move(exchange)));
  }
  fill_problem(*exchange, bad_request(std::move(wrong)));
  exchange->finish();
}

void RestHandler::remove_member(ExchangePtr exchange, const Route& route) {
  uint64_t id = 0;
  if (!parse_number(route.name, id) || id == 0 || id > limits::kNodeIdMax) {
    fill_problem(*exchange,
                 backend_problem({ErrorKind::kNoSuchMember, "a node id is a number from 1", {}},
                                 NodeId(), false));
    return exchange->finish();
  }
  exchange->response.text = removed_member_text(route.group, NodeId(id));
  backend_.remove_member(route.group, NodeId(id),
                         answer<&RestHandler::on_done, Done>(std::move(exchange)));
}

void RestHandler::on_done(Exchange& exchange, const Done&) {
  exchange.response.status = 200;
  exchange.response.content_type = kJsonType;
}

void RestHandler::on_members(Exchange& exchange, const GroupInfo& group) {
  fill_text(exchange, kJsonType, members_text(group.members));
}

void RestHandler::on_group(Exchange& exchange, const GroupInfo& group) {
  fill_text(exchange, kJsonType, group_text(group));
}

void RestHandler::on_groups(Exchange& exchange, const std::vector<GroupInfo>& groups) {
  fill_text(exchange, kJsonType, groups_text(groups));
}

void RestHandler::on_nodes(Exchange& exchange, const std::vector<NodeInfo>& nodes) {
  fill_text(exchange, kJsonType, nodes_text(nodes));
}

/// "?verbose" has a line a check, whatever the result.
void RestHandler::ready(Exchange& exchange, std::string_view query) {
  std::vector<ReadinessCheck> checks = backend_.readiness();
  if (draining_) checks.push_back({"draining", false, "the node is about to stop"});
  bool verbose = false;
  QueryParameter parameter;
  while (next_parameter(query, parameter)) verbose |= parameter.name == "verbose";

  bool all_ok = true;
  std::string lines;
  std::string failed;
  for (const ReadinessCheck& check : checks) {
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
    fill_problem(exchange,
                 backend_problem({ErrorKind::kUnavailable, std::move(failed), {}}, NodeId(), true));
  }
}

void RestHandler::metrics(ExchangePtr exchange) {
  backend_.metrics([this, exchange = std::move(exchange)](std::string text) {
    if (exchange->is_abandoned()) return;
    text += AccessStats::render(config_.all_stats);
    fill_text(*exchange, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
    exchange->finish();
  });
}

}  // namespace multiraft::rest
