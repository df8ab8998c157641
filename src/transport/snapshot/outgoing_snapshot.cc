#include "transport/snapshot/outgoing_snapshot.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

constexpr size_t kReadBufferBytes = 4 * limits::kKiB;
/// Between two attempts to go on: doubles up to the maximum.
constexpr int64_t kBackoffMinNs = 20 * env::kMillisecond;
constexpr int64_t kBackoffMaxNs = 1'000 * env::kMillisecond;

}  // namespace

OutgoingSnapshot::OutgoingSnapshot(std::shared_ptr<Context> context, SnapshotThrottle& throttle,
                                   NodeId to, env::Address address, wire::SnapshotHeader header,
                                   std::unique_ptr<ChunkSource> source, Done done)
    : context_(std::move(context)),
      executor_(*context_->options.snapshot_executor),
      counters_(context_->snapshot_counters),
      throttle_(throttle),
      to_(to),
      address_(std::move(address)),
      header_(std::move(header)),
      source_(std::move(source)),
      done_(std::move(done)),
      pace_timer_(executor_),
      silence_timer_(executor_) {}

// -- Connections.

void OutgoingSnapshot::start() { dial(); }

void OutgoingSnapshot::dial() {
  dialer_ = Connector::start(
      context_, executor_, address_, context_->hello(wire::ConnectionKind::kSnapshot, 0, to_),
      context_->options.connect_timeout_ns, [weak = weak_from_this()](Result<Connection> dialed) {
        const auto self = weak.lock();
        if (!self || !self->done_) return;
        if (!dialed) return self->lost(dialed.status());
        self->begin(std::move(*dialed));
      });
}

void OutgoingSnapshot::begin(Connection dialed) {
  former_reader_.reset();
  former_stream_.reset();
  stream_ = std::move(dialed.stream);
  progress_at_ = context_->now();
  pace_.reset();
  check_silence();
  frame_ = wire::encode(header_);
  write(frame_, {});
  reader_ = std::make_unique<FrameReader>(*stream_, *this, kReadBufferBytes,
                                          wire::payload_bytes_max(wire::FrameKind::kSnapshotAck));
  reader_->start(weak_from_this());
}

void OutgoingSnapshot::lost(const Status& why) {
  const env::MonotonicTime now = context_->now();
  hang_up();
  // Only a break is worth another attempt; a refusal is the receiver's last word.
  if (!ever_accepted_ || why.code() != StatusCode::kUnavailable) return finish(why);
  if (lost_at_ == env::MonotonicTime{} || moved_) {
    lost_at_ = now;
    moved_ = false;
    backoff_ns_ = kBackoffMinNs;
  }
  if (now - lost_at_ >= context_->options.snapshot_resume_max_ns) {
    MR_COVERAGE("snapshot stream given up after a break");
    return finish(why);
  }
  pace_timer_.set(now + backoff_ns_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->pace_timer_.fired();
    self->dial();
  });
  backoff_ns_ = std::min(2 * backoff_ns_, kBackoffMaxNs);
}

void OutgoingSnapshot::hang_up() {
  if (dialer_) dialer_->close();
  if (stream_) stream_->close();
  if (reader_) former_reader_ = std::move(reader_);
  if (stream_) former_stream_ = std::move(stream_);
  pace_timer_.cancel();
  silence_timer_.cancel();
  writing_ = accepted_ = end_sent_ = false;
  for (Sent& chunk : unacked_) chunk.again = true;
}

// -- Chunks.

