#include "transport/messages/outbound_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::transport {
namespace {

constexpr int64_t kBackoffMinNs = 20 * env::kMillisecond;
/// For frames that say how much was read.
constexpr size_t kReadBufferBytes = 512;
/// More bulk than this is not worth waiting for.
constexpr size_t kBacklogBytesMin = 64 * limits::kKiB;
/// Some 100,000 heartbeats.
constexpr size_t kUrgentQueueBytesMax = 8 * limits::kMiB;

}  // namespace

OutboundConnection::OutboundConnection(std::shared_ptr<Context> context, uint32_t worker,
                                       NodeId node, std::vector<env::Address> addresses,
                                       std::shared_ptr<SendBudgets> budgets, uint64_t seed)
    : context_(std::move(context)),
      worker_(worker),
      node_(node),
      executor_(*context_->options.workers[worker]),
      counters_(context_->worker_counters[worker]),
      addresses_(std::move(addresses)),
      random_(seed),
      budgets_(std::move(budgets)),
      bulk_(budgets_->bulk, limits::kPeerSendQueueBytesMax),
      urgent_(budgets_->urgent, kUrgentQueueBytesMax),
      contact_(context_->contacts.entry(node)),
      retry_timer_(executor_),
      backoff_ns_(kBackoffMinNs),
      silence_timer_(executor_),
      keepalive_timer_(executor_) {}

// -- The queue.

OutboundConnection::~OutboundConnection() {
  bulk_.clear();
  urgent_.clear();
}

void OutboundConnection::Lane::add(size_t bytes) {
  queued_bytes += bytes;
  budget.take(bytes);
}

void OutboundConnection::Lane::remove(size_t bytes) {
  queued_bytes -= bytes;
  budget.give_back(bytes);
}

void OutboundConnection::Lane::clear() {
  gathering.reset();
  full.clear();
  flushed = false;
  remove(queued_bytes);
}

/// Whether what is queued as bulk now would wait for more than a moment.
bool OutboundConnection::backlog() const {
  return !bulk_.full.empty() || !held_.empty() ||
         (bulk_.gathering && bulk_.gathering->frame_bytes() >= kBacklogBytesMin);
}

OutboundConnection::Lane& OutboundConnection::lane_of(bool urgent, size_t record_bytes) {
  if (!urgent || (!backlog() && urgent_.empty() && bulk_.admits(record_bytes))) return bulk_;
  MR_COVERAGE("urgent message overtakes bulk");
  return urgent_;
}

bool OutboundConnection::make_room(Lane& lane, size_t record_bytes) {
  if (state_ == State::kClosed) return false;
  if (!lane.admits(record_bytes)) {
    MR_COVERAGE("peer queue full");
    counters_.messages_dropped.add();
    return false;
  }
  if (lane.gathering && lane.gathering->frame_bytes() >= limits::kFrameBatchBytesTarget) {
    lane.full.push_back(std::move(lane.gathering));
    lane.flushed = false;
    if (state_ == State::kReady && !write_under_way()) write_next();
  }
  if (!lane.gathering) {
    lane.gathering = spare_ ? std::move(spare_) : std::make_unique<wire::BatchEncoder>();
  }
  if (lane.gathering->fits(record_bytes)) return true;
  // A batch below the target holds every record within the limits; this one is beyond them.
  MR_COVERAGE("record larger than a frame");
  counters_.messages_dropped.add();
  if (lane.gathering->empty()) spare_ = std::move(lane.gathering);
  return false;
}

int64_t OutboundConnection::bulk_wait_ns() const {
  if (state_ != State::kReady) return 0;
  const int64_t expected_ns = pace_.time_for_ns(bulk_.queued_bytes);
  // A write that takes long says so before it is done.
  return writing_ ? std::max(expected_ns, context_->now() - write_began_) : expected_ns;
}

