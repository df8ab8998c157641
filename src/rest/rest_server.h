#pragma once
// The HTTP interface of a node: the entry to this module.

#include <cstdint>
#include <memory>
#include <vector>

#include "env/env.h"
#include "http/worker.h"
#include "multiraft/status.h"
#include "service/service.h"

namespace multiraft::rest {

struct RestOptions {
  env::Address listen;
  bool redirect = true;  ///< 307 to a member of a group that is not here; else 421.
  service::Consistency reads =
      service::Consistency::kLinearizable;  ///< Where the request does not say.
  http::Limits limits;
  int64_t stop_grace_ns = 5 * env::kSecond;  ///< For requests under way when stop() is called.
};

class RestServer {
 public:
  /// Binds at once; the error names the address and the reason. backends[i] is called on
  /// workers[i]'s thread. Executors and backends outlive the server.
  static Result<std::unique_ptr<RestServer>> start(RestOptions options, env::Environment& env,
                                                   std::vector<env::Executor*> workers,
                                                   std::vector<service::Service*> services);
  virtual ~RestServer() = default;

  /// The port really bound.
  virtual uint16_t port() const = 0;
  /// /readyz says no, and every answer closes its connection, so that clients go elsewhere; what
  /// they ask is still answered. From any thread.
  virtual void begin_drain() = 0;
  /// Stops accepting, finishes what is in flight within the grace, closes. Waits for it. Not from a
  /// worker's thread; while the executors run. Idempotent; the destructor does it too. A reply of
  /// the backend that comes later is dropped.
  virtual void stop() = 0;
};

}  // namespace multiraft::rest
