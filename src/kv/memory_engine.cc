#include <absl/container/flat_hash_set.h>

#include <mutex>
#include <vector>

#include "base/assert.h"
#include "kv/command.h"
#include "kv/cow_map.h"
#include "kv/kv_engine.h"
#include "kv/scan_page.h"
#include "kv/snapshot_stream.h"

namespace multiraft::kv {
namespace {

/// What a state machine, its readers and its snapshot writers share.
///
/// The mutex is there for reads and restores on other threads; a worker alone never waits for it.
class MemoryState final : public KvReader {
 public:
  Result<std::optional<KvValue>> get(std::string_view key, ReadTier) const override;
  Result<ScanPage> scan(const ScanRequest& request) const override;

  mutable std::mutex mutex;
  CowMap map;
  LogIndex index;
  Term term;
  bool closed = false;
};

Status closed_status() { return {StatusCode::kUnavailable, "the replica is being removed"}; }

Result<std::optional<KvValue>> MemoryState::get(std::string_view key, ReadTier) const {
  const std::lock_guard lock(mutex);
  if (closed) return closed_status();
  const CowMap::Entry* entry = map.find(key);
  if (entry == nullptr) return std::optional<KvValue>();
  return std::optional<KvValue>(KvValue{entry->value, entry->modified_index});
}

Result<ScanPage> MemoryState::scan(const ScanRequest& request) const {
  const std::lock_guard lock(mutex);
  if (closed) return closed_status();
  PageBuilder page(request);
  const auto take = [&](const CowMap::Entry& entry) {
    if (!page.has_room_for(entry.key)) return false;
    page.add(entry.key, request.keys_only ? SharedBytes() : entry.value, entry.modified_index);
    return true;
  };
  if (request.reverse) {
    auto at = request.end.empty() ? map.end() : map.lower_bound(request.end);
    while (at.retreat() && at->key.view() >= request.start && take(*at)) {
    }
  } else {
    auto at = map.lower_bound(request.start);
    while (!at.at_end() && (request.end.empty() || at->key.view() < request.end) && take(*at)) {
      at.advance();
    }
  }
  return page.take();
}

/// Walks over a map that stays as it is meanwhile.
class MapCursor final : public RecordCursor {
 public:
  explicit MapCursor(const CowMap& map) : at_(map.begin()) {}

  Result<bool> next(Record& out) override {
    if (at_.at_end()) return false;
    out = {at_->key, at_->value, at_->modified_index};
    at_.advance();
    return true;
  }

 private:
  CowMap::Iterator at_;
};

/// Walks over a frozen copy of its own.
class FrozenCursor final : public RecordCursor {
 public:
  explicit FrozenCursor(CowMap frozen) : map_(std::move(frozen)), cursor_(map_) {}
  Result<bool> next(Record& out) override { return cursor_.next(out); }

 private:
  const CowMap map_;
  MapCursor cursor_;
};

class MemoryWriter final : public SnapshotWriter {
 public:
  MemoryWriter(std::shared_ptr<MemoryState> state, LogIndex index, Term term)
      : state_(std::move(state)), index_(index), term_(term), decoder_(index, term) {}

  Status append(std::string_view chunk) override {
    return decoder_.append(chunk, [this](const Record& record) {
      staged_.put(record.key, record.value, record.modified_index);
      return Status::ok();
    });
  }

  Status finish() override {
    MR_RETURN_IF_ERROR(decoder_.finish());
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return closed_status();
    std::swap(state_->map, staged_);
    state_->index = index_;
    state_->term = term_;
    return Status::ok();
  }

