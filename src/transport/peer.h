#pragma once
// The way from one worker to one node: a queue of batches and the connection that carries them.

#include <deque>
#include <memory>

#include "base/prng.h"
#include "env/network.h"
#include "transport/context.h"
#include "transport/dialer.h"
#include "transport/frame_reader.h"
#include "transport/timer.h"
#include "wire/batch.h"

namespace multiraft::transport {

/// Makes its connection when something is to be sent, and again after it broke.
///
///             queue()            welcomed
///     idle ------------> connecting -----> ready        [full][full][gathering]  the queue
///      ^                   |    ^            |             |
///      | nothing queued    v    | queue()    v          one write at a time
///      '----------------- waiting <----------'
///                   (the queue is dropped, the receiver is told)
///
/// A broken connection loses what was queued, because nobody can say how much of it arrived: the
/// receiver is told in the same step, so that it never takes what is queued later for lost.
class Peer final : public FrameReader::Handler, public std::enable_shared_from_this<Peer> {
 public:
  Peer(std::shared_ptr<Context> context, uint32_t worker, NodeId node, const env::Address& address,
       uint64_t seed);

  /// False: not queued (full, or larger than a frame), and counted as dropped.
  template <class Record>
  bool queue(const Record& record);
  /// Sends what was queued, at once or behind the write under way.
  void flush();

  /// From now on connects although nothing is to be sent, and sends something now and then.
  void stay_in_contact();
  /// Another address ends the connection to the old one.
  void set_address(const env::Address& address);
  /// The node has connected to us: it is there, and this is how it is called since its last start.
  void node_is_alive(uint64_t incarnation);
  /// For good. The receiver is told if anything was lost.
  void forget();
  /// For good, and silently.
  void close();

  // -- FrameReader::Handler: the other side says how much it has read.
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  enum class State : uint8_t { kIdle, kConnecting, kReady, kWaiting, kClosed };
  using Batch = std::unique_ptr<wire::BatchEncoder>;

  bool make_room(size_t record_bytes);
  void connect();
  void welcomed(Dialed dialed);
  void write_next();
  void written(const Status& status);
  void watch_silence();
  void check_silence();
  bool drop_connection();
  void failed(const Status& why);
  void wait_and_retry();
  void retry();
  void report(const Status& why);
  void keep_alive();
  void send_lives(const std::vector<wire::Life>& lives);
  bool anything_queued() const { return gathering_ || !full_.empty() || writing_; }
  bool write_under_way() const { return writing_ || !lives_frame_.empty(); }

  const std::shared_ptr<Context> context_;
  const uint32_t worker_;
  const NodeId node_;
  env::Executor& executor_;
  Counters& counters_;
  env::Address address_;
  Prng random_;
  State state_ = State::kIdle;
  bool stays_in_contact_ = false;

  // The queue.
  Batch gathering_;
  std::deque<Batch> full_;
  Batch writing_;
  Batch spare_;
  size_t queued_bytes_ = 0;
  bool flushed_ = false;       ///< gathering_ may go as it is.
  std::string lives_frame_;    ///< Being sent, the first thing on each connection.
  uint64_t durable_told_ = 0;  ///< On this connection.

  // The connection.
  std::shared_ptr<Dialer> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  CountedConnection contact_;
  uint64_t incarnation_ = 0;
  Timer retry_timer_;
  int64_t backoff_ns_;
  std::string reported_;  ///< The last problem, not to be told again.

  // Signs of life.
  Timer silence_timer_;
  Timer keepalive_timer_;
  uint64_t bytes_sent_ = 0;  ///< On this connection.
  uint64_t bytes_at_keepalive_ = 0;
  uint64_t bytes_received_ = 0;  ///< By the other side, as it says.
  env::MonotonicTime progress_at_;
};

template <class Record>
bool Peer::queue(const Record& record) {
  const size_t bytes = wire::record_bytes(record);
  if (!make_room(bytes)) return false;
  gathering_->add(record);
  queued_bytes_ += bytes;
  if (state_ == State::kIdle) connect();
  return true;
}

}  // namespace multiraft::transport
