#include "transport/testing/test_node.h"

#include <array>
#include <future>

#include "base/assert.h"
#include "wire/testing/samples.h"

namespace multiraft::transport {
namespace {

/// Runs on the executor's thread and returns what it returns.
template <class F>
auto on(env::Executor& executor, F f) {
  std::promise<decltype(f())> promise;
  executor.post([&] {
    if constexpr (std::is_void_v<decltype(f())>) {
      f();
      promise.set_value();
    } else {
      promise.set_value(f());
    }
  });
  return promise.get_future().get();
}

}  // namespace

// -- Receivers.

void RecordingReceiver::on_message(NodeId from, wire::GroupMessage message) {
  seen.change([&](Seen& s) { s.messages.push_back({from, std::move(message)}); });
}
void RecordingReceiver::on_request(const Process& from, wire::Request request) {
  seen.change([&](Seen& s) { s.requests.push_back({from, request}); });
  if (answer) answer(from, request);
}
void RecordingReceiver::on_response(NodeId from, wire::Response response) {
  seen.change([&](Seen& s) { s.responses.push_back({from, std::move(response)}); });
}
void RecordingReceiver::on_batch_end(NodeId from) {
  seen.change([&](Seen& s) { s.batch_ends.push_back(from); });
}
void RecordingReceiver::on_disconnected(NodeId node, bool ever_connected) {
  seen.change([&](Seen& s) { s.disconnected.push_back({node, ever_connected}); });
}

// -- Snapshots.

class RecordingSink final : public ChunkSink {
 public:
  RecordingSink(SnapshotInbox& inbox, wire::SnapshotHeader header)
      : inbox_(inbox), header_(std::move(header)) {}
  ~RecordingSink() override {
    inbox_.state.change([&](SnapshotInbox::State& s) { s.discarded += finished_ ? 0 : 1; });
  }
  Status append(std::string_view chunk) override {
    if (chunks_.size() == inbox_.fail_at_chunk) return {StatusCode::kNoSpace, "the disk is full"};
    chunks_.emplace_back(chunk);
    return Status::ok();
  }
  void finish(Callback<void(Status)> done) override {
    finished_ = true;
    inbox_.state.change([&](SnapshotInbox::State& s) {
      s.finished.push_back(header_);
      s.contents.push_back(std::move(chunks_));
      if (inbox_.hold_finish)
        s.held.push_back(std::make_shared<Callback<void(Status)>>(std::move(done)));
    });
    if (!inbox_.hold_finish) done(inbox_.finish_status);
  }

