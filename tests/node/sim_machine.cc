#include "sim_machine.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/task.h"

namespace multiraft::sim {
namespace {

/// Entries that a machine on disk holds back before it writes its file.
constexpr uint64_t kUnflushedMax = 9;
constexpr size_t kChunkBytes = 64 * limits::kKiB;

/// checksum | index | term | (length | chunk)*
std::string encode_state(LogIndex index, Term term, const std::vector<std::string>& chunks) {
  std::string body;
  ByteWriter w(body);
  w.u64(index.value);
  w.u64(term.value);
  for (const std::string& chunk : chunks) {
    w.u32(static_cast<uint32_t>(chunk.size()));
    w.bytes(chunk);
  }
  std::string out;
  ByteWriter(out).u32(crc32c(body));
  return out + body;
}

}  // namespace

/// What a machine shares with its writers, which may outlive it.
struct SharedState {
  env::FileSystem& fs;
  std::string path;
  LogIndex durable;
  bool closed = false;
};

class SimMachine final : public kv::KvStateMachine {
 public:
  SimMachine(SimEngine& engine, GroupId group, std::unique_ptr<kv::KvStateMachine> memory)
      : engine_(engine),
        group_(group),
        memory_(std::move(memory)),
        shared_(std::make_shared<SharedState>(
            SharedState{engine.fs_, engine.path_of(group), LogIndex(), false})) {
    engine_.open_[group] = this;
  }
  ~SimMachine() override {
    shared_->closed = true;
    engine_.open_.erase(group_);
  }

  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override {
    for (const Command& command : commands) engine_.watch_(group_, command);
    return memory_->apply(commands, last_index, last_term, results);
  }
  /// Now and then something has to be read from the disk first, or only a part is looked up.
  Prefetch prefetch(std::span<const Command> commands) override {
    const uint64_t draw = commands.front().index.value;
    Task reads = !in_memory() && draw % 4 == 0 ? Task([] {}) : nullptr;
    return {std::move(reads), draw % 3 == 0 ? 1 : commands.size()};
  }
  LogIndex applied_index() const override { return memory_->applied_index(); }
  Term applied_term() const override { return memory_->applied_term(); }
  LogIndex durable_index() const override { return shared_->durable; }
  bool in_memory() const override { return engine_.kind_ == MachineKind::kMemory; }
  Result<std::unique_ptr<SnapshotReader>> snapshot() override { return memory_->snapshot(); }
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override;
  Result<uint64_t> hash() override { return memory_->hash(); }
  std::shared_ptr<const kv::KvReader> reader() const override { return memory_->reader(); }

  /// Reads the file, if there is one.
  Status load();
  Status flush();
  bool wants_flush() const { return applied_index() >= durable_index() + kUnflushedMax; }

 private:
  SimEngine& engine_;
  const GroupId group_;
  const std::unique_ptr<kv::KvStateMachine> memory_;
  const std::shared_ptr<SharedState> shared_;
};

namespace {

/// Installs a snapshot on disk first and in memory then.
class DiskWriter final : public SnapshotWriter {
 public:
  DiskWriter(std::shared_ptr<SharedState> shared, std::unique_ptr<SnapshotWriter> memory,
             LogIndex index, Term term)
      : shared_(std::move(shared)), memory_(std::move(memory)), index_(index), term_(term) {}

  Status append(std::string_view chunk) override {
    chunks_.emplace_back(chunk);
    return memory_->append(chunk);
  }
  Status finish() override {
    if (shared_->closed) return {StatusCode::kUnavailable, "the replica is being removed"};
    MR_RETURN_IF_ERROR(
        shared_->fs.write_file_atomically(shared_->path, encode_state(index_, term_, chunks_)));
    shared_->durable = index_;
    return memory_->finish();
  }

