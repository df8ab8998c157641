#pragma once
// The composition root: the only place that knows every module. Opens the state directory, starts
// the engines, the host, the controller and the HTTP server, and stops them in the reverse order.

#include <atomic>
#include <memory>
#include <string>

#include "base/status.h"
#include "env/env.h"
#include "server/options.h"

namespace multiraft::server {

/// What the process ends with (api.md section 1).
enum class ExitStatus : uint8_t {
  kOk = 0,
  kUsage = 2,
  kStateDirectory = 3,
  kJoinRefused = 4,
  kDiskFailure = 5,
};

/// Ends the server's life from within: the main thread is woken and asks for the reason.
/// Thread-safe.
class Ending {
 public:
  explicit Ending(Task wake) : wake_(std::move(wake)) {}
  /// The first reason counts.
  void request(ExitStatus status);
  bool requested() const { return status_.load() != kNone; }
  ExitStatus status() const { return static_cast<ExitStatus>(status_.load()); }

 private:
  static constexpr int kNone = -1;

  Task wake_;
  std::atomic<int> status_{kNone};
};

class Server {
 public:
  virtual ~Server() = default;
  /// `ending` is told when the node was removed, could not join or lost its disk.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, env::Environment& env,
                                               Ending& ending);
  /// Hands over leaderships, finishes what is in flight, and stops. At most about 10 s.
  virtual void stop() = 0;
};

}  // namespace multiraft::server
