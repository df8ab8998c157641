#include "peer/worker_transport.h"

#include <algorithm>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

constexpr int64_t kBackoffFirstNs = 20 * env::kMillisecond;
constexpr int64_t kCallTimeoutNs = 30 * env::kSecond;

}  // namespace

class WorkerConnections::Visitor final : public peer::BatchVisitor {
 public:
  Visitor(Receiver& receiver, NodeId from) : receiver_(receiver), from_(from) {}
  void on_message(peer::GroupMessage message) override {
    ++records_;
    receiver_.on_message(from_, std::move(message));
  }
  void on_request(peer::Request request) override {
    ++records_;
    // Ids with this bit are ours alone.
    if ((request.id & kCallIdBit) == 0) receiver_.on_request(from_, std::move(request));
  }
  void on_response(peer::Response response) override {
    ++records_;
    receiver_.on_response(from_, std::move(response));
  }
  uint64_t records() const { return records_; }

 private:
  Receiver& receiver_;
  const NodeId from_;
  uint64_t records_ = 0;
};

WorkerConnections::WorkerConnections(Shared& shared, uint32_t index)
    : shared_(shared),
      index_(index),
      executor_(*shared.options.workers[index]),
      random_(shared.env.random_u64()) {}

WorkerConnections::~WorkerConnections() { *alive_ = false; }

// -- Sending.

WorkerConnections::Outgoing* WorkerConnections::gather_for(NodeId node, size_t bytes) {
  if (closed_ || node == shared_.options.identity.node) return nullptr;
  auto found = outgoing_.find(node.value);
  if (found == outgoing_.end()) {
    if (!shared_.address(node)) return nullptr;
    found = outgoing_.emplace(node.value, std::make_unique<Outgoing>()).first;
    found->second->node = node;
  }
  Outgoing& out = *found->second;
  if (!out.frames && !out.connecting) {
    if (now() < out.retry_at) {
      Counters::add(shared_.counters.messages_dropped, 1);
      return nullptr;
    }
    connect(out);
  }
  if (out.gathering.payload_bytes() + bytes > limits::kPeerSendQueueBytesMax) {
    MR_COVERAGE("transport: send queue full");
    Counters::add(shared_.counters.messages_dropped, 1);
    return nullptr;
  }
  // A frame has a limit of its own; what does not fit behind a write under way is lost, as on a
  // network.
  if (!out.gathering.empty() &&
      out.gathering.payload_bytes() + bytes + 1024 > limits::kFrameBytesMax) {
    if (!out.frames || out.writing) {
      Counters::add(shared_.counters.messages_dropped, 1);
      return nullptr;
    }
    write(out);
    if (out.writing && out.gathering.payload_bytes() > 0) return nullptr;
  }
  if (!out.in_flush) {
    out.in_flush = true;
    to_flush_.push_back(&out);
  }
  return &out;
}

bool WorkerConnections::send(NodeId to, const peer::GroupMessage& message) {
  size_t bytes = 96;
  for (const raft::Entry& entry : message.message.entries) bytes += entry.data.size() + 24;
  Outgoing* out = gather_for(to, bytes);
  if (!out) return false;
  out->gathering.add(message);
  return true;
}

bool WorkerConnections::send(NodeId to, peer::Request request) {
  Outgoing* out = gather_for(to, request.payload.size() + 32);
  if (!out) return false;
  out->gathering.add(request);
  return true;
}

bool WorkerConnections::send(NodeId to, peer::Response response) {
  if ((response.id & kCallIdBit) != 0) {
    auto call = calls_.find(response.id);
    if (call == calls_.end()) return false;
    const uint64_t id = response.id;
    response.id = 0;
    peer::BatchWriter batch;
    batch.add(response);
    std::string bytes;
    for (std::string_view part : batch.finish()) bytes += part;
    call->second.frames->write(std::move(bytes), [this, id](Status) { end_call(id); });
    return true;
  }
  Outgoing* out = gather_for(to, response.payload.size() + 32);
  if (!out) return false;
  out->gathering.add(response);
  return true;
}

