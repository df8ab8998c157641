#pragma once
// Small frames into a stream, one after the other.

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/task.h"
#include "env/network.h"
#include "multiraft/status.h"

namespace multiraft::transport {

/// Queues frames behind the write that is under way. For answers, of which there are few: whoever
/// calls has a bound on their number. On the stream's thread.
class FrameWriter {
 public:
  explicit FrameWriter(env::Stream& stream) : stream_(stream) {}

  /// `owner` holds the writer and the stream.
  void start(std::weak_ptr<void> owner) { owner_ = std::move(owner); }
  /// An error is not reported here: the reader of the stream sees it.
  void send(std::string frame) {
    queue_.push_back(std::move(frame));
    if (!writing_) write();
  }
  bool idle() const { return !writing_; }
  /// Called once when everything queued has been written, at the earliest in a later round.
  void when_idle(Task task) {
    idle_task_ = std::move(task);
    if (!writing_) std::exchange(idle_task_, nullptr)();
  }

 private:
  void write() {
    writing_ = true;
    const std::array<std::string_view, 1> parts = {queue_.front()};
    stream_.write(parts, [this, owner = owner_](Status status) {
      const std::shared_ptr<void> alive = owner.lock();
      if (!alive) return;
      writing_ = false;
      if (!status) return;
      queue_.pop_front();
      if (!queue_.empty()) {
        write();
      } else if (idle_task_) {
        std::exchange(idle_task_, nullptr)();
      }
    });
  }

  env::Stream& stream_;
  std::weak_ptr<void> owner_;
  std::deque<std::string> queue_;
  bool writing_ = false;
  Task idle_task_;
};

}  // namespace multiraft::transport
