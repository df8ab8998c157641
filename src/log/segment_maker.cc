#include "log/segment_maker.h"

#include <algorithm>

#include "base/coverage.h"

namespace multiraft::log {
namespace {

/// Zeros are written and synced in pieces: a whole segment of dirty pages at once would hold up the
/// syncs of the segment in use.
constexpr uint64_t kZeroBytes = 4 * 1024 * 1024;

}  // namespace

Result<std::shared_ptr<SegmentFile>> SegmentMaker::prepare(uint64_t id) {
  Result<std::string> source = recycled_file();
  const bool recycled = source && !source->empty();
  if (source && source->empty()) source = zeroed_file(id);
  if (!source) return source.status();
  auto segment = name_segment(*source, id);
  // Where blocks are copied on write even a spare needs room. It is still there for the next try.
  if (!segment && segment.status().code() == StatusCode::kNoSpace && recycled) {
    MR_COVERAGE("log.no_space_for_the_header_of_a_spare");
    spares_.push_back(*source);
  }
  return segment;
}

Result<std::shared_ptr<SegmentFile>> SegmentMaker::name_segment(const std::string& source,
                                                                uint64_t id) {
  env::FileSystem& files = env_.file_system();
  auto file = files.open(path(source), env::OpenMode::kReadWrite);
  if (!file) return file.status();
  const SegmentHeader header{id, log_id_, env_.random_u64(), segment_bytes_};
  std::string block(kBlockBytes, '\0');
  encode(header, block.data());
  const std::string_view parts[] = {block};
  MR_RETURN_IF_ERROR((*file)->write_at(0, parts));
  MR_RETURN_IF_ERROR((*file)->sync_all());
  file->reset();
  // Only now may the name say that this is a segment.
  const std::string name = segment_file_name(id);
  MR_RETURN_IF_ERROR(files.rename(path(source), path(name)));
  MR_RETURN_IF_ERROR(files.sync_directory(directory_));
  auto segment = open(files, path(name));
  if (segment && direct_) MR_RETURN_IF_ERROR(open_directly(files, **segment));
  return segment;
}

Result<std::string> SegmentMaker::recycled_file() {
  env::FileSystem& files = env_.file_system();
  while (!spares_.empty()) {
    std::string name = std::move(spares_.back());
    spares_.pop_back();
    auto file = files.open(path(name), env::OpenMode::kReadWrite);
    if (file) {
      Result<uint64_t> size = (*file)->size();
      if (size && *size == segment_bytes_) {
        MR_COVERAGE("log.segment_recycled");
        return name;
      }
    }
    MR_RETURN_IF_ERROR(files.remove(path(name)));  // Of another segment size.
  }
  return std::string();
}

Result<std::string> SegmentMaker::zeroed_file(uint64_t id) {
  env::FileSystem& files = env_.file_system();
  const std::string name = segment_file_name(id) + std::string(kNewSuffix);
  auto make = [&]() -> Status {
    // Not even for a moment may the attempt take the room that others need.
    auto space = files.space(directory_);
    if (space && space->free_bytes < segment_bytes_ + segment_bytes_ / 8) {
      return {StatusCode::kNoSpace, path(name) + ": no room for a segment of " +
                                        std::to_string(segment_bytes_) + " bytes"};
    }
    // Directly where that works: zeros have no business in the page cache.
    auto file = files.open(path(name), env::OpenMode::kCreate, direct_);
    if (!file) return file.status();
    for (uint64_t at = 0; at < segment_bytes_; at += kZeroBytes) {
      MR_RETURN_IF_ERROR((*file)->zero(at, std::min(kZeroBytes, segment_bytes_ - at)));
      MR_RETURN_IF_ERROR((*file)->sync_data());
    }
    return Status::ok();
  };
  Status made = make();
  if (made) return name;
  // What was allocated so far is given back: the disk is probably full, and others need it.
  Status removed = files.remove(path(name));
  (void)removed;
  return made;
}

Status SegmentMaker::retire(uint64_t id) {
  env::FileSystem& files = env_.file_system();
  const std::string name = segment_file_name(id);
  if (spares_.size() >= spares_max_) {
    MR_RETURN_IF_ERROR(files.remove(path(name)));
    return files.sync_directory(directory_);
  }
  const std::string spare = name + std::string(kSpareSuffix);
  MR_RETURN_IF_ERROR(files.rename(path(name), path(spare)));
  // The old name is gone for good before the file gets another header: a crash may not bring back a
  // segment with a header that contradicts its name.
  MR_RETURN_IF_ERROR(files.sync_directory(directory_));
  spares_.push_back(spare);
  return Status::ok();
}

Result<std::shared_ptr<SegmentFile>> SegmentMaker::open(env::FileSystem& files,
                                                        const std::string& path) {
  auto segment = std::make_shared<SegmentFile>();
  auto file = files.open(path, env::OpenMode::kReadWrite);
  if (!file) return file.status();
  segment->file = std::move(*file);
  std::string block(kBlockBytes, '\0');
  Result<size_t> read = segment->file->read_at(0, block);
  if (!read) return read.status();
  if (!decode(std::string_view(block).substr(0, *read), segment->header)) {
    return Status(StatusCode::kCorruption, path + ": damage at offset 0 in the segment header");
  }
  return segment;
}

Status SegmentMaker::open_directly(env::FileSystem& files, SegmentFile& segment) {
  auto file = files.open(segment.file->path(), env::OpenMode::kReadWrite, true);
  if (!file) return file.status();
  segment.direct = std::move(*file);
  return Status::ok();
}

}  // namespace multiraft::log
