#pragma once
// One snapshot on its way to another node.

#include <memory>
#include <string>

#include "env/network.h"
#include "transport/chunk_codec.h"
#include "transport/context.h"
#include "transport/dialer.h"
#include "transport/frame_reader.h"
#include "transport/timer.h"

namespace multiraft::transport {

/// On the snapshot thread. Reads, compresses and writes one chunk at a time, so that several
/// streams share the thread; stays a few chunks ahead of the receiver's acks, and below the rate.
///
///   dial -> header -> ack 0 -> chunk, chunk, ... <- acks -> end -> last ack -> done
class SnapshotSender final : public FrameReader::Handler,
                             public std::enable_shared_from_this<SnapshotSender> {
 public:
  using Done = Callback<void(SnapshotSender&, Status)>;

  /// `done` is called once, as the last thing, unless close() comes first.
  SnapshotSender(std::shared_ptr<Context> context, NodeId to, wire::SnapshotHeader header,
                 std::unique_ptr<ChunkSource> source, Done done);

  void start(const env::Address& address);
  void close();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  void begin(Dialed dialed);
  void go_on();
  void send_next();
  void write(std::string_view data);
  Status judge(const wire::SnapshotAck& last) const;
  void check_silence();
  void finish(const Status& status);

  const std::shared_ptr<Context> context_;
  env::Executor& executor_;
  Counters& counters_;
  const NodeId to_;
  const wire::SnapshotHeader header_;
  std::unique_ptr<ChunkSource> source_;
  Done done_;
  std::shared_ptr<Dialer> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  ChunkPacker packer_;
  std::string content_;  ///< Of the chunk being written.
  std::string frame_;    ///< Being written: without the chunk's data.
  bool writing_ = false;
  bool accepted_ = false;
  bool end_sent_ = false;
  uint64_t chunks_acked_ = 0;
  Timer rate_timer_;
  env::MonotonicTime next_chunk_at_;
  Timer silence_timer_;
  env::MonotonicTime progress_at_;
};

}  // namespace multiraft::transport
