#include "transport/snapshot_sender.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

/// Sent and not acknowledged: enough to keep the receiver busy.
constexpr uint64_t kChunksAheadMax = 4;
constexpr size_t kReadBufferBytes = 4 * limits::kKiB;
/// However slow the rate, a stream must not look dead.
constexpr int64_t kRateDelayMaxNs = 10 * env::kSecond;

}  // namespace

SnapshotSender::SnapshotSender(std::shared_ptr<Context> context, NodeId to,
                               wire::SnapshotHeader header, std::unique_ptr<ChunkSource> source,
                               Done done)
    : context_(std::move(context)),
      executor_(*context_->options.snapshot_executor),
      counters_(context_->snapshot_counters),
      to_(to),
      header_(std::move(header)),
      source_(std::move(source)),
      done_(std::move(done)),
      rate_timer_(executor_),
      silence_timer_(executor_) {}

void SnapshotSender::start(const env::Address& address) {
  dialer_ = Dialer::start(
      context_, executor_, address, context_->hello(wire::ConnectionKind::kSnapshot, 0, to_),
      context_->options.connect_timeout_ns, [weak = weak_from_this()](Result<Dialed> dialed) {
        const auto self = weak.lock();
        if (!self || !self->done_) return;
        if (!dialed) return self->finish(dialed.status());
        self->begin(std::move(*dialed));
      });
}

void SnapshotSender::begin(Dialed dialed) {
  stream_ = std::move(dialed.stream);
  progress_at_ = next_chunk_at_ = context_->now();
  check_silence();
  frame_ = wire::encode(header_);
  write({});
  reader_ = std::make_unique<FrameReader>(*stream_, *this, kReadBufferBytes,
                                          wire::payload_bytes_max(wire::FrameKind::kSnapshotAck));
  reader_->start(weak_from_this());
}

void SnapshotSender::write(std::string_view data) {
  writing_ = true;
  const std::array<std::string_view, 2> parts = {frame_, data};
  stream_->write(
      parts, [weak = weak_from_this(), bytes = frame_.size() + data.size()](const Status& status) {
        const auto self = weak.lock();
        // An error is left to the reader: the receiver may have said why it went.
        if (!self || !self->done_ || !status) return;
        self->writing_ = false;
        self->progress_at_ = self->context_->now();
        self->counters_.frames_sent.add();
        self->counters_.bytes_sent.add(bytes);
        self->go_on();
      });
}

void SnapshotSender::go_on() {
  if (!accepted_ || writing_ || end_sent_ || rate_timer_.is_set()) return;
  if (packer_.totals().chunks - chunks_acked_ >= kChunksAheadMax) return;
  const env::MonotonicTime now = context_->now();
  if (now < next_chunk_at_) {
    rate_timer_.set(next_chunk_at_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->rate_timer_.fired();
      self->go_on();
    });
    return;
  }
  send_next();
}

void SnapshotSender::send_next() {
  content_.clear();
  if (Status status = source_->next(limits::kSnapshotChunkBytes, content_); !status) {
    return finish(status);
  }
  if (content_.size() > wire::SnapshotChunk::kContentBytesMax) {
    return finish(Status(StatusCode::kTooLarge, "a chunk of a snapshot is larger than a frame"));
  }
  if (content_.empty()) {
    end_sent_ = true;
    frame_ = wire::encode(packer_.totals().end());
    return write({});
  }
  const uint64_t rate = context_->options.snapshot_bytes_per_second;
  if (rate > 0) {
    const double delay_ns = 1e9 * static_cast<double>(content_.size()) / static_cast<double>(rate);
    // From the time at which it was due, so that waiting too long is made up for, but not from long
    // before: a stream that was held up must not burst.
    const env::MonotonicTime now = context_->now();
    next_chunk_at_ = std::max(next_chunk_at_, env::MonotonicTime{now.ns - env::kSecond / 10}) +
                     static_cast<int64_t>(std::min(delay_ns, double{kRateDelayMaxNs}));
  }
  const wire::SnapshotChunk chunk = packer_.pack(content_);
  frame_ = wire::encode_head(chunk);
  write(chunk.data);
}

bool SnapshotSender::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  wire::SnapshotAck ack;
  Status status = header.kind == wire::FrameKind::kSnapshotAck
                      ? wire::decode(payload, ack)
                      : Status(StatusCode::kCorruption, "not an ack of a snapshot");
  if (status && (ack.chunks < chunks_acked_ || ack.chunks > packer_.totals().chunks)) {
    status = Status(StatusCode::kCorruption, "an ack for chunks that were not sent");
  }
  if (!status) {
    counters_.frames_rejected.add();
    finish(status);
    return false;
  }
  if (ack.last) {
    finish(judge(ack));
    return false;
  }
  progress_at_ = context_->now();
  accepted_ = true;
  chunks_acked_ = ack.chunks;
  go_on();
  return static_cast<bool>(done_);
}

Status SnapshotSender::judge(const wire::SnapshotAck& last) const {
  if (last.code != StatusCode::kOk) {
    return {last.code, "node " + to_string(to_) + ": " + last.text};
  }
  if (!end_sent_ || last.chunks != packer_.totals().chunks) {
    return {StatusCode::kCorruption, "a snapshot is confirmed that was not sent to its end"};
  }
  return Status::ok();
}

void SnapshotSender::on_end(const Status& status) {
  const StatusCode code =
      status.code() == StatusCode::kIoError ? StatusCode::kUnavailable : status.code();
  finish(Status(code, "node " + to_string(to_) + ": " + status.message()));
}

void SnapshotSender::check_silence() {
  const int64_t most_ns = context_->options.snapshot_silence_max_ns;
  if (context_->now() - progress_at_ >= most_ns) {
    MR_COVERAGE("snapshot stream silent at the sender");
    return finish(Status(StatusCode::kUnavailable,
                         "node " + to_string(to_) + " takes no more of the snapshot"));
  }
  silence_timer_.set(context_->now() + most_ns / 2, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->silence_timer_.fired();
    self->check_silence();
  });
}

void SnapshotSender::close() {
  const Done dropped = std::exchange(done_, nullptr);
  if (dialer_) dialer_->close();
  if (stream_) stream_->close();
  rate_timer_.cancel();
  silence_timer_.cancel();
}

void SnapshotSender::finish(const Status& status) {
  if (!done_) return;
  Done done = std::exchange(done_, nullptr);
  close();
  // What it reads from may hold memory or files.
  source_.reset();
  done(*this, status);
}

}  // namespace multiraft::transport
