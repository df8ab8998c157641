#include "transport/snapshot/snapshot_streams.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

/// The receiver limits how many it takes at a time; this limits how many may ask, or wait for their
/// turn.
constexpr size_t kTakingMax = 7 * limits::kSnapshotsReceivingMax;
static_assert(kTakingMax < limits::kSnapshotStreamsMax);

}  // namespace

void SnapshotStreams::send(NodeId to, const env::Address& address, wire::SnapshotHeader header,
                           std::unique_ptr<ChunkSource> source, Done done) {
  if (closed_) return done(Status(StatusCode::kCancelled, "this node stops"));
  if (header.stream == 0) header.stream = context_->env.random_u64();
  auto sender = std::make_shared<OutgoingSnapshot>(
      context_, throttle_, to, address, std::move(header), std::move(source),
      [this](OutgoingSnapshot& finished, Status status) {
        auto node = sending_.extract(&finished);
        count();
        if (node) node.mapped().done(std::move(status));
      });
  sending_.emplace(sender.get(), Sending{sender, std::move(done)});
  count();
  sender->start();
}

void SnapshotStreams::adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream) {
  if (closed_) return;
  auto taker = std::make_shared<SnapshotReceiveConnection>(
      context_, hello.node, std::move(stream),
      [this, from = hello.node](const wire::SnapshotHeader& header) {
        return intake_of(from, header);
      },
      [this](SnapshotReceiveConnection& gone) {
        taking_.erase(&gone);
        count();
      });
  const bool full = taking_.size() >= kTakingMax;
  taking_.emplace(taker.get(), taker);
  if (!full) {
    taker->start();
  } else {
    MR_COVERAGE("too many snapshot streams");
    taker->refuse({StatusCode::kOverloaded, "too many snapshots arrive at this node already"});
  }
}

Result<std::shared_ptr<IncomingSnapshot>> SnapshotStreams::intake_of(
    NodeId from, const wire::SnapshotHeader& header) {
  for (const auto& intake : intakes_) {
    if (intake->from() == from && intake->header() == header) return intake;
  }
  // A sender that begins again has given up what it sent to the same replica before.
  std::erase_if(intakes_, [&](const std::shared_ptr<IncomingSnapshot>& old) {
    if (old->from() != from || old->has_connection() || old->header().group != header.group ||
        old->header().to != header.to || old->phase() == IncomingSnapshot::Phase::kFinishing) {
      return false;
    }
    old->fail(Status(StatusCode::kCancelled, "another snapshot took its place"));
    old->close();
    return true;
  });
  if (!make_room()) {
    return Status(StatusCode::kOverloaded, "too many snapshots arrive at this node already");
  }
  auto intake = std::make_shared<IncomingSnapshot>(
      context_, from, header, [this](IncomingSnapshot& expired) { erase_intake(expired); });
  intakes_.push_back(intake);
  count();
  return intake;
}

bool SnapshotStreams::make_room() {
  if (intakes_.size() < limits::kSnapshotStreamsMax) return true;
  using Phase = IncomingSnapshot::Phase;
  for (const Phase phase : {Phase::kDone, Phase::kTaking}) {
    auto oldest = std::find_if(intakes_.begin(), intakes_.end(), [&](const auto& intake) {
      return intake->phase() == phase && !intake->has_connection();
    });
    if (oldest == intakes_.end()) continue;
    MR_COVERAGE("snapshot stream forgotten to make room");
    (*oldest)->fail(Status(StatusCode::kOverloaded, "too many snapshots arrive at this node"));
    (*oldest)->close();
    intakes_.erase(oldest);
    return true;
  }
  return false;
}

void SnapshotStreams::erase_intake(IncomingSnapshot& intake) {
  intake.close();
  std::erase_if(intakes_, [&](const auto& candidate) { return candidate.get() == &intake; });
  count();
}

void SnapshotStreams::count() {
  const auto unfinished = std::count_if(intakes_.begin(), intakes_.end(), [](const auto& intake) {
    return intake->phase() != IncomingSnapshot::Phase::kDone;
  });
  context_->snapshot_counters.snapshots_sending.set(sending_.size());
  context_->snapshot_counters.snapshots_receiving.set(static_cast<uint64_t>(unfinished));
}

void SnapshotStreams::close() {
  closed_ = true;
  for (auto& [key, sending] : std::exchange(sending_, {})) {
    sending.sender->close();
    sending.done(Status(StatusCode::kCancelled, "this node stops"));
  }
  for (auto& [key, taker] : std::exchange(taking_, {})) taker->close();
  for (const auto& intake : std::exchange(intakes_, {})) intake->close();
  count();
}

}  // namespace multiraft::transport
