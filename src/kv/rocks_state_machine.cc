#include "kv/rocks_engine.h"

#include <array>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/coverage.h"
#include "base/task.h"
#include "kv/command.h"
#include "kv/scan_page.h"
#include "kv/snapshot_stream.h"

namespace multiraft::kv {
namespace {

/// That a scan on a worker goes past between two keys: some hundred us.
constexpr uint64_t kDeletedKeysAtOnce = 1'000;

Status closed_status() { return {StatusCode::kUnavailable, "the replica is being removed"}; }

Status damaged_value(GroupId group) {
  return {StatusCode::kCorruption, "a value of group " + to_string(group) + " does not decode"};
}

rocksdb::ReadOptions read_options(ReadTier tier) {
  rocksdb::ReadOptions options;
  options.read_tier = tier == ReadTier::kCached ? rocksdb::kBlockCacheTier : rocksdb::kReadAllTier;
  return options;
}

/// kUnavailable for what a kCached read did not find in memory.
Status read_status(const rocksdb::Status& status, GroupId group) {
  if (status.ok()) return Status::ok();
  if (status.IsIncomplete()) {
    MR_COVERAGE("kv: cached read needs the disk");
    return {StatusCode::kUnavailable, "not in memory"};
  }
  return from_rocks(status, "read of group " + to_string(group));
}

/// A key of the database built without an allocation.
class DataKey {
 public:
  /// `key` is not longer than a valid key.
  DataKey(const GroupPrefix& prefix, std::string_view key)
      : size_(prefix.view().size() + key.size()) {
    MR_ASSERT(size_ <= bytes_.size());
    std::memcpy(bytes_.data(), prefix.view().data(), kGroupPrefixBytes);
    if (!key.empty()) std::memcpy(bytes_.data() + kGroupPrefixBytes, key.data(), key.size());
  }
  rocksdb::Slice slice() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kGroupPrefixBytes + limits::kKeyBytesMax> bytes_;
  size_t size_;
};

}  // namespace

RocksState::RocksState(RocksEngine& the_engine, GroupId the_group, Position position,
                       Durability the_durability)
    : engine(the_engine),
      group(the_group),
      data_prefix(the_group, KeySpace::kData),
      applied(position),
      durability(std::move(the_durability)) {}

bool RocksState::has_unflushed() {
  const std::lock_guard lock(mutex);
  durability.advance(engine.tracker().durable_epoch());
  return pending || !durability.complete();
}

Result<std::optional<KvValue>> RocksState::get(std::string_view key, ReadTier tier) const {
  if (!valid_key(key)) return std::optional<KvValue>();
  rocksdb::PinnableSlice stored;
  rocksdb::DB& db = engine.db();
  const rocksdb::Status read = db.Get(read_options(tier), db.DefaultColumnFamily(),
                                      DataKey(data_prefix, key).slice(), &stored);
  // Asked after the read: a group that is dropped meanwhile must not look empty.
  if (closed) return closed_status();
  if (read.IsNotFound()) return std::optional<KvValue>();
  MR_RETURN_IF_ERROR(read_status(read, group));
  const std::optional<StoredValue> value = decode_value(to_view(stored));
  if (!value) return damaged_value(group);
  return std::optional<KvValue>(KvValue{SharedBytes::copy_of(value->value), value->modified_index});
}

Result<ScanPage> RocksState::scan(const ScanRequest& request) const {
  const std::string lower = data_prefix.with(request.start);
  const std::string upper = request.end.empty()
                                ? std::string(GroupPrefix(group, KeySpace::kEnd).view())
                                : data_prefix.with(request.end);
  PageBuilder page(request);
  if (lower >= upper) return page.take();
  const rocksdb::Slice lower_bound = to_slice(lower);
  const rocksdb::Slice upper_bound = to_slice(upper);
  rocksdb::ReadOptions options = read_options(request.tier);
  if (request.tier == ReadTier::kCached) options.max_skippable_internal_keys = kDeletedKeysAtOnce;
  options.iterate_lower_bound = &lower_bound;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> it(engine.db().NewIterator(options));
  if (request.reverse) {
    it->SeekToLast();
  } else {
    it->Seek(lower_bound);
  }
  for (; it->Valid(); request.reverse ? it->Prev() : it->Next()) {
    const std::string_view key = to_view(it->key()).substr(kGroupPrefixBytes);
    if (!page.has_room_for(key)) break;
    const std::optional<StoredValue> value = decode_value(to_view(it->value()));
    if (!value) return damaged_value(group);
    page.add(key, request.keys_only ? SharedBytes() : SharedBytes::copy_of(value->value),
             value->modified_index);
  }
  if (closed) return closed_status();
  MR_RETURN_IF_ERROR(read_status(it->status(), group));
  return page.take();
}

namespace {

/// Of what commands ask for: looked up by the worker in one go, and read in from the disk in one
/// go, which takes milliseconds each.
constexpr size_t kKeysAtOnce = 1'024;
constexpr size_t kColdKeysAtOnce = 64;

/// Of the committed state.
Result<bool> read_existence(const RocksState& state, std::string_view key, ReadTier tier) {
  rocksdb::PinnableSlice stored;
  rocksdb::DB& db = state.engine.db();
  const rocksdb::Status read = db.Get(read_options(tier), db.DefaultColumnFamily(),
                                      DataKey(state.data_prefix, key).slice(), &stored);
  if (read.IsNotFound()) return false;
  MR_RETURN_IF_ERROR(read_status(read, state.group));
  return true;
}

class RocksStateMachine final : public KvStateMachine {
 public:
  explicit RocksStateMachine(std::shared_ptr<RocksState> state)
      : state_(std::move(state)), engine_(state_->engine) {}
  ~RocksStateMachine() override { engine_.closed(state_); }

