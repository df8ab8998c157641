#pragma once
// Frames out of a stream.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "env/network.h"
#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "wire/frame.h"

namespace multiraft::transport {

/// Reads one frame after the other, on the stream's thread. Small frames come through a buffer that
/// is used again, so that one system call reads many; a large one is read to where it stays.
///
///   socket --> [ .. frame | frame | beginning of a frame .. ]  -- copied, small --> SharedBytes
///         `--------------- the rest of a large frame --------------------------> SharedBytes
class FrameReader {
 public:
  /// Its calls may close the stream and drop the owner; the reader notices.
  class Handler {
   public:
    virtual ~Handler() = default;
    /// The frame has checked. False: reads no further until resume().
    virtual bool on_frame(const wire::FrameHeader& header, SharedBytes payload) = 0;
    /// Nothing more comes. kUnavailable: the other side closed, between two frames or within one;
    /// kIoError: the connection broke; otherwise the bytes are not what they should be.
    virtual void on_end(const Status& status) = 0;
  };

  /// Frames with a larger payload than `payload_bytes_max` are refused, whatever their kind.
  FrameReader(env::Stream& stream, Handler& handler, size_t buffer_bytes,
              size_t payload_bytes_max = wire::kFramePayloadBytesMax);

  /// `owner` holds the reader, the handler and the stream; once it is gone nothing is called.
  void start(const std::weak_ptr<void>& owner);
  /// After on_frame() returned false; not from within it.
  void resume();
  /// Bytes that were read behind the last frame that was handed out.
  size_t unread_bytes() const { return end_ - begin_; }
  /// All bytes that came.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  enum class Step : uint8_t { kFrame, kNeedsMore, kStopped };

  void read();
  void on_read(const Result<size_t>& result);
  void hand_out();
  Step take_frame();
  Step deliver(SharedBytes payload);
  void begin_large();
  void grow_large();
  Step fail(const Status& status);

  env::Stream& stream_;
  Handler& handler_;
  const size_t buffer_bytes_;
  const size_t payload_bytes_max_;
  std::weak_ptr<FrameReader> self_;  ///< This, for as long as the owner lives.
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;  ///< What has come and was not handed out: [begin_, end_).
  size_t end_ = 0;
  bool have_header_ = false;
  wire::FrameHeader header_;
  bool large_ = false;  ///< The payload is read into frame_.
  SharedBytes frame_;   ///< At first for the beginning of a large payload only.
  size_t frame_filled_ = 0;
  uint64_t bytes_read_ = 0;
  bool ended_ = false;
};

}  // namespace multiraft::transport
