#pragma once
// One snapshot on its way from another node, over one connection or several in a row.

#include <memory>

#include "transport/context.h"
#include "transport/snapshot/chunk_codec.h"
#include "transport/timer.h"
#include "wire/messages.h"

namespace multiraft::transport {

/// On the snapshot thread. A SnapshotReceiveConnection speaks for one connection; what has arrived
/// is here and outlives it:
///
///   asking --accepted--> taking --end--> finishing --> done
///      \______________ refusal, error ________________/^
///
/// Without a connection it is kept for `snapshot_resume_max_ns`, and then forgotten with what it
/// has; so is, after the end, the outcome, for a sender that did not hear of it.
class IncomingSnapshot final : public std::enable_shared_from_this<IncomingSnapshot> {
 public:
  enum class Phase : uint8_t { kAsking, kTaking, kFinishing, kDone };

  /// Who speaks for the connection of the moment.
  class Listener {
   public:
    virtual ~Listener() = default;
    /// The phase changed without its doing.
    virtual void on_intake_moved() = 0;
    /// Another connection took its place.
    virtual void on_intake_taken() = 0;
  };

  IncomingSnapshot(std::shared_ptr<Context> context, NodeId from, wire::SnapshotHeader header,
                   Callback<void(IncomingSnapshot&)> on_expired);

  const wire::SnapshotHeader& header() const { return header_; }
  NodeId from() const { return from_; }
  Phase phase() const { return phase_; }
  /// Once done.
  const Status& outcome() const { return outcome_; }
  uint64_t chunks() const { return unpacker_.totals().chunks; }
  bool has_connection() const { return listener_ != nullptr; }

  /// A connection of this stream; the first one asks the receiver whether it is wanted.
  void attach(Listener& listener);
  /// The connection is gone. No effect where another one has taken its place.
  void detach(Listener& listener);

  Status take(const wire::SnapshotChunk& chunk);
  Status finish(const wire::SnapshotEnd& end);
  /// It ends here: what has come is discarded.
  void fail(const Status& why);
  /// Forgets everything; nobody is called.
  void close();

 private:
  void ask();
  void accepted(Result<std::unique_ptr<ChunkSink>> sink);
  void done(const Status& outcome);
  void expire_later();

  const std::shared_ptr<Context> context_;
  const NodeId from_;
  const wire::SnapshotHeader header_;
  Callback<void(IncomingSnapshot&)> on_expired_;
  Phase phase_ = Phase::kAsking;
  bool asked_ = false;
  Listener* listener_ = nullptr;
  std::unique_ptr<ChunkSink> sink_;  ///< While taking.
  ChunkUnpacker unpacker_;
  Status outcome_;
  Timer expiry_;
};

}  // namespace multiraft::transport
