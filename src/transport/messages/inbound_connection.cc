#include "transport/messages/inbound_connection.h"

#include <utility>

#include "base/coverage.h"

#include "wire/batch.h"

namespace multiraft::transport {
namespace {

constexpr size_t kReadBufferBytes = 64 * limits::kKiB;
/// Acknowledgements within the time after which silence counts as death.
constexpr int64_t kAcksPerSilence = 6;

}  // namespace

InboundConnection::InboundConnection(std::shared_ptr<Context> context, uint32_t worker,
                                     const wire::Hello& hello, std::unique_ptr<env::Stream> stream,
                                     Callback<void(InboundConnection&)> on_gone)
    : context_(std::move(context)),
      receiver_(*context_->options.receivers[worker]),
      counters_(context_->worker_counters[worker]),
      from_(hello.node),
      from_incarnation_(hello.incarnation),
      from_worker_(hello.worker),
      life_(context_->boots.find(hello.node, hello.state)),
      contact_(context_->contacts.entry(hello.node)),
      stream_(std::move(stream)),
      on_gone_(std::move(on_gone)),
      reader_(*stream_, *this, kReadBufferBytes),
      writer_(*stream_),
      ack_timer_(*context_->options.workers[worker]) {
  contact_.open(context_->now(), hello.incarnation);
}

void InboundConnection::start() {
  writer_.start(weak_from_this());
  reader_.start(weak_from_this());
}

/// What this node has learnt of others since it said so last, from its own connections and by
/// hearsay. On one connection per pair of nodes.
void InboundConnection::tell_lives() {
  if (from_worker_ != 0) return;
  const std::vector<wire::BootRecord> boots = context_->boots.changes(from_, lives_told_);
  if (!boots.empty()) writer_.send(wire::encode(boots));
}

void InboundConnection::close() {
  open_ = false;
  ack_timer_.cancel();
  contact_.close(context_->now());
  stream_->close();
}

bool InboundConnection::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  contact_.heard(context_->now());
  acknowledge_later();
  if (header.kind == wire::FrameKind::kBatch) return on_batch(std::move(payload));
  if (header.kind == wire::FrameKind::kLives) return on_lives(payload);
  return reject({StatusCode::kCorruption,
                 "a " + std::string(wire::frame_kind_name(header.kind)) + " frame among batches"});
}

bool InboundConnection::on_lives(std::string_view payload) {
  std::vector<wire::BootRecord> boots;
  if (Status status = wire::decode(payload, boots); !status) return reject(status);
  context_->learn(from_, boots);
  // It says so first on each connection, and hears in turn. Unasked, this might come together with
  // the answer to its hello.
  tell_lives();
  return open_;
}

bool InboundConnection::on_batch(SharedBytes payload) {
  counters_.frames_received.add();
  counters_.bytes_received.add(wire::kFrameHeaderBytes + payload.size());
  wire::BatchReader records(std::move(payload));
  uint64_t count = 0;
  wire::BatchReader::Item item;
  // The receiver may do anything but wait; what it does may end this connection.
  while (open_ && (item = records.next()) != wire::BatchReader::Item::kEnd) {
    switch (item) {
      case wire::BatchReader::Item::kMessage:
        receiver_.on_message(from_, std::move(records.message()));
        break;
      case wire::BatchReader::Item::kRequest:
        receiver_.on_request({from_, from_incarnation_}, std::move(records.request()));
        break;
      case wire::BatchReader::Item::kResponse:
        if (records.response().asker != context_->options.identity.incarnation) {
          // This node's previous process asked; its ids say nothing about this one's questions.
          MR_COVERAGE("answer to an earlier process");
          counters_.messages_dropped.add();
          break;
        }
        receiver_.on_response(from_, std::move(records.response()));
        break;
      case wire::BatchReader::Item::kDurable:
        if (life_) life_->told(from_worker_, records.durable().sequence);
        continue;
      case wire::BatchReader::Item::kMalformed:
      case wire::BatchReader::Item::kEnd:
        break;
    }
    if (item == wire::BatchReader::Item::kMalformed) break;
    ++count;
  }
  counters_.messages_received.add(count);
  receiver_.on_batch_end(from_);
  if (!records.status().is_ok()) return reject(records.status());
  return open_;
}

void InboundConnection::on_end(const Status& status) {
  // An end is nothing special; bytes that are not what they should be are.
  if (status.code() != StatusCode::kUnavailable && status.code() != StatusCode::kIoError) {
    reject(status);
    return;
  }
  close();
  on_gone_(*this);
}

bool InboundConnection::reject(const Status& why) {
  counters_.frames_rejected.add();
  context_->problem({why.code(), "from node " + to_string(from_) + " at " +
                                     stream_->remote_address() + ": " + why.message()});
  close();
  on_gone_(*this);
  return false;
}

void InboundConnection::acknowledge_later() {
  if (ack_timer_.is_set()) return;
  ack_timer_.set(context_->now() + context_->options.peer_silence_max_ns / kAcksPerSilence,
                 [weak = weak_from_this()] {
                   const auto self = weak.lock();
                   if (!self) return;
                   self->ack_timer_.fired();
                   // Behind one that is stuck there is no use for another.
                   if (self->writer_.idle()) {
                     self->writer_.send(wire::encode(wire::Received{self->reader_.bytes_read()}));
                     // So that what the logs have promised here is known to more than one node
                     // soon.
                     self->tell_lives();
                   }
                 });
}

}  // namespace multiraft::transport
