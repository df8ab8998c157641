#pragma once
// The HTTP interface: requests become calls of the backend, replies become answers.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rest/access_stats.h"
#include "rest/backend.h"
#include "rest/http_worker.h"
#include "rest/json_body.h"
#include "rest/problem.h"
#include "rest/router.h"

namespace multiraft::rest {

/// One a worker, on its thread. Replies of the backend may come after the server is gone: an
/// abandoned exchange is the sign.
class RestHandler final : public HttpHandler {
 public:
  struct Config {
    bool redirect = true;                            ///< 307 to a member; else 421.
    Consistency reads = Consistency::kLinearizable;  ///< Where the request does not say.
    std::vector<const AccessStats*> all_stats;       ///< Of every worker, for /metrics.
  };

  RestHandler(Config config, Backend& backend) : config_(std::move(config)), backend_(backend) {}

  /// /readyz says no from now on.
  void begin_drain() { draining_ = true; }

  size_t body_bytes_max(const RequestHead& head) override;
  bool is_probe(const RequestHead& head) override;
  bool wants_body(const RequestHead& head) override;
  void handle(ExchangePtr exchange, const RequestHead& head, std::string_view body) override;
  void refuse(Exchange& exchange, const RequestHead* head, ProtocolError error,
              std::string_view detail) override;

 private:
  /// Refuses what no resource takes; false then, with the response filled.
  bool admit(Exchange& exchange, const Route& route, const RequestHead& head);
  void write(ExchangePtr exchange, GroupId group, SharedBytes command);
  void dispatch(ExchangePtr exchange, const Route& route, const RequestHead& head,
                std::string_view body);

  // Keys and values (kv_handlers.cc).
  void put_json(ExchangePtr exchange, const Route& route, std::string_view body);
  void key(ExchangePtr exchange, const Route& route, const RequestHead& head);
  void v1_key(ExchangePtr exchange, const Route& route, const RequestHead& head,
              std::string_view body);
  bool take_key(Exchange& exchange, std::string_view encoded, std::string& key);
  bool take_read_query(Exchange& exchange, std::string_view query, Consistency& consistency);
  void on_written(Exchange& exchange, const WriteAnswer& answer);
  void on_read(Exchange& exchange, const ReadAnswer& answer);
  void on_read_v1(Exchange& exchange, const ReadAnswer& answer);

  // The cluster (cluster_handlers.cc).
  void new_group(ExchangePtr exchange, std::string_view body);
  void add_member(ExchangePtr exchange, const Route& route, std::string_view body);
  void remove_member(ExchangePtr exchange, const Route& route);
  void on_done(Exchange& exchange, const Done&);
  void on_members(Exchange& exchange, const GroupInfo& group);
  void on_v1_members(Exchange& exchange, const GroupInfo& group);
  void on_group(Exchange& exchange, const GroupInfo& group);
  void on_cluster(Exchange& exchange, const ClusterInfo& cluster);
  /// A list under way: a page of answers in slices, so that no worker is busy with it for long.
  struct Listing {
    ExchangePtr exchange;
    size_t left = 0;   ///< Items that the page still takes.
    std::string text;  ///< The page so far.
    bool any = false;  ///< There is an item in it.
  };
  void list_groups(ExchangePtr exchange, const Route& route);
  void list_nodes(ExchangePtr exchange, const Route& route);
  bool take_list_query(Exchange& exchange, std::string_view query, size_t& limit, uint64_t& after);
  void next_groups(std::unique_ptr<Listing> listing, GroupId after);
  void on_groups(std::unique_ptr<Listing> listing, Reply<GroupPage> reply);
  void ready(Exchange& exchange, std::string_view query);
  void metrics(ExchangePtr exchange);

  /// A callback for the backend that answers an error itself and hands a value to `on_value`.
  template <auto on_value, class T>
  Callback<void(Reply<T>)> answer(ExchangePtr exchange) {
    // Two pointers: it fits into the Callback without an allocation.
    return [this, exchange = std::move(exchange)](Reply<T> reply) {
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
  static void add_position(Exchange& exchange, const Position& position);
  void fail(Exchange& exchange, const Error& error, NodeId leader);
  void redirect(Exchange& exchange, const Error& error, NodeId leader);

  const Config config_;
  Backend& backend_;
  bool draining_ = false;
  size_t listings_ = 0;  ///< Under way.
  // Reused memory.
  PutBody put_;
  std::string key_;
};

/// Fills a 200 whose body is `text`; `type` is of static storage.
void fill_text(Exchange& exchange, std::string_view type, std::string text);

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";

}  // namespace multiraft::rest