  Status check(std::string_view command) const override { return check_known(command); }
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override;

  Prefetch prefetch(std::span<const Command> commands) override;

  LogIndex applied_index() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->applied.index;
  }
  Term applied_term() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->applied.term;
  }
  LogIndex durable_index() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->durability.advance(engine_.tracker().durable_epoch());
  }

  Result<std::unique_ptr<SnapshotReader>> snapshot() override {
    Result<View> view = committed_view();
    if (!view) return view.status();
    return make_snapshot_reader(view->position.index, view->position.term, std::move(view->cursor));
  }
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override {
    return make_rocks_writer(state_, index, term);
  }
  Result<uint64_t> hash() override {
    Result<View> view = committed_view();
    if (!view) return view.status();
    return hash_of(view->position.index, *view->cursor);
  }
  std::shared_ptr<const KvReader> reader() const override { return state_; }

 private:
  struct View {
    Position position;
    std::unique_ptr<RecordCursor> cursor;
  };
  /// Records and position of one moment: both are read from the same snapshot.
  Result<View> committed_view();
  Result<ResultCode> apply_one(const Command& command, rocksdb::WriteBatch& batch);
  Result<bool> exists(std::string_view key);

  std::shared_ptr<RocksState> state_;
  RocksState::Keys prefetched_;  ///< For the apply() that is under way.
  RocksEngine& engine_;
};

Status RocksStateMachine::apply(std::span<const Command> commands, LogIndex last_index,
                                Term last_term, std::span<ApplyResult> results) {
  MR_ASSERT(commands.size() == results.size());
  RocksBatch& batch = engine_.batch_of_thread();
  MR_RETURN_IF_ERROR(batch.failure);
  const LogIndex before = applied_index();
  MR_ASSERT_MSG(last_index > before, "applied twice");
  {
    const std::lock_guard lock(state_->mutex);
    RocksState::Prefetched prefetched = std::exchange(state_->prefetched, {});
    prefetched_.clear();
    if (prefetched.at == before) prefetched_ = std::move(prefetched.keys);
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    MR_ASSERT(commands[i].index > before && commands[i].index <= last_index);
    const Result<ResultCode> code = apply_one(commands[i], batch.batch);
    if (!code) {
      batch.failure = code.status();
      return batch.failure;
    }
    results[i] = {static_cast<uint64_t>(*code), {}};
  }
  const std::lock_guard lock(state_->mutex);
  state_->applied = {last_index, last_term};
  // The commands that it was read for may come in several calls.
  if (!prefetched_.empty()) state_->prefetched = {last_index, std::exchange(prefetched_, {})};
  if (!state_->pending) batch.dirty.push_back(state_);
  state_->pending = true;
  return Status::ok();
}

