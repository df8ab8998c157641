#include "transport/transport.h"

#include <condition_variable>
#include <mutex>

#include "base/coverage.h"
#include "peer/snapshot_streams.h"
#include "peer/worker_transport.h"

namespace multiraft::transport {
namespace {

constexpr int64_t kHandshakeTimeoutNs = 5 * env::kSecond;
constexpr size_t kHandshakeBytesMax = 8 * limits::kKiB;
constexpr size_t kHandshakesMax = 1024;

void run_and_wait(env::Executor& executor, Task work) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;
  };
  auto state = std::make_shared<State>();
  executor.post([state, work = std::move(work)]() mutable {
    work();
    std::lock_guard lock(state->mutex);
    state->finished = true;
    state->changed.notify_all();
  });
  std::unique_lock lock(state->mutex);
  state->changed.wait(lock, [&] { return state->finished; });
}

class TransportImpl final : public Transport {
 public:
  TransportImpl(const TransportOptions& options, env::Environment& env)
      : shared_(options, env), snapshots_(shared_) {
    for (uint32_t i = 0; i < options.workers.size(); ++i) {
      workers_.push_back(std::make_unique<WorkerConnections>(shared_, i));
    }
  }
  ~TransportImpl() override { stop(); }

  Status listen();

  WorkerTransport& worker(uint32_t index) override { return *workers_[index]; }
  uint16_t port() const override { return listener_->port(); }
  void set_address(NodeId node, const env::Address& address) override;
  void forget(NodeId node) override;
  void set_cluster(ClusterId cluster) override { shared_.set_cluster(cluster); }
  void send_snapshot(NodeId to, const peer::SnapshotHeader& header,
                     std::unique_ptr<ChunkSource> source, env::Executor& executor,
                     Callback<void(Status)> done) override;
  void call(const env::Address& address, peer::Request request, int64_t timeout_ns,
            env::Executor& executor, Callback<void(Result<peer::Response>)> done) override;
  TransportStats stats() const override;
  void stop() override;

 private:
  struct Handshake {
    std::unique_ptr<FrameStream> frames;
    env::TimerId timer = 0;
  };

  env::Executor& front() { return *shared_.options.workers[0]; }
  void on_accept(std::unique_ptr<env::Stream> stream);
  void on_hello(uint64_t id, Result<FrameStream::Frame> frame);
  peer::HelloReply judge(const peer::Hello& hello) const;
  void hand_over(uint64_t id, const peer::Hello& hello);
  void end_handshake(uint64_t id);

