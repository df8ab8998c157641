#pragma once
// All snapshots that come and go.

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <vector>

#include "env/network.h"
#include "transport/context.h"
#include "transport/snapshot/incoming_snapshot.h"
#include "transport/snapshot/outgoing_snapshot.h"
#include "transport/snapshot/snapshot_receive_connection.h"
#include "transport/snapshot/snapshot_throttle.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// On the snapshot thread.
class SnapshotStreams final : public std::enable_shared_from_this<SnapshotStreams> {
 public:
  using Done = Callback<void(Status)>;

  explicit SnapshotStreams(std::shared_ptr<Context> context)
      : context_(std::move(context)), throttle_(context_->options.snapshot_bytes_per_second) {}

  /// Draws header.stream where it is 0. `done` is called on this thread, in any case; kCancelled
  /// after close().
  void send(NodeId to, const env::Address& address, wire::SnapshotHeader header,
            std::unique_ptr<ChunkSource> source, Done done);
  void adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream);
  void close();

 private:
  struct Sending {
    std::shared_ptr<OutgoingSnapshot> sender;
    Done done;
  };

  Result<std::shared_ptr<IncomingSnapshot>> intake_of(NodeId from,
                                                      const wire::SnapshotHeader& header);
  bool make_room();
  void erase_intake(IncomingSnapshot& intake);
  void count();

  const std::shared_ptr<Context> context_;
  SnapshotThrottle throttle_;
  absl::flat_hash_map<OutgoingSnapshot*, Sending> sending_;
  absl::flat_hash_map<SnapshotReceiveConnection*, std::shared_ptr<SnapshotReceiveConnection>>
      taking_;
  /// Oldest first. With a connection, waiting for one, or remembered for their outcome.
  std::vector<std::shared_ptr<IncomingSnapshot>> intakes_;
  bool closed_ = false;
};

}  // namespace multiraft::transport