void WorkerConnections::flush() {
  for (Outgoing* out : to_flush_) {
    out->in_flush = false;
    if (out->frames && !out->writing) write(*out);
  }
  to_flush_.clear();
}

void WorkerConnections::write(Outgoing& out) {
  if (out.gathering.empty()) return;
  std::swap(out.gathering, out.sending);
  out.writing = true;
  Counters::add(shared_.counters.frames_sent, 1);
  Counters::add(shared_.counters.messages_sent, out.sending.records());
  Counters::add(shared_.counters.bytes_sent, out.sending.payload_bytes() + peer::kFrameHeaderBytes);
  const std::vector<std::string_view> parts = out.sending.finish();
  out.frames->write(parts, [this, node = out.node, stream = out.frames.get()](Status status) {
    if (!status) {
      broken(node, stream);
      return;
    }
    auto found = outgoing_.find(node.value);
    if (found == outgoing_.end() || found->second->frames.get() != stream) return;
    Outgoing& sent = *found->second;
    sent.writing = false;
    sent.sending.clear();
    write(sent);  // What gathered meanwhile.
  });
}

// -- Outgoing connections.

void WorkerConnections::connect(Outgoing& out) {
  const auto address = shared_.address(out.node);
  if (!address) return;
  out.connecting = true;
  dial(shared_, executor_, *address,
       shared_.hello(peer::ConnectionKind::kMessages, out.node, index_),
       shared_.options.connect_timeout_ns, alive_,
       [this, node = out.node](Result<Dialed> dialed) { connected(node, std::move(dialed)); });
}

void WorkerConnections::connected(NodeId node, Result<Dialed> dialed) {
  auto found = outgoing_.find(node.value);
  if (closed_ || found == outgoing_.end()) return;
  Outgoing& out = *found->second;
  out.connecting = false;
  if (!dialed) {
    out.gathering.clear();
    const int64_t doubled = kBackoffFirstNs << std::min(out.failures, 10);
    const int64_t pause = std::min(doubled, shared_.options.reconnect_backoff_max_ns);
    ++out.failures;
    out.retry_at = now() + pause / 2 +
                   static_cast<int64_t>(random_.below(static_cast<uint64_t>(pause / 2 + 1)));
    receiver().on_disconnected(node, false);
    return;
  }
  out.failures = 0;
  out.frames = std::move(dialed->frames);
  // Nothing is ever sent back here: reading only notices the end.
  out.frames->read([this, node, stream = out.frames.get()](Result<FrameStream::Frame>) {
    broken(node, stream);
    return false;
  });
  write(out);
}

void WorkerConnections::broken(NodeId node, const FrameStream* stream) {
  auto found = outgoing_.find(node.value);
  if (found == outgoing_.end() || found->second->frames.get() != stream) return;
  MR_COVERAGE("transport: connection broke");
  Outgoing& out = *found->second;
  // Destroyed on the next round: this may be one of its own callbacks.
  executor_.post([frames = std::shared_ptr<FrameStream>(std::move(out.frames))] {});
  out.writing = false;
  out.gathering.clear();
  out.sending.clear();
  out.retry_at = now() + kBackoffFirstNs / 2;
  receiver().on_disconnected(node, true);
}

void WorkerConnections::reset(NodeId node) {
  auto found = outgoing_.find(node.value);
  if (found == outgoing_.end()) return;
  if (found->second->frames) broken(node, found->second->frames.get());
  found->second->failures = 0;
  found->second->retry_at = {};
}

void WorkerConnections::forget(NodeId node) {
  reset(node);
  auto found = outgoing_.find(node.value);
  if (found == outgoing_.end()) return;
  std::erase(to_flush_, found->second.get());
  outgoing_.erase(found);
}

// -- Incoming connections.