void OutgoingSnapshot::write(std::string_view head, std::string_view data) {
  writing_ = true;
  const std::array<std::string_view, 2> parts = {head, data};
  stream_->write(
      parts, [weak = weak_from_this(), bytes = head.size() + data.size()](const Status& status) {
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

bool OutgoingSnapshot::far_ahead() const {
  const uint64_t ahead = chunks_written_ - chunks_acked_;
  if (ahead >= limits::kSnapshotChunksAheadMax) return true;
  size_t bytes = 0;
  for (uint64_t i = 0; i < ahead; ++i) bytes += unacked_[i].data.size();
  return bytes >= limits::kSnapshotBytesAheadMax;
}

void OutgoingSnapshot::note_pace() {
  // The end's answer takes as long as the receiver needs to read everything in.
  pace_.waits(accepted_ && !end_sent_ && (writing_ || far_ahead()), context_->now());
}

void OutgoingSnapshot::go_on() {
  note_pace();
  if (!accepted_ || writing_ || end_sent_ || pace_timer_.is_set()) return;
  if (far_ahead()) return;
  if (context_->now() < throttle_.free_at()) {
    pace_timer_.set(throttle_.free_at(), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->pace_timer_.fired();
      self->go_on();
    });
    return;
  }
  send_next();
}

void OutgoingSnapshot::send_next() {
  if (chunks_written_ == chunks_read()) {
    if (Status status = read_next(); !status) return finish(status);
  }
  if (chunks_written_ == chunks_read()) {
    end_sent_ = true;
    frame_ = wire::encode(packer_.totals().end());
    write(frame_, {});
    return note_pace();
  }
  const Sent& chunk = unacked_[chunks_written_ - chunks_acked_];
  throttle_.spent(chunk.content_bytes, context_->now());
  counters_.snapshot_chunks_sent.add();
  counters_.snapshot_bytes_sent.add(chunk.content_bytes);
  if (chunk.again) counters_.snapshot_chunks_resent.add();
  ++chunks_written_;
  write(chunk.head, chunk.data);
  note_pace();
}

Status OutgoingSnapshot::read_next() {
  if (source_ended_) return Status::ok();
  content_.clear();
  MR_RETURN_IF_ERROR(source_->next(limits::kSnapshotChunkBytes, content_));
  if (content_.size() > wire::SnapshotChunk::kContentBytesMax) {
    return {StatusCode::kTooLarge, "a chunk of a snapshot is larger than a frame"};
  }
  if (content_.empty()) {
    source_ended_ = true;
    return Status::ok();
  }
  const wire::SnapshotChunk chunk = packer_.pack(content_);
  unacked_.push_back({wire::encode_head(chunk), std::string(chunk.data), chunk.content_bytes});
  return Status::ok();
}

// -- Acks.

bool OutgoingSnapshot::on_frame(const wire::FrameHeader& header, SharedBytes payload) {
  wire::SnapshotAck ack;
  Status status = header.kind == wire::FrameKind::kSnapshotAck
                      ? wire::decode(payload, ack)
                      : Status(StatusCode::kCorruption, "not an ack of a snapshot");
  if (!status) {
    counters_.frames_rejected.add();
    finish(status);
    return false;
  }
  if (ack.last) {
    finish(judge(ack));
    return false;
  }
  if (ack.code == StatusCode::kOverloaded && !accepted_) {
    MR_COVERAGE("snapshot stream waits for its turn");
    progress_at_ = context_->now();
    return true;
  }
  status = accepted_ ? take_ack(ack) : take_first_ack(ack);
  if (!status) {
    finish(status);
    return false;
  }
  progress_at_ = context_->now();
  go_on();
  return static_cast<bool>(done_);
}

Status OutgoingSnapshot::take_ack(const wire::SnapshotAck& ack) {
  if (ack.chunks < chunks_acked_ || ack.chunks > chunks_written_) {
    counters_.frames_rejected.add();
    return {StatusCode::kCorruption, "an ack for chunks that were not sent"};
  }
  moved_ = moved_ || ack.chunks > chunks_acked_;
  for (; chunks_acked_ < ack.chunks; ++chunks_acked_) {
    pace_.took(unacked_.front().data.size());
    unacked_.pop_front();
  }
  return Status::ok();
}

/// What the receiver has of the stream says where this connection goes on.
Status OutgoingSnapshot::take_first_ack(const wire::SnapshotAck& ack) {
  if (ever_accepted_ && ack.chunks < chunks_acked_) {
    MR_COVERAGE("snapshot stream: the receiver lost what it had taken");
    return {StatusCode::kUnavailable,
            "node " + to_string(to_) + " no longer has what it took of the snapshot"};
  }
  chunks_written_ = chunks_read();
  MR_RETURN_IF_ERROR(take_ack(ack));
  chunks_written_ = ack.chunks;
  if (ever_accepted_) {
    MR_COVERAGE("snapshot stream resumed");
    counters_.snapshots_resumed.add();
  }
  accepted_ = ever_accepted_ = true;
  return Status::ok();
}

Status OutgoingSnapshot::judge(const wire::SnapshotAck& last) const {
  if (last.code != StatusCode::kOk) {
    return {last.code, "node " + to_string(to_) + ": " + last.text};
  }
  // After a break the receiver may have finished before it was told the end once more.
  if (!source_ended_ || last.chunks != chunks_read()) {
    return {StatusCode::kCorruption, "a snapshot is confirmed that was not sent to its end"};
  }
  return Status::ok();
}

void OutgoingSnapshot::on_end(const Status& status) {
  const StatusCode code =
      status.code() == StatusCode::kIoError ? StatusCode::kUnavailable : status.code();
  lost(Status(code, "node " + to_string(to_) + ": " + status.message()));
}

void OutgoingSnapshot::check_silence() {
  const int64_t most_ns = context_->options.snapshot_silence_max_ns;
  if (context_->now() - progress_at_ >= most_ns) {
    MR_COVERAGE("snapshot stream silent at the sender");
    return lost(Status(StatusCode::kUnavailable,
                       "node " + to_string(to_) + " takes no more of the snapshot"));
  }
  if (pace_.too_slow(context_->now())) {
    return finish(Status(StatusCode::kUnavailable,
                         "node " + to_string(to_) + " takes the snapshot too slowly: less than " +
                             std::to_string(limits::kSnapshotRateMin / limits::kKiB) +
                             " KiB a second"));
  }
  silence_timer_.set(context_->now() + most_ns / 2, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->silence_timer_.fired();
    self->check_silence();
  });
}

void OutgoingSnapshot::close() {
  const Done dropped = std::exchange(done_, nullptr);
  hang_up();
}

void OutgoingSnapshot::finish(const Status& status) {
  if (!done_) return;
  Done done = std::exchange(done_, nullptr);
  hang_up();
  // What it reads from may hold memory or files.
  source_.reset();
  done(*this, status);
}

}  // namespace multiraft::transport
