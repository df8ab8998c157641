#include "transport/snapshot_desk.h"

#include <utility>

#include "base/coverage.h"

namespace multiraft::transport {
namespace {

/// The receiver limits how many it takes at a time; this limits how many may ask.
constexpr size_t kTakingMax = 16;

}  // namespace

void SnapshotDesk::send(NodeId to, const env::Address& address, const wire::SnapshotHeader& header,
                        std::unique_ptr<ChunkSource> source, Done done) {
  if (closed_) return done(Status(StatusCode::kCancelled, "this node stops"));
  auto sender = std::make_shared<SnapshotSender>(context_, to, header, std::move(source),
                                                 [this](SnapshotSender& finished, Status status) {
                                                   auto node = sending_.extract(&finished);
                                                   if (node) node.mapped().done(std::move(status));
                                                 });
  sending_.emplace(sender.get(), Sending{sender, std::move(done)});
  sender->start(address);
}

void SnapshotDesk::adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream) {
  if (closed_) return;
  auto taker =
      std::make_shared<SnapshotTaker>(context_, hello.node, std::move(stream),
                                      [this](SnapshotTaker& gone) { taking_.erase(&gone); });
  const bool full = taking_.size() >= kTakingMax;
  taking_.emplace(taker.get(), taker);
  if (!full) {
    taker->start();
  } else {
    MR_COVERAGE("too many snapshot streams");
    taker->refuse({StatusCode::kOverloaded, "too many snapshots arrive at this node already"});
  }
}

void SnapshotDesk::close() {
  closed_ = true;
  for (auto& [key, sending] : std::exchange(sending_, {})) {
    sending.sender->close();
    sending.done(Status(StatusCode::kCancelled, "this node stops"));
  }
  for (auto& [key, taker] : std::exchange(taking_, {})) taker->close();
}

}  // namespace multiraft::transport
