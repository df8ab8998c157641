#pragma once
// Frames over a Stream: reads whole, checked frames one at a time, and writes.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/shared_bytes.h"
#include "base/task.h"
#include "env/network.h"
#include "peer/frame.h"

namespace multiraft::transport {

/// Owned by whoever drives the connection, on its executor. Destroying it closes the connection and
/// drops all callbacks.
class FrameStream {
 public:
  explicit FrameStream(std::unique_ptr<env::Stream> stream);
  ~FrameStream();

  struct Frame {
    peer::FrameKind kind;
    SharedBytes payload;
  };
  /// Hands every frame to `on_frame` until that returns false: it has then stopped the reading, and
  /// may have destroyed this. An error is the last call: kCancelled where the other side closed;
  /// kInvalidArgument or kCorruption where it sent garbage.
  void read(Callback<bool(Result<Frame>)> on_frame);
  /// The parts stay valid until done. One write at a time.
  void write(std::span<const std::string_view> parts, Callback<void(Status)> done);
  /// Keeps the bytes itself.
  void write(std::string bytes, Callback<void(Status)> done);

  /// Only with no write under way, reading stopped, and nothing read ahead (a handshake's end).
  void move_to(env::Executor& executor, Callback<void(std::unique_ptr<FrameStream>)> ready);
  /// Larger frames are garbage. Small until the handshake is over.
  void set_payload_limit(size_t bytes) { payload_limit_ = bytes; }
  bool read_ahead() const { return end_ > begin_; }
  void shutdown_write() { stream_->shutdown_write(); }
  std::string remote_address() const { return stream_->remote_address(); }

 private:
  void go_on();
  void fill();
  void fill_payload();
  void on_bytes(const Result<size_t>& got);
  /// True when `out` is the next frame, or an error.
  bool parse(Result<Frame>& out);

  std::unique_ptr<env::Stream> stream_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  // A payload larger than the buffer is read to where it stays.
  size_t payload_limit_ = limits::kFrameBytesMax;
  bool have_header_ = false;
  peer::FrameHeader header_;
  SharedBytes payload_;
  size_t payload_filled_ = 0;
  Callback<bool(Result<Frame>)> on_frame_;
  std::string outgoing_;
};

}  // namespace multiraft::transport
