#pragma once
// One request to an address, on a connection of its own.

#include <memory>

#include "env/network.h"
#include "transport/context.h"
#include "transport/dialer.h"
#include "transport/frame_reader.h"
#include "transport/timer.h"
#include "wire/batch.h"

namespace multiraft::transport {

/// On the executor it was given; it lives until it is done. It may outlive its transport.
class CallClient final : public FrameReader::Handler,
                         public std::enable_shared_from_this<CallClient> {
 public:
  using Done = Callback<void(Result<wire::Response>)>;

  CallClient(std::shared_ptr<Context> context, env::Executor& executor, wire::Request request,
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
  std::shared_ptr<CallClient> self_;  ///< Until it is done.
  std::shared_ptr<Dialer> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  wire::BatchEncoder batch_;
  std::string whom_;
};

}  // namespace multiraft::transport
