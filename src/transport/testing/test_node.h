#pragma once
// Nodes with transports on the loopback interface, for tests. Nothing here sleeps: what a test
// waits for is a condition, and the deadline only ends a test that has failed.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "env/env.h"
#include "transport/transport.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// State that threads change and a test waits for.
template <class State>
class Watched {
 public:
  template <class F>
  void change(F&& f) {
    std::lock_guard lock(mutex_);
    f(state_);
    changed_.notify_all();
  }
  /// False after a long time: the test has failed.
  template <class Predicate>
  bool wait_for(Predicate&& predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return predicate(state_); });
  }
  State get() {
    std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_{};
};

/// What one worker received.
struct Seen {
  struct Message {
    NodeId from;
    wire::GroupMessage message;
  };
  struct Asked {
    Process from;
    wire::Request request;
  };
  struct Answered {
    NodeId from;
    wire::Response response;
  };
  struct Lost {
    NodeId node;
    bool ever_connected;
  };
  std::vector<Message> messages;
  std::vector<Asked> requests;
  std::vector<Answered> responses;
  std::vector<NodeId> batch_ends;
  std::vector<Lost> disconnected;
};

class RecordingReceiver final : public Receiver {
 public:
  void on_message(NodeId from, wire::GroupMessage message) override;
  void on_request(const Process& from, wire::Request request) override;
  void on_response(NodeId from, wire::Response response) override;
  void on_batch_end(NodeId from) override;
  void on_disconnected(NodeId node, bool ever_connected) override;

  uint64_t durable_sequence() override { return durable; }

  Watched<Seen> seen;
  std::atomic<uint64_t> durable{0};
  /// Runs on the worker's thread after a request was recorded.
  std::function<void(const Process&, const wire::Request&)> answer;
};

/// Takes snapshots into strings.
class RecordingSink;
class SnapshotInbox final : public SnapshotReceiver {
 public:
  struct State {
    uint32_t begun = 0;
    uint32_t discarded = 0;
    std::vector<wire::SnapshotHeader> finished;
    std::vector<std::vector<std::string>> contents;  ///< Of the finished ones, by chunk.
    /// Unanswered ends, with hold_finish. To be called on the snapshot thread.
    std::vector<std::shared_ptr<Callback<void(Status)>>> held;
  };
  void on_snapshot(NodeId from, const wire::SnapshotHeader& header,
                   Callback<void(Result<std::unique_ptr<ChunkSink>>)> done) override;

  Watched<State> state;
  Status refusal;        ///< Not ok: refuses.
  Status finish_status;  ///< What finish() says.
  bool hold_finish = false;
  uint64_t fail_at_chunk = UINT64_MAX;
};

/// Chunks made by a function of their number; an empty one ends.
class GeneratedSource final : public ChunkSource {
 public:
  using Make = std::function<Result<std::string>(uint64_t number)>;
  explicit GeneratedSource(Make make) : make_(std::move(make)) {}
  Status next(size_t bytes_target, std::string& chunk) override;

 private:
  Make make_;
  uint64_t number_ = 0;
};

inline constexpr ClusterId kTestCluster{77};

/// One process, as far as a transport is concerned.
class TestNode {
 public:
  struct Setup {
    uint32_t workers = 1;
    ClusterId cluster = kTestCluster;
    uint16_t port = 0;
    uint64_t incarnation = 0;  ///< 0: drawn.
    std::function<void(TransportOptions&)> adjust = {};
  };
  TestNode(env::Environment& env, uint64_t id, Setup setup);
  TestNode(env::Environment& env, uint64_t id) : TestNode(env, id, Setup()) {}
  ~TestNode();
  void stop();

  NodeId id() const { return id_; }
  env::Address address() const { return {"127.0.0.1", transport->port()}; }
  env::Executor& executor(uint32_t worker = 0) { return *executors_[worker]; }
  env::Executor& other_executor() { return *other_executor_; }
  env::Executor& snapshot_executor() { return *snapshot_executor_; }
  Watched<Seen>& seen(uint32_t worker = 0) { return receivers_[worker]->seen; }
  RecordingReceiver& receiver(uint32_t worker = 0) { return *receivers_[worker]; }
  /// The two know each other's addresses from now on.
  void meet(TestNode& other);
  /// This one knows the other's address, and lets it connect, when this returns.
  void know(TestNode& other);
  /// Runs on the worker's thread and waits for it.
  void run(uint32_t worker, const std::function<void(WorkerTransport&)>& f);
  void run(const std::function<void(WorkerTransport&)>& f) { run(0, f); }
  /// One message with this number, and flush. Whether it was taken.
  bool send(NodeId to, uint64_t number, uint32_t worker = 0);
  Result<wire::Response> call(const env::Address& to, wire::Request request,
                              int64_t timeout_ns = 10 * env::kSecond);
  Status send_snapshot(NodeId to, std::unique_ptr<ChunkSource> source);
  std::vector<Status> problems() { return problems_.get(); }
  Watched<std::vector<Status>>& watched_problems() { return problems_; }
  Watched<std::vector<StateRollback>>& older_states() { return older_states_; }
  /// Signalled whenever what is known of other nodes' lives may have changed.
  Watched<int>& lives_changes() { return lives_changes_; }

  SnapshotInbox inbox;
  std::unique_ptr<Transport> transport;

 private:
  const NodeId id_;
  std::vector<std::unique_ptr<env::Executor>> executors_;
  std::unique_ptr<env::Executor> snapshot_executor_;
  std::unique_ptr<env::Executor> other_executor_;
  std::vector<std::unique_ptr<RecordingReceiver>> receivers_;
  Watched<std::vector<Status>> problems_;
  Watched<std::vector<StateRollback>> older_states_;
  Watched<int> lives_changes_;
};

/// A connection made by hand, for what no transport would say.
class RawConnection {
 public:
  RawConnection(env::Environment& env, const env::Address& to);
  ~RawConnection();

  void write(std::string bytes);
  void shutdown_write();
  void close();
  /// All that comes until the other side closes.
  std::string read_to_end();
  /// Exactly so many bytes; fewer only at the end.
  std::string read(size_t bytes);
  /// Reads one frame of the kind; its payload.
  std::string read_frame(wire::FrameKind kind);
  /// Says hello and reads the answer.
  wire::HelloReply greet(const wire::Hello& hello);

 private:
  std::unique_ptr<env::Executor> executor_;
  std::unique_ptr<env::Stream> stream_;
  bool ended_ = false;
  bool closed_ = false;
};

/// Listens, says the same to everybody who connects, and nothing more.
class FakeNode {
 public:
  FakeNode(env::Environment& env, std::string answer);
  ~FakeNode();
  env::Address address() const { return {"127.0.0.1", listener_->port()}; }

 private:
  const std::string answer_;
  std::unique_ptr<env::Executor> executor_;
  std::unique_ptr<env::Listener> listener_;
  std::vector<std::unique_ptr<env::Stream>> streams_;
};
/// How a node welcomes whoever connects.
wire::HelloReply welcome_of(uint64_t node);

/// A hello as the node would say it.
wire::Hello hello_from(uint64_t node, TestNode& to,
                       wire::ConnectionKind kind = wire::ConnectionKind::kMessages);
wire::GroupMessage numbered_message(NodeId from, NodeId to, uint64_t number);

}  // namespace multiraft::transport