  Shared shared_;
  SnapshotStreams snapshots_;
  std::vector<std::unique_ptr<WorkerConnections>> workers_;
  std::unique_ptr<env::Listener> listener_;
  // On the front executor.
  absl::flat_hash_map<uint64_t, Handshake> handshakes_;
  uint64_t next_handshake_ = 1;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// -- Accepting.

Status TransportImpl::listen() {
  auto listener = shared_.env.network().listen(
      front(), shared_.options.listen,
      [this](std::unique_ptr<env::Stream> stream) { on_accept(std::move(stream)); });
  if (!listener) return listener.status();
  listener_ = std::move(*listener);
  return Status::ok();
}

void TransportImpl::on_accept(std::unique_ptr<env::Stream> stream) {
  if (handshakes_.size() >= kHandshakesMax) return;  // Closes it.
  const uint64_t id = next_handshake_++;
  Handshake& handshake = handshakes_[id];
  handshake.frames = std::make_unique<FrameStream>(std::move(stream));
  handshake.frames->set_payload_limit(kHandshakeBytesMax);
  handshake.timer =
      front().run_at(shared_.env.clock().now() + kHandshakeTimeoutNs, [this, alive = alive_, id] {
        if (*alive) end_handshake(id);
      });
  handshake.frames->read([this, id](Result<FrameStream::Frame> frame) {
    on_hello(id, std::move(frame));
    return false;
  });
}

void TransportImpl::on_hello(uint64_t id, Result<FrameStream::Frame> frame) {
  auto found = handshakes_.find(id);
  if (found == handshakes_.end()) return;
  auto hello = frame ? peer::decode_hello(frame->payload) : Result<peer::Hello>(frame.status());
  const bool garbage = !hello || frame->kind != peer::FrameKind::kHello;
  if (garbage || found->second.frames->read_ahead()) {
    if (frame.status().code() != StatusCode::kCancelled) {
      MR_COVERAGE("transport: garbage instead of a handshake");
      Counters::add(shared_.counters.frames_rejected, 1);
    }
    end_handshake(id);
    return;
  }
  const peer::HelloReply reply = judge(*hello);
  if (!reply.accepted) {
    MR_COVERAGE("transport: handshake refused");
    Counters::add(shared_.counters.connections_refused, 1);
  }
  found->second.frames->write(peer::encode_hello_reply(reply),
                              [this, id, hello = *hello, ok = reply.accepted](Status status) {
                                if (status && ok) {
                                  hand_over(id, hello);
                                } else {
                                  end_handshake(id);
                                }
                              });
}

peer::HelloReply TransportImpl::judge(const peer::Hello& hello) const {
  const Identity& self = shared_.options.identity;
  peer::HelloReply reply;
  reply.cluster = shared_.cluster();
  reply.node = self.node;
  reply.incarnation = self.incarnation;
  auto refuse = [&](std::string text, bool retry) {
    reply.text = std::move(text);
    reply.retry = retry;
    return reply;
  };
  if (hello.node == self.node) {
    return refuse(hello.incarnation == self.incarnation
                      ? "this is the node itself: check its advertised address"
                      : "another process runs as node " + to_string(self.node) +
                            ": every node needs an -id of its own",
                  false);
  }
  if (hello.expected && hello.expected != self.node) {
    return refuse("this is node " + to_string(self.node) + ", not node " +
                      to_string(hello.expected) + ": check the advertised addresses",
                  true);
  }
  const ClusterId own = shared_.cluster();
  if (!own) return refuse("node " + to_string(self.node) + " is not yet part of a cluster", true);
  const bool stranger = hello.cluster != own;
  if (stranger && !(hello.kind == peer::ConnectionKind::kCall && !hello.cluster)) {
    return refuse("node " + to_string(hello.node) + " belongs to another cluster", false);
  }
  reply.accepted = true;
  return reply;
}

void TransportImpl::hand_over(uint64_t id, const peer::Hello& hello) {
  auto found = handshakes_.find(id);
  if (found == handshakes_.end()) return;
  front().cancel(found->second.timer);
  std::shared_ptr<FrameStream> frames = std::move(found->second.frames);
  handshakes_.erase(found);
  // From a callback of the stream itself: it moves on the next round.
  front().post([this, alive = alive_, frames = std::move(frames), hello]() mutable {
    if (!*alive) return;
    const auto count = static_cast<uint32_t>(workers_.size());
    const NodeId node = hello.node;
    switch (hello.kind) {
      case peer::ConnectionKind::kMessages: {
        const uint32_t index = hello.worker % count;
        frames->move_to(*shared_.options.workers[index],
                        [this, alive, index, node](std::unique_ptr<FrameStream> moved) {
                          if (*alive) workers_[index]->adopt(node, std::move(moved));
                        });
        return;
      }
      case peer::ConnectionKind::kSnapshot:
        frames->move_to(*shared_.options.snapshot_executor,
                        [this, alive, node](std::unique_ptr<FrameStream> moved) {
                          if (*alive) snapshots_.adopt(node, std::move(moved));
                        });
        return;
      case peer::ConnectionKind::kCall:
        frames->move_to(front(), [this, alive, node, member = bool(hello.cluster)](
                                     std::unique_ptr<FrameStream> moved) {
          if (*alive) workers_[0]->adopt_call(node, member, std::move(moved));
        });
        return;
    }
  });
}

void TransportImpl::end_handshake(uint64_t id) {
  auto found = handshakes_.find(id);
  if (found == handshakes_.end()) return;
  front().cancel(found->second.timer);
  front().post([frames = std::shared_ptr<FrameStream>(std::move(found->second.frames))] {});
  handshakes_.erase(found);
}

// -- Addresses.

void TransportImpl::set_address(NodeId node, const env::Address& address) {
  if (!shared_.set_address(node, address)) return;
  for (auto& worker : workers_) {
    shared_.options.workers[&worker - workers_.data()]->post(
        [&worker = *worker, alive = alive_, node] {
          if (*alive) worker.reset(node);
        });
  }
}

void TransportImpl::forget(NodeId node) {
  shared_.forget(node);
  for (auto& worker : workers_) {
    shared_.options.workers[&worker - workers_.data()]->post(
        [&worker = *worker, alive = alive_, node] {
          if (*alive) worker.forget(node);
        });
  }
}

// -- Snapshots and calls.

void TransportImpl::send_snapshot(NodeId to, const peer::SnapshotHeader& header,
                                  std::unique_ptr<ChunkSource> source, env::Executor& executor,
                                  Callback<void(Status)> done) {
  shared_.options.snapshot_executor->post([this, alive = alive_, to, header,
                                           source = std::move(source), &executor,
                                           done = std::move(done)]() mutable {
    if (!*alive) return;
    snapshots_.send(to, header, std::move(source),
                    [&executor, done = std::move(done)](Status status) mutable {
                      executor.post([done = std::move(done), status = std::move(status)]() mutable {
                        done(std::move(status));
                      });
                    });
  });
}

/// One question on a connection of its own; its timer holds it alive.
class Question : public std::enable_shared_from_this<Question> {
 public:
  Question(env::Executor& executor, Callback<void(Result<peer::Response>)> done)
      : executor_(executor), done_(std::move(done)) {}

