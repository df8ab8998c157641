#pragma once
// Snapshot streams, both directions. Everything on the snapshot executor, which may block in
// sources and sinks.

#include <absl/container/flat_hash_map.h>

#include <memory>

#include "peer/batch.h"
#include "peer/dialer.h"
#include "peer/shared.h"

namespace multiraft::transport {

class SnapshotStreams {
 public:
  explicit SnapshotStreams(Shared& shared);
  ~SnapshotStreams();

  void send(NodeId to, const peer::SnapshotHeader& header, std::unique_ptr<ChunkSource> source,
            Callback<void(Status)> done);
  /// An accepted connection whose handshake is over.
  void adopt(NodeId from, std::unique_ptr<FrameStream> frames);
  void close();

 private:
  struct Sending {
    std::unique_ptr<FrameStream> frames;
    std::unique_ptr<ChunkSource> source;
    peer::SnapshotHeader header;
    peer::SnapshotEnd totals;
    bool ended = false;
    env::MonotonicTime started;
    Callback<void(Status)> done;
  };
  struct Receiving {
    NodeId from;
    std::unique_ptr<FrameStream> frames;
    std::unique_ptr<ChunkSink> sink;
    peer::SnapshotEnd totals;
  };

  void connected(uint64_t id, Result<Dialed> dialed);
  void write_next(uint64_t id);
  void wrote(uint64_t id, const Status& status);
  void finish_sending(uint64_t id, Status status);
  bool on_frame(uint64_t id, Result<FrameStream::Frame> frame);
  Status take(Receiving& in, const FrameStream::Frame& frame, bool& ended);
  void answer(uint64_t id, const Status& status);
  int64_t throttle_ns(const Sending& out) const;

  Shared& shared_;
  env::Executor& executor_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Sending>> sending_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Receiving>> receiving_;
  uint64_t next_id_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace multiraft::transport
