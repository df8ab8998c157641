#include "kv/rocks_engine.h"

#include <rocksdb/env.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::kv {
namespace {

/// A batch's buffer is kept for the next turn unless it has grown beyond this.
constexpr size_t kBatchBytesKept = 1 * limits::kMiB;
constexpr std::string_view kStagingDirectory = "/staging";

/// A worker is a thread, and the address of a thread's own variable names it.
const void* this_thread() {
  static thread_local char tag;
  return &tag;
}

Status open_conflict(GroupId group) {
  return {StatusCode::kConflict, "group " + to_string(group) + " is open"};
}

/// A former state machine of the group left effects in its worker's batch.
Status uncommitted(GroupId group) {
  return {StatusCode::kOverloaded,
          "group " + to_string(group) + " has effects that are not committed"};
}

}  // namespace

Status from_rocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return Status::ok();
  StatusCode code = StatusCode::kInternal;
  if (status.IsNoSpace()) {
    code = StatusCode::kNoSpace;
  } else if (status.IsCorruption()) {
    code = StatusCode::kCorruption;
  } else if (status.IsIncomplete() || status.IsBusy() || status.IsTryAgain()) {
    code = StatusCode::kOverloaded;
  } else if (status.IsIOError()) {
    code = StatusCode::kIoError;
  } else if (status.IsShutdownInProgress() || status.IsAborted()) {
    code = StatusCode::kCancelled;
  }
  return {code, std::string(what) + ": " + status.ToString()};
}

RocksEngine::RocksEngine(const RocksOptions& options)
    : options_(options), rocks_options_(make_rocks_options(options, listener_)) {}

RocksEngine::~RocksEngine() { MR_ASSERT_MSG(open_groups_.empty(), "state machines outlive it"); }

Result<std::unique_ptr<KvEngine>> RocksEngine::open_database(const RocksOptions& options) {
  auto engine = std::make_unique<RocksEngine>(options);
  MR_RETURN_IF_ERROR(engine->start());
  return std::unique_ptr<KvEngine>(std::move(engine));
}

Status RocksEngine::start() {
  rocksdb::Env& env = *rocks_options_.env;
  const std::string staging = options_.directory + std::string(kStagingDirectory);
  MR_RETURN_IF_ERROR(
      from_rocks(env.CreateDirIfMissing(options_.directory), "create " + options_.directory));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(rocks_options_, options_.directory, &db);
  MR_RETURN_IF_ERROR(from_rocks(opened, "open " + options_.directory));
  db_.reset(db);
  // Only after the open, which took the lock: what lies there was staged by a process that is gone.
  MR_RETURN_IF_ERROR(from_rocks(env.CreateDirIfMissing(staging), "create " + staging));
  std::vector<std::string> leftovers;
  MR_RETURN_IF_ERROR(from_rocks(env.GetChildren(staging, &leftovers), "list " + staging));
  for (const std::string& name : leftovers) {
    if (name == "." || name == "..") continue;
    MR_COVERAGE("kv: staged file of a crashed restore removed");
    const std::string path = staging + "/" + name;
    MR_RETURN_IF_ERROR(from_rocks(env.DeleteFile(path), "remove " + path));
  }
  return Status::ok();
}

Result<std::unique_ptr<KvStateMachine>> RocksEngine::open_kv(GroupId group) {
  // Before the position is read: no installation begins for a state machine that was closed.
  if (is_installing(group)) {
    return Status(StatusCode::kConflict,
                  "a snapshot is being installed for group " + to_string(group));
  }
  const Result<Position> position = read_position(group, nullptr);
  if (!position) return position.status();

  const std::lock_guard lock(mutex_);
  if (open_groups_.contains(group)) return open_conflict(group);
  if (erasing_.contains(group)) {
    return Status(StatusCode::kOverloaded,
                  "the removal of group " + to_string(group) + " is not durable");
  }
  // What a start finds is durable, but what was written since the start need not be.
  Durability durability(position->index);
  if (const auto it = closed_groups_.find(group); it != closed_groups_.end()) {
    const std::shared_ptr<RocksState> former = it->second;
    const std::lock_guard former_lock(former->mutex);
    if (former->pending) return uncommitted(group);
    durability = former->durability;
    closed_groups_.erase(it);
  }
  auto state = std::make_shared<RocksState>(*this, group, *position, std::move(durability));
  open_groups_.insert(group);
  return make_rocks_state_machine(std::move(state));
}

void RocksEngine::closed(const std::shared_ptr<RocksState>& state) {
  state->closed = true;
  const std::lock_guard lock(mutex_);
  open_groups_.erase(state->group);
  if (closed_groups_.size() >= closed_groups_swept_at_) {
    absl::erase_if(closed_groups_, [](auto& entry) {
      return !entry.second->installing && !entry.second->has_unflushed();
    });
    closed_groups_swept_at_ = 2 * closed_groups_.size() + 1;
  }
  // `installing` is set before `closed` is looked at, and looked at here after that was set.
  if (state->installing || state->has_unflushed()) closed_groups_[state->group] = state;
}

