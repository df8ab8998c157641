#include "host/snapshot_store.h"

#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/coverage.h"
#include "base/limits.h"

namespace multiraft::host {
namespace {

/// Read in at a time, so that several snapshots share the thread.
constexpr int kChunksPerFeed = 16;

constexpr std::string_view kStatePrefix = "state-";

/// Of a name as state_name() makes it.
std::optional<GroupId> group_of_state(std::string_view name) {
  if (!name.starts_with(kStatePrefix)) return std::nullopt;
  name.remove_prefix(kStatePrefix.size());
  uint64_t group = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), group);
  if (error != std::errc() || end == name.data() + name.size() || *end != '-') return std::nullopt;
  return GroupId(group);
}

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
      : store_(store), header_(std::move(header)), file_(std::move(file)) {}
  ~Spool() override {
    if (!whole_ && store_.is_current(header_)) store_.erase_incoming(header_.group);
  }

  /// Another one took its place: what was written goes at once, whatever becomes of the stream.
  void abandon() { file_.reset(); }

  Status append(std::string_view chunk) override {
    MR_RETURN_IF_ERROR(check_current());
    MR_RETURN_IF_ERROR(store_.room());
    return file_->append(chunk);
  }
  void finish(Callback<void(Status)> done) override {
    Status status = check_current();
    // It is read at once and then not needed any more; where it is kept, it is made durable then.
    if (status) status = file_->finish_volatile();
    if (!status) {
      file_.reset();
      // It may have its name already.
      (void)store_.fs_.remove(store_.received_path(header_));
      return done(status);
    }
    whole_ = true;
    store_.spooled(header_, std::move(done));
  }

 private:
  Status check_current() {
    if (store_.is_current(header_)) return Status::ok();
    MR_COVERAGE("snapshot overtaken by a newer one");
    return {StatusCode::kCancelled, "a newer snapshot of the group took its place"};
  }

  SnapshotStore& store_;
  const wire::SnapshotHeader header_;
  std::unique_ptr<SnapshotFileWriter> file_;
  bool whole_ = false;
};

/// A spooled snapshot on its way into a state machine.
struct SnapshotStore::Feed {
  wire::SnapshotHeader header;
  std::unique_ptr<SnapshotFileReader> file;
  std::unique_ptr<SnapshotWriter> writer;
  Callback<void(Status)> done;
};

SnapshotStore::SnapshotStore(env::FileSystem& fs, std::string directory, env::Executor& executor,
                             Hooks hooks)
    : fs_(fs), directory_(std::move(directory)), executor_(executor), hooks_(std::move(hooks)) {}

SnapshotStore::~SnapshotStore() = default;

std::string SnapshotStore::state_name(GroupId group, ReplicaId replica) const {
  return std::string(kStatePrefix) + to_string(group) + "-" + to_string(replica);
}

std::string SnapshotStore::state_path(GroupId group, ReplicaId replica) const {
  return directory_ + "/" + state_name(group, replica);
}

std::string SnapshotStore::received_path(const wire::SnapshotHeader& header) const {
  return directory_ + "/received-" + to_string(header.group) + "-" + std::to_string(header.stream);
}

Status SnapshotStore::open() {
  MR_RETURN_IF_ERROR(fs_.create_directories(directory_));
  // Once a state is saved here its log is cut: the directory itself has to stay.
  MR_RETURN_IF_ERROR(fs_.sync_directory(directory_of(directory_)));
  MR_RETURN_IF_ERROR(remove_temporary_snapshots(fs_, directory_));
  auto names = fs_.list(directory_);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    if (name.starts_with("received-")) MR_RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
  }
  return Status::ok();
}

Status SnapshotStore::load_state(GroupId group, ReplicaId replica, StateMachine& state_machine) {
  const std::string path = state_path(group, replica);
  auto exists = fs_.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return Status::ok();
  auto file = SnapshotFileReader::open(fs_, path);
  if (!file) return file.status();
  const SnapshotFileHeader& header = (*file)->header();
  if (header.group != group || header.replica != replica) {
    return {StatusCode::kCorruption, path + ": offset 20: holds the state of replica " +
                                         to_string(header.replica) + " of group " +
                                         to_string(header.group)};
  }
  const raft::Snapshot& position = header.snapshot;
  auto writer = state_machine.restore(position.index, position.term);
  if (!writer) return writer.status();
  MR_RETURN_IF_ERROR(copy_chunks(**file, **writer));
  return (*writer)->finish();
}

