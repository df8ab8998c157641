#pragma once
// How a connection ends whose last word must arrive.

#include <cstddef>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "base/task.h"
#include "env/network.h"
#include "transport/connection/frame_writer.h"

namespace multiraft::transport {

/// Closing a socket with unread bytes resets the connection, and the other side may lose what it
/// was told last. So: all is written, the end of the stream is sent, and what still comes is read
/// and thrown away until the other side closes too. Whoever owns it sets a limit in time.
class LingeringClose {
 public:
  /// Up to `bytes_max` bytes are thrown away; whoever sends more has not understood.
  LingeringClose(env::Stream& stream, FrameWriter& writer, size_t bytes_max)
      : stream_(stream), writer_(writer), bytes_left_(bytes_max) {}

  /// No read is under way. `owner` holds this, the stream and the writer. `over` is the last call.
  void begin(std::weak_ptr<void> owner, Task over) {
    owner_ = std::move(owner);
    over_ = std::move(over);
    writer_.when_idle([this, owner = owner_] {
      const std::shared_ptr<void> alive = owner.lock();
      if (!alive) return;
      stream_.shutdown_write();
      trash_.reset(new char[kTrashBytes]);
      discard();
    });
  }

 private:
  static constexpr size_t kTrashBytes = 4 * limits::kKiB;

  void discard() {
    stream_.read_some({trash_.get(), kTrashBytes}, [this, owner = owner_](Result<size_t> result) {
      const std::shared_ptr<void> alive = owner.lock();
      if (!alive) return;
      if (!result || *result == 0 || *result > bytes_left_) {
        over_();
        return;
      }
      bytes_left_ -= *result;
      discard();
    });
  }

  env::Stream& stream_;
  FrameWriter& writer_;
  size_t bytes_left_;
  std::weak_ptr<void> owner_;
  Task over_;
  std::unique_ptr<char[]> trash_;
};

}  // namespace multiraft::transport
