#pragma once
// Making a connection to another node: connect, hello, answer.

#include <memory>
#include <optional>
#include <string>

#include "env/network.h"
#include "transport/connection/frame_reader.h"
#include "transport/context.h"
#include "transport/timer.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// A connection on which the other side has welcomed us.
struct Connection {
  std::unique_ptr<env::Stream> stream;
  wire::HelloReply reply;
};

/// One attempt, on one executor. Lives until done, or until it is closed.
class Connector final : public FrameReader::Handler,
                        public std::enable_shared_from_this<Connector> {
 public:
  using Done = Callback<void(Result<Connection>)>;

  /// `done` is called once, never from within, unless close() comes first. kUnavailable: nobody
  /// there, or no answer in time; otherwise we were refused, and the message says by whom and why.
  static std::shared_ptr<Connector> start(std::shared_ptr<Context> context, env::Executor& executor,
                                          const env::Address& address, const wire::Hello& hello,
                                          int64_t timeout_ns, Done done);
  Connector(std::shared_ptr<Context> context, env::Executor& executor, const env::Address& address,
            const wire::Hello& hello, Done done);

  void close();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  void connect(int64_t timeout_ns);
  void send_hello(std::unique_ptr<env::Stream> stream, int64_t timeout_ns);
  Status judge(const wire::HelloReply& reply) const;
  Status judge_older(const wire::HelloReply& reply) const;
  void welcome_if_complete();
  void finish(Result<Connection> result);
  std::string whom() const;

  const std::shared_ptr<Context> context_;
  env::Executor& executor_;
  const env::Address address_;
  const wire::Hello hello_;
  Done done_;
  Timer timer_;
  std::string hello_frame_;
  bool hello_sent_ = false;
  std::optional<wire::HelloReply> welcome_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
};

}  // namespace multiraft::transport
