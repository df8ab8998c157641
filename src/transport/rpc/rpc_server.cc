#include "transport/rpc/rpc_server.h"

#include <utility>

#include "base/coverage.h"
#include "transport/connection/frame_reader.h"
#include "transport/connection/frame_writer.h"
#include "transport/messages/worker_transport.h"
#include "transport/timer.h"
#include "wire/batch.h"

namespace multiraft::transport {
namespace {

constexpr size_t kBufferBytes = 4 * limits::kKiB;
/// What somebody may make us read who is not a member yet.
constexpr size_t kNewcomerPayloadBytesMax = 64 * limits::kKiB;
/// Who calls has a timeout of its own and then closes; this one is for those who do not.
constexpr int64_t kAnswerTimeoutNs = 120 * env::kSecond;

}  // namespace

class RpcServer::Caller final : public FrameReader::Handler,
                                public std::enable_shared_from_this<Caller> {
 public:
  Caller(RpcServer& desk, const wire::Hello& hello, std::unique_ptr<env::Stream> stream, bool known)
      : source(source_of(stream->remote_address())),
        desk_(desk),
        hello_(hello),
        known_(known),
        node_(hello.node),
        stream_(std::move(stream)),
        reader_(*stream_, *this, kBufferBytes,
                hello.cluster ? wire::kFramePayloadBytesMax : kNewcomerPayloadBytesMax),
        writer_(*stream_),
        timer_(*desk.context_->options.workers[0]) {}

  const std::string source;  ///< Where it comes from, without the port.
  bool known() const { return known_; }
  NodeId node() const { return node_; }
  uint64_t id() const { return id_; }

  void start() {
    set_timer(desk_.context_->options.handshake_timeout_ns);
    writer_.start(weak_from_this());
    reader_.start(weak_from_this());
  }

  void close() {
    timer_.cancel();
    stream_->close();
  }

  void answer(wire::Response response) {
    response.id = asked_id_;
    wire::BatchEncoder batch;
    if (!batch.fits(wire::record_bytes(response))) {
      response = {asked_id_, StatusCode::kTooLarge,
                  SharedBytes::copy_of("the answer is too large")};
    }
    batch.add(response);
    std::string frame;
    for (const std::string_view part : batch.finish()) frame += part;
    writer_.send(std::move(frame));
    set_timer(desk_.context_->options.handshake_timeout_ns);
  }

  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override {
    Counters& counters = desk_.context_->worker_counters[0];
    wire::BatchReader records(std::move(payload));
    if (id_ != 0 || header.kind != wire::FrameKind::kBatch ||
        records.next() != wire::BatchReader::Item::kRequest) {
      return reject();
    }
    wire::Request request = std::move(records.request());
    if (records.next() != wire::BatchReader::Item::kEnd) return reject();
    counters.frames_received.add();
    counters.messages_received.add();
    asked_id_ = request.id;
    id_ = desk_.next_id_++;
    desk_.waiting_.emplace(id_, this);
    if (!hello_.cluster && request.kind != wire::RequestKind::kJoin) {
      counters.connections_refused.add();
      desk_.answer(node_,
                   {id_, StatusCode::kInvalidArgument,
                    SharedBytes::copy_of("a node without a cluster may only ask to join one")});
      return true;
    }
    // Writes come from members of groups, on their connections.
    if (request.kind == wire::RequestKind::kPropose) {
      MR_COVERAGE("proposal by a call refused");
      counters.connections_refused.add();
      desk_.answer(node_, {id_, StatusCode::kInvalidArgument,
                           SharedBytes::copy_of("a proposal does not come by a call")});
      return true;
    }
    if (!known_ && request.kind != wire::RequestKind::kJoin) node_ = NodeId();
    set_timer(kAnswerTimeoutNs);
    request.id = id_;
    Receiver& receiver = *desk_.context_->options.receivers[0];
    receiver.on_request({node_, hello_.incarnation}, std::move(request));
    receiver.on_batch_end(hello_.node);
    return true;
  }

  /// The other side has got its answer, or has stopped waiting for it.
  void on_end(const Status& status) override {
    if (status.code() != StatusCode::kUnavailable && status.code() != StatusCode::kIoError) {
      reject();
      return;
    }
    leave();
  }

 private:
  bool reject() {
    desk_.context_->worker_counters[0].frames_rejected.add();
    leave();
    return false;
  }

  void set_timer(int64_t timeout_ns) {
    timer_.set(desk_.context_->now() + timeout_ns, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->timer_.fired();
      MR_COVERAGE("caller timed out");
      self->leave();
    });
  }

  void leave() {
    close();
    desk_.gone(*this);
  }

  RpcServer& desk_;
  const wire::Hello hello_;
  const bool known_;
  NodeId node_;  ///< Who asks, as far as that is certain.
  const std::unique_ptr<env::Stream> stream_;
  FrameReader reader_;
  FrameWriter writer_;
  Timer timer_;
  uint64_t id_ = 0;        ///< Ours; 0: has not asked yet.
  uint64_t asked_id_ = 0;  ///< The caller's.
};

RpcServer::RpcServer(std::shared_ptr<Context> context)
    : context_(std::move(context)),
      strangers_(context_->strangers_per_source_max()),
      next_id_(kCallIdBit + 1) {}

RpcServer::~RpcServer() = default;

void RpcServer::adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream, bool known) {
  if (closed_) return;
  if (callers_.size() >= context_->options.handshakes_max) {
    MR_COVERAGE("too many callers");
    context_->worker_counters[0].connections_refused.add();
    return;
  }
  if (!known && strangers_.full(source_of(stream->remote_address()))) {
    MR_COVERAGE("too many callers of one address");
    context_->worker_counters[0].connections_refused.add();
    return;
  }
  auto caller = std::make_shared<Caller>(*this, hello, std::move(stream), known);
  callers_.emplace(caller.get(), caller);
  if (!known) strangers_.add(caller->source);
  caller->start();
}

bool RpcServer::answer(NodeId to, wire::Response response) {
  const auto found = waiting_.find(response.id);
  if (found == waiting_.end() || found->second->node() != to) return false;
  Caller& caller = *found->second;
  waiting_.erase(found);
  caller.answer(std::move(response));
  return true;
}

void RpcServer::gone(Caller& caller) {
  waiting_.erase(caller.id());
  if (!caller.known() && callers_.contains(&caller)) strangers_.remove(caller.source);
  callers_.erase(&caller);
}

void RpcServer::close() {
  closed_ = true;
  waiting_.clear();
  for (auto& [caller, held] : std::exchange(callers_, {})) held->close();
}

}  // namespace multiraft::transport
