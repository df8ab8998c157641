#include "rest/rest_server.h"

#include <cstdio>

#include "base/assert.h"
#include "http/server.h"
#include "rest/rest_handler.h"

namespace multiraft::rest {
namespace {

class RestServerImpl final : public RestServer {
 public:
  RestServerImpl(const RestOptions& options, const std::vector<env::Executor*>& workers,
                 const std::vector<service::Service*>& services)
      : grace_ns_(options.stop_grace_ns), executors_(workers) {
    RestHandler::Config config;
    config.redirect = options.redirect;
    config.reads = options.reads;
    for (size_t i = 0; i < workers.size(); ++i) {
      stats_.push_back(std::make_unique<http::AccessStats>(api::kRouteClassNames));
      config.all_stats.push_back(stats_.back().get());
    }
    for (service::Service* service : services) {
      budgets_.push_back(std::make_shared<MemoryBudget>(options.limits.held_bytes_per_worker_max));
      service->set_budget(budgets_.back());
      handlers_.push_back(std::make_unique<RestHandler>(config, *service));
    }
  }

  ~RestServerImpl() override { stop(); }

  Status listen(const RestOptions& options, env::Environment& env, NodeId node) {
    const uint64_t run = env.random_u64();
    std::vector<http::Server::WorkerParts> parts;
    for (size_t i = 0; i < executors_.size(); ++i) {
      http::Worker::Config config;
      config.limits = options.limits;
      config.budget = budgets_[i];
      config.request_id_prefix = request_id_prefix(node, run, i);
      config.common_headers = "Multiraft-Served-By: " + to_string(node) + "\r\n";
      parts.push_back({executors_[i], handlers_[i].get(), stats_[i].get(), std::move(config)});
    }
    auto server = http::Server::start(options.listen, env, std::move(parts));
    if (!server) return server.status();
    server_ = std::move(*server);
    return Status::ok();
  }

  uint16_t port() const override { return server_->port(); }

  void begin_drain() override {
    for (size_t i = 0; i < executors_.size(); ++i) {
      executors_[i]->post([handler = handlers_[i].get()] { handler->begin_drain(); });
    }
    server_->begin_drain();
  }

  void stop() override {
    if (server_) server_->stop(grace_ns_);
  }

 private:
  /// Unlike those of other nodes, other runs and other workers.
  static std::string request_id_prefix(NodeId node, uint64_t run, size_t worker) {
    char text[64];
    const int n = std::snprintf(text, sizeof text, "%llu-%08x-%zu-",
                                static_cast<unsigned long long>(node.value),
                                static_cast<unsigned>(run), worker);
    return {text, static_cast<size_t>(n)};
  }

  const int64_t grace_ns_;
  const std::vector<env::Executor*> executors_;
  std::vector<std::unique_ptr<http::AccessStats>> stats_;
  std::vector<std::shared_ptr<MemoryBudget>> budgets_;
  std::vector<std::unique_ptr<RestHandler>> handlers_;
  std::unique_ptr<http::Server> server_;  ///< Last: stops before what it uses is gone.
};

}  // namespace

Result<std::unique_ptr<RestServer>> RestServer::start(RestOptions options, env::Environment& env,
                                                      std::vector<env::Executor*> workers,
                                                      std::vector<service::Service*> services) {
  MR_ASSERT(!workers.empty() && workers.size() == services.size());
  auto server = std::make_unique<RestServerImpl>(options, workers, services);
  MR_RETURN_IF_ERROR(server->listen(options, env, services.front()->node()));
  return std::unique_ptr<RestServer>(std::move(server));
}

}  // namespace multiraft::rest
