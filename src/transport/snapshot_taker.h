#pragma once
// One snapshot on its way from another node.

#include <memory>

#include "env/network.h"
#include "transport/chunk_codec.h"
#include "transport/context.h"
#include "transport/farewell.h"
#include "transport/frame_reader.h"
#include "transport/frame_writer.h"
#include "transport/timer.h"

namespace multiraft::transport {

/// On the snapshot thread. What is not finished is discarded with the sink.
class SnapshotTaker final : public FrameReader::Handler,
                            public std::enable_shared_from_this<SnapshotTaker> {
 public:
  /// `on_gone` runs when the stream has ended by itself, as the last thing.
  SnapshotTaker(std::shared_ptr<Context> context, NodeId from, std::unique_ptr<env::Stream> stream,
                Callback<void(SnapshotTaker&)> on_gone);

  void start();
  /// Refuses before anything was read.
  void refuse(const Status& why);
  void close();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  Status take(const wire::FrameHeader& header, std::string_view payload);
  Status take_header(std::string_view payload);
  Status take_chunk(std::string_view payload);
  void say_last(const Status& status);
  void watch_silence();
  void leave();

  const std::shared_ptr<Context> context_;
  Counters& counters_;
  const NodeId from_;
  const std::unique_ptr<env::Stream> stream_;
  Callback<void(SnapshotTaker&)> on_gone_;
  FrameReader reader_;
  FrameWriter writer_;
  Farewell farewell_;
  Timer silence_timer_;
  env::MonotonicTime progress_at_;
  std::unique_ptr<ChunkSink> sink_;  ///< From the header to the end.
  ChunkUnpacker unpacker_;
  bool finished_ = false;
};

}  // namespace multiraft::transport
