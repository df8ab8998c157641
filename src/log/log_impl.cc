// Writing: jobs go to the disk while the next batch gathers.

#include "log/log_impl.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::log {
namespace {

/// How long a commit index waits for company, and how long the log is idle before it notes on disk
/// that its last batch was synced.
constexpr int64_t kIdleNs = 100 * env::kMillisecond;
constexpr int64_t kPrepareRetryNs = env::kSecond;
/// Jobs under way at once, where the writer can do that: a disk serves several in little more time
/// than one.
constexpr size_t kJobsUnderWayMax = 4;
/// What is smaller than this waits for the job under way and gathers more meanwhile: a write costs
/// much the same whatever its size.
constexpr uint64_t kBytesBesideAnotherJob = 16 * limits::kKiB;
/// Of a log that once had to wait for a segment: it fills one faster than the next is made.
constexpr uint64_t kSegmentsAheadMax = 2;
constexpr size_t kIdleBatchesMax = kJobsUnderWayMax + 2;

}  // namespace

std::vector<GroupId> LogImpl::groups() const {
  std::vector<GroupId> ids;
  ids.reserve(groups_.size());
  for (const auto& [id, group] : groups_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void LogImpl::flush() {
  if (gathering_ && gathering_->must_sync) {
    flush_wanted_ = true;
  } else if (gathering_) {
    arm_idle_timer();
  }
  pump();
}

std::shared_ptr<WriteJob> LogImpl::make_job() {
  auto job = std::make_shared<WriteJob>();
  job->sync = false;
  while (!sealed_.empty()) {
    const std::shared_ptr<SegmentFile>& file =
        context_.segments.at(sealed_.front()->segment()).file;
    if (!file) break;
    if (direct_ && !job->items.empty() && job->items.front().segment != file) break;
    job->sync |= sealed_.front()->must_sync;
    job->pending_bytes += sealed_.front()->total_bytes();
    job->items.push_back({std::move(sealed_.front()), file});
    sealed_.pop_front();
  }
  job->submitted = env_.clock().now();
  return job;
}

bool LogImpl::may_write() const {
  if (in_flight_.empty()) return true;
  if (!direct_ || in_flight_.size() >= kJobsUnderWayMax) return false;
  const Batch* gathered = flush_wanted_ ? gathering_.get() : nullptr;
  const Batch* next = sealed_.empty() ? gathered : sealed_.front().get();
  if (!next || next->segment() != in_flight_.back()->items.back().batch->segment()) return false;
  uint64_t bytes = gathered ? gathered->size() : 0;
  for (const auto& batch : sealed_) bytes += batch->size();
  return bytes >= kBytesBesideAnotherJob;
}

void LogImpl::pump() {
  while (!failed_ && !closed_ && may_write()) {
    if (flush_wanted_ && gathering_) seal();
    flush_wanted_ = false;
    if (sealed_.empty()) return;
    std::shared_ptr<WriteJob> job = make_job();
    if (job->items.empty()) {
      MR_COVERAGE("log.waits_for_segment");
      segments_ahead_ = kSegmentsAheadMax;
      request_segment();
      if (!blocked_since_) blocked_since_ = job->submitted;
      return;
    }
    blocked_since_.reset();
    in_flight_.push_back(job);
    start_write(job);
  }
}

void LogImpl::start_write(const std::shared_ptr<WriteJob>& job) {
  auto done = [job, self = self_] {
    job->done = true;
    if (*self) (*self)->on_written();
  };
  if (direct_) return direct_->start(job, std::move(done));
  log_thread_->post([writer = writer_.get(), job, owner = &owner_, done = std::move(done)] {
    writer->write(*job);
    owner->post(done);
  });
}

void LogImpl::settle(WriteJob& job, std::vector<Callback<void()>>& due) {
  const Batch& last = *job.items.back().batch;
  written_end_ = {last.segment(), static_cast<uint32_t>(last.offset() + last.total_bytes())};
  written_sequence_ = last.sequence();
  marked_sequence_ = job.marked;
  if (job.sync) {
    durable_sequence_ = last.sequence();
    durable_needed_ = last.needed_segment;
    if (direct_) direct_->set_synced(durable_sequence_);
    ++stats_.syncs;
    stats_.sync_ns_total += job.write_ns;
    stats_.sync_ns_max = std::max(stats_.sync_ns_max, job.write_ns);
  }
  stats_.batches += job.items.size();
  stats_.bytes_written += job.bytes;
  for (WriteJob::Item& item : job.items) {
    for (auto& callback : item.batch->callbacks) waiting_.push_back(std::move(callback));
    if (idle_batches_.size() < kIdleBatchesMax) idle_batches_.push_back(std::move(item.batch));
  }
  if (!job.sync) return;
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(due));
  waiting_.clear();
}

void LogImpl::on_written() {
  if (failed_) return;
  bool synced = false;
  std::vector<Callback<void()>> due;
  // A job that is done waits for those before it: callbacks come in the order of staging.
  while (!in_flight_.empty() && in_flight_.front()->done) {
    const std::shared_ptr<WriteJob> job = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (!job->status) return fail(job->status);
    synced |= job->sync;
    settle(*job, due);
  }
  last_activity_ = env_.clock().now();
  pump();  // The disk does not wait for what the callbacks do.
  evict();
  if (synced) drop_segments(durable_needed_);
  arm_idle_timer();
  const auto self = self_;
  for (auto& callback : due) {
    callback();
    if (!*self) return;  // Closed by the callback.
  }
  collect();
}

void LogImpl::fail(Status status) {
  if (failed_) return;
  failed_ = true;
  if (on_fatal_) std::exchange(on_fatal_, nullptr)(std::move(status));
}

void LogImpl::arm_idle_timer() {
  if (idle_timer_ != 0 || closed_ || failed_) return;
  idle_timer_ = owner_.run_at(env_.clock().now() + kIdleNs, [self = self_] {
    if (*self) (*self)->on_idle();
  });
}

bool LogImpl::mark_is_behind() const { return marked_sequence_ < durable_sequence_; }

void LogImpl::on_idle() {
  idle_timer_ = 0;
  const bool segments_to_drop = needed_segment_ > durable_needed_;
  if (failed_ || (!gathering_ && !mark_is_behind() && !segments_to_drop && waiting_.empty()))
    return;
  if (!in_flight_.empty() || env_.clock().now() < last_activity_ + kIdleNs) return arm_idle_timer();
  if (!gathering_) {
    room_for(0);  // An empty batch: it carries the synced mark and the oldest segment needed.
  }
  // Nobody waits for commit indexes or marks, so they are written without a sync.
  gathering_->must_sync |= segments_to_drop || !gathering_->callbacks.empty() || !waiting_.empty();
  flush_wanted_ = true;
  pump();
}

void LogImpl::request_segment() {
  while (context_.segments.last_id() < active_segment_ + segments_ahead_) {
    context_.segments.push_back(context_.segments.last_id() + 1);
  }
  prepare_next();
}

void LogImpl::prepare_next() {
  if (preparing_ || failed_ || closed_ || prepare_timer_ != 0) return;
  // Several may be missing when much was staged at once; the oldest is needed first.
  SegmentTable& segments = context_.segments;
  uint64_t id = segments.last_id();
  if (segments.at(id).file) return;
  while (id > segments.first_id() && !segments.at(id - 1).file) --id;
  preparing_ = std::make_shared<Prepared>();
  preparing_->id = id;
  prepare_thread_->post([maker = maker_.get(), box = preparing_, owner = &owner_, self = self_] {
    box->result.emplace(maker->prepare(box->id));
    owner->post([self] {
      if (*self) (*self)->on_prepared();
    });
  });
}

void LogImpl::on_prepared() {
  const std::shared_ptr<Prepared> done = std::exchange(preparing_, nullptr);
  if (!*done->result) {
    Status status = done->result->status();
    const bool no_descriptors = status.code() == StatusCode::kOverloaded;
    if (status.code() != StatusCode::kNoSpace && !no_descriptors) return fail(std::move(status));
    // Nothing is lost: what is staged waits in memory, and nothing is acknowledged meanwhile.
    MR_COVERAGE("log.no_space_for_segment");
    // One that is made ahead of its time is not missed yet.
    stats_.no_space = !no_descriptors && done->id <= active_segment_ + 1;
    prepare_timer_ = owner_.run_at(env_.clock().now() + kPrepareRetryNs, [self = self_] {
      if (!*self) return;
      (*self)->prepare_timer_ = 0;
      (*self)->prepare_next();
    });
    return;
  }
  stats_.no_space = false;
  context_.segments.at(done->id).file = std::move(**done->result);
  prepare_next();
  pump();
}

uint64_t LogImpl::bytes_pending() const {
  uint64_t bytes = gathering_ ? gathering_->size() : 0;
  for (const auto& batch : sealed_) bytes += batch->total_bytes();
  for (const auto& job : in_flight_) bytes += job->pending_bytes;
  return bytes;
}

std::optional<env::MonotonicTime> LogImpl::oldest_pending_write() const {
  if (!in_flight_.empty()) return in_flight_.front()->submitted;
  return blocked_since_;
}

std::optional<env::MonotonicTime> LogImpl::oldest_pending_read() const {
  // What is read to be written again keeps nobody waiting.
  return old_entries_->oldest();
}

LogStats LogImpl::stats() const {
  LogStats stats = stats_;
  stats.segments = context_.segments.size();
  stats.cache_bytes = context_.cache_bytes;
  stats.read_bytes = old_entries_->bytes();
  stats.cache_misses = context_.cache_misses;
  stats.entries = context_.entries;
  stats.entry_bytes = context_.bytes;
  for (const auto& [id, group] : groups_) stats.index_bytes += group->memory_bytes();
  return stats;
}

void LogImpl::close() {
  if (closed_ || !self_) return;
  closed_ = true;
  *self_ = nullptr;
  // Timers are left to find that nobody is there: the owner's thread may have ended already.
  prepare_thread_->stop();
  readers_->stop();
  if (log_thread_) log_thread_->stop();
  if (direct_) direct_->drain();
  // From here on the writer and the maker belong to this thread.
  for (const auto& job : in_flight_) failed_ |= !job->status;
  in_flight_.clear();
  if (!failed_) write_rest();
  lock_.reset();
}

void LogImpl::write_rest() {
  if (preparing_ && preparing_->result && *preparing_->result) {
    context_.segments.at(preparing_->id).file = std::move(**preparing_->result);
  }
  if (gathering_) seal();
  const bool unmarked = marked_sequence_ + 1 < next_sequence_;
  if (!write_now() || !unmarked) return;
  // After an orderly end everything below the last, empty batch is known to have been durable.
  room_for(0);
  seal();
  write_now();
}

bool LogImpl::write_now() {
  for (const auto& batch : sealed_) {
    Segment& segment = context_.segments.at(batch->segment());
    if (segment.file) continue;
    auto made = maker_->prepare(batch->segment());
    if (!made) return false;  // Nothing of it was ever reported durable.
    segment.file = std::move(*made);
  }
  while (!sealed_.empty()) {
    const std::shared_ptr<WriteJob> job = make_job();
    job->sync = true;
    if (direct_) {
      direct_->start(job, [] {});
      direct_->drain();
      direct_->set_synced(job->items.back().batch->sequence());
    } else {
      writer_->write(*job);
    }
    if (!job->status) return false;
  }
  return true;
}

}  // namespace multiraft::log
