#include "log/writer.h"

#include <cstring>

#include "base/assert.h"
#include "log/footer.h"

namespace multiraft::log {
namespace {

std::span<char> encode_trailer_block(const WriteJob::Item& item, BlockBuffer& buffer) {
  if (buffer.capacity() == 0) buffer.grow(kBlockBytes, 0);
  std::memset(buffer.data(), 0, kBlockBytes);
  encode_trailer(item.batch->offset(), item.segment->header.seed(), buffer.data());
  return {buffer.data(), kBlockBytes};
}

uint64_t trailer_offset(const WriteJob::Item& item) {
  return item.segment->header.bytes - kBlockBytes;
}

}  // namespace

void Chain::complete(WriteJob& job, WriteJob::Item& item) {
  BatchHeader header;
  header.epoch = epoch_;
  header.synced = synced_;
  header.previous = previous_;
  item.batch->finish(item.segment->header.seed(), header);
  previous_ = header.checksum;
  job.bytes += item.batch->total_bytes();
  job.marked = header.synced;
}

void BatchWriter::write(WriteJob& job) {
  const env::MonotonicTime start = clock_.now();
  if (failure_.is_ok()) failure_ = write_all(job);
  job.status = failure_;
  job.write_ns = clock_.now() - start;
}

Status BatchWriter::write_all(WriteJob& job) {
  for (WriteJob::Item& item : job.items) {
    // A segment is complete on disk before the next one begins, and the first batch there says so
    // (trap 32).
    if (dirty_ && dirty_ != item.segment) {
      MR_RETURN_IF_ERROR(sync(*dirty_));
      chain_.set_synced(item.batch->sequence() - 1);
    }
    chain_.complete(job, item);
    dirty_ = item.segment;
    env::File& file = *item.segment->file;
    MR_RETURN_IF_ERROR(file.write_at(item.batch->offset(), item.batch->parts()));
    if (item.batch->kind != BatchKind::kFooter) continue;
    const std::span<char> block = encode_trailer_block(item, trailer_);
    const std::string_view parts[] = {{block.data(), block.size()}};
    MR_RETURN_IF_ERROR(file.write_at(trailer_offset(item), parts));
  }
  if (!job.sync) return Status::ok();
  if (dirty_) MR_RETURN_IF_ERROR(sync(*dirty_));
  chain_.set_synced(job.items.back().batch->sequence());
  return Status::ok();
}

Status BatchWriter::sync(SegmentFile& segment) {
  MR_RETURN_IF_ERROR(segment.file->sync_data());
  dirty_.reset();
  return Status::ok();
}

void DirectBatchWriter::start(const std::shared_ptr<WriteJob>& job, Callback<void()> done) {
  const env::MonotonicTime started = clock_.now();
  writes_.clear();
  for (WriteJob::Item& item : job->items) {
    MR_ASSERT(item.segment == job->items.front().segment);
    chain_.complete(*job, item);
    env::File* file = item.segment->direct.get();
    writes_.push_back({file, item.batch->offset(), item.batch->block()});
    if (item.batch->kind == BatchKind::kFooter) {
      writes_.push_back({file, trailer_offset(item), encode_trailer_block(item, trailer_)});
    }
  }
  job->sync = true;
  disk_->submit(writes_, [this, job, started, done = std::move(done)](Status status) mutable {
    job->status = std::move(status);
    job->write_ns = clock_.now() - started;
    done();
  });
}

}  // namespace multiraft::log
