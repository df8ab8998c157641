#include "transport/rpc/rpc_client.h"

#include <utility>

namespace multiraft::transport {
namespace {

constexpr size_t kBufferBytes = 4 * limits::kKiB;

}  // namespace

RpcClient::RpcClient(std::shared_ptr<Context> context, env::Executor& executor,
                     wire::Request request, Done done)
    : context_(std::move(context)),
      executor_(executor),
      request_(std::move(request)),
      done_(std::move(done)),
      timer_(executor) {}

void RpcClient::start(const Callee& callee, int64_t timeout_ns) {
  self_ = shared_from_this();
  whom_ = (callee.node ? "node " + to_string(callee.node) + " at " : "the node at ") +
          callee.address.to_string();
  if (!context_->cluster() && request_.kind != wire::RequestKind::kJoin) {
    finish(Status(StatusCode::kInvalidArgument, "a node without a cluster may only ask to join"));
    return;
  }
  if (!batch_.fits(wire::record_bytes(request_))) {
    finish(Status(StatusCode::kTooLarge, "the request is larger than a frame"));
    return;
  }
  timer_.set(context_->now() + timeout_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_.fired();
    self->fail({StatusCode::kUnavailable, "no answer in time"});
  });
  dialer_ = Connector::start(context_, executor_, callee.address,
                             context_->hello(wire::ConnectionKind::kCall, 0, callee.node),
                             timeout_ns, [weak = weak_from_this()](Result<Connection> dialed) {
                               const auto self = weak.lock();
                               if (!self || !self->done_) return;
                               if (!dialed) return self->finish(dialed.status());
                               self->ask(std::move(dialed->stream));
                             });
}

void RpcClient::ask(std::unique_ptr<env::Stream> stream) {
  stream_ = std::move(stream);
  batch_.add(request_);
  // An error is seen by the reader too.
  stream_->write(batch_.finish(), [self = shared_from_this()](const Status&) {});
  reader_ = std::make_unique<FrameReader>(*stream_, *this, kBufferBytes);
  reader_->start(weak_from_this());
}

bool RpcClient::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  wire::BatchReader records(std::move(payload));
  if (header.kind != wire::FrameKind::kBatch ||
      records.next() != wire::BatchReader::Item::kResponse ||
      records.response().id != request_.id) {
    fail({StatusCode::kCorruption, "something else than an answer came"});
  } else {
    finish(std::move(records.response()));
  }
  return false;
}

void RpcClient::on_end(const Status& status) { fail(status); }

void RpcClient::fail(const Status& why) {
  // Once it may have been sent, nobody here knows what became of it.
  const StatusCode code = stream_ ? StatusCode::kUnknownOutcome : StatusCode::kUnavailable;
  finish(Status(code, whom_ + ": " + why.message()));
}

void RpcClient::cancel() {
  executor_.post([self = shared_from_this()] {
    self->finish(Status(StatusCode::kCancelled, "this node stops"));
  });
}

void RpcClient::finish(Result<wire::Response> result) {
  if (!done_) return;
  const std::shared_ptr<RpcClient> self = std::exchange(self_, nullptr);
  Done done = std::exchange(done_, nullptr);
  timer_.cancel();
  if (dialer_) dialer_->close();
  if (stream_) stream_->close();
  done(std::move(result));
}

}  // namespace multiraft::transport