  void ask(Shared& shared, const env::Address& address, const peer::Request& request,
           int64_t timeout_ns, std::shared_ptr<bool> alive) {
    timer_ = executor_.run_at(shared.env.clock().now() + timeout_ns, [self = shared_from_this()] {
      self->timer_ = 0;
      self->finish(Status(StatusCode::kUnknownOutcome, "no answer in time"));
    });
    peer::BatchWriter batch;
    batch.add(request);
    std::string bytes;
    for (std::string_view part : batch.finish()) bytes += part;
    dial(shared, executor_, address, shared.hello(peer::ConnectionKind::kCall, NodeId{}, 0),
         timeout_ns, std::move(alive),
         [self = shared_from_this(), bytes = std::move(bytes)](Result<Dialed> dialed) mutable {
           if (self->over_) return;
           if (!dialed) {
             self->finish(dialed.status());
           } else {
             self->converse(std::move(dialed->frames), std::move(bytes));
           }
         });
  }

 private:
  class OneResponse final : public peer::BatchVisitor {
   public:
    void on_message(peer::GroupMessage) override {}
    void on_request(peer::Request) override {}
    void on_response(peer::Response r) override { response = std::move(r); }
    std::optional<peer::Response> response;
  };

  void converse(std::unique_ptr<FrameStream> frames, std::string bytes) {
    frames_ = std::move(frames);
    std::weak_ptr<Question> weak = weak_from_this();
    frames_->read([weak](Result<FrameStream::Frame> frame) {
      if (auto self = weak.lock()) self->answered(std::move(frame));
      return false;
    });
    frames_->write(std::move(bytes), [](Status) {});
  }

  void answered(Result<FrameStream::Frame> frame) {
    OneResponse one;
    if (!frame || frame->kind != peer::FrameKind::kBatch ||
        !peer::decode_batch(frame->payload, one) || !one.response) {
      finish(Status(StatusCode::kUnknownOutcome, "the connection broke before the answer"));
    } else {
      finish(std::move(*one.response));
    }
  }

  void finish(Result<peer::Response> result) {
    if (over_) return;
    over_ = true;
    const auto keep = shared_from_this();
    if (timer_ != 0) executor_.cancel(timer_);
    executor_.post([frames = std::shared_ptr<FrameStream>(std::move(frames_))] {});
    auto done = std::move(done_);
    done(std::move(result));
  }

  env::Executor& executor_;
  Callback<void(Result<peer::Response>)> done_;
  std::unique_ptr<FrameStream> frames_;
  env::TimerId timer_ = 0;
  bool over_ = false;
};

void TransportImpl::call(const env::Address& address, peer::Request request, int64_t timeout_ns,
                         env::Executor& executor, Callback<void(Result<peer::Response>)> done) {
  executor.post([this, alive = alive_, address, request = std::move(request), timeout_ns, &executor,
                 done = std::move(done)]() mutable {
    if (!*alive) return;
    std::make_shared<Question>(executor, std::move(done))
        ->ask(shared_, address, request, timeout_ns, alive);
  });
}

// -- The rest.

TransportStats TransportImpl::stats() const {
  const Counters& c = shared_.counters;
  TransportStats s;
  s.frames_sent = c.frames_sent;
  s.frames_received = c.frames_received;
  s.bytes_sent = c.bytes_sent;
  s.bytes_received = c.bytes_received;
  s.messages_sent = c.messages_sent;
  s.messages_received = c.messages_received;
  s.messages_dropped = c.messages_dropped;
  s.frames_rejected = c.frames_rejected;
  s.connections_refused = c.connections_refused;
  return s;
}

void TransportImpl::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (size_t i = 0; i < workers_.size(); ++i) {
    run_and_wait(*shared_.options.workers[i], [&] {
      if (i == 0) {
        listener_.reset();
        handshakes_.clear();
      }
      workers_[i]->close();
    });
  }
  run_and_wait(*shared_.options.snapshot_executor, [&] { snapshots_.close(); });
  *alive_ = false;
}

}  // namespace

Result<std::unique_ptr<Transport>> Transport::start(TransportOptions options,
                                                    env::Environment& env) {
  auto transport = std::make_unique<TransportImpl>(options, env);
  MR_RETURN_IF_ERROR(transport->listen());
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace multiraft::transport
