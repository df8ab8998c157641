#pragma once
// A connected TCP socket in an executor.

#include <memory>
#include <string>

#include "env/network.h"
#include "env/posix/executor_core.h"
#include "env/posix/socket_address.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {

/// The socket and the callbacks under way. It outlives its PosixStream until the last completion
/// has come back, and then knows that nobody waits for it.
class StreamState;

class PosixStream final : public Stream {
 public:
  /// Takes a connected, non-blocking socket over, on the executor's thread. The error is that of
  /// epoll (no memory, no watches left).
  static Result<std::unique_ptr<Stream>> adopt(const std::shared_ptr<ExecutorCore>& core,
                                               UniqueFd fd, const SocketAddress& remote);

  explicit PosixStream(std::shared_ptr<StreamState> state);
  ~PosixStream() override;

  void read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) override;
  void write(std::span<const std::string_view> parts, Callback<void(Status)> done) override;
  void shutdown_write() override;
  void close() override;
  std::string local_address() const override;
  std::string remote_address() const override;
  void move_to(Executor& other, Callback<void(std::unique_ptr<Stream>)> ready) override;

 private:
  const std::shared_ptr<StreamState> state_;
};

}  // namespace multiraft::env
