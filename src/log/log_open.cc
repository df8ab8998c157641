// Opening: options, lock, recovery, the first segment.

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "log/log_impl.h"

namespace multiraft::log {
namespace {

/// Two for entries that a replica waits for, and one for rewriting.
constexpr size_t kReadThreads = 3;

std::string parent_of(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = path.find_last_of('/', end == std::string::npos ? 0 : end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// The names of new directories are as durable as the segments in them.
Status create_durably(env::FileSystem& files, const std::string& directory) {
  std::vector<std::string> to_sync;
  for (std::string path = directory; path != "/" && path != ".";) {
    Result<bool> exists = files.exists(path);
    if (!exists) return exists.status();
    if (*exists) break;
    path = parent_of(path);
    to_sync.push_back(path);
  }
  MR_RETURN_IF_ERROR(files.create_directories(directory));
  for (const std::string& path : to_sync) MR_RETURN_IF_ERROR(files.sync_directory(path));
  return Status::ok();
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(const LogOptions& options, env::Environment& env,
                                       env::Executor& owner, Callback<void(Status)> on_fatal) {
  auto log = std::make_unique<LogImpl>(options, env, owner, std::move(on_fatal));
  MR_RETURN_IF_ERROR(log->start());
  return std::unique_ptr<Log>(std::move(log));
}

LogImpl::LogImpl(const LogOptions& options, env::Environment& env, env::Executor& owner,
                 Callback<void(Status)> on_fatal)
    : options_(options), env_(env), owner_(owner), on_fatal_(std::move(on_fatal)) {
  context_.on_unreadable = [this](const Status& why) { fail(why); };
}

LogImpl::~LogImpl() { close(); }

Status LogImpl::check_options() const {
  if (options_.segment_bytes % kBlockBytes != 0 || options_.segment_bytes < kSegmentBytesMin ||
      options_.segment_bytes > kSegmentBytesMax) {
    return {StatusCode::kInvalidArgument,
            "log segment size " + std::to_string(options_.segment_bytes) +
                " is not a multiple of " + std::to_string(kBlockBytes) + " from " +
                std::to_string(kSegmentBytesMin) + " to " + std::to_string(kSegmentBytesMax)};
  }
  return Status::ok();
}

Status LogImpl::start() {
  MR_RETURN_IF_ERROR(check_options());
  env::FileSystem& files = env_.file_system();
  MR_RETURN_IF_ERROR(create_durably(files, options_.directory));
  auto lock = files.lock(options_.directory + "/LOCK");
  if (!lock) return lock.status();
  lock_ = std::move(*lock);
  Recovery recovery(files, options_.directory, options_.full_scan_bytes, context_, groups_);
  Result<RecoveredLog> found = recovery.run();
  if (!found) return found.status();
  MR_RETURN_IF_ERROR(adopt(*found));
  self_ = std::make_shared<LogImpl*>(this);
  last_activity_ = env_.clock().now();
  if (!direct_) log_thread_ = env_.start_blocking_executor(options_.thread_name);
  prepare_thread_ = env_.start_blocking_executor(options_.thread_name + "-prep");
  readers_ =
      std::make_unique<env::BlockingPool>(env_, options_.thread_name + "-read", kReadThreads);
  old_entries_ = std::make_unique<OldEntries>(
      *readers_, env_.clock(), owner_,
      OldEntries::Callbacks{.find = [this](GroupId id) { return find(id); },
                            .ready =
                                [this](GroupId id) {
                                  if (on_read_) on_read_(id);
                                },
                            .failed = [this](const Status& why) { fail(why); }});
  context_.old_entries = old_entries_.get();
  SegmentMaker* maker = maker_.get();
  for (uint64_t id : found->obsolete) {
    prepare_thread_->post([maker, id] {
      Status retired = maker->retire(id);
      (void)retired;  // It is in nobody's way; the next open tries again.
    });
  }
  request_segment();
  drop_segments(durable_needed_);
  unverified_.assign(found->unverified.begin(), found->unverified.end());
  verify_next();
  return Status::ok();
}

Status LogImpl::adopt(RecoveredLog& found) {
  env::FileSystem& files = env_.file_system();
  log_id_ = found.log_id != 0 ? found.log_id : (env_.random_u64() | 1);
  maker_ = std::make_unique<SegmentMaker>(env_, options_.directory, options_.segment_bytes, log_id_,
                                          options_.spares_max);
  for (std::string& name : found.spares) maker_->add_spare(std::move(name));
  for (const std::string& name : found.unfinished) {
    Status removed = files.remove(options_.directory + "/" + name);
    (void)removed;  // Space that is lost until the next open; nothing reads it.
  }
  if (context_.segments.empty()) {
    auto first = maker_->prepare(1);
    if (!first) return first.status();
    context_.segments.push_back(1).file = std::move(*first);
    found.active_segment = found.last_segment = 1;
    found.next_offset = found.unmarked_offset = found.end_offset = kBlockBytes;
    found.needed_segment = 1;
  }
  // A segment that waits to be used, of another size than is wanted now, makes room for one that
  // holds the largest record.
  while (context_.segments.last_id() > found.last_segment) {
    const Segment& last = context_.segments.at(context_.segments.last_id());
    if (last.file->header.bytes == options_.segment_bytes) break;
    MR_RETURN_IF_ERROR(files.remove(last.file->file->path()));
    context_.segments.pop_back();
  }
  active_segment_ = found.active_segment;
  next_offset_ = found.next_offset;
  record_bytes_max_ =
      std::min<uint64_t>(limits::kLogBatchBytesMax, options_.segment_bytes - 2 * kBlockBytes) -
      kBatchHeaderBytes;
  written_end_ = {active_segment_, static_cast<uint32_t>(next_offset_)};
  found.chain.epoch = env_.random_u64();
  next_sequence_ = found.chain.sequence + 1;
  written_sequence_ = durable_sequence_ = marked_sequence_ = found.chain.sequence;
  durable_needed_ = needed_segment_ = found.needed_segment;
  stats_.torn_bytes_cut = found.torn_bytes;
  if (found.torn_bytes > 0) {
    stats_.torn_file = segment_file_name(found.active_segment);
    stats_.torn_offset = found.next_offset;
  }
  MR_RETURN_IF_ERROR(choose_writer(found.chain));
  return make_durable(found);
}

Status LogImpl::choose_writer(const ChainPosition& chain) {
  env::FileSystem& files = env_.file_system();
  auto attempt = [&]() -> Result<std::unique_ptr<env::DirectWriter>> {
    auto writer = env_.make_direct_writer(owner_, options_.directory);
    if (!writer) return writer;
    for (uint64_t id = active_segment_; id <= context_.segments.last_id(); ++id) {
      MR_RETURN_IF_ERROR(SegmentMaker::open_directly(files, *context_.segments.at(id).file));
    }
    return writer;
  };
  if (options_.writer != WriterKind::kPwrite) {
    auto writer = attempt();
    if (writer) {
      direct_ = std::make_unique<DirectBatchWriter>(env_.clock(), chain, std::move(*writer));
      stats_.writer = WriterKind::kUring;
      splice_bytes_min_ = std::numeric_limits<size_t>::max();
      maker_->use_direct();
      return Status::ok();
    }
    if (options_.writer == WriterKind::kUring) return writer.status();
    stats_.writer_note = writer.status().message();
  }
  writer_ = std::make_unique<BatchWriter>(env_.clock(), chain);
  return Status::ok();
}

/// What was read back is going to be acknowledged, but a process that was killed, or whose last
/// sync failed, may have left it in the page cache only. A sync alone is not enough: after a failed
/// one the pages count as clean. So they are written once more, in place, and then synced.
Status LogImpl::make_durable(const RecoveredLog& found) {
  env::File& file = *context_.segments.at(found.last_segment).file->file;
  std::string bytes;
  for (uint64_t at = found.unmarked_offset; at < found.end_offset; at += bytes.size()) {
    bytes.resize(std::min<uint64_t>(found.end_offset - at, limits::kMiB));
    Result<size_t> read = file.read_at(at, bytes);
    if (!read) return read.status();
    if (*read == 0) break;
    bytes.resize(*read);
    const std::string_view parts[] = {bytes};
    MR_RETURN_IF_ERROR(file.write_at(at, parts));
  }
  MR_RETURN_IF_ERROR(file.sync_data());
  return env_.file_system().sync_directory(options_.directory);
}

}  // namespace multiraft::log
