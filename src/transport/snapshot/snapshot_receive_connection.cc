#include "transport/snapshot/snapshot_receive_connection.h"

#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

constexpr size_t kReadBufferBytes = 64 * limits::kKiB;
/// A sender that was refused may have written the few chunks it may be ahead.
constexpr size_t kDiscardBytesMax = (limits::kSnapshotChunksAheadMax + 1) * limits::kFrameBytesMax;

}  // namespace

SnapshotReceiveConnection::SnapshotReceiveConnection(
    std::shared_ptr<Context> context, NodeId from, std::unique_ptr<env::Stream> stream,
    FindIntake find_intake, Callback<void(SnapshotReceiveConnection&)> on_gone)
    : context_(std::move(context)),
      counters_(context_->snapshot_counters),
      from_(from),
      stream_(std::move(stream)),
      find_intake_(std::move(find_intake)),
      on_gone_(std::move(on_gone)),
      reader_(*stream_, *this, kReadBufferBytes),
      writer_(*stream_),
      lingering_close_(*stream_, writer_, kDiscardBytesMax),
      silence_timer_(*context_->options.snapshot_executor) {}

void SnapshotReceiveConnection::start() {
  progress_at_ = context_->now();
  watch_silence();
  writer_.start(weak_from_this());
  reader_.start(weak_from_this());
}

void SnapshotReceiveConnection::refuse(const Status& why) {
  progress_at_ = context_->now();
  watch_silence();
  writer_.start(weak_from_this());
  say_last(why);
}

bool SnapshotReceiveConnection::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  counters_.frames_received.add();
  counters_.bytes_received.add(wire::kFrameHeaderBytes + payload.size());
  progress_at_ = context_->now();
  in_frame_ = true;
  const Status status = take(header, payload);
  in_frame_ = false;
  if (!status) {
    fail(status);
    return false;
  }
  return proceed();
}

void SnapshotReceiveConnection::on_intake_moved() {
  if (in_frame_) return;
  progress_at_ = context_->now();
  if (proceed()) reader_.resume();
}

bool SnapshotReceiveConnection::proceed() {
  switch (intake_->phase()) {
    case IncomingSnapshot::Phase::kAsking:
      return false;
    case IncomingSnapshot::Phase::kTaking:
      say_ack();
      return true;
    case IncomingSnapshot::Phase::kFinishing:
      say_ack();
      return false;
    case IncomingSnapshot::Phase::kDone:
      say_last(intake_->outcome());
      return false;
  }
  return false;
}

Status SnapshotReceiveConnection::take(const wire::FrameHeader& header, std::string_view payload) {
  using wire::FrameKind;
  if (!intake_ && header.kind == FrameKind::kSnapshotHeader) return take_header(payload);
  if (intake_ && header.kind == FrameKind::kSnapshotChunk) {
    wire::SnapshotChunk chunk;
    MR_RETURN_IF_ERROR(wire::decode(payload, chunk));
    return intake_->take(chunk);
  }
  if (intake_ && header.kind == FrameKind::kSnapshotEnd) {
    wire::SnapshotEnd end;
    MR_RETURN_IF_ERROR(wire::decode(payload, end));
    return intake_->finish(end);
  }
  return {StatusCode::kCorruption,
          "a " + std::string(wire::frame_kind_name(header.kind)) + " frame at the wrong place"};
}

Status SnapshotReceiveConnection::take_header(std::string_view payload) {
  wire::SnapshotHeader header;
  MR_RETURN_IF_ERROR(wire::decode(payload, header));
  if (header.from.node() != from_ || header.to.node() != context_->self()) {
    return {StatusCode::kInvalidArgument, "the snapshot is from or for another node"};
  }
  auto found = find_intake_(header);
  if (!found) return found.status();
  intake_ = std::move(*found);
  intake_->attach(*this);
  return Status::ok();
}

void SnapshotReceiveConnection::say_ack() {
  writer_.send(
      wire::encode(wire::SnapshotAck{intake_->chunks(), false, StatusCode::kOk, std::string()}));
}

void SnapshotReceiveConnection::say_last(const Status& status) {
  writer_.send(wire::encode(
      wire::SnapshotAck{intake_ ? intake_->chunks() : 0, true, status.code(), status.message()}));
  detach();
  lingering_close_.begin(weak_from_this(), [this] { leave(); });
}

void SnapshotReceiveConnection::fail(const Status& why) {
  if (intake_) intake_->fail(why);
  say_last(why);
}

void SnapshotReceiveConnection::on_end(const Status& status) {
  if (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kIoError) {
    MR_COVERAGE("snapshot stream broke");
    leave();
    return;
  }
  counters_.frames_rejected.add();
  fail(status);
}

void SnapshotReceiveConnection::on_intake_taken() {
  intake_.reset();
  leave();
}

void SnapshotReceiveConnection::watch_silence() {
  const int64_t most_ns = context_->options.snapshot_silence_max_ns;
  silence_timer_.set(context_->now() + most_ns / 4, [weak = weak_from_this(), most_ns] {
    const auto self = weak.lock();
    if (!self) return;
    self->silence_timer_.fired();
    if (self->intake_ && self->intake_->phase() == IncomingSnapshot::Phase::kFinishing) {
      // The sender waits for us, not we for it.
      MR_COVERAGE("snapshot stream: the receiver says that it is busy");
      self->say_ack();
      return self->watch_silence();
    }
    if (self->intake_ && self->intake_->phase() == IncomingSnapshot::Phase::kAsking) {
      self->writer_.send(
          wire::encode(wire::SnapshotAck{0, false, StatusCode::kOverloaded, "waits for its turn"}));
      return self->watch_silence();
    }
    if (self->context_->now() - self->progress_at_ < most_ns) return self->watch_silence();
    MR_COVERAGE("snapshot stream silent at the receiver");
    self->leave();
  });
}

void SnapshotReceiveConnection::detach() {
  if (const auto intake = std::exchange(intake_, nullptr)) intake->detach(*this);
}

void SnapshotReceiveConnection::close() {
  detach();
  silence_timer_.cancel();
  stream_->close();
}

void SnapshotReceiveConnection::leave() {
  close();
  on_gone_(*this);
}

}  // namespace multiraft::transport
