#include "log/writer.h"

namespace multiraft::log {

void BatchWriter::write(WriteJob& job) {
  const env::MonotonicTime start = clock_.now();
  if (failure_.is_ok()) failure_ = uring_ ? write_directly(job) : write_all(job);
  job.status = failure_;
  job.write_ns = clock_.now() - start;
}

void BatchWriter::finish(WriteJob& job, WriteJob::Item& item) {
  BatchHeader header;
  header.epoch = epoch_;
  header.synced = synced_;
  header.previous = previous_;
  item.batch->finish(item.segment->header.seed(), header);
  previous_ = header.checksum;
  job.bytes += item.batch->total_bytes();
  job.marked = header.synced;
}

Status BatchWriter::write_all(WriteJob& job) {
  for (WriteJob::Item& item : job.items) {
    // A segment is complete on disk before the next one begins (trap 32).
    if (dirty_ && dirty_ != item.segment) MR_RETURN_IF_ERROR(sync(*dirty_));
    finish(job, item);
    dirty_ = item.segment;
    MR_RETURN_IF_ERROR(item.segment->file->write_at(item.batch->offset(), item.batch->parts()));
  }
  if (!job.sync) return Status::ok();
  if (dirty_) MR_RETURN_IF_ERROR(sync(*dirty_));
  synced_ = job.items.back().batch->sequence();
  return Status::ok();
}

Status BatchWriter::write_directly(WriteJob& job) {
  std::vector<env::UringWriter::Write> writes;
  for (size_t i = 0; i < job.items.size(); ++i) {
    WriteJob::Item& item = job.items[i];
    finish(job, item);
    writes.push_back({item.segment->direct.get(), item.batch->offset(), item.batch->block()});
    // Those of one segment go together; the next segment waits for them, as above.
    const bool last = i + 1 == job.items.size();
    if (!last && job.items[i + 1].segment == item.segment) continue;
    MR_RETURN_IF_ERROR(uring_->write(writes));
    writes.clear();
  }
  job.sync = true;
  synced_ = job.items.back().batch->sequence();
  return Status::ok();
}

Status BatchWriter::sync(SegmentFile& segment) {
  MR_RETURN_IF_ERROR(segment.file->sync_data());
  dirty_.reset();
  return Status::ok();
}

}  // namespace multiraft::log
