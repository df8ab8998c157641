#include "transport/connection/connector.h"

#include <array>
#include <utility>

namespace multiraft::transport {
namespace {

constexpr size_t kBufferBytes = 4 * limits::kKiB;

}  // namespace

std::shared_ptr<Connector> Connector::start(std::shared_ptr<Context> context,
                                            env::Executor& executor, const env::Address& address,
                                            const wire::Hello& hello, int64_t timeout_ns,
                                            Done done) {
  auto dialer =
      std::make_shared<Connector>(std::move(context), executor, address, hello, std::move(done));
  dialer->connect(timeout_ns);
  return dialer;
}

Connector::Connector(std::shared_ptr<Context> context, env::Executor& executor,
                     const env::Address& address, const wire::Hello& hello, Done done)
    : context_(std::move(context)),
      executor_(executor),
      address_(address),
      hello_(hello),
      done_(std::move(done)),
      timer_(executor) {}

void Connector::connect(int64_t timeout_ns) {
  context_->env.network().connect(
      executor_, address_, timeout_ns,
      [weak = weak_from_this(), timeout_ns](Result<std::unique_ptr<env::Stream>> stream) {
        const auto self = weak.lock();
        if (!self || !self->done_) return;
        if (!stream) return self->finish(stream.status());
        self->send_hello(std::move(*stream), timeout_ns);
      });
}

void Connector::send_hello(std::unique_ptr<env::Stream> stream, int64_t timeout_ns) {
  // Only now: whoever looks up a name may have waited for long.
  timer_.set(context_->now() + timeout_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_.fired();
    self->finish(
        Status(StatusCode::kUnavailable, self->whom() + " does not answer the handshake in time"));
  });
  stream_ = std::move(stream);
  hello_frame_ = wire::encode(hello_);
  reader_ = std::make_unique<FrameReader>(*stream_, *this, kBufferBytes,
                                          wire::payload_bytes_max(wire::FrameKind::kHelloReply));
  const std::array<std::string_view, 1> parts = {hello_frame_};
  stream_->write(parts, [weak = weak_from_this()](Status status) {
    const auto self = weak.lock();
    // After an error the reader knows more: perhaps we were refused before all was sent.
    if (!self || !self->done_ || !status) return;
    self->hello_sent_ = true;
    self->welcome_if_complete();
  });
  reader_->start(weak_from_this());
}

bool Connector::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  if (header.kind != wire::FrameKind::kHelloReply) {
    finish(Status(StatusCode::kCorruption, whom() + " answers the handshake with something else"));
    return false;
  }
  wire::HelloReply reply;
  Status status = wire::decode(payload, reply);
  if (status) status = judge(reply);
  if (status && reader_->unread_bytes() > 0) {
    status = Status(StatusCode::kCorruption, whom() + " sends more than its part of the handshake");
  }
  if (!status) {
    finish(std::move(status));
  } else {
    welcome_ = std::move(reply);
    welcome_if_complete();
  }
  return false;
}

void Connector::welcome_if_complete() {
  // The answer may overtake the news that the question was sent; the stream is handed on only when
  // neither a read nor a write is under way.
  if (!welcome_ || !hello_sent_) return;
  finish(Connection{std::move(stream_), std::move(*welcome_)});
}

Status Connector::judge(const wire::HelloReply& reply) const {
  if (reply.code == StatusCode::kStateRollback) return judge_older(reply);
  if (reply.code != StatusCode::kOk) return {reply.code, whom() + " refuses: " + reply.text};
  if (hello_.to && reply.node != hello_.to) {
    return {StatusCode::kConflict, whom() + " is node " + to_string(reply.node)};
  }
  if (hello_.cluster && reply.cluster != hello_.cluster) {
    return {StatusCode::kConflict, whom() + " " + std::string(kOtherCluster)};
  }
  return Status::ok();
}

/// A node gives up its replicas over this, so that nobody's word is taken: the numbers must show
/// it, and they must come from the node that was to be reached, of our own cluster.
Status Connector::judge_older(const wire::HelloReply& reply) const {
  const bool ours = hello_.to && reply.node == hello_.to && hello_.cluster &&
                    reply.cluster == hello_.cluster && reply.known.node == hello_.node;
  const std::string why = ours ? nodes::why_older(hello_, reply.known) : std::string();
  if (why.empty()) {
    return {StatusCode::kConflict, whom() + " refuses without a reason: " + reply.text};
  }
  context_->fall_silent();
  Status status(StatusCode::kStateRollback, whom() + " refuses: " + reply.text);
  if (context_->options.on_state_rollback) {
    context_->options.on_state_rollback({reply.node, address_, reply.known, status.message()});
  }
  return status;
}

void Connector::on_end(const Status& status) {
  const StatusCode code =
      status.code() == StatusCode::kIoError ? StatusCode::kUnavailable : status.code();
  finish(Status(code, whom() + ": " + status.message()));
}

std::string Connector::whom() const {
  return (hello_.to ? "node " + to_string(hello_.to) + " at " : "the node at ") +
         address_.to_string();
}

void Connector::finish(Result<Connection> result) {
  if (!done_) return;
  Done done = std::exchange(done_, nullptr);
  timer_.cancel();
  if (stream_) stream_->close();
  done(std::move(result));
}

void Connector::close() {
  const Done dropped = std::exchange(done_, nullptr);
  timer_.cancel();
  if (stream_) stream_->close();
}

}  // namespace multiraft::transport
