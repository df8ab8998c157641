#pragma once
// A connection on which another node's worker sends its batches to one of ours.

#include <memory>

#include "env/network.h"
#include "transport/connection/frame_reader.h"
#include "transport/connection/frame_writer.h"
#include "transport/context.h"
#include "transport/timer.h"

namespace multiraft::transport {

/// Hands the batches to the worker's receiver, and says now and then how much has come.
class InboundConnection final : public FrameReader::Handler,
                                public std::enable_shared_from_this<InboundConnection> {
 public:
  /// `on_gone` runs when the connection has ended by itself, as the last thing.
  InboundConnection(std::shared_ptr<Context> context, uint32_t worker, const wire::Hello& hello,
                    std::unique_ptr<env::Stream> stream,
                    Callback<void(InboundConnection&)> on_gone);

  void start();
  void close();
  uint32_t from_worker() const { return from_worker_; }

  // -- FrameReader::Handler
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  bool on_lives(std::string_view payload);
  bool on_batch(SharedBytes payload);
  bool reject(const Status& why);
  void tell_lives();
  void acknowledge_later();

  const std::shared_ptr<Context> context_;
  Receiver& receiver_;
  Counters& counters_;
  const NodeId from_;
  const uint64_t from_incarnation_;
  const uint32_t from_worker_;
  uint64_t lives_told_ = 0;                              ///< BootTable::changes().
  const std::shared_ptr<nodes::BootTable::Entry> life_;  ///< Of the sender. May be null.
  nodes::CountedConnection contact_;
  const std::unique_ptr<env::Stream> stream_;
  Callback<void(InboundConnection&)> on_gone_;
  FrameReader reader_;
  FrameWriter writer_;
  Timer ack_timer_;
  bool open_ = true;
};

}  // namespace multiraft::transport
