// Reading a group out of the database and putting another state in its place.
//
// A restore writes table files beside the database, which finish() makes part of it in one
// ingestion. Each file starts with a range tombstone over the part of the group that it covers;
// together they cover all of it, position included. An ingested file's entries share one sequence
// number, newer than everything in the database, and a tombstone hides only what is strictly older:
// so the old state goes and the new one appears with the one manifest record that names the files.

#include <rocksdb/iterator.h>
#include <rocksdb/sst_file_writer.h>

#include "base/assert.h"
#include "base/coverage.h"
#include "kv/rocks_engine.h"
#include "kv/snapshot_format.h"

namespace multiraft::kv {
namespace {

class RocksCursor final : public RecordCursor {
 public:
  RocksCursor(RocksEngine& engine, GroupId group, const rocksdb::Snapshot* snapshot)
      : engine_(engine),
        group_(group),
        lower_(GroupPrefix(group, KeySpace::kData).view()),
        upper_(GroupPrefix(group, KeySpace::kEnd).view()),
        upper_bound_(to_slice(upper_)),
        snapshot_(snapshot) {}
  ~RocksCursor() override {
    iterator_.reset();
    engine_.db().ReleaseSnapshot(snapshot_);
  }
  RocksCursor(const RocksCursor&) = delete;
  RocksCursor& operator=(const RocksCursor&) = delete;

  Result<bool> next(Record& out) override {
    if (ended_) return false;
    if (iterator_ == nullptr) {
      resume();
    } else {
      iterator_->Next();
    }
    if (!iterator_->Valid()) {
      ended_ = true;
      MR_RETURN_IF_ERROR(from_rocks(iterator_->status(), "read of group " + to_string(group_)));
      return false;
    }
    const std::optional<StoredValue> value = decode_value(to_view(iterator_->value()));
    if (!value) {
      return Status(StatusCode::kCorruption,
                    "a value of group " + to_string(group_) + " does not decode");
    }
    out = {to_view(iterator_->key()).substr(kGroupPrefixBytes), value->value,
           value->modified_index};
    return true;
  }

  // An iterator keeps memtables and table files from being freed; a snapshot alone does not.
  void pause() override {
    if (iterator_ != nullptr && iterator_->Valid()) {
      lower_ = iterator_->key().ToString();
      lower_.push_back('\0');  // The smallest key behind it.
    }
    iterator_.reset();
  }

 private:
  void resume() {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    options.fill_cache = false;  // A walk over everything must not displace what is hot.
    options.iterate_upper_bound = &upper_bound_;
    iterator_.reset(engine_.db().NewIterator(options));
    iterator_->Seek(to_slice(lower_));
  }

  RocksEngine& engine_;
  const GroupId group_;
  std::string lower_;  ///< Where to go on.
  const std::string upper_;
  const rocksdb::Slice upper_bound_;
  const rocksdb::Snapshot* snapshot_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool ended_ = false;
};

/// The table files that will replace a group.
class Replacement {
 public:
  Replacement(RocksEngine& engine, GroupId group) : engine_(engine), group_(group) {}
  ~Replacement() {
    writer_.reset();
    engine_.remove_files(paths_);
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  /// Keys ascend. Starts a new file where the present one is big enough.
  Status add(const std::string& key, const std::string& value) {
    if (writer_ != nullptr &&
        writer_->FileSize() >= engine_.rocks_options().target_file_size_base) {
      MR_COVERAGE("kv: restore into several files");
      MR_RETURN_IF_ERROR(end_file(key));
    }
    if (writer_ == nullptr) MR_RETURN_IF_ERROR(begin_file());
    return from_rocks(writer_->Put(key, value), "write " + paths_.back());
  }
  /// Nothing is added afterwards.
  Status seal() {
    if (writer_ == nullptr) MR_RETURN_IF_ERROR(begin_file());
    return end_file(std::string(GroupPrefix(group_, KeySpace::kEnd).view()));
  }
  /// The switch. `in_memtable`: the group has writes that are not flushed. The ingestion would
  /// flush them as well, but with all writers waiting for it.
  Status install(bool in_memtable) {
    if (in_memtable) MR_RETURN_IF_ERROR(engine_.flush());
    MR_RETURN_IF_ERROR(engine_.ingest(paths_));
    paths_.clear();
    return Status::ok();
  }

 private:
  Status begin_file() {
    paths_.push_back(engine_.staging_path());
    writer_ =
        std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), engine_.rocks_options());
    return from_rocks(writer_->Open(paths_.back()), "create " + paths_.back());
  }
  /// The file stands for everything from the end of the one before up to `end`, exclusive.
  Status end_file(const std::string& end) {
    rocksdb::Status status = writer_->DeleteRange(covered_, end);
    if (status.ok()) status = writer_->Finish();
    covered_ = end;
    writer_.reset();
    return from_rocks(status, "write " + paths_.back());
  }

