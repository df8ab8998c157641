#pragma once
// One snapshot on its way to another node.

#include <deque>
#include <memory>
#include <string>

#include "env/network.h"
#include "transport/connection/connector.h"
#include "transport/connection/frame_reader.h"
#include "transport/context.h"
#include "transport/snapshot/chunk_codec.h"
#include "transport/snapshot/receiver_pace.h"
#include "transport/snapshot/snapshot_throttle.h"
#include "transport/timer.h"

namespace multiraft::transport {

/// On the snapshot thread. Reads, compresses and writes one chunk at a time, so that several
/// streams share the thread; stays a few chunks ahead of the receiver's acks, and below the rate.
///
///   dial -> header -> ack -> chunk, chunk, ... <- acks -> end -> last ack -> done
///    ^________________________ broken ______________________|
///
/// What was sent and not acknowledged is kept, so that after a break another connection goes on
/// with the very next chunk that the receiver lacks. A stream that broke before it was accepted is
/// not tried again.
class OutgoingSnapshot final : public FrameReader::Handler,
                               public std::enable_shared_from_this<OutgoingSnapshot> {
 public:
  using Done = Callback<void(OutgoingSnapshot&, Status)>;

  /// `done` is called once, as the last thing, unless close() comes first. `throttle` outlives it.
  OutgoingSnapshot(std::shared_ptr<Context> context, SnapshotThrottle& throttle, NodeId to,
                   env::Address address, wire::SnapshotHeader header,
                   std::unique_ptr<ChunkSource> source, Done done);

  void start();
  void close();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  struct Sent {
    std::string head;
    std::string data;
    uint32_t content_bytes = 0;
    bool again = false;  ///< It was on a connection that broke.
  };

  void dial();
  void begin(Connection dialed);
  void go_on();
  void send_next();
  /// Takes one chunk more from the source, if there is one.
  Status read_next();
  void write(std::string_view head, std::string_view data);
  Status take_ack(const wire::SnapshotAck& ack);
  Status take_first_ack(const wire::SnapshotAck& ack);
  Status judge(const wire::SnapshotAck& last) const;
  bool far_ahead() const;
  void note_pace();
  void check_silence();
  /// The connection is gone: tries another one, or ends with `why`.
  void lost(const Status& why);
  void hang_up();
  void finish(const Status& status);
  uint64_t chunks_read() const { return packer_.totals().chunks; }

  const std::shared_ptr<Context> context_;
  env::Executor& executor_;
  Counters& counters_;
  SnapshotThrottle& throttle_;
  const NodeId to_;
  const env::Address address_;
  const wire::SnapshotHeader header_;
  std::unique_ptr<ChunkSource> source_;
  Done done_;

  // The snapshot, whatever becomes of connections.
  ChunkPacker packer_;
  std::string content_;  ///< Of the chunk that is packed.
  bool source_ended_ = false;
  bool ever_accepted_ = false;
  std::deque<Sent> unacked_;  ///< Chunks chunks_acked_ and on.
  uint64_t chunks_acked_ = 0;

  // The connection of the moment.
  std::shared_ptr<Connector> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  /// The one before: it may be what calls us when it breaks.
  std::unique_ptr<env::Stream> former_stream_;
  std::unique_ptr<FrameReader> former_reader_;
  std::string frame_;  ///< Header or end, being written.
  uint64_t chunks_written_ = 0;
  bool writing_ = false;
  bool accepted_ = false;
  bool end_sent_ = false;

  Timer pace_timer_;  ///< For the rate, and between two attempts.
  Timer silence_timer_;
  env::MonotonicTime progress_at_;
  ReceiverPace pace_;
  env::MonotonicTime lost_at_;  ///< When the chunks last stopped moving.
  bool moved_ = false;          ///< Acks came since then.
  int64_t backoff_ns_ = 0;
};

}  // namespace multiraft::transport
