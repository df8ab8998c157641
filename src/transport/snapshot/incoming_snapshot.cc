#include "transport/snapshot/incoming_snapshot.h"

#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::transport {

IncomingSnapshot::IncomingSnapshot(std::shared_ptr<Context> context, NodeId from,
                                   wire::SnapshotHeader header,
                                   Callback<void(IncomingSnapshot&)> on_expired)
    : context_(std::move(context)),
      from_(from),
      header_(std::move(header)),
      on_expired_(std::move(on_expired)),
      expiry_(*context_->options.snapshot_executor) {}

void IncomingSnapshot::attach(Listener& listener) {
  expiry_.cancel();
  Listener* former = std::exchange(listener_, &listener);
  if (former) {
    // The sender knows of the break before we do.
    MR_COVERAGE("snapshot stream: new connection before the old one ended");
    former->on_intake_taken();
  }
  if (!std::exchange(asked_, true)) ask();
}

void IncomingSnapshot::ask() {
  context_->options.snapshot_receiver->on_snapshot(
      from_, header_, [weak = weak_from_this()](Result<std::unique_ptr<ChunkSink>> sink) {
        if (const auto self = weak.lock()) self->accepted(std::move(sink));
      });
}

void IncomingSnapshot::accepted(Result<std::unique_ptr<ChunkSink>> sink) {
  if (phase_ != Phase::kAsking) return;
  if (!sink) {
    context_->snapshot_counters.snapshots_refused.add();
    return done(sink.status());
  }
  sink_ = std::move(*sink);
  phase_ = Phase::kTaking;
  if (listener_) listener_->on_intake_moved();
}

void IncomingSnapshot::detach(Listener& listener) {
  if (listener_ != &listener) return;
  listener_ = nullptr;
  expire_later();
}

void IncomingSnapshot::expire_later() {
  const int64_t resume_ns = context_->options.snapshot_resume_max_ns;
  expiry_.set(context_->now() + resume_ns, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->expiry_.fired();
    // Whoever waits for what was handed on still gets the answer.
    if (self->phase_ == Phase::kFinishing) return self->expire_later();
    if (self->phase_ == Phase::kTaking) {
      MR_COVERAGE("snapshot stream: never continued");
      self->context_->snapshot_counters.snapshots_abandoned.add();
    }
    self->on_expired_(*self);
  });
}

Status IncomingSnapshot::take(const wire::SnapshotChunk& chunk) {
  MR_ASSERT(phase_ == Phase::kTaking);
  const Result<std::string_view> content = unpacker_.unpack(chunk);
  if (!content) return content.status();
  MR_RETURN_IF_ERROR(sink_->append(*content));
  context_->snapshot_counters.snapshot_bytes_received.add(content->size());
  return Status::ok();
}

Status IncomingSnapshot::finish(const wire::SnapshotEnd& end) {
  MR_ASSERT(phase_ == Phase::kTaking);
  MR_RETURN_IF_ERROR(unpacker_.check(end));
  phase_ = Phase::kFinishing;
  const std::unique_ptr<ChunkSink> sink = std::move(sink_);
  sink->finish([weak = weak_from_this()](Status status) {
    const auto self = weak.lock();
    if (!self || self->phase_ != Phase::kFinishing) return;
    if (!status) self->context_->snapshot_counters.snapshots_abandoned.add();
    self->done(status);
  });
  return Status::ok();
}

void IncomingSnapshot::fail(const Status& why) {
  if (phase_ == Phase::kDone) return;
  context_->snapshot_counters.snapshots_abandoned.add();
  phase_ = Phase::kDone;
  outcome_ = why;
  sink_.reset();
}

void IncomingSnapshot::done(const Status& outcome) {
  phase_ = Phase::kDone;
  outcome_ = outcome;
  sink_.reset();
  if (listener_) listener_->on_intake_moved();
}

void IncomingSnapshot::close() {
  phase_ = Phase::kDone;
  listener_ = nullptr;
  sink_.reset();
  expiry_.cancel();
}

}  // namespace multiraft::transport