bool RocksEngine::is_installing(GroupId group) {
  const std::lock_guard lock(mutex_);
  const auto former = closed_groups_.find(group);
  return former != closed_groups_.end() && former->second->installing;
}

void RocksEngine::wait_for_installation(GroupId group) {
  std::shared_ptr<RocksState> state;
  {
    const std::lock_guard lock(mutex_);
    const auto it = closed_groups_.find(group);
    if (it == closed_groups_.end()) return;
    state = it->second;
  }
  const std::lock_guard install(state->install_mutex);
}

Status RocksEngine::destroy(std::span<const GroupId> groups) {
  std::vector<GroupId> present;
  MR_RETURN_IF_ERROR(prepare_destroy(groups, present));
  if (present.empty()) return Status::ok();
  {
    const std::lock_guard lock(mutex_);
    erasing_.insert(present.begin(), present.end());
  }
  MR_RETURN_IF_ERROR(erase_groups(*this, present));
  const std::lock_guard lock(mutex_);
  for (const GroupId group : present) {
    erasing_.erase(group);
    closed_groups_.erase(group);
  }
  return Status::ok();
}

Status RocksEngine::prepare_destroy(std::span<const GroupId> groups,
                                    std::vector<GroupId>& present) {
  for (const GroupId group : groups) {
    wait_for_installation(group);
    const std::lock_guard lock(mutex_);
    if (open_groups_.contains(group)) return open_conflict(group);
    const auto closed = closed_groups_.find(group);
    if (closed == closed_groups_.end()) continue;
    const std::lock_guard state_lock(closed->second->mutex);
    if (!closed->second->pending) continue;
    // The worker will write them, and must not do so after the group was erased.
    MR_COVERAGE("kv: removal waits for effects that are not committed");
    return uncommitted(group);
  }
  for (const GroupId group : groups) {
    const Result<bool> found = has_keys(group);
    if (!found) return found.status();
    if (*found) present.push_back(group);
  }
  return Status::ok();
}

Result<bool> RocksEngine::has_keys(GroupId group) {
  const GroupPrefix begin(group, KeySpace::kPosition);
  const GroupPrefix end(group, KeySpace::kEnd);
  const rocksdb::Slice upper = end.slice();
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  it->Seek(begin.slice());
  if (it->Valid()) return true;
  {
    // Nothing is seen of a group whose tombstone is not durable, and after a crash all of it.
    const std::lock_guard lock(mutex_);
    if (erasing_.contains(group)) return true;
  }
  MR_RETURN_IF_ERROR(from_rocks(it->status(), "read of group " + to_string(group)));
  return false;
}

Result<std::vector<GroupId>> RocksEngine::groups() {
  std::vector<GroupId> groups;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->SeekToFirst(); it->Valid();) {
    const std::optional<GroupId> group = group_of_key(to_view(it->key()));
    if (!group) {
      return Status(StatusCode::kCorruption, "a key of " + options_.directory + " has no group");
    }
    groups.push_back(*group);
    it->Seek(GroupPrefix(*group, KeySpace::kEnd).slice());
  }
  MR_RETURN_IF_ERROR(from_rocks(it->status(), "list the groups of " + options_.directory));
  return groups;
}

RocksBatch& RocksEngine::batch_of_thread() {
  const std::lock_guard lock(mutex_);
  auto& batch = batches_[this_thread()];
  if (batch == nullptr) batch = std::make_unique<RocksBatch>();
  return *batch;
}

Status RocksEngine::commit(uint32_t) { return write(batch_of_thread(), /*no_slowdown=*/true); }

Status RocksEngine::write(RocksBatch& batch, bool no_slowdown) {
  MR_RETURN_IF_ERROR(batch.failure);
  if (batch.dirty.empty()) return Status::ok();
  // The positions go last, once a turn: they are in the same batch as what they speak of (trap 41).
  batch.batch.SetSavePoint();
  for (const auto& state : batch.dirty) {
    batch.batch.Put(GroupPrefix(state->group, KeySpace::kPosition).slice(),
                    encode_position(state->applied));
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  options.no_slowdown = no_slowdown;
  const rocksdb::Status written = db_->Write(options, &batch.batch);
  if (!written.ok()) {
    batch.batch.RollbackToSavePoint();
    if (written.IsIncomplete()) {
      MR_COVERAGE("kv: commit met a write stall");
      batches_refused_.fetch_add(1, std::memory_order_relaxed);
    }
    return from_rocks(written, "write to " + options_.directory);
  }
  const uint64_t epoch = tracker().open_epoch();
  for (const auto& state : batch.dirty) {
    const std::lock_guard lock(state->mutex);
    state->durability.written(epoch, state->applied.index);
    state->pending = false;
    state->pending_keys.clear();
  }
  batch.dirty.clear();
  if (batch.batch.GetDataSize() > kBatchBytesKept) {
    batch.batch = rocksdb::WriteBatch();
  } else {
    batch.batch.Clear();
  }
  return Status::ok();
}

Status RocksEngine::settle(RocksState& state) {
  {
    const std::lock_guard lock(state.mutex);
    if (!state.pending) return Status::ok();
  }
  RocksBatch& batch = batch_of_thread();
  const bool ours = std::any_of(batch.dirty.begin(), batch.dirty.end(),
                                [&](const auto& dirty) { return dirty.get() == &state; });
  if (!ours) {
    return {StatusCode::kUnavailable,
            "group " + to_string(state.group) + " has effects that are not committed"};
  }
  return write(batch, /*no_slowdown=*/false);
}

Result<Position> RocksEngine::read_position(GroupId group, const rocksdb::Snapshot* snapshot) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  std::string bytes;
  const rocksdb::Status read =
      db_->Get(options, GroupPrefix(group, KeySpace::kPosition).slice(), &bytes);
  if (read.IsNotFound()) return Position{};
  MR_RETURN_IF_ERROR(from_rocks(read, "read the position of group " + to_string(group)));
  const std::optional<Position> position = decode_position(bytes);
  if (position) return *position;
  return Status(StatusCode::kCorruption, "the position of group " + to_string(group) + " in " +
                                             options_.directory + " does not decode");
}

