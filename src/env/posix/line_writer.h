#pragma once
// Lines for a descriptor whose reader may be slow, stopped or gone: standard error, mostly.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace multiraft::env {

/// Writes lines on a thread of its own, in order. Callers never wait for the reader: lines beyond
/// the limit are dropped, counted, and reported by one line once there is room again. Thread-safe.
class LineWriter {
 public:
  struct Options {
    int fd = 2;  ///< Not closed.
    size_t bytes_max = 4 * 1024 * 1024;
    /// The line, with its newline, that stands for so many dropped ones.
    std::function<std::string(uint64_t lost)> lost_line;
  };

  explicit LineWriter(Options options);
  /// Does not wait: what is not written yet may be lost. A write that hangs is left behind.
  ~LineWriter();

  /// `line` ends with a newline.
  void write(std::string line);
  /// Waits until everything is written, at most for `timeout_ns`. False: it is not.
  bool flush(int64_t timeout_ns);
  /// Lines dropped so far.
  uint64_t lost() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;  ///< Shared with the thread, which may outlive this.
};

}  // namespace multiraft::env
