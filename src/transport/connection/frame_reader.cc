#include "transport/connection/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::transport {
namespace {

/// What the announcement of a large frame alone makes us allocate: the rest follows once that much
/// has come, so that many connections which announce and send nothing hold little.
constexpr size_t kUnprovenBytesMax = 256 * limits::kKiB;

}  // namespace

FrameReader::FrameReader(env::Stream& stream, Handler& handler, size_t buffer_bytes,
                         size_t payload_bytes_max)
    : stream_(stream),
      handler_(handler),
      buffer_bytes_(buffer_bytes),
      payload_bytes_max_(payload_bytes_max) {
  MR_ASSERT(buffer_bytes >= 2 * wire::kFrameHeaderBytes);
}

void FrameReader::start(const std::weak_ptr<void>& owner) {
  self_ = std::shared_ptr<FrameReader>(owner.lock(), this);
  buffer_.reset(new char[buffer_bytes_]);
  read();
}

void FrameReader::resume() {
  const std::shared_ptr<FrameReader> self = self_.lock();
  if (self && !ended_) hand_out();
}

void FrameReader::read() {
  std::span<char> room;
  if (large_) {
    room = {frame_.mutable_data() + frame_filled_, frame_.size() - frame_filled_};
  } else {
    if (begin_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    room = {buffer_.get() + end_, buffer_bytes_ - end_};
  }
  stream_.read_some(room, [self = self_](const Result<size_t>& result) {
    // Holds what this belongs to until the call is over.
    if (const auto alive = self.lock()) alive->on_read(result);
  });
}

void FrameReader::on_read(const Result<size_t>& result) {
  if (!result) {
    fail(result.status());
    return;
  }
  if (*result == 0) {
    const bool between = !large_ && !have_header_ && begin_ == end_;
    fail({StatusCode::kUnavailable, between
                                        ? "the other side closed the connection"
                                        : "the other side closed the connection within a frame"});
    return;
  }
  bytes_read_ += *result;
  (large_ ? frame_filled_ : end_) += *result;
  hand_out();
}

void FrameReader::hand_out() {
  Step step;
  do {
    step = take_frame();
  } while (step == Step::kFrame);
  if (step == Step::kNeedsMore) read();
}

FrameReader::Step FrameReader::take_frame() {
  if (large_) {
    if (frame_filled_ < frame_.size()) return Step::kNeedsMore;
    if (frame_.size() < header_.payload_bytes) {
      grow_large();
      return Step::kNeedsMore;
    }
    large_ = false;
    return deliver(std::exchange(frame_, {}));
  }
  if (!have_header_) {
    if (end_ - begin_ < wire::kFrameHeaderBytes) return Step::kNeedsMore;
    const std::string_view bytes(buffer_.get() + begin_, wire::kFrameHeaderBytes);
    if (Status status = wire::decode_frame_header(bytes, header_); !status) return fail(status);
    if (header_.payload_bytes > payload_bytes_max_) {
      return fail({StatusCode::kTooLarge, "a frame of " + std::to_string(header_.payload_bytes) +
                                              " bytes where none of that size is expected"});
    }
    begin_ += wire::kFrameHeaderBytes;
    have_header_ = true;
  }
  const size_t size = header_.payload_bytes;
  if (end_ - begin_ >= size) {
    SharedBytes payload = SharedBytes::copy_of({buffer_.get() + begin_, size});
    begin_ += size;
    return deliver(std::move(payload));
  }
  // A quarter of the buffer is worth a read of its own; anything less waits for its rest there.
  if (size > buffer_bytes_ / 4) begin_large();
  return Step::kNeedsMore;
}

void FrameReader::begin_large() {
  frame_ = SharedBytes::allocate(
      std::min<size_t>(header_.payload_bytes, std::max(kUnprovenBytesMax, 2 * buffer_bytes_)));
  frame_filled_ = end_ - begin_;
  std::memcpy(frame_.mutable_data(), buffer_.get() + begin_, frame_filled_);
  begin_ = end_ = 0;
  large_ = true;
}

void FrameReader::grow_large() {
  SharedBytes whole = SharedBytes::allocate(header_.payload_bytes);
  std::memcpy(whole.mutable_data(), frame_.view().data(), frame_filled_);
  frame_ = std::move(whole);
}

FrameReader::Step FrameReader::deliver(SharedBytes payload) {
  have_header_ = false;
  if (Status status = wire::check_frame_payload(header_, payload); !status) return fail(status);
  return handler_.on_frame(header_, std::move(payload)) ? Step::kFrame : Step::kStopped;
}

FrameReader::Step FrameReader::fail(const Status& status) {
  ended_ = true;
  handler_.on_end(status);
  return Step::kStopped;
}

}  // namespace multiraft::transport
