#pragma once
// All snapshots that come and go.

#include <absl/container/flat_hash_map.h>

#include <memory>

#include "env/network.h"
#include "transport/context.h"
#include "transport/snapshot_sender.h"
#include "transport/snapshot_taker.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// On the snapshot thread.
class SnapshotDesk final : public std::enable_shared_from_this<SnapshotDesk> {
 public:
  using Done = Callback<void(Status)>;

  explicit SnapshotDesk(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  /// `done` is called on this thread, in any case; kCancelled after close().
  void send(NodeId to, const env::Address& address, const wire::SnapshotHeader& header,
            std::unique_ptr<ChunkSource> source, Done done);
  void adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream);
  void close();

 private:
  struct Sending {
    std::shared_ptr<SnapshotSender> sender;
    Done done;
  };

  const std::shared_ptr<Context> context_;
  absl::flat_hash_map<SnapshotSender*, Sending> sending_;
  absl::flat_hash_map<SnapshotTaker*, std::shared_ptr<SnapshotTaker>> taking_;
  bool closed_ = false;
};

}  // namespace multiraft::transport
