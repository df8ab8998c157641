#pragma once
// One connection on which a snapshot arrives.

#include <functional>
#include <memory>

#include "env/network.h"
#include "transport/connection/frame_reader.h"
#include "transport/connection/frame_writer.h"
#include "transport/connection/lingering_close.h"
#include "transport/context.h"
#include "transport/snapshot/incoming_snapshot.h"
#include "transport/timer.h"

namespace multiraft::transport {

/// On the snapshot thread. Reads frames, feeds the intake of the stream that the header names, and
/// says how it goes.
class SnapshotReceiveConnection final
    : public FrameReader::Handler,
      public IncomingSnapshot::Listener,
      public std::enable_shared_from_this<SnapshotReceiveConnection> {
 public:
  /// Finds or makes the intake of a stream.
  using FindIntake =
      std::function<Result<std::shared_ptr<IncomingSnapshot>>(const wire::SnapshotHeader&)>;

  /// `on_gone` runs when the connection has ended by itself, as the last thing.
  SnapshotReceiveConnection(std::shared_ptr<Context> context, NodeId from,
                            std::unique_ptr<env::Stream> stream, FindIntake find_intake,
                            Callback<void(SnapshotReceiveConnection&)> on_gone);

  void start();
  /// Refuses before anything was read.
  void refuse(const Status& why);
  void close();

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

  // -- IncomingSnapshot::Listener
  void on_intake_moved() override;
  void on_intake_taken() override;

 private:
  Status take(const wire::FrameHeader& header, std::string_view payload);
  Status take_header(std::string_view payload);
  /// Says how the intake stands; whether to read on.
  bool proceed();
  /// The stream is worth nothing any more.
  void fail(const Status& why);
  void say_ack();
  void say_last(const Status& status);
  void watch_silence();
  void detach();
  void leave();

  const std::shared_ptr<Context> context_;
  Counters& counters_;
  const NodeId from_;
  const std::unique_ptr<env::Stream> stream_;
  FindIntake find_intake_;
  Callback<void(SnapshotReceiveConnection&)> on_gone_;
  FrameReader reader_;
  FrameWriter writer_;
  LingeringClose lingering_close_;
  Timer silence_timer_;
  env::MonotonicTime progress_at_;
  std::shared_ptr<IncomingSnapshot> intake_;  ///< From the header on.
  bool in_frame_ = false;                     ///< The frame's own handler looks at the intake.
};

}  // namespace multiraft::transport
