#pragma once
// The HTTP interface: requests become calls of the backend, replies become answers.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_body.h"
#include "api/routes.h"
#include "http/access_stats.h"
#include "http/worker.h"
#include "rest/request_state.h"
#include "service/service.h"

namespace multiraft::rest {

/// One per worker, on its thread. Replies of the backend may come after the server is gone: an
/// abandoned exchange is the sign.
class RestHandler final : public http::Handler {
 public:
  struct Config {
    bool redirect = true;  ///< 307 to a member; else 421.
    service::Consistency reads =
        service::Consistency::kLinearizable;          ///< Where the request does not say.
    std::vector<const http::AccessStats*> all_stats;  ///< Of every worker, for /metrics.
  };

  RestHandler(Config config, service::Service& service)
      : config_(std::move(config)), service_(service) {}

  /// /readyz says no from now on.
  void begin_drain() { draining_ = true; }

  size_t body_bytes_max(const http::RequestHead& head) override;
  bool is_probe(const http::RequestHead& head) override;
  bool wants_body(const http::RequestHead& head) override;
  void handle(http::ExchangePtr exchange, const http::RequestHead& head,
              std::string_view body) override;
  void refuse(http::Exchange& exchange, const http::RequestHead* head, http::ProtocolError error,
              std::string_view detail) override;

 private:
  /// Refuses what no resource takes; false then, with the response filled.
  bool admit(http::Exchange& exchange, const api::Route& route, const http::RequestHead& head);
  void write(http::ExchangePtr exchange, GroupId group, SharedBytes command);
  void dispatch(http::ExchangePtr exchange, const api::Route& route, const http::RequestHead& head,
                std::string_view body);

  // Keys and values (kv_handlers.cc).
  void put_json(http::ExchangePtr exchange, const api::Route& route, std::string_view body);
  void key(http::ExchangePtr exchange, const api::Route& route, const http::RequestHead& head);
  void v1_key(http::ExchangePtr exchange, const api::Route& route, const http::RequestHead& head,
              std::string_view body);
  bool take_key(http::Exchange& exchange, std::string_view encoded, std::string& key);
  bool take_read_query(http::Exchange& exchange, std::string_view query,
                       service::Consistency& consistency);
  void on_written(http::Exchange& exchange, const service::WriteAnswer& answer);
  void on_read(http::Exchange& exchange, const service::ReadAnswer& answer);
  void on_read_v1(http::Exchange& exchange, const service::ReadAnswer& answer);

  // The cluster (cluster_handlers.cc).
  void new_group(http::ExchangePtr exchange, std::string_view body);
  void add_member(http::ExchangePtr exchange, const api::Route& route, std::string_view body);
  void remove_member(http::ExchangePtr exchange, const api::Route& route);
  void on_done(http::Exchange& exchange, const service::Done&);
  void on_members(http::Exchange& exchange, const service::GroupInfo& group);
  void on_v1_members(http::Exchange& exchange, const service::GroupInfo& group);
  void on_group(http::Exchange& exchange, const service::GroupInfo& group);
  void on_cluster(http::Exchange& exchange, const service::ClusterInfo& cluster);
  /// A list under way: a page of answers in slices, so that no worker is busy with it for long.
  struct Listing {
    http::ExchangePtr exchange;
    size_t left = 0;   ///< Items that the page still takes.
    std::string text;  ///< The page so far.
    bool any = false;  ///< There is an item in it.
  };
  void list_groups(http::ExchangePtr exchange, const api::Route& route);
  void list_nodes(http::ExchangePtr exchange, const api::Route& route);
  bool take_list_query(http::Exchange& exchange, std::string_view query, size_t& limit,
                       uint64_t& after);
  void next_groups(std::unique_ptr<Listing> listing, GroupId after);
  void on_groups(std::unique_ptr<Listing> listing, service::Reply<service::GroupPage> reply);
  void ready(http::Exchange& exchange, std::string_view query);
  void metrics(http::ExchangePtr exchange);

  /// A callback for the backend that answers an error itself and hands a value to `on_value`.
  template <auto on_value, class T>
  Callback<void(service::Reply<T>)> answer(http::ExchangePtr exchange) {
    // Two pointers: it fits into the Callback without an allocation.
    return [this, exchange = std::move(exchange)](service::Reply<T> reply) {
      if (exchange->is_abandoned()) return;
      add_position(*exchange, reply.position);
      if (reply.is_ok()) {
        (this->*on_value)(*exchange, reply.value());
      } else {
        fail(*exchange, reply.error(), reply.position.leader);
      }
      exchange->finish();
    };
  }
  static void add_position(http::Exchange& exchange, const service::Position& position);
  void fail(http::Exchange& exchange, const service::Error& error, NodeId leader);
  void redirect(http::Exchange& exchange, const service::Error& error, NodeId leader);

  const Config config_;
  service::Service& service_;
  bool draining_ = false;
  size_t listings_ = 0;  ///< Under way.
  // Reused memory.
  api::PutBody put_;
  std::string key_;
};

}  // namespace multiraft::rest
