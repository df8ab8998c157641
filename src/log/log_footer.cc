// Footers: written when a segment is full; segments that were opened by theirs are verified later.

#include <absl/container/flat_hash_set.h>

#include <cstring>

#include "base/coverage.h"
#include "base/limits.h"
#include "log/footer.h"
#include "log/log_impl.h"
#include "log/verify.h"

namespace multiraft::log {
namespace {

/// Of one group's part of a footer, generously, without its entries.
constexpr uint64_t kGroupBytes = 192;
/// How fast old segments are read to be verified.
constexpr double kVerifyBytesPerSecond = 64.0 * limits::kMiB;

}  // namespace

uint64_t LogImpl::footer_bytes_estimate() {
  const Segment& segment = context_.segments.at(active_segment_);
  return round_up_to_block(kBatchHeaderBytes + kGroupBytes * segment.groups.size() +
                           sizeof(FooterExtent::Item) * segment.entries);
}

void LogImpl::write_footer() {
  const Segment& segment = context_.segments.at(active_segment_);
  std::string body;
  uint32_t items = 0;
  absl::flat_hash_set<GroupId> seen;
  for (GroupId id : segment.groups) {
    const GroupState* state = find(id);
    if (!state || !seen.insert(id).second) continue;
    encode(footer_of(*state), body);
    ++items;
  }
  for (GroupId id : segment.removed) {
    if (find(id) || !seen.insert(id).second) continue;
    FooterGroup footer;
    footer.group = id;
    footer.removed = true;
    encode(footer, body);
    ++items;
  }
  const uint64_t bytes = round_up_to_block(kBatchHeaderBytes + body.size());
  if (next_offset_ + bytes > segment_bytes(active_segment_) - kBlockBytes ||
      bytes > limits::kLogBatchBytesMax) {
    MR_COVERAGE("log.no_room_for_footer");
    return;
  }
  start_batch();
  gathering_->kind = BatchKind::kFooter;
  std::memcpy(gathering_->reserve(body.size()), body.data(), body.size());
  gathering_->commit(body.size());
  gathering_->count_records(items);
  seal();
}

FooterGroup LogImpl::footer_of(const GroupState& group) const {
  // Copies that are on their way lie here as well, although the index does not lead to them yet.
  StateSegments rewritten;
  for (const Rewrite& rewrite : rewrites_) {
    if (rewrite.group == group.group() && rewrite.to == active_segment_) rewritten = rewrite.states;
  }
  FooterGroup footer = group.footer(active_segment_, rewritten);
  for (const Rewrite& rewrite : rewrites_) {
    if (rewrite.group != group.group() || rewrite.to != active_segment_) continue;
    group.add_rewritten(footer, rewrite.from, rewrite.low, rewrite.offsets);
  }
  return footer;
}

void LogImpl::verify_next() {
  // One segment at a time: preparing the next segment must not wait behind all of them. Nor may the
  // disk be busy with this alone: there is a pause between two.
  while (!unverified_.empty() && !context_.segments.contains(unverified_.front())) {
    unverified_.pop_front();
  }
  if (unverified_.empty() || failed_ || closed_) return;
  auto file = context_.segments.at(unverified_.front()).file;
  unverified_.pop_front();
  const auto pause_ns =
      static_cast<int64_t>(static_cast<double>(file->header.bytes) / kVerifyBytesPerSecond * 1e9);
  const env::MonotonicTime next = env_.clock().now() + pause_ns;
  prepare_thread_->post([file, next, owner = &owner_, self = self_] {
    Status verified = verify_segment(*file);
    owner->post([self, next, verified = std::move(verified)] {
      if (!*self) return;
      if (!verified) return (*self)->fail(verified);
      (*self)->owner_.run_at(next, [self] {
        if (*self) (*self)->verify_next();
      });
    });
  });
}

}  // namespace multiraft::log
