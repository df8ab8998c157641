#pragma once
// A listening TCP socket in an executor.

#include <memory>

#include "env/network.h"
#include "env/posix/executor_core.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {

class ListenerState;

class PosixListener final : public Listener {
 public:
  /// Binds and listens; on any thread. Accepting starts on the executor's.
  static Result<std::unique_ptr<Listener>> open(const std::shared_ptr<ExecutorCore>& core,
                                                const Address& address,
                                                Callback<void(std::unique_ptr<Stream>)> on_accept);

  PosixListener(std::shared_ptr<ListenerState> state, uint16_t port);
  ~PosixListener() override;

  uint16_t port() const override { return port_; }
  void close() override;

 private:
  const std::shared_ptr<ListenerState> state_;
  const uint16_t port_;
};

}  // namespace multiraft::env
