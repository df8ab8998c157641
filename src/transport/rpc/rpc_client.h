#pragma once
// One request to an address, on a connection of its own.

#include <memory>

#include "env/network.h"
#include "transport/connection/connector.h"
#include "transport/connection/frame_reader.h"
#include "transport/context.h"
#include "transport/timer.h"
#include "wire/batch.h"

namespace multiraft::transport {

/// On the executor it was given; it lives until it is done. It may outlive its transport.
class RpcClient final : public FrameReader::Handler,
                        public std::enable_shared_from_this<RpcClient> {
 public:
  using Done = Callback<void(Result<wire::Response>)>;

  RpcClient(std::shared_ptr<Context> context, env::Executor& executor, wire::Request request,
            Done done);

  void start(const Callee& callee, int64_t timeout_ns);
  /// From any thread: done(kCancelled), if it is not done yet.
  void cancel();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  void ask(std::unique_ptr<env::Stream> stream);
  void fail(const Status& why);
  void finish(Result<wire::Response> result);

  const std::shared_ptr<Context> context_;
  env::Executor& executor_;
  const wire::Request request_;
  Done done_;
  Timer timer_;
  std::shared_ptr<RpcClient> self_;  ///< Until it is done.
  std::shared_ptr<Connector> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  wire::BatchEncoder batch_;
  std::string whom_;
};

}  // namespace multiraft::transport
