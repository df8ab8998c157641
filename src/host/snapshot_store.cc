#include "host/snapshot_store.h"

#include "base/coverage.h"
#include "base/limits.h"

namespace multiraft::host {
namespace {

constexpr uint32_t kReceivingMax = 8;

Status copy_chunks(SnapshotFileReader& from, SnapshotWriter& to) {
  std::string chunk;
  while (true) {
    MR_RETURN_IF_ERROR(from.next(chunk));
    if (chunk.empty()) return Status::ok();
    MR_RETURN_IF_ERROR(to.append(chunk));
  }
}

}  // namespace

/// Takes one stream's chunks into a file.
class SnapshotStore::Spool final : public transport::ChunkSink {
 public:
  Spool(SnapshotStore& store, wire::SnapshotHeader header, std::unique_ptr<SnapshotFileWriter> file)
      : store_(store), header_(std::move(header)), file_(std::move(file)) {
    ++store_.receiving_;
  }
  ~Spool() override { --store_.receiving_; }

  Status append(std::string_view chunk) override { return file_->append(chunk); }
  Status finish() override {
    MR_RETURN_IF_ERROR(file_->finish());
    store_.spooled(header_);
    return Status::ok();
  }

 private:
  SnapshotStore& store_;
  const wire::SnapshotHeader header_;
  std::unique_ptr<SnapshotFileWriter> file_;
};

SnapshotStore::SnapshotStore(env::FileSystem& fs, std::string directory, env::Executor& executor,
                             Hooks hooks)
    : fs_(fs), directory_(std::move(directory)), executor_(executor), hooks_(std::move(hooks)) {}

SnapshotStore::~SnapshotStore() = default;

std::string SnapshotStore::state_path(GroupId group) const {
  return directory_ + "/state-" + to_string(group);
}

std::string SnapshotStore::received_path(GroupId group, LogIndex index) const {
  return directory_ + "/received-" + to_string(group) + "-" + to_string(index);
}

Status SnapshotStore::open() {
  MR_RETURN_IF_ERROR(fs_.create_directories(directory_));
  MR_RETURN_IF_ERROR(remove_temporary_snapshots(fs_, directory_));
  auto names = fs_.list(directory_);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    if (name.starts_with("received-")) MR_RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
  }
  return Status::ok();
}

Status SnapshotStore::load_state(GroupId group, StateMachine& state_machine) {
  auto exists = fs_.exists(state_path(group));
  if (!exists) return exists.status();
  if (!*exists) return Status::ok();
  auto file = SnapshotFileReader::open(fs_, state_path(group));
  if (!file) return file.status();
  const raft::Snapshot& position = (*file)->header().snapshot;
  auto writer = state_machine.restore(position.index, position.term);
  if (!writer) return writer.status();
  MR_RETURN_IF_ERROR(copy_chunks(**file, **writer));
  return (*writer)->finish();
}

void SnapshotStore::save_state(GroupId group, const raft::Snapshot& position,
                               std::unique_ptr<SnapshotReader> reader,
                               Callback<void(Status)> done) {
  executor_.post(
      [this, group, position, reader = std::move(reader), done = std::move(done)]() mutable {
        auto write = [&]() -> Status {
          auto file = SnapshotFileWriter::create(fs_, state_path(group), {group, position});
          if (!file) return file.status();
          std::string chunk;
          while (true) {
            MR_RETURN_IF_ERROR(reader->next(limits::kSnapshotChunkBytes, chunk));
            if (chunk.empty()) return (*file)->finish();
            MR_RETURN_IF_ERROR((*file)->append(chunk));
          }
        };
        done(write());
      });
}

void SnapshotStore::keep_received(GroupId group, LogIndex index, Callback<void(Status)> done) {
  executor_.post([this, group, index, done = std::move(done)]() mutable {
    Status status = fs_.rename(received_path(group, index), state_path(group));
    if (status) status = fs_.sync_directory(directory_);
    done(std::move(status));
  });
}

void SnapshotStore::forget(GroupId group) {
  executor_.post([this, group] { (void)fs_.remove(state_path(group)); });
}

Result<std::unique_ptr<transport::ChunkSink>> SnapshotStore::on_snapshot(
    NodeId from, const wire::SnapshotHeader& header) {
  if (receiving_ >= kReceivingMax) {
    return Status(StatusCode::kOverloaded, "too many snapshots arrive at this node already");
  }
  if (header.from.node() != from) {
    return Status(StatusCode::kInvalidArgument, "the snapshot's sender is another node's replica");
  }
  auto file = SnapshotFileWriter::create(fs_, received_path(header.group, header.snapshot.index),
                                         {header.group, header.snapshot});
  if (!file) return file.status();
  return std::unique_ptr<transport::ChunkSink>(
      std::make_unique<Spool>(*this, header, std::move(*file)));
}

void SnapshotStore::spooled(const wire::SnapshotHeader& header) {
  hooks_.writer_for(header, [this, header](std::unique_ptr<SnapshotWriter> writer) mutable {
    executor_.post(
        [this, header, writer = std::move(writer)]() mutable { feed(header, std::move(writer)); });
  });
}

void SnapshotStore::feed(const wire::SnapshotHeader& header,
                         std::unique_ptr<SnapshotWriter> writer) {
  const std::string path = received_path(header.group, header.snapshot.index);
  if (!writer) {
    MR_COVERAGE("unwanted snapshot dropped");
    (void)fs_.remove(path);
    return;
  }
  auto file = SnapshotFileReader::open(fs_, path);
  // A file that cannot be read back is dropped; the leader finds out and sends another (trap 42).
  if (!file || !copy_chunks(**file, *writer)) {
    MR_COVERAGE("received snapshot could not be read back");
    (void)fs_.remove(path);
    return;
  }
  hooks_.arrived(header, std::move(writer));
}

}  // namespace multiraft::host