  RocksEngine& engine_;
  const GroupId group_;
  std::string covered_{GroupPrefix(group_, KeySpace::kPosition).view()};
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<std::string> paths_;
};

class RocksWriter final : public SnapshotWriter {
 public:
  RocksWriter(std::shared_ptr<RocksState> state, LogIndex index, Term term)
      : state_(std::move(state)),
        position_{index, term},
        decoder_(index, term),
        replacement_(state_->engine, state_->group) {}

  Status start() {
    return replacement_.add(std::string(GroupPrefix(state_->group, KeySpace::kPosition).view()),
                            encode_position(position_));
  }

  Status append(std::string_view chunk) override {
    return decoder_.append(chunk, [this](const Record& record) {
      value_.clear();
      ByteWriter value(value_);
      value.u64(record.modified_index.value);
      value.bytes(record.value);
      return replacement_.add(state_->data_prefix.with(record.key), value_);
    });
  }

  Status finish() override;

 private:
  std::shared_ptr<RocksState> state_;
  const Position position_;
  SnapshotDecoder decoder_;
  Replacement replacement_;
  std::string value_;
};

/// Set while it lives.
class InstallingFlag {
 public:
  explicit InstallingFlag(std::atomic<bool>& flag) : flag_(flag) { flag_ = true; }
  ~InstallingFlag() { flag_ = false; }
  InstallingFlag(const InstallingFlag&) = delete;
  InstallingFlag& operator=(const InstallingFlag&) = delete;

 private:
  std::atomic<bool>& flag_;
};

Status RocksWriter::finish() {
  MR_RETURN_IF_ERROR(decoder_.finish());
  MR_RETURN_IF_ERROR(replacement_.seal());
  RocksEngine& engine = state_->engine;
  const std::lock_guard install(state_->install_mutex);
  const InstallingFlag installing(state_->installing);
  if (state_->closed) return {StatusCode::kUnavailable, "the replica is being removed"};
  MR_RETURN_IF_ERROR(engine.settle(*state_));
  MR_RETURN_IF_ERROR(replacement_.install(state_->has_unflushed()));
  const std::lock_guard lock(state_->mutex);
  state_->applied = position_;
  state_->durability = Durability(position_.index);
  return Status::ok();
}

}  // namespace

std::unique_ptr<RecordCursor> make_rocks_cursor(RocksEngine& engine, GroupId group,
                                                const rocksdb::Snapshot* snapshot) {
  return std::make_unique<RocksCursor>(engine, group, snapshot);
}

Result<std::unique_ptr<SnapshotWriter>> make_rocks_writer(std::shared_ptr<RocksState> state,
                                                          LogIndex index, Term term) {
  auto writer = std::make_unique<RocksWriter>(std::move(state), index, term);
  MR_RETURN_IF_ERROR(writer->start());
  return std::unique_ptr<SnapshotWriter>(std::move(writer));
}

// Range tombstones in the memtable and one flush, whatever the number of groups. An ingestion would
// hold up the writes of all workers while the manifest is synced.
Status erase_groups(RocksEngine& engine, std::span<const GroupId> groups) {
  rocksdb::WriteBatch batch;
  for (const GroupId group : groups) {
    const GroupPrefix begin(group, KeySpace::kPosition);
    const GroupPrefix end(group, KeySpace::kEnd);
    MR_RETURN_IF_ERROR(
        from_rocks(batch.DeleteRange(begin.slice(), end.slice()), "buffer a removal"));
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  MR_RETURN_IF_ERROR(from_rocks(engine.db().Write(options, &batch), "remove groups"));
  MR_RETURN_IF_ERROR(engine.flush());
  for (const GroupId group : groups) engine.listener().group_erased(engine.db(), group);
  return Status::ok();
}

}  // namespace multiraft::kv
