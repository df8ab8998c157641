#include "peer/snapshot_streams.h"

#include "base/coverage.h"
#include "base/crc32c.h"

namespace multiraft::transport {

SnapshotStreams::SnapshotStreams(Shared& shared)
    : shared_(shared), executor_(*shared.options.snapshot_executor) {}

SnapshotStreams::~SnapshotStreams() { *alive_ = false; }

// -- Sending: header, chunks, end; then the receiver's word.

void SnapshotStreams::send(NodeId to, const peer::SnapshotHeader& header,
                           std::unique_ptr<ChunkSource> source, Callback<void(Status)> done) {
  const auto address = shared_.address(to);
  if (!*alive_ || !address) {
    done(Status(StatusCode::kUnavailable, "node " + to_string(to) + " has no known address"));
    return;
  }
  const uint64_t id = next_id_++;
  auto out = std::make_unique<Sending>();
  out->source = std::move(source);
  out->header = header;
  out->done = std::move(done);
  out->started = shared_.env.clock().now();
  sending_.emplace(id, std::move(out));
  dial(shared_, executor_, *address, shared_.hello(peer::ConnectionKind::kSnapshot, to, 0),
       shared_.options.connect_timeout_ns, alive_,
       [this, id](Result<Dialed> dialed) { connected(id, std::move(dialed)); });
}

void SnapshotStreams::connected(uint64_t id, Result<Dialed> dialed) {
  auto found = sending_.find(id);
  if (found == sending_.end()) return;
  if (!dialed) {
    finish_sending(id, dialed.status());
    return;
  }
  Sending& out = *found->second;
  out.frames = std::move(dialed->frames);
  out.frames->read([this, id](Result<FrameStream::Frame> frame) {
    if (!frame) {
      finish_sending(id, Status(StatusCode::kUnavailable, frame.status().message()));
    } else if (frame->kind != peer::FrameKind::kSnapshotAck) {
      finish_sending(id, Status(StatusCode::kInvalidArgument, "not an answer to a snapshot"));
    } else {
      finish_sending(id, peer::decode_snapshot_ack(frame->payload));
    }
    return false;
  });
  out.frames->write(peer::encode_snapshot_header(out.header),
                    [this, id](Status status) { wrote(id, status); });
}

int64_t SnapshotStreams::throttle_ns(const Sending& out) const {
  const uint64_t rate = shared_.options.snapshot_bytes_per_second;
  if (rate == 0) return 0;
  const auto due_ns =
      static_cast<int64_t>(static_cast<double>(out.totals.bytes) * 1e9 / static_cast<double>(rate));
  return due_ns - (shared_.env.clock().now() - out.started);
}

void SnapshotStreams::wrote(uint64_t id, const Status& status) {
  auto found = sending_.find(id);
  if (found == sending_.end()) return;
  if (!status) {
    finish_sending(id, Status(StatusCode::kUnavailable, status.message()));
    return;
  }
  if (found->second->ended) return;  // Now the receiver has the word.
  if (const int64_t wait_ns = throttle_ns(*found->second); wait_ns > 0) {
    executor_.run_at(shared_.env.clock().now() + wait_ns, [this, alive = alive_, id] {
      if (*alive) write_next(id);
    });
    return;
  }
  write_next(id);
}

void SnapshotStreams::write_next(uint64_t id) {
  auto found = sending_.find(id);
  if (found == sending_.end()) return;
  Sending& out = *found->second;
  std::string chunk;
  if (Status status = out.source->next(limits::kSnapshotChunkBytes, chunk); !status) {
    finish_sending(id, std::move(status));
    return;
  }
  std::string frame;
  if (chunk.empty()) {
    out.ended = true;
    frame = peer::encode_snapshot_end(out.totals);
  } else {
    frame = peer::encode_snapshot_chunk(out.totals.chunks, chunk);
    ++out.totals.chunks;
    out.totals.bytes += chunk.size();
    out.totals.checksum = crc32c(chunk, out.totals.checksum);
    Counters::add(shared_.counters.bytes_sent, frame.size());
  }
  out.frames->write(std::move(frame), [this, id](Status status) { wrote(id, status); });
}

void SnapshotStreams::finish_sending(uint64_t id, Status status) {
  auto found = sending_.find(id);
  if (found == sending_.end()) return;
  std::shared_ptr<Sending> out = std::move(found->second);
  sending_.erase(found);
  auto done = std::move(out->done);
  // Destroyed on the next round: this may be one of its own callbacks.
  executor_.post([out = std::move(out)] {});
  done(std::move(status));
}

// -- Receiving.

void SnapshotStreams::adopt(NodeId from, std::unique_ptr<FrameStream> frames) {
  if (!*alive_) return;
  const uint64_t id = next_id_++;
  auto in = std::make_unique<Receiving>();
  in->from = from;
  in->frames = std::move(frames);
  FrameStream& stream = *in->frames;
  receiving_.emplace(id, std::move(in));
  stream.read(
      [this, id](Result<FrameStream::Frame> frame) { return on_frame(id, std::move(frame)); });
}

bool SnapshotStreams::on_frame(uint64_t id, Result<FrameStream::Frame> frame) {
  auto found = receiving_.find(id);
  if (found == receiving_.end()) return false;
  if (!frame) {
    if (frame.status().code() != StatusCode::kCancelled) {
      Counters::add(shared_.counters.frames_rejected, 1);
    }
    MR_COVERAGE("transport: snapshot stream broke");
    std::shared_ptr<Receiving> in = std::move(found->second);
    receiving_.erase(found);
    executor_.post([in = std::move(in)] {});
    return false;
  }
  Counters::add(shared_.counters.bytes_received, frame->payload.size());
  bool ended = false;
  const Status status = take(*found->second, *frame, ended);
  if (status && !ended) return true;
  answer(id, status);
  return false;
}

Status SnapshotStreams::take(Receiving& in, const FrameStream::Frame& frame, bool& ended) {
  if (!in.sink) {
    if (frame.kind != peer::FrameKind::kSnapshotHeader) {
      return Status(StatusCode::kInvalidArgument, "a snapshot begins with its header");
    }
    auto header = peer::decode_snapshot_header(frame.payload);
    if (!header) return header.status();
    auto sink = shared_.options.snapshot_receiver->on_snapshot(in.from, *header);
    if (!sink) return sink.status();
    in.sink = std::move(*sink);
    return Status::ok();
  }
  if (frame.kind == peer::FrameKind::kSnapshotChunk) {
    auto chunk = peer::decode_snapshot_chunk(frame.payload);
    if (!chunk) return chunk.status();
    if (chunk->number != in.totals.chunks) {
      return Status(StatusCode::kCorruption, "a snapshot chunk is missing or out of order");
    }
    ++in.totals.chunks;
    in.totals.bytes += chunk->bytes.size();
    in.totals.checksum = crc32c(chunk->bytes, in.totals.checksum);
    return in.sink->append(chunk->bytes);
  }
  if (frame.kind != peer::FrameKind::kSnapshotEnd) {
    return Status(StatusCode::kInvalidArgument, "not a part of a snapshot");
  }
  auto end = peer::decode_snapshot_end(frame.payload);
  if (!end) return end.status();
  if (end->chunks != in.totals.chunks || end->bytes != in.totals.bytes ||
      end->checksum != in.totals.checksum) {
    return Status(StatusCode::kCorruption, "the snapshot arrived incomplete or damaged");
  }
  ended = true;
  return in.sink->finish();
}

void SnapshotStreams::answer(uint64_t id, const Status& status) {
  Receiving& in = *receiving_.find(id)->second;
  in.sink.reset();
  in.frames->write(peer::encode_snapshot_ack(status), [this, id](Status) {
    auto found = receiving_.find(id);
    if (found == receiving_.end()) return;
    std::shared_ptr<Receiving> spent = std::move(found->second);
    receiving_.erase(found);
    executor_.post([spent = std::move(spent)] {});
  });
}

void SnapshotStreams::close() {
  *alive_ = false;
  receiving_.clear();
  for (auto& [id, out] : sending_) {
    out->done(Status(StatusCode::kUnavailable, "this node stops"));
  }
  sending_.clear();
}

}  // namespace multiraft::transport
