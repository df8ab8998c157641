#pragma once
// End-to-end checksums at the door: what other nodes sent in intact frames and is nevertheless not
// what once entered the system.

#include <cstdint>
#include <functional>
#include <string>

#include "env/clock.h"
#include "wire/messages.h"

namespace multiraft::host {

/// Frames have checksums of their own, so what fails here changed in some node's memory. It is
/// refused like a lost message, and the sender tries again; a warning, once a second at most, names
/// what and from where. On the worker's thread only.
class ArrivalCheck {
 public:
  explicit ArrivalCheck(std::function<void(const std::string&)> warn) : warn_(std::move(warn)) {}

  /// Whether all entries of the message are intact.
  bool accept(NodeId from, const wire::GroupMessage& message, env::MonotonicTime now);
  /// Whether the command of a forwarded write is.
  bool accept(NodeId from, const wire::Request& propose, env::MonotonicTime now);
  uint64_t failures() const { return failures_; }

 private:
  void refused(NodeId from, const std::string& what, env::MonotonicTime now);

  std::function<void(const std::string&)> warn_;
  uint64_t failures_ = 0;
  env::MonotonicTime silent_until_;
};

}  // namespace multiraft::host
