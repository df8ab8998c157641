#pragma once
// The way from one worker to one node: a queue of batches and the connection that carries them.

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "base/drain_pace.h"
#include "base/prng.h"
#include "env/network.h"
#include "transport/connection/connector.h"
#include "transport/connection/frame_reader.h"
#include "transport/context.h"
#include "transport/messages/send_budget.h"
#include "transport/timer.h"
#include "wire/batch.h"

namespace multiraft::transport {

/// What all peers of a worker share.
struct SendBudgets {
  explicit SendBudgets(size_t bytes_max) : bulk(bytes_max), urgent(bytes_max) {}
  SendBudget bulk;
  SendBudget urgent;
};

/// Makes its connection when something is to be sent, and again after it broke.
///
///             queue()            welcomed
///     idle ------------> connecting -----> ready        [full][full][gathering]  two queues
///      ^                   |    ^            |             |
///      | nothing queued    v    | queue()    v          one write at a time
///      '----------------- waiting <----------'
///                   (the queue is dropped, the receiver is notified)
///
/// A broken connection loses what was queued, because nobody can say how much of it arrived: the
/// receiver is notified in the same step, so that it never takes what is queued later for lost.
class OutboundConnection final : public FrameReader::Handler,
                                 public std::enable_shared_from_this<OutboundConnection> {
 public:
  OutboundConnection(std::shared_ptr<Context> context, uint32_t worker, NodeId node,
                     std::vector<env::Address> addresses, std::shared_ptr<SendBudgets> budgets,
                     uint64_t seed);
  ~OutboundConnection() override;

  /// False: not queued (full, or larger than a frame), and counted as dropped.
  template <class Record>
  bool queue(const Record& record);
  /// As WorkerTransport::send() and take_back().
  Status ask(wire::Request request);
  bool take_back(uint64_t request_id);
  /// Sends what was queued, at once or behind the write under way.
  void flush();

  /// From now on connects although nothing is to be sent, and sends something now and then.
  void stay_in_contact();
  /// Tried in turn, the best first. Ends a connection to any other.
  void set_addresses(const std::vector<env::Address>& addresses);
  /// The node has connected to us: it is there, and this is how it is called since its last start.
  void node_is_alive(uint64_t incarnation);
  /// For good. The receiver is notified if anything was lost.
  void forget();
  /// For good, and silently.
  void close();

  // -- FrameReader::Handler: the other side says how much it has read.
  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override;
  void on_end(const Status& status) override;

 private:
  enum class State : uint8_t { kIdle, kConnecting, kReady, kWaiting, kClosed };
  using Batch = std::unique_ptr<wire::BatchEncoder>;

  /// One of the two queues of batches.
  struct Lane {
    Lane(SendBudget& all, size_t most) : budget(all), bytes_max(most) {}

    SendBudget& budget;
    const size_t bytes_max;
    Batch gathering;
    std::deque<Batch> full;
    size_t queued_bytes = 0;  ///< What is being written included.
    bool flushed = false;     ///< `gathering` may go as it is.

    bool empty() const { return !gathering && full.empty(); }
    bool admits(size_t more) const {
      return queued_bytes + more <= bytes_max && budget.admits(queued_bytes, more);
    }
    void add(size_t bytes);
    void remove(size_t bytes);
    void clear();
  };

  template <class Record>
  bool enqueue(Lane& lane, const Record& record, size_t bytes);
  Lane& lane_of(bool urgent, size_t record_bytes);
  bool make_room(Lane& lane, size_t record_bytes);
  bool backlog() const;
  int64_t bulk_wait_ns() const;
  bool take_next();
  bool take_held();
  void connect();
  void on_handshake_accepted(Connection dialed);
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
  void send_lives(const std::vector<wire::BootRecord>& boots);
  bool anything_queued() const {
    return !bulk_.empty() || !urgent_.empty() || !held_.empty() || writing_;
  }
  bool write_under_way() const { return writing_ || !lives_frame_.empty(); }

  const std::shared_ptr<Context> context_;
  const uint32_t worker_;
  const NodeId node_;
  env::Executor& executor_;
  Counters& counters_;
  const env::Address& address() const { return addresses_[next_address_]; }

  std::vector<env::Address> addresses_;
  size_t next_address_ = 0;  ///< Connected to, or tried next.
  Prng random_;
  State state_ = State::kIdle;
  bool stays_in_contact_ = false;

  // The queues. What is urgent goes with the bulk while that is short, so that a turn is one frame,
  // and overtakes it where it is long: heartbeats and votes must not wait for megabytes of entries,
  // nor be dropped with them.
  const std::shared_ptr<SendBudgets> budgets_;
  Lane bulk_;
  Lane urgent_;
  /// Writes for the leader, by id: they become part of a batch when it leaves, so that those that
  /// nobody waits for any more are not sent. Their bytes count in `bulk_`.
  std::map<uint64_t, wire::Request> held_;
  bool held_go_next_ = false;  ///< They and the batches of `bulk_` take turns.
  DrainPace pace_;
  env::MonotonicTime write_began_;
  Batch writing_;
  Lane* writing_lane_ = nullptr;
  Batch spare_;
  std::string lives_frame_;    ///< Being sent, the first thing on each connection.
  uint64_t durable_told_ = 0;  ///< On this connection.

  // The connection.
  std::shared_ptr<Connector> dialer_;
  std::unique_ptr<env::Stream> stream_;
  std::unique_ptr<FrameReader> reader_;
  nodes::CountedConnection contact_;
  uint64_t incarnation_ = 0;
  Timer retry_timer_;
  int64_t backoff_ns_;
  std::string reported_;  ///< The last problem, not to be reported again.

  // Signs of life.
  Timer silence_timer_;
  Timer keepalive_timer_;
  uint64_t bytes_sent_ = 0;  ///< On this connection.
  uint64_t bytes_at_keepalive_ = 0;
  uint64_t lives_told_ = 0;      ///< BootTable::changes(), on this connection.
  uint64_t bytes_received_ = 0;  ///< By the other side, as it says.
  env::MonotonicTime progress_at_;
};

/// Small, and somebody waits for it; or what the liveness of groups depends on. Appends among
/// themselves stay in order: Raft copes with the rest.
inline bool is_urgent(const wire::GroupMessage& message) {
  switch (message.message.type) {
    case raft::MessageType::kApp:
    case raft::MessageType::kProp:
    case raft::MessageType::kSnap:
      return false;
    default:
      return true;
  }
}
inline bool is_urgent(const wire::Request& request) {
  return request.kind != wire::RequestKind::kPropose;
}
inline bool is_urgent(const wire::Response& response) {
  return response.payload.size() <= limits::kKiB;
}

template <class Record>
bool OutboundConnection::queue(const Record& record) {
  const size_t bytes = wire::record_bytes(record);
  return enqueue(lane_of(is_urgent(record), bytes), record, bytes);
}

template <class Record>
bool OutboundConnection::enqueue(Lane& lane, const Record& record, size_t bytes) {
  if (!make_room(lane, bytes)) return false;
  lane.gathering->add(record);
  lane.add(bytes);
  if (state_ == State::kIdle) connect();
  return true;
}

}  // namespace multiraft::transport
