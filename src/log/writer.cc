#include "log/writer.h"

#include <cstring>

#include "log/footer.h"

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

std::span<char> BatchWriter::trailer(const WriteJob::Item& item) {
  if (trailer_.capacity() == 0) trailer_.grow(kBlockBytes, 0);
  std::memset(trailer_.data(), 0, kBlockBytes);
  encode_trailer(item.batch->offset(), item.segment->header.seed(), trailer_.data());
  return {trailer_.data(), kBlockBytes};
}

Status BatchWriter::write_all(WriteJob& job) {
  for (WriteJob::Item& item : job.items) {
    // A segment is complete on disk before the next one begins, and the first batch there says so
    // (trap 32).
    if (dirty_ && dirty_ != item.segment) {
      MR_RETURN_IF_ERROR(sync(*dirty_));
      synced_ = item.batch->sequence() - 1;
    }
    finish(job, item);
    dirty_ = item.segment;
    env::File& file = *item.segment->file;
    MR_RETURN_IF_ERROR(file.write_at(item.batch->offset(), item.batch->parts()));
    if (item.batch->kind != BatchKind::kFooter) continue;
    const std::span<char> block = trailer(item);
    const std::string_view parts[] = {{block.data(), block.size()}};
    MR_RETURN_IF_ERROR(file.write_at(item.segment->header.bytes - kBlockBytes, parts));
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
    env::File* file = item.segment->direct.get();
    writes.push_back({file, item.batch->offset(), item.batch->block()});
    if (item.batch->kind == BatchKind::kFooter) {
      writes.push_back({file, item.segment->header.bytes - kBlockBytes, trailer(item)});
    }
    // Those of one segment go together; the next segment waits for them, as above.
    const bool last = i + 1 == job.items.size();
    if (!last && job.items[i + 1].segment == item.segment) continue;
    MR_RETURN_IF_ERROR(uring_->write(writes));
    synced_ = item.batch->sequence();
    writes.clear();
  }
  job.sync = true;
  return Status::ok();
}

Status BatchWriter::sync(SegmentFile& segment) {
  MR_RETURN_IF_ERROR(segment.file->sync_data());
  dirty_.reset();
  return Status::ok();
}

}  // namespace multiraft::log