void RocksEngine::request_flush() {
  // Each flush seals a memtable. One is kept free to write into and one for the next request.
  if (tracker().sealed_count() + 2 >= static_cast<size_t>(options_.write_buffers_max)) return;
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;  // Otherwise this would wait for the stall to pass.
  // A failing flush stops the database, and the next commit says so.
  db_->Flush(options).PermitUncheckedError();
}

Status RocksEngine::keeps_up() const {
  if (!listener_->pressure().high()) return Status::ok();
  return {StatusCode::kOverloaded,
          "the engine's compactions fall behind what is written: write more slowly"};
}

bool RocksEngine::worth_compacting() {
  rocksdb::TablePropertiesCollection tables;
  if (!db_->GetPropertiesOfAllTables(&tables).ok()) return false;
  uint64_t entries = 0;
  uint64_t deletions = 0;
  for (const auto& [path, table] : tables) {
    entries += table->num_entries;
    deletions += table->num_deletions + table->num_range_deletions;
  }
  // New tables are complete before the old ones go. Without many deletions they are as large as the
  // old ones, and making them takes the room that there is too little of.
  return 5 * deletions >= entries && deletions > 0;
}

void RocksEngine::reclaim() {
  // What is flushed lets the log go, and what was deleted leaves the disk when the tables under the
  // deletions are written again. A failure is not worse than before: the next commit says so.
  if (!flush() || !worth_compacting()) return;
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.allow_write_stall = true;
  db_->CompactRange(options, nullptr, nullptr).PermitUncheckedError();
}

Status RocksEngine::flush() {
  const uint64_t epoch = tracker().open_epoch();
  rocksdb::FlushOptions options;
  options.allow_write_stall = true;
  MR_RETURN_IF_ERROR(from_rocks(db_->Flush(options), "flush " + options_.directory));
  // The database may say so a moment before its listeners hear of it.
  tracker().wait_for(epoch);
  return Status::ok();
}

KvEngineStats RocksEngine::stats() const {
  const auto property = [this](const std::string& name) {
    uint64_t value = 0;
    return db_->GetIntProperty(name, &value) ? value : 0;
  };
  KvEngineStats stats;
  stats.memtable_bytes = property(rocksdb::DB::Properties::kSizeAllMemTables);
  stats.block_cache_bytes = property(rocksdb::DB::Properties::kBlockCacheUsage);
  stats.table_reader_bytes = property(rocksdb::DB::Properties::kEstimateTableReadersMem);
  stats.disk_bytes = property(rocksdb::DB::Properties::kTotalSstFilesSize);
  stats.compaction_bytes_pending =
      property(rocksdb::DB::Properties::kEstimatePendingCompactionBytes);
  stats.l0_files = level0_files(*db_);
  stats.keeps_up = !listener_->pressure().high();
  stats.batches_refused = batches_refused_.load(std::memory_order_relaxed);
  return stats;
}

std::string RocksEngine::staging_path() {
  const uint64_t number = staged_files_.fetch_add(1, std::memory_order_relaxed);
  return options_.directory + std::string(kStagingDirectory) + "/" + std::to_string(number) +
         ".sst";
}

Status RocksEngine::ingest(const std::vector<std::string>& paths) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;            // A link and no copy: the file system is the same.
  options.snapshot_consistency = true;  // Readers with a snapshot go on with the old state.
  options.write_global_seqno = false;  // The manifest knows it; the files stay as they were synced.
  return from_rocks(db_->IngestExternalFile(paths, options), "ingest into " + options_.directory);
}

void RocksEngine::remove_files(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    // What cannot be removed now is removed by the next start.
    rocks_options_.env->DeleteFile(path).PermitUncheckedError();
  }
}

Result<std::unique_ptr<KvEngine>> make_rocksdb_engine(const RocksOptions& options) {
  return RocksEngine::open_database(options);
}

}  // namespace multiraft::kv