 private:
  const std::shared_ptr<SharedState> shared_;
  const std::unique_ptr<SnapshotWriter> memory_;
  const LogIndex index_;
  const Term term_;
  std::vector<std::string> chunks_;
};

}  // namespace

Result<std::unique_ptr<SnapshotWriter>> SimMachine::restore(LogIndex index, Term term) {
  auto memory = memory_->restore(index, term);
  if (!memory || in_memory()) return memory;
  return std::unique_ptr<SnapshotWriter>(
      std::make_unique<DiskWriter>(shared_, std::move(*memory), index, term));
}

Status SimMachine::flush() {
  if (applied_index() == durable_index()) return Status::ok();
  auto reader = memory_->snapshot();
  if (!reader) return reader.status();
  std::vector<std::string> chunks;
  for (std::string chunk;; chunks.push_back(chunk)) {
    MR_RETURN_IF_ERROR((*reader)->next(kChunkBytes, chunk));
    if (chunk.empty()) break;
  }
  const LogIndex index = applied_index();
  MR_RETURN_IF_ERROR(shared_->fs.write_file_atomically(
      shared_->path, encode_state(index, applied_term(), chunks)));
  shared_->durable = index;
  return Status::ok();
}

Status SimMachine::load() {
  auto exists = shared_->fs.exists(shared_->path);
  if (!exists) return exists.status();
  if (!*exists) return Status::ok();
  auto bytes = shared_->fs.read_file(shared_->path);
  if (!bytes) return bytes.status();
  ByteReader in(*bytes);
  const uint32_t checksum = in.u32();
  if (in.failed() || checksum != crc32c(std::string_view(*bytes).substr(in.position()))) {
    return {StatusCode::kCorruption, shared_->path + ": offset 0: the checksum does not match"};
  }
  const LogIndex index(in.u64());
  auto writer = memory_->restore(index, Term(in.u64()));
  if (!writer) return writer.status();
  while (in.remaining() > 0) MR_RETURN_IF_ERROR((*writer)->append(in.sized()));
  MR_RETURN_IF_ERROR((*writer)->finish());
  shared_->durable = index;
  return Status::ok();
}

SimEngine::SimEngine(env::FileSystem& fs, std::string directory, MachineKind kind, ApplyWatch watch)
    : fs_(fs),
      directory_(std::move(directory)),
      kind_(kind),
      watch_(std::move(watch)),
      memory_(kv::make_memory_engine()) {}

SimEngine::~SimEngine() = default;

Result<std::unique_ptr<StateMachine>> SimEngine::open(GroupId group) {
  auto memory = memory_->open_kv(group);
  if (!memory) return memory.status();
  auto machine = std::make_unique<SimMachine>(*this, group, std::move(*memory));
  if (kind_ == MachineKind::kDisk) {
    MR_RETURN_IF_ERROR(fs_.create_directories(directory_));
    MR_RETURN_IF_ERROR(fs_.sync_directory(directory_.substr(0, directory_.rfind('/'))));
    MR_RETURN_IF_ERROR(machine->load());
  }
  return std::unique_ptr<StateMachine>(std::move(machine));
}

Status SimEngine::destroy(std::span<const GroupId> groups) {
  if (kind_ == MachineKind::kMemory) return memory_->destroy(groups);
  bool removed = false;
  for (const GroupId group : groups) {
    auto exists = fs_.exists(path_of(group));
    if (!exists) return exists.status();
    if (!*exists) continue;
    MR_RETURN_IF_ERROR(fs_.remove(path_of(group)));
    removed = true;
  }
  return removed ? fs_.sync_directory(directory_) : Status::ok();
}

Result<std::vector<GroupId>> SimEngine::groups() {
  std::vector<GroupId> groups;
  if (kind_ == MachineKind::kMemory) return groups;
  auto exists = fs_.exists(directory_);
  if (!exists) return exists.status();
  if (!*exists) return groups;
  auto names = fs_.list(directory_);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    groups.emplace_back(std::strtoull(name.c_str(), nullptr, 10));
  }
  return groups;
}

Status SimEngine::commit(uint32_t) {
  if (kind_ == MachineKind::kMemory) return Status::ok();
  const bool all = std::exchange(flush_asked_, false);
  for (const auto& [group, machine] : open_) {
    if (all || machine->wants_flush()) MR_RETURN_IF_ERROR(machine->flush());
  }
  return Status::ok();
}

}  // namespace multiraft::sim
