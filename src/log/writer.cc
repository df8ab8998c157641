#include "log/writer.h"

namespace multiraft::log {

void BatchWriter::write(WriteJob& job) {
  const env::MonotonicTime start = clock_.now();
  if (failure_.is_ok()) failure_ = write_all(job);
  job.status = failure_;
  job.write_ns = clock_.now() - start;
}

Status BatchWriter::write_all(WriteJob& job) {
  uint64_t last = synced_;
  for (WriteJob::Item& item : job.items) {
    // A segment is complete on disk before the next one begins (trap 32).
    if (dirty_ && dirty_ != item.segment) MR_RETURN_IF_ERROR(sync(*dirty_));
    BatchHeader header;
    header.epoch = epoch_;
    header.synced = synced_;
    header.previous = previous_;
    item.batch->finish(item.segment->header.seed(), header);
    dirty_ = item.segment;
    MR_RETURN_IF_ERROR(item.segment->file->write_at(item.batch->offset(), item.batch->parts()));
    previous_ = header.checksum;
    last = item.batch->sequence();
    job.bytes += item.batch->total_bytes();
    job.marked = header.synced;
  }
  if (job.sync) {
    if (dirty_) MR_RETURN_IF_ERROR(sync(*dirty_));
    synced_ = last;
  }
  return Status::ok();
}

Status BatchWriter::sync(SegmentFile& segment) {
  MR_RETURN_IF_ERROR(segment.file->sync_data());
  dirty_.reset();
  return Status::ok();
}

}  // namespace multiraft::log