void WorkerConnections::adopt(NodeId node, std::unique_ptr<FrameStream> frames) {
  if (closed_) return;
  // It lives: no reason to wait before the next attempt to reach it.
  auto out = outgoing_.find(node.value);
  if (out != outgoing_.end()) {
    out->second->failures = 0;
    out->second->retry_at = {};
  }
  const uint64_t connection = next_connection_++;
  FrameStream& stream = *frames;
  incoming_.emplace(connection, Incoming{node, std::move(frames)});
  stream.read([this, node, connection](Result<FrameStream::Frame> frame) {
    return on_batch(node, connection, std::move(frame));
  });
}

bool WorkerConnections::on_batch(NodeId from, uint64_t connection,
                                 Result<FrameStream::Frame> frame) {
  Status status = frame.status();
  if (frame) {
    Counters::add(shared_.counters.frames_received, 1);
    Counters::add(shared_.counters.bytes_received, frame->payload.size() + peer::kFrameHeaderBytes);
    Visitor visitor(receiver(), from);
    status = frame->kind == peer::FrameKind::kBatch
                 ? peer::decode_batch(frame->payload, visitor)
                 : Status(StatusCode::kInvalidArgument, "not a batch");
    Counters::add(shared_.counters.messages_received, visitor.records());
    receiver().on_batch_end(from);
  }
  if (status) return true;
  if (status.code() != StatusCode::kCancelled) {
    MR_COVERAGE("transport: garbage from a node");
    Counters::add(shared_.counters.frames_rejected, 1);
  }
  auto found = incoming_.find(connection);
  if (found != incoming_.end()) {
    executor_.post([frames = std::shared_ptr<FrameStream>(std::move(found->second.frames))] {});
    incoming_.erase(found);
  }
  return false;
}

// -- Calls.

void WorkerConnections::adopt_call(NodeId node, bool member, std::unique_ptr<FrameStream> frames) {
  if (closed_) return;
  const uint64_t id = kCallIdBit | next_connection_++;
  FrameStream& stream = *frames;
  Call& call = calls_[id];
  call.node = node;
  call.member = member;
  call.frames = std::move(frames);
  call.timer = executor_.run_at(now() + kCallTimeoutNs, [this, alive = alive_, id] {
    if (*alive) end_call(id);
  });
  stream.read([this, id](Result<FrameStream::Frame> frame) {
    on_call(id, std::move(frame));
    return false;
  });
}

void WorkerConnections::on_call(uint64_t id, Result<FrameStream::Frame> frame) {
  /// Takes the one request; anything else is a fault.
  class OneRequest final : public peer::BatchVisitor {
   public:
    void on_message(peer::GroupMessage) override { ++others; }
    void on_request(peer::Request r) override {
      if (count++ == 0) request = std::move(r);
    }
    void on_response(peer::Response) override { ++others; }
    peer::Request request;
    int count = 0;
    int others = 0;
  };
  auto call = calls_.find(id);
  if (call == calls_.end()) return;
  OneRequest one;
  const bool valid = frame && frame->kind == peer::FrameKind::kBatch &&
                     peer::decode_batch(frame->payload, one).is_ok() && one.count == 1 &&
                     one.others == 0 &&
                     (call->second.member || one.request.kind == peer::RequestKind::kJoin);
  if (!valid) {
    Counters::add(shared_.counters.frames_rejected, 1);
    end_call(id);
    return;
  }
  one.request.id = id;
  receiver().on_request(call->second.node, std::move(one.request));
}

void WorkerConnections::end_call(uint64_t id) {
  auto call = calls_.find(id);
  if (call == calls_.end()) return;
  executor_.cancel(call->second.timer);
  executor_.post([frames = std::shared_ptr<FrameStream>(std::move(call->second.frames))] {});
  calls_.erase(call);
}

void WorkerConnections::close() {
  closed_ = true;
  *alive_ = false;
  to_flush_.clear();
  outgoing_.clear();
  incoming_.clear();
  calls_.clear();
}

}  // namespace multiraft::transport