Status OutboundConnection::ask(wire::Request request) {
  const size_t bytes = wire::record_bytes(request);
  const auto refusal = [&] {
    return Status(StatusCode::kOverloaded, "too much waits to be sent to node " + to_string(node_) +
                                               ": it was not accepted; try again after a moment");
  };
  if (request.kind != wire::RequestKind::kPropose) {
    if (queue(request)) return Status::ok();
    return state_ == State::kClosed
               ? Status(StatusCode::kUnavailable, "node " + to_string(node_) + " is not known")
               : refusal();
  }
  if (state_ == State::kClosed) {
    return {StatusCode::kUnavailable, "node " + to_string(node_) + " is not known"};
  }
  // Whoever asks gives up after a few seconds: what would wait for most of that is better refused.
  const bool late = bulk_.queued_bytes > kBacklogBytesMin &&
                    bulk_wait_ns() > context_->options.request_wait_max_ns;
  if (late || !bulk_.admits(bytes)) {
    MR_COVERAGE("forwarded write refused: too much waits");
    counters_.messages_dropped.add();
    return refusal();
  }
  if (state_ == State::kReady && !backlog()) {
    return enqueue(bulk_, request, bytes) ? Status::ok() : refusal();
  }
  if (wire::kFrameHeaderBytes + bytes + wire::BatchEncoder::kDurableBytes >
      limits::kFrameBytesMax) {
    MR_COVERAGE("record larger than a frame");
    counters_.messages_dropped.add();
    return {StatusCode::kTooLarge, "the request is larger than a frame"};
  }
  bulk_.add(bytes);
  const uint64_t id = request.id;
  const bool is_new = held_.emplace(id, std::move(request)).second;
  MR_ASSERT_MSG(is_new, "ids of requests do not repeat");
  if (state_ == State::kIdle) connect();
  return Status::ok();
}

bool OutboundConnection::take_back(uint64_t request_id) {
  const auto found = held_.find(request_id);
  if (found == held_.end()) return false;
  MR_COVERAGE("forwarded write taken back before it was sent");
  bulk_.remove(wire::record_bytes(found->second));
  held_.erase(found);
  counters_.messages_dropped.add();
  return true;
}

void OutboundConnection::flush() {
  bulk_.flushed = bulk_.gathering != nullptr;
  urgent_.flushed = urgent_.gathering != nullptr;
  if (bulk_.empty() && urgent_.empty() && held_.empty()) return;
  if (state_ == State::kReady && !write_under_way()) write_next();
}

bool OutboundConnection::take_next() {
  for (Lane* lane : {&urgent_, &bulk_}) {
    if (lane == &bulk_ && held_go_next_ && take_held()) return true;
    if (!lane->full.empty()) {
      writing_ = std::move(lane->full.front());
      lane->full.pop_front();
    } else if (lane->gathering && lane->flushed) {
      writing_ = std::move(lane->gathering);
      lane->flushed = false;
    } else {
      continue;
    }
    writing_lane_ = lane;
    held_go_next_ = held_go_next_ || lane == &bulk_;
    return true;
  }
  return take_held();
}

/// A batch of the requests that were held back, the oldest first.
bool OutboundConnection::take_held() {
  held_go_next_ = false;
  if (held_.empty()) return false;
  writing_ = spare_ ? std::move(spare_) : std::make_unique<wire::BatchEncoder>();
  while (!held_.empty() && writing_->frame_bytes() < limits::kFrameBatchBytesTarget &&
         writing_->fits(wire::record_bytes(held_.begin()->second))) {
    writing_->add(held_.begin()->second);
    held_.erase(held_.begin());
  }
  writing_lane_ = &bulk_;
  return true;
}

void OutboundConnection::write_next() {
  if (!take_next()) return;
  const uint64_t durable = context_->options.receivers[worker_]->durable_sequence();
  if (durable > durable_told_) {
    writing_->add(wire::Durable{durable});
    writing_lane_->add(wire::BatchEncoder::kDurableBytes);
    durable_told_ = durable;
  }
  bytes_sent_ += writing_->frame_bytes();
  write_began_ = context_->now();
  watch_silence();
  stream_->write(writing_->finish(), [weak = weak_from_this()](Status status) {
    if (const auto self = weak.lock()) self->written(status);
  });
}

void OutboundConnection::written(const Status& status) {
  if (state_ != State::kReady) return;
  if (!status) return failed(status);
  counters_.frames_sent.add();
  counters_.bytes_sent.add(writing_->frame_bytes());
  counters_.messages_sent.add(writing_->records());
  pace_.done(writing_->frame_bytes(), context_->now() - write_began_);
  writing_lane_->remove(writing_->frame_bytes() - wire::kFrameHeaderBytes);
  writing_->clear();
  spare_ = std::move(writing_);
  write_next();
}

// -- The connection.

