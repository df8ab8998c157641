// A worker whose disk hangs (trap 37): it leads nothing, is elected to nothing and vouches for
// nothing, but passes on what clients want and goes on by itself when the disk answers again.
//
// An engine that takes no batch is the same for its replicas, but for one thing: what they write to
// the log becomes durable, so they go on voting and acknowledging.

#include "base/coverage.h"
#include "host/worker.h"

namespace multiraft::host {
namespace {

/// In election timeouts. A short stall is bridged: what waits is done a little later.
constexpr int64_t kPatience = 3;

std::string in_seconds(int64_t ns) {
  const int64_t tenths = ns / (env::kSecond / 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

/// Whether the leader or candidate that gets it counts the sender as a working member.
bool vouches(raft::MessageType type) {
  switch (type) {
    case raft::MessageType::kAppResp:
    case raft::MessageType::kHeartbeatResp:
    case raft::MessageType::kVoteResp:
    case raft::MessageType::kPreVoteResp:
      return true;
    case raft::MessageType::kHup:
    case raft::MessageType::kBeat:
    case raft::MessageType::kUnreachable:
    case raft::MessageType::kSnapStatus:
    case raft::MessageType::kCheckQuorum:
    case raft::MessageType::kTransferLeader:
    case raft::MessageType::kForgetLeader:
    case raft::MessageType::kStorageAppend:
    case raft::MessageType::kStorageAppendResp:
    case raft::MessageType::kStorageApply:
    case raft::MessageType::kStorageApplyResp:
    case raft::MessageType::kProp:
    case raft::MessageType::kApp:
    case raft::MessageType::kVote:
    case raft::MessageType::kPreVote:
    case raft::MessageType::kSnap:
    case raft::MessageType::kHeartbeat:
    case raft::MessageType::kTimeoutNow:
    case raft::MessageType::kReadIndex:
    case raft::MessageType::kReadIndexResp:
      return false;
  }
  return false;
}

}  // namespace

bool Worker::disk_stall_is_long() const {
  return stall_.stalled() && stall_.lasted_ns() > kPatience * options_.election_ns;
}

std::string Worker::disk_stall_message() const {
  const auto since = stall_.since();
  std::string text = "the disk of node " + to_string(options_.identity.node) +
                     " does not answer: " + stalled_access_ + options_.state_dir + "/log/" +
                     std::to_string(index_) + " has been waiting for " +
                     in_seconds(since ? now() - *since : 0);
  if (log_->stats().no_space) text += ", for room for the next segment";
  return text;
}

void Worker::watch_disk() {
  // Writes may go on where reads hang: then what is to be applied, or sent to a member that lags,
  // does not.
  const auto write = log_->oldest_pending_write();
  const auto read = log_->oldest_pending_read();
  const bool reads = read && (!write || *read < *write);
  const DiskStallDetector::Change change = stall_.update(reads ? read : write, now());
  if (change == DiskStallDetector::Change::kBegan)
    stalled_access_ = reads ? "a read from " : "a write to ";
  if (change == DiskStallDetector::Change::kNone || !options_.on_warning) return;
  if (change == DiskStallDetector::Change::kBegan) {
    options_.on_warning(disk_stall_message() +
                        ". It gives up its leaderships and does not count as a member until then");
  } else {
    options_.on_warning("the disk of node " + to_string(options_.identity.node) +
                        " answers again: " + stalled_access_ + options_.state_dir + "/log/" +
                        std::to_string(index_) + " took " + in_seconds(stall_.lasted_ns()));
  }
}

std::string Worker::engine_stall_text(const EngineLane& lane) const {
  const auto since = lane.stall().since();
  std::string text = "the engine of node " + to_string(options_.identity.node) +
                     (lane.refusing() ? " stores nothing" : " waits for a read of its disk");
  if (since) text += ", for " + in_seconds(now() - *since);
  return lane.refusing() ? text + ": " + lane.refusal().message() : text;
}

void Worker::watch_engines() {
  int64_t oldest_ns = 0;
  for (const auto& lane : lanes_) {
    watch(*lane);
    const auto since = lane->stall().since();
    if (since && (oldest_ns == 0 || since->ns < oldest_ns)) oldest_ns = since->ns;
  }
  engine_stalled_since_ns_.store(oldest_ns, std::memory_order_relaxed);
}

void Worker::watch(EngineLane& lane) {
  const DiskStallDetector::Change change = lane.watch(now());
  if (change == DiskStallDetector::Change::kNone || !options_.on_warning) return;
  if (change == DiskStallDetector::Change::kBegan) {
    options_.on_warning(engine_stall_text(lane) + ". Worker " + std::to_string(index_) +
                        " gives up the leaderships of its groups until then");
  } else {
    options_.on_warning("the engine of node " + to_string(options_.identity.node) +
                        " stores again what worker " + std::to_string(index_) + " applies, after " +
                        in_seconds(lane.stall().lasted_ns()));
  }
}

std::optional<env::MonotonicTime> Worker::engine_stalled_since() const {
  const int64_t ns = engine_stalled_since_ns_.load(std::memory_order_relaxed);
  if (ns == 0) return std::nullopt;
  return env::MonotonicTime{ns};
}

bool Worker::is_held_back(const raft::Message& message) {
  if (!vouches(message.type)) return false;
  watch_disk();  // The answer may be what the write that has just been completed was waited for.
  return stall_.stalled();
}

}  // namespace multiraft::host
