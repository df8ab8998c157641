#include "peer/frame_stream.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace multiraft::transport {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

}  // namespace

FrameStream::FrameStream(std::unique_ptr<env::Stream> stream)
    : stream_(std::move(stream)), buffer_(kBufferBytes) {}
FrameStream::~FrameStream() = default;

void FrameStream::read(Callback<bool(Result<Frame>)> on_frame) {
  on_frame_ = std::move(on_frame);
  go_on();
}

void FrameStream::go_on() {
  // The handler is held here: it may destroy this object and with it the member.
  auto on_frame = std::move(on_frame_);
  Result<Frame> frame = Status(StatusCode::kInternal, "no frame");
  while (parse(frame)) {
    if (!on_frame(std::move(frame))) return;
  }
  on_frame_ = std::move(on_frame);
  fill();
}

bool FrameStream::parse(Result<Frame>& out) {
  if (!have_header_) {
    if (end_ - begin_ < peer::kFrameHeaderBytes) return false;
    auto header = peer::decode_frame_header({buffer_.data() + begin_, peer::kFrameHeaderBytes});
    if (!header) {
      out = header.status();
      return true;
    }
    if (header->payload_bytes > payload_limit_) {
      out = Status(
          StatusCode::kInvalidArgument,
          "a frame of " + std::to_string(header->payload_bytes) + " bytes is too large here");
      return true;
    }
    begin_ += peer::kFrameHeaderBytes;
    header_ = *header;
    have_header_ = true;
    payload_ = SharedBytes::allocate(header_.payload_bytes);
    payload_filled_ = 0;
  }
  const size_t take = std::min(end_ - begin_, header_.payload_bytes - payload_filled_);
  if (take > 0) {
    std::memcpy(payload_.mutable_data() + payload_filled_, buffer_.data() + begin_, take);
    begin_ += take;
    payload_filled_ += take;
  }
  if (payload_filled_ < header_.payload_bytes) return false;
  have_header_ = false;
  if (Status status = peer::check_payload(header_, payload_); !status) {
    out = std::move(status);
  } else {
    out = Frame{header_.kind, std::move(payload_)};
  }
  return true;
}

void FrameStream::fill() {
  if (have_header_ && header_.payload_bytes - payload_filled_ >= kBufferBytes) {
    fill_payload();
    return;
  }
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  stream_->read_some(std::span(buffer_).subspan(end_), [this](Result<size_t> got) {
    if (got && *got > 0) end_ += *got;
    on_bytes(got);
  });
}

void FrameStream::fill_payload() {
  stream_->read_some(
      {payload_.mutable_data() + payload_filled_, header_.payload_bytes - payload_filled_},
      [this](Result<size_t> got) {
        if (got) payload_filled_ += *got;
        on_bytes(got);
      });
}

void FrameStream::on_bytes(const Result<size_t>& got) {
  if (got && *got > 0) {
    go_on();
    return;
  }
  auto on_frame = std::move(on_frame_);
  if (!got) {
    on_frame(got.status());
  } else {
    on_frame(Status(StatusCode::kCancelled, have_header_ || end_ > begin_
                                                ? "the connection ended inside a frame"
                                                : "the other side closed the connection"));
  }
}

void FrameStream::write(std::span<const std::string_view> parts, Callback<void(Status)> done) {
  stream_->write(parts, std::move(done));
}

void FrameStream::write(std::string bytes, Callback<void(Status)> done) {
  outgoing_ = std::move(bytes);
  const std::string_view part = outgoing_;
  stream_->write({&part, 1}, std::move(done));
}

void FrameStream::move_to(env::Executor& executor,
                          Callback<void(std::unique_ptr<FrameStream>)> ready) {
  MR_ASSERT(!read_ahead() && !on_frame_);
  stream_->move_to(executor,
                   [ready = std::move(ready)](std::unique_ptr<env::Stream> moved) mutable {
                     ready(std::make_unique<FrameStream>(std::move(moved)));
                   });
}

}  // namespace multiraft::transport