void OutboundConnection::connect() {
  state_ = State::kConnecting;
  dialer_ = Connector::start(context_, executor_, address(),
                             context_->hello(wire::ConnectionKind::kMessages, worker_, node_),
                             context_->options.connect_timeout_ns,
                             [weak = weak_from_this()](Result<Connection> dialed) {
                               const auto self = weak.lock();
                               if (!self || self->state_ != State::kConnecting) return;
                               if (!dialed) return self->failed(dialed.status());
                               self->on_handshake_accepted(std::move(*dialed));
                             });
}

void OutboundConnection::on_handshake_accepted(Connection dialed) {
  dialer_.reset();
  stream_ = std::move(dialed.stream);
  incarnation_ = dialed.reply.incarnation;
  contact_.open(context_->now(), incarnation_);
  state_ = State::kReady;
  backoff_ns_ = kBackoffMinNs;
  reported_.clear();
  bytes_sent_ = bytes_received_ = 0;
  reader_ =
      std::make_unique<FrameReader>(*stream_, *this, kReadBufferBytes, wire::kBootRecordsBytesMax);
  reader_->start(weak_from_this());
  durable_told_ = 0;
  // On one connection per pair of nodes: what one worker learns, all know.
  if (worker_ == 0 && !context_->options.identity.state.empty()) {
    lives_told_ = 0;
    send_lives(context_->boots.changes(node_, lives_told_));
  }
  bytes_at_keepalive_ = 0;
  keep_alive();
  // What gathered while there was no connection has waited long enough.
  flush();
}

void OutboundConnection::stay_in_contact() {
  stays_in_contact_ = true;
  if (state_ == State::kIdle) connect();
}

/// Something is sent and acknowledged: both sides have heard of each other then.
void OutboundConnection::keep_alive() {
  if (!stays_in_contact_ || context_->options.keepalive_ns == 0) return;
  keepalive_timer_.set(context_->now() + context_->options.keepalive_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->keepalive_timer_.fired();
    if (self->state_ != State::kReady) return;
    // What waits for a write, or was written since, does the same.
    if (!self->write_under_way() && self->bytes_sent_ == self->bytes_at_keepalive_)
      self->send_lives(self->context_->boots.changes(self->node_, self->lives_told_));
    self->bytes_at_keepalive_ = self->bytes_sent_;
    self->keep_alive();
  });
}

void OutboundConnection::send_lives(const std::vector<wire::BootRecord>& boots) {
  lives_frame_ = wire::encode(boots);
  bytes_sent_ += lives_frame_.size();
  watch_silence();
  const std::array<std::string_view, 1> parts = {lives_frame_};
  stream_->write(parts, [weak = weak_from_this()](Status status) {
    const auto self = weak.lock();
    if (!self || self->state_ != State::kReady) return;
    if (!status) return self->failed(status);
    self->lives_frame_.clear();
    self->write_next();
  });
}

bool OutboundConnection::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  contact_.heard(context_->now());
  if (header.kind == wire::FrameKind::kLives) {
    std::vector<wire::BootRecord> boots;
    if (Status status = wire::decode(payload, boots); !status) {
      counters_.frames_rejected.add();
      failed(status);
      return false;
    }
    context_->learn(node_, boots);
    return true;
  }
  wire::Received received;
  if (header.kind != wire::FrameKind::kReceived || !wire::decode(payload, received) ||
      received.bytes > bytes_sent_) {
    counters_.frames_rejected.add();
    failed(Status(StatusCode::kCorruption,
                  "node " + to_string(node_) + " sends what does not belong on the connection"));
    return false;
  }
  if (received.bytes > bytes_received_) {
    bytes_received_ = received.bytes;
    progress_at_ = context_->now();
  }
  return true;
}

void OutboundConnection::on_end(const Status& status) { failed(status); }

void OutboundConnection::watch_silence() {
  if (silence_timer_.is_set()) return;
  progress_at_ = context_->now();
  silence_timer_.set(progress_at_ + context_->options.peer_silence_max_ns / 2,
                     [weak = weak_from_this()] {
                       if (const auto self = weak.lock()) self->check_silence();
                     });
}

void OutboundConnection::check_silence() {
  silence_timer_.fired();
  if (state_ != State::kReady || bytes_received_ == bytes_sent_) return;
  const int64_t silence_ns = context_->now() - progress_at_;
  if (silence_ns >= context_->options.peer_silence_max_ns) {
    MR_COVERAGE("silent peer");
    failed(Status(StatusCode::kUnavailable, "node " + to_string(node_) + " at " +
                                                address().to_string() + " has taken nothing for " +
                                                std::to_string(silence_ns / env::kMillisecond) +
                                                " ms"));
    return;
  }
  const env::MonotonicTime progress_at = progress_at_;
  watch_silence();
  progress_at_ = progress_at;
}