Result<ResultCode> RocksStateMachine::apply_one(const Command& command,
                                                rocksdb::WriteBatch& batch) {
  CommandView view;
  const ResultCode code = decode_command(command.data, view);
  MR_ASSERT_MSG(code != ResultCode::kUnknownCommand, "applied without check()");
  if (code != ResultCode::kApplied) return code;
  const std::array<rocksdb::Slice, 2> key{state_->data_prefix.slice(), to_slice(view.key)};
  const rocksdb::SliceParts key_parts(key.data(), static_cast<int>(key.size()));
  rocksdb::Status buffered;
  switch (view.kind) {
    case CommandKind::kPut: {
      const uint64_t modified = command.index.value;
      const std::array<rocksdb::Slice, 2> value{
          rocksdb::Slice(reinterpret_cast<const char*>(&modified), sizeof modified),
          to_slice(view.value)};
      buffered =
          batch.Put(key_parts, rocksdb::SliceParts(value.data(), static_cast<int>(value.size())));
      break;
    }
    case CommandKind::kDelete: {
      const Result<bool> there = exists(view.key);
      if (!there) return there.status();
      if (!*there) {
        prefetched_.erase(view.key);
        return ResultCode::kNotFound;
      }
      buffered = batch.Delete(key_parts);
      break;
    }
  }
  MR_RETURN_IF_ERROR(from_rocks(buffered, "buffer a command"));
  state_->pending_keys.insert_or_assign(view.key, view.kind == CommandKind::kPut);
  prefetched_.erase(view.key);
  return ResultCode::kApplied;
}

Result<bool> RocksStateMachine::exists(std::string_view key) {
  if (const auto it = state_->pending_keys.find(key); it != state_->pending_keys.end()) {
    return it->second;
  }
  if (const auto it = prefetched_.find(key); it != prefetched_.end()) return it->second;
  return read_existence(*state_, key, ReadTier::kAny);
}

StateMachine::Prefetch RocksStateMachine::prefetch(std::span<const Command> commands) {
  RocksState::Keys known;
  std::vector<std::string> cold;
  size_t covered = 0;
  for (const Command& command : commands) {
    if (cold.size() == kColdKeysAtOnce || known.size() == kKeysAtOnce) break;
    ++covered;
    CommandView view;
    if (decode_command(command.data, view) != ResultCode::kApplied) continue;
    if (view.kind != CommandKind::kDelete || state_->pending_keys.contains(view.key)) continue;
    const Result<bool> there = read_existence(*state_, view.key, ReadTier::kCached);
    if (there) {
      known.insert_or_assign(view.key, *there);
    } else if (there.status().code() == StatusCode::kUnavailable) {
      cold.emplace_back(view.key);
    }
  }
  const LogIndex at = applied_index();
  if (cold.empty()) {
    const std::lock_guard lock(state_->mutex);
    state_->prefetched = {at, std::move(known)};
    return {nullptr, covered};
  }
  Task reads = [state = state_, at, known = std::move(known), cold = std::move(cold)]() mutable {
    for (const std::string& key : cold) {
      // apply() meets an error again, and reports it.
      const Result<bool> there = read_existence(*state, key, ReadTier::kAny);
      if (there) known.insert_or_assign(key, *there);
    }
    const std::lock_guard lock(state->mutex);
    state->prefetched = {at, std::move(known)};
  };
  return {std::move(reads), covered};
}

Result<RocksStateMachine::View> RocksStateMachine::committed_view() {
  const rocksdb::Snapshot* snapshot = engine_.db().GetSnapshot();
  View view;
  view.cursor = make_rocks_cursor(engine_, state_->group, snapshot);
  const Result<Position> position = engine_.read_position(state_->group, snapshot);
  if (!position) return position.status();
  view.position = *position;
  return view;
}

}  // namespace

std::unique_ptr<KvStateMachine> make_rocks_state_machine(std::shared_ptr<RocksState> state) {
  return std::make_unique<RocksStateMachine>(std::move(state));
}

}  // namespace multiraft::kv
