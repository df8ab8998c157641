#pragma once
// One worker's connections. Everything on that worker's executor.

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <vector>

#include "base/prng.h"
#include "peer/batch.h"
#include "peer/dialer.h"
#include "peer/frame_stream.h"
#include "peer/shared.h"

namespace multiraft::transport {

/// Ids of requests that came by call() have this bit; their answers go back on their connection.
inline constexpr uint64_t kCallIdBit = uint64_t{1} << 63;

class WorkerConnections final : public WorkerTransport {
 public:
  WorkerConnections(Shared& shared, uint32_t index);
  ~WorkerConnections() override;

  // -- WorkerTransport
  bool send(NodeId to, const peer::GroupMessage& message) override;
  bool send(NodeId to, peer::Request request) override;
  bool send(NodeId to, peer::Response response) override;
  void flush() override;

  /// An accepted connection of `node` whose handshake is over.
  void adopt(NodeId node, std::unique_ptr<FrameStream> frames);
  /// An accepted connection for one question.
  void adopt_call(NodeId node, bool member, std::unique_ptr<FrameStream> frames);
  /// Connects anew, to the present address; what was queued is lost.
  void reset(NodeId node);
  /// Drops the connection to it, if there is one.
  void forget(NodeId node);
  void close();

 private:
  struct Outgoing {
    NodeId node;
    peer::BatchWriter gathering;
    peer::BatchWriter sending;
    std::unique_ptr<FrameStream> frames;  ///< Null while not connected.
    bool connecting = false;
    bool writing = false;
    bool in_flush = false;
    int failures = 0;
    env::MonotonicTime retry_at;
  };
  struct Incoming {
    NodeId node;
    std::unique_ptr<FrameStream> frames;
  };
  struct Call {
    NodeId node;
    bool member = false;
    std::unique_ptr<FrameStream> frames;
    env::TimerId timer = 0;
  };
  class Visitor;

  /// Where to gather for `node`; null where it cannot be sent to now.
  Outgoing* gather_for(NodeId node, size_t bytes);
  void connect(Outgoing& out);
  void connected(NodeId node, Result<Dialed> dialed);
  void write(Outgoing& out);
  void broken(NodeId node, const FrameStream* stream);
  bool on_batch(NodeId from, uint64_t connection, Result<FrameStream::Frame> frame);
  void on_call(uint64_t id, Result<FrameStream::Frame> frame);
  void end_call(uint64_t id);
  env::MonotonicTime now() const { return shared_.env.clock().now(); }
  Receiver& receiver() { return *shared_.options.receivers[index_]; }

  Shared& shared_;
  const uint32_t index_;
  env::Executor& executor_;
  Prng random_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Outgoing>> outgoing_;
  absl::flat_hash_map<uint64_t, Incoming> incoming_;
  absl::flat_hash_map<uint64_t, Call> calls_;
  std::vector<Outgoing*> to_flush_;
  uint64_t next_connection_ = 1;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace multiraft::transport