/// Ends what there is of a connection, and with it the queue. Whether there was one.
bool OutboundConnection::drop_connection() {
  const bool connected = state_ == State::kReady;
  if (dialer_) dialer_->close();
  dialer_.reset();
  // Not destroyed yet: this may be its callback.
  if (stream_) stream_->close();
  retry_timer_.cancel();
  silence_timer_.cancel();
  keepalive_timer_.cancel();
  contact_.close(context_->now());
  uint64_t lost = writing_ ? writing_->records() : 0;
  for (Lane* lane : {&urgent_, &bulk_}) {
    for (const Batch& batch : lane->full) lost += batch->records();
    if (lane->gathering) lost += lane->gathering->records();
    lane->clear();
  }
  lost += held_.size();
  held_.clear();
  held_go_next_ = false;
  pace_.reset();
  counters_.messages_dropped.add(lost);
  writing_.reset();
  lives_frame_.clear();
  return connected;
}

void OutboundConnection::failed(const Status& why) {
  if (state_ != State::kConnecting && state_ != State::kReady) return;
  report(why);
  contact_.failed(context_->now());
  const bool something_lost = state_ == State::kReady || anything_queued();
  const bool connected = drop_connection();
  // The node may be at another one. An address that led to it is tried again first.
  if (!connected) next_address_ = (next_address_ + 1) % addresses_.size();
  wait_and_retry();
  // Last: the receiver may send again, and even have this node forgotten.
  if (something_lost) context_->options.receivers[worker_]->on_disconnected(node_, connected);
}

void OutboundConnection::report(const Status& why) {
  if (why.message() == reported_) return;
  reported_ = why.message();
  context_->problem(why);
}

void OutboundConnection::wait_and_retry() {
  state_ = State::kWaiting;
  const auto most = static_cast<uint64_t>(backoff_ns_);
  const auto delay_ns = static_cast<int64_t>(random_.between(most / 2, most));
  backoff_ns_ = std::min(2 * backoff_ns_,
                         std::max(context_->options.reconnect_backoff_max_ns, kBackoffMinNs));
  retry_timer_.set(context_->now() + delay_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->retry_timer_.fired();
    self->retry();
  });
}

void OutboundConnection::retry() {
  state_ = State::kIdle;
  if (anything_queued() || stays_in_contact_) connect();
}

void OutboundConnection::node_is_alive(uint64_t incarnation) {
  if (state_ == State::kWaiting) {
    MR_COVERAGE("reconnect because the node connected");
    retry_timer_.cancel();
    backoff_ns_ = kBackoffMinNs;
    retry();
  } else if (state_ == State::kReady && incarnation != incarnation_) {
    // It has started again: the connection to its predecessor leads nowhere, though a machine that
    // lost its power cannot say so.
    MR_COVERAGE("connection to an earlier incarnation");
    failed(Status(StatusCode::kUnavailable, "node " + to_string(node_) + " has started again"));
  }
}

void OutboundConnection::set_addresses(const std::vector<env::Address>& addresses) {
  if (addresses == addresses_ || state_ == State::kClosed) return;
  const auto current = std::find(addresses.begin(), addresses.end(), address());
  const bool stays = current != addresses.end() && state_ == State::kReady;
  const size_t next = stays ? static_cast<size_t>(current - addresses.begin()) : 0;
  addresses_ = addresses;
  next_address_ = next;
  if (stays) return;
  const bool live = state_ != State::kIdle;
  const bool connected = drop_connection();
  state_ = State::kIdle;
  backoff_ns_ = kBackoffMinNs;
  if (stays_in_contact_) connect();
  if (live) context_->options.receivers[worker_]->on_disconnected(node_, connected);
}

void OutboundConnection::forget() {
  const bool live = state_ != State::kIdle && state_ != State::kClosed;
  const bool connected = drop_connection();
  state_ = State::kClosed;
  if (live) context_->options.receivers[worker_]->on_disconnected(node_, connected);
}

void OutboundConnection::close() {
  drop_connection();
  state_ = State::kClosed;
}

}  // namespace multiraft::transport
