#pragma once
// The composition root: the only place that knows every module. Opens the state directory, starts
// the engines, the host, the controller and the HTTP server, and stops them in the reverse order.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "env/env.h"
#include "multiraft/status.h"
#include "server/options.h"

namespace multiraft::server {

/// What the process ends with (docs/operations.md, "Stop").
enum class ExitStatus : uint8_t {
  kOk = 0,
  kTryAgain = 1,  ///< What it needs is not there now: addresses, descriptors, memory.
  kUsage = 2,
  kStateDirectory = 3,
  kJoinRefused = 4,
  kDiskFailure = 5,
};

/// Ends a server's life from within: the main thread is woken and asks for the reason.
/// Thread-safe.
class ShutdownRequest {
 public:
  explicit ShutdownRequest(Task wake) : wake_(std::move(wake)) {}
  /// The first reason counts.
  void request(ExitStatus status) { request_number(static_cast<int>(status)); }
  /// Not the process: the server is to be stopped, its replicas are to be given up, and it is to be
  /// started again (give_up_replicas()).
  void request_rejoin() { request_number(kRejoin); }
  bool requested() const { return status_.load() != kNone; }
  bool rejoins() const { return status_.load() == kRejoin; }
  /// Of the process; not where it rejoins().
  ExitStatus status() const { return static_cast<ExitStatus>(status_.load()); }

 private:
  static constexpr int kNone = -1;
  static constexpr int kRejoin = -2;

  void request_number(int status);

  Task wake_;
  std::atomic<int> status_{kNone};
};

class Server {
 public:
  virtual ~Server() = default;
  /// `shutdown_request` is called when the node was removed, could not join or lost its disk.
  /// `pause` sleeps and returns true where the process is asked to stop meanwhile: the start ends
  /// with kCancelled then.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, env::Environment& env,
                                               ShutdownRequest& shutdown_request,
                                               std::function<bool(int64_t ns)> pause);
  /// Hands over leaderships, finishes what is in flight, and stops. At most about 10 s.
  virtual void stop() = 0;
};

/// After a server was stopped and destroyed because its state directory is older than what others
/// know: puts the replicas aside, as `multiraft-log repair -from_peers` does, so that the next
/// server joins the cluster with new ones.
Status give_up_replicas(const ServerOptions& options, env::Environment& env);

}  // namespace multiraft::server