Status SnapshotStore::retain(const std::vector<std::pair<GroupId, ReplicaId>>& replicas,
                             const std::function<bool(GroupId)>& keeps) {
  std::set<std::string> wanted;
  for (const auto& [group, replica] : replicas) wanted.insert(state_name(group, replica));
  auto names = fs_.list(directory_);
  if (!names) return names.status();
  bool removed = false;
  for (const std::string& name : *names) {
    const std::optional<GroupId> group = group_of_state(name);
    if (!group || wanted.contains(name) || keeps(*group)) continue;
    MR_COVERAGE("saved state of a removed replica removed at start");
    MR_RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
    removed = true;
  }
  return removed ? fs_.sync_directory(directory_) : Status::ok();
}

void SnapshotStore::save_state(GroupId group, ReplicaId replica, const raft::Snapshot& position,
                               std::unique_ptr<SnapshotReader> reader,
                               Callback<void(Status)> done) {
  executor_.post([this, group, replica, position, reader = std::move(reader),
                  done = std::move(done)]() mutable {
    auto write = [&]() -> Status {
      auto file =
          SnapshotFileWriter::create(fs_, state_path(group, replica), {group, replica, position});
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

void SnapshotStore::install_received(GroupId group, ReplicaId replica, bool in_memory,
                                     std::unique_ptr<SnapshotWriter> writer,
                                     Callback<void(Status)> done) {
  executor_.post([this, group, replica, in_memory, writer = std::move(writer),
                  done = std::move(done)]() mutable {
    auto found = incoming_.find(group.value);
    auto install = [&]() -> Status {
      if (found == incoming_.end()) return {StatusCode::kCancelled, "the replica is gone"};
      if (in_memory) {
        MR_RETURN_IF_ERROR(
            keep_snapshot(fs_, received_path(found->second.header), state_path(group, replica)));
      }
      return writer->finish();
    };
    const Status status = install();
    writer.reset();
    if (found != incoming_.end()) drop(wire::SnapshotHeader(found->second.header));
    done(status);
  });
}

void SnapshotStore::forget(GroupId group, ReplicaId replica) {
  executor_.post([this, group, replica] {
    // Removed durably: a state that comes back after a loss of power would be read in vain at each
    // start. The name holds the replica, so that no other one ever takes it for its own.
    if (fs_.remove(state_path(group, replica))) sync_later();
    // What still arrives, or waits for an installation that will not come.
    const auto found = incoming_.find(group.value);
    if (found == incoming_.end() || found->second.header.to != replica) return;
    if (found->second.spool) found->second.spool->abandon();
    drop(wire::SnapshotHeader(found->second.header));
  });
}

void SnapshotStore::sync_later() {
  if (std::exchange(sync_queued_, true)) return;
  executor_.post([this] {
    sync_queued_ = false;
    (void)fs_.sync_directory(directory_);  // What comes back goes at the next start.
  });
}

// -- Arriving.

bool SnapshotStore::is_current(const wire::SnapshotHeader& header) const {
  auto found = incoming_.find(header.group.value);
  return found != incoming_.end() && found->second.header == header;
}

void SnapshotStore::drop(const wire::SnapshotHeader& header) {
  if (is_current(header)) erase_incoming(header.group);
  // It may be the saved state by now. What cannot be removed goes at the next start.
  (void)fs_.remove(received_path(header));
}

void SnapshotStore::on_snapshot(
    NodeId from, const wire::SnapshotHeader& header,
    Callback<void(Result<std::unique_ptr<transport::ChunkSink>>)> done) {
  hooks_.judge(header, [this, from, header, done = std::move(done)](Status status) mutable {
    executor_.post(
        [this, from, header, done = std::move(done), status = std::move(status)]() mutable {
          if (status) {
            admit_or_wait(from, header, std::move(done));
          } else {
            done(std::move(status));
            next_in_line();
          }
        });
  });
}

void SnapshotStore::admit_or_wait(NodeId from, const wire::SnapshotHeader& header, Answer done) {
  // Whoever asks for the same group again has given up what it asked before.
  for (auto earlier = line_.begin(); earlier != line_.end(); ++earlier) {
    if (earlier->header.group != header.group) continue;
    Answer answer = std::move(earlier->done);
    line_.erase(earlier);
    answer(Status(StatusCode::kConflict, "another snapshot of the group took its place"));
    break;
  }
  const bool full =
      incoming_.size() >= limits::kSnapshotsReceivingMax && !incoming_.contains(header.group.value);
  if (!full) {
    auto sink = admit(header);
    const bool admitted = sink.is_ok();
    done(std::move(sink));
    if (!admitted) next_in_line();
    return;
  }
  if (line_.size() >= limits::kSnapshotStreamsMax) {
    done(Status(StatusCode::kOverloaded, "too many snapshots wait to arrive at this node already"));
    return;
  }
  MR_COVERAGE("snapshot waits for its turn to arrive");
  line_.push_back({from, header, std::move(done)});
}

void SnapshotStore::next_in_line() {
  if (line_.empty() || incoming_.size() >= limits::kSnapshotsReceivingMax) return;
  Waiting next = std::move(line_.front());
  line_.pop_front();
  on_snapshot(next.from, next.header, std::move(next.done));
}

void SnapshotStore::erase_incoming(GroupId group) {
  incoming_.erase(group.value);
  executor_.post([this] { next_in_line(); });
}

Result<std::unique_ptr<transport::ChunkSink>> SnapshotStore::admit(
    const wire::SnapshotHeader& header) {
  const auto found = incoming_.find(header.group.value);
  if (found != incoming_.end()) {
    const wire::SnapshotHeader& other = found->second.header;
    if (!found->second.spool) {
      MR_COVERAGE("snapshot refused while another is installed");
      return Status(StatusCode::kUnavailable, "another snapshot of the group is being installed");
    }
    const bool same_replica = other.to == header.to;
    if (same_replica &&
        (header.term < other.term ||
         (header.term == other.term && header.snapshot.index < other.snapshot.index))) {
      MR_COVERAGE("older snapshot refused while a newer one arrives");
      return Status(StatusCode::kConflict, "a newer snapshot of the group arrives already");
    }
  }
  MR_RETURN_IF_ERROR(room());
  auto file = SnapshotFileWriter::create(fs_, received_path(header),
                                         {header.group, header.to, header.snapshot});
  if (!file) return file.status();
  if (found != incoming_.end()) found->second.spool->abandon();
  auto spool = std::make_unique<Spool>(*this, header, std::move(*file));
  incoming_[header.group.value] = {header, spool.get()};
  return std::unique_ptr<transport::ChunkSink>(std::move(spool));
}

void SnapshotStore::spooled(const wire::SnapshotHeader& header, Callback<void(Status)> done) {
  incoming_[header.group.value].spool = nullptr;
  hooks_.writer_for(header, [this, header, done = std::move(done)](
                                std::unique_ptr<SnapshotWriter> writer) mutable {
    executor_.post([this, header, writer = std::move(writer), done = std::move(done)]() mutable {
      auto in = std::make_shared<Feed>();
      in->header = header;
      in->done = std::move(done);
      if (!writer) {
        MR_COVERAGE("unwanted snapshot dropped");
        return end_feed(*in, Status(StatusCode::kConflict, "the snapshot is not wanted any more"));
      }
      in->writer = std::move(writer);
      auto file = SnapshotFileReader::open(fs_, received_path(header));
      if (!file) return end_feed(*in, file.status());
      in->file = std::move(*file);
      feed(std::move(in));
    });
  });
}

void SnapshotStore::feed(std::shared_ptr<Feed> in) {
  std::string chunk;
  for (int i = 0; i < kChunksPerFeed; ++i) {
    Status status = in->file->next(chunk);
    if (status && !chunk.empty()) status = in->writer->append(chunk);
    // What cannot be read back, or written, is dropped; the leader sends another (trap 42).
    if (!status) {
      MR_COVERAGE("received snapshot could not be read in");
      return end_feed(*in, status);
    }
    if (!chunk.empty()) continue;
    in->file.reset();
    hooks_.arrived(in->header, std::move(in->writer), [this, in](Status taken) {
      executor_.post([this, in, taken = std::move(taken)] { end_feed(*in, taken); });
    });
    return;
  }
  executor_.post([this, in = std::move(in)]() mutable { feed(std::move(in)); });
}

void SnapshotStore::end_feed(Feed& in, const Status& status) {
  in.file.reset();
  in.writer.reset();
  // Where it was taken, install_received() does the rest.
  if (!status) drop(in.header);
  in.done(status);
}

}  // namespace multiraft::host