 private:
  std::shared_ptr<MemoryState> state_;
  LogIndex index_;
  Term term_;
  SnapshotDecoder decoder_;
  CowMap staged_;
};

ResultCode apply_one(const Command& command, CowMap& map) {
  CommandView view;
  const ResultCode code = decode_command(command.data, view);
  MR_ASSERT_MSG(code != ResultCode::kUnknownCommand, "applied without check()");
  if (code != ResultCode::kApplied) return code;
  switch (view.kind) {
    case CommandKind::kPut:
      map.put(view.key, view.value, command.index);
      return ResultCode::kApplied;
    case CommandKind::kDelete:
      return map.erase(view.key) ? ResultCode::kApplied : ResultCode::kNotFound;
  }
  MR_UNREACHABLE("command kind");
}

class MemoryEngine;

class MemoryStateMachine final : public KvStateMachine {
 public:
  MemoryStateMachine(MemoryEngine& engine, GroupId group) : engine_(engine), group_(group) {}
  ~MemoryStateMachine() override;

  Status check(std::string_view command) const override { return check_known(command); }
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override {
    MR_ASSERT(commands.size() == results.size());
    const std::lock_guard lock(state_->mutex);
    MR_ASSERT_MSG(last_index > state_->index, "applied twice");
    for (size_t i = 0; i < commands.size(); ++i) {
      MR_ASSERT(commands[i].index > state_->index && commands[i].index <= last_index);
      results[i] = {static_cast<uint64_t>(apply_one(commands[i], state_->map)), {}};
    }
    state_->index = last_index;
    state_->term = last_term;
    return Status::ok();
  }

  LogIndex applied_index() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->index;
  }
  Term applied_term() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->term;
  }
  LogIndex durable_index() const override { return LogIndex(0); }
  bool in_memory() const override { return true; }

  Result<std::unique_ptr<SnapshotReader>> snapshot() override {
    const std::lock_guard lock(state_->mutex);
    return make_snapshot_reader(state_->index, state_->term,
                                std::make_unique<FrozenCursor>(state_->map.freeze()));
  }
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override {
    std::unique_ptr<SnapshotWriter> writer = std::make_unique<MemoryWriter>(state_, index, term);
    return writer;
  }
  Result<uint64_t> hash() override {
    const std::lock_guard lock(state_->mutex);
    MapCursor cursor(state_->map);
    return hash_of(state_->index, cursor);
  }
  std::shared_ptr<const KvReader> reader() const override { return state_; }

 private:
  MemoryEngine& engine_;
  GroupId group_;
  std::shared_ptr<MemoryState> state_ = std::make_shared<MemoryState>();
};

class MemoryEngine final : public KvEngine {
 public:
  ~MemoryEngine() override { MR_ASSERT_MSG(open_groups_.empty(), "state machines outlive it"); }

  Result<std::unique_ptr<KvStateMachine>> open_kv(GroupId group) override {
    const std::lock_guard lock(mutex_);
    if (!open_groups_.insert(group).second) {
      return Status(StatusCode::kConflict, "group " + to_string(group) + " is open already");
    }
    std::unique_ptr<KvStateMachine> machine = std::make_unique<MemoryStateMachine>(*this, group);
    return machine;
  }
  Status destroy(std::span<const GroupId> groups) override {
    const std::lock_guard lock(mutex_);
    for (const GroupId group : groups) {
      if (!open_groups_.contains(group)) continue;
      return {StatusCode::kConflict, "group " + to_string(group) + " is open"};
    }
    return Status::ok();
  }
  Status commit(uint32_t) override { return Status::ok(); }
  void request_flush() override {}
  Status flush() override { return Status::ok(); }
  KvEngineStats stats() const override { return {}; }

  void closed(GroupId group) {
    const std::lock_guard lock(mutex_);
    open_groups_.erase(group);
  }

 private:
  std::mutex mutex_;
  absl::flat_hash_set<GroupId> open_groups_;
};

MemoryStateMachine::~MemoryStateMachine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
  }
  engine_.closed(group_);
}

}  // namespace

std::unique_ptr<KvEngine> make_memory_engine() { return std::make_unique<MemoryEngine>(); }

}  // namespace multiraft::kv
