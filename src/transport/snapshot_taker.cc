#include "transport/snapshot_taker.h"

#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

constexpr size_t kReadBufferBytes = 64 * limits::kKiB;
/// A sender that was refused may have written the few chunks it may be ahead.
constexpr size_t kDiscardBytesMax = 5 * limits::kFrameBytesMax;

}  // namespace

SnapshotTaker::SnapshotTaker(std::shared_ptr<Context> context, NodeId from,
                             std::unique_ptr<env::Stream> stream,
                             Callback<void(SnapshotTaker&)> on_gone)
    : context_(std::move(context)),
      counters_(context_->snapshot_counters),
      from_(from),
      stream_(std::move(stream)),
      on_gone_(std::move(on_gone)),
      reader_(*stream_, *this, kReadBufferBytes),
      writer_(*stream_),
      farewell_(*stream_, writer_, kDiscardBytesMax),
      silence_timer_(*context_->options.snapshot_executor) {}

void SnapshotTaker::start() {
  progress_at_ = context_->now();
  watch_silence();
  writer_.start(weak_from_this());
  reader_.start(weak_from_this());
}

void SnapshotTaker::refuse(const Status& why) {
  progress_at_ = context_->now();
  watch_silence();
  writer_.start(weak_from_this());
  say_last(why);
}

bool SnapshotTaker::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  counters_.frames_received.add();
  counters_.bytes_received.add(wire::kFrameHeaderBytes + payload.size());
  progress_at_ = context_->now();
  const Status status = take(header, payload);
  if (!status || finished_) {
    say_last(status);
    return false;
  }
  writer_.send(wire::encode(
      wire::SnapshotAck{unpacker_.totals().chunks, false, StatusCode::kOk, std::string()}));
  return true;
}

Status SnapshotTaker::take(const wire::FrameHeader& header, std::string_view payload) {
  using wire::FrameKind;
  if (!sink_ && header.kind == FrameKind::kSnapshotHeader) return take_header(payload);
  if (sink_ && header.kind == FrameKind::kSnapshotChunk) return take_chunk(payload);
  if (sink_ && header.kind == FrameKind::kSnapshotEnd) {
    wire::SnapshotEnd end;
    MR_RETURN_IF_ERROR(wire::decode(payload, end));
    MR_RETURN_IF_ERROR(unpacker_.check(end));
    MR_RETURN_IF_ERROR(sink_->finish());
    finished_ = true;
    return Status::ok();
  }
  return {StatusCode::kCorruption,
          "a " + std::string(wire::frame_kind_name(header.kind)) + " frame at the wrong place"};
}

Status SnapshotTaker::take_header(std::string_view payload) {
  wire::SnapshotHeader header;
  MR_RETURN_IF_ERROR(wire::decode(payload, header));
  if (header.from.node() != from_ || header.to.node() != context_->self()) {
    return {StatusCode::kInvalidArgument, "the snapshot is from or for another node"};
  }
  auto sink = context_->options.snapshot_receiver->on_snapshot(from_, header);
  if (!sink) return sink.status();
  sink_ = std::move(*sink);
  return Status::ok();
}

Status SnapshotTaker::take_chunk(std::string_view payload) {
  wire::SnapshotChunk chunk;
  MR_RETURN_IF_ERROR(wire::decode(payload, chunk));
  const Result<std::string_view> content = unpacker_.unpack(chunk);
  if (!content) return content.status();
  return sink_->append(*content);
}

void SnapshotTaker::say_last(const Status& status) {
  sink_.reset();
  writer_.send(wire::encode(
      wire::SnapshotAck{unpacker_.totals().chunks, true, status.code(), status.message()}));
  farewell_.begin(weak_from_this(), [this] { leave(); });
}

void SnapshotTaker::on_end(const Status& status) {
  if (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kIoError) {
    MR_COVERAGE("snapshot stream broke");
    leave();
    return;
  }
  counters_.frames_rejected.add();
  say_last(status);
}

void SnapshotTaker::watch_silence() {
  const int64_t most_ns = context_->options.snapshot_silence_max_ns;
  silence_timer_.set(context_->now() + most_ns / 2, [weak = weak_from_this(), most_ns] {
    const auto self = weak.lock();
    if (!self) return;
    self->silence_timer_.fired();
    if (self->context_->now() - self->progress_at_ < most_ns) return self->watch_silence();
    MR_COVERAGE("snapshot stream silent at the receiver");
    self->leave();
  });
}

void SnapshotTaker::close() {
  sink_.reset();
  silence_timer_.cancel();
  stream_->close();
}

void SnapshotTaker::leave() {
  close();
  on_gone_(*this);
}

}  // namespace multiraft::transport