 private:
  SnapshotInbox& inbox_;
  const wire::SnapshotHeader header_;
  std::vector<std::string> chunks_;
  bool finished_ = false;
};

void SnapshotInbox::on_snapshot(NodeId, const wire::SnapshotHeader& header,
                                Callback<void(Result<std::unique_ptr<ChunkSink>>)> done) {
  if (!refusal) return done(refusal);
  state.change([](State& s) { ++s.begun; });
  done(std::unique_ptr<ChunkSink>(std::make_unique<RecordingSink>(*this, header)));
}

Status GeneratedSource::next(size_t, std::string& chunk) {
  Result<std::string> made = make_(number_++);
  if (!made) return made.status();
  chunk = std::move(*made);
  return Status::ok();
}

// -- TestNode.

TestNode::TestNode(env::Environment& env, uint64_t id, Setup setup) : id_(id) {
  TransportOptions options;
  options.identity.cluster = setup.cluster;
  options.identity.node = id_;
  options.identity.incarnation = setup.incarnation != 0 ? setup.incarnation : env.random_u64();
  options.listen = {"127.0.0.1", setup.port};
  for (uint32_t i = 0; i < setup.workers; ++i) {
    executors_.push_back(env.start_executor("worker-" + std::to_string(i)));
    receivers_.push_back(std::make_unique<RecordingReceiver>());
    options.workers.push_back(executors_.back().get());
    options.receivers.push_back(receivers_.back().get());
  }
  snapshot_executor_ = env.start_executor("snapshots");
  other_executor_ = env.start_executor("other");
  options.snapshot_receiver = &inbox;
  options.snapshot_executor = snapshot_executor_.get();
  // A busy machine must not look like a dead node.
  options.connect_timeout_ns = 20 * env::kSecond;
  options.peer_silence_max_ns = 60 * env::kSecond;
  options.on_problem = [this](const Status& status) {
    problems_.change([&](std::vector<Status>& all) { all.push_back(status); });
  };
  options.on_state_rollback = [this](const StateRollback& older) {
    older_states_.change([&](std::vector<StateRollback>& all) { all.push_back(older); });
  };
  options.on_boots_changed = [this] { lives_changes_.change([](int& count) { ++count; }); };
  if (setup.adjust) setup.adjust(options);
  auto started = Transport::start(std::move(options), env);
  MR_ASSERT_MSG(started.is_ok(), started.status().message().c_str());
  transport = std::move(*started);
}

TestNode::~TestNode() { stop(); }

void TestNode::stop() {
  transport->stop();
  snapshot_executor_->stop();
  other_executor_->stop();
  for (auto& executor : executors_) executor->stop();
}

void TestNode::meet(TestNode& other) {
  know(other);
  other.know(*this);
}

void TestNode::run(uint32_t worker, const std::function<void(WorkerTransport&)>& f) {
  on(executor(worker), [&] { f(transport->worker(worker)); });
}

void TestNode::know(TestNode& other) {
  transport->set_address(other.id(), other.address());
  run([](WorkerTransport&) {});
}

bool TestNode::send(NodeId to, uint64_t number, uint32_t worker) {
  bool taken = false;
  run(worker, [&](WorkerTransport& w) {
    taken = w.send(to, numbered_message(id_, to, number));
    w.flush();
  });
  return taken;
}

Result<wire::Response> TestNode::call(const env::Address& to, wire::Request request,
                                      int64_t timeout_ns) {
  std::promise<Result<wire::Response>> promise;
  transport->call(to, std::move(request), timeout_ns, other_executor(),
                  [&](Result<wire::Response> r) { promise.set_value(std::move(r)); });
  return promise.get_future().get();
}

Status TestNode::send_snapshot(NodeId to, std::unique_ptr<ChunkSource> source) {
  wire::SnapshotHeader header;
  header.group = GroupId(9);
  header.from = ReplicaId::make(id_, 1);
  header.to = ReplicaId::make(to, 2);
  header.term = Term(3);
  header.snapshot = {LogIndex(100), Term(2), {{header.from}, {}, {header.to}, {}, false}};
  std::promise<Status> promise;
  transport->send_snapshot(to, header, std::move(source), other_executor(),
                           [&](Status status) { promise.set_value(std::move(status)); });
  return promise.get_future().get();
}

// -- RawConnection.

RawConnection::RawConnection(env::Environment& env, const env::Address& to)
    : executor_(env.start_executor("raw")) {
  std::promise<void> connected;
  executor_->post([&] {
    env.network().connect(*executor_, to, 20 * env::kSecond,
                          [&](Result<std::unique_ptr<env::Stream>> stream) {
                            MR_ASSERT(stream.is_ok());
                            stream_ = std::move(*stream);
                            connected.set_value();
                          });
  });
  connected.get_future().get();
}

RawConnection::~RawConnection() { close(); }

void RawConnection::write(std::string bytes) {
  const std::array<std::string_view, 1> parts = {bytes};
  std::promise<void> done;
  executor_->post([&] { stream_->write(parts, [&](const Status&) { done.set_value(); }); });
  done.get_future().get();
}

void RawConnection::shutdown_write() {
  on(*executor_, [&] { stream_->shutdown_write(); });
}

void RawConnection::close() {
  if (closed_) return;
  closed_ = true;
  on(*executor_, [&] { stream_->close(); });
  executor_->stop();
}

std::string RawConnection::read(size_t bytes) {
  std::string all;
  while (all.size() < bytes && !ended_) {
    std::string buffer(std::min<size_t>(bytes - all.size(), 65536), '\0');
    std::promise<size_t> done;
    executor_->post(
        [&] { stream_->read_some(buffer, [&](Result<size_t> n) { done.set_value(n ? *n : 0); }); });
    const size_t n = done.get_future().get();
    ended_ = n == 0;
    all += buffer.substr(0, n);
  }
  return all;
}

std::string RawConnection::read_to_end() { return read(SIZE_MAX); }

std::string RawConnection::read_frame(wire::FrameKind kind) {
  std::string frame = read(wire::kFrameHeaderBytes);
  wire::FrameHeader header;
  if (!wire::decode_frame_header(frame, header)) return "no frame";
  frame += read(header.payload_bytes);
  return std::string(wire::payload_of(frame, kind));
}

wire::HelloReply RawConnection::greet(const wire::Hello& hello) {
  write(wire::encode(hello));
  wire::HelloReply reply;
  MR_ASSERT(wire::decode(read_frame(wire::FrameKind::kHelloReply), reply).is_ok());
  return reply;
}

// -- FakeNode.

FakeNode::FakeNode(env::Environment& env, std::string answer)
    : answer_(std::move(answer)), executor_(env.start_executor("fake")) {
  auto listener = env.network().listen(*executor_, {"127.0.0.1", 0},
                                       [this](std::unique_ptr<env::Stream> stream) {
                                         streams_.push_back(std::move(stream));
                                         const std::array<std::string_view, 1> parts = {answer_};
                                         streams_.back()->write(parts, [](const Status&) {});
                                       });
  MR_ASSERT(listener.is_ok());
  listener_ = std::move(*listener);
}

FakeNode::~FakeNode() { executor_->stop(); }

wire::HelloReply welcome_of(uint64_t node) {
  wire::HelloReply reply;
  reply.cluster = kTestCluster;
  reply.node = NodeId(node);
  reply.incarnation = 99;
  return reply;
}

wire::Hello hello_from(uint64_t node, TestNode& to, wire::ConnectionKind kind) {
  wire::Hello hello;
  hello.kind = kind;
  hello.cluster = kTestCluster;
  hello.node = NodeId(node);
  hello.incarnation = 1000 + node;
  hello.to = kind == wire::ConnectionKind::kCall ? NodeId() : to.id();
  // Only known nodes may do more than call. Nobody listens there.
  if (hello.to) {
    to.transport->set_address(hello.node, {"127.0.0.1", 1});
    to.run([](WorkerTransport&) {});
  }
  return hello;
}

wire::GroupMessage numbered_message(NodeId from, NodeId to, uint64_t number) {
  wire::GroupMessage message;
  message.group = GroupId(1);
  message.message.type = raft::MessageType::kApp;
  message.message.from = ReplicaId::make(from, 1);
  message.message.to = ReplicaId::make(to, 1);
  message.message.term = Term(1);
  message.message.index = LogIndex(number);
  return message;
}

}  // namespace multiraft::transport
