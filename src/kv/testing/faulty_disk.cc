#include "kv/testing/faulty_disk.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/prng.h"

namespace multiraft::kv::testing {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

struct FaultyDisk::Impl {
  /// Of a file, up to the loss of power.
  struct Extent {
    uint64_t synced = 0;
    uint64_t written = 0;
  };

  mutable std::mutex mutex;
  std::condition_variable released;
  uint64_t changes = 0;
  uint64_t power_until = ~uint64_t{0};
  bool full = false;
  bool tables_held = false;
  int waiting_for_tables = 0;
  std::map<std::string, Extent> files;   ///< Written here.
  std::set<std::string> never_happened;  ///< Created after the loss of power.

  bool has_power() const { return changes < power_until; }
  IOStatus space() const {
    const std::lock_guard lock(mutex);
    return full ? IOStatus::NoSpace("full") : IOStatus::OK();
  }
  /// Counts one change and calls `record` with the lock held if it happened before power failed.
  template <class Record>
  bool change(Record&& record) {
    const std::lock_guard lock(mutex);
    ++changes;
    if (has_power()) record();
    return has_power();
  }
  void created(const std::string& path, const Extent& extent) {
    if (!change([&] { files[path] = extent; })) {
      const std::lock_guard lock(mutex);
      never_happened.insert(path);
    }
  }
  Extent extent_of(const std::string& path) const {
    const std::lock_guard lock(mutex);
    const auto it = files.find(path);
    return it == files.end() ? Extent{} : it->second;
  }
  void wait_for_tables(const std::string& path) {
    std::unique_lock lock(mutex);
    if (!path.ends_with(".sst") || !tables_held) return;
    ++waiting_for_tables;
    released.notify_all();
    released.wait(lock, [this] { return !tables_held; });
    --waiting_for_tables;
  }
};

class FaultyDisk::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(std::shared_ptr<Impl> disk, std::string path, std::unique_ptr<FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        disk_(std::move(disk)),
        path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = disk_->space();
    if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, dbg);
    if (status.ok()) disk_->change([&] { disk_->files[path_].written += data.size(); });
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    disk_->change([&] { disk_->files[path_].synced = disk_->files[path_].written; });
    return IOStatus::OK();
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return Sync(options, dbg);
  }

 private:
  std::shared_ptr<Impl> disk_;
  std::string path_;
};

/// Creations and renames count at once.
class FaultyDisk::Directory final : public FSDirectory {
 public:
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
};

class FaultyDisk::System final : public rocksdb::FileSystemWrapper {
 public:
  explicit System(std::shared_ptr<Impl> disk)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), disk_(std::move(disk)) {}

  const char* Name() const override { return "FaultyDisk"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* out, IODebugContext* dbg) override {
    disk_->wait_for_tables(path);
    IOStatus status = disk_->space();
    if (status.ok()) status = FileSystemWrapper::NewWritableFile(path, options, out, dbg);
    if (!status.ok()) return status;
    disk_->created(path, {});
    *out = std::make_unique<File>(disk_, path, std::move(*out));
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* out, IODebugContext* dbg) override {
    const IOStatus status = FileSystemWrapper::ReopenWritableFile(path, options, out, dbg);
    if (status.ok()) *out = std::make_unique<File>(disk_, path, std::move(*out));
    return status;
  }
  IOStatus NewDirectory(const std::string&, const IOOptions&, std::unique_ptr<FSDirectory>* out,
                        IODebugContext*) override {
    *out = std::make_unique<Directory>();
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* dbg) override {
    if (!disk_->change([&] { disk_->files.erase(path); })) return IOStatus::OK();
    return FileSystemWrapper::DeleteFile(path, options, dbg);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    const Impl::Extent extent = disk_->extent_of(from);
    if (!disk_->change([&] { disk_->files[to] = extent; })) return IOStatus::OK();
    return FileSystemWrapper::RenameFile(from, to, options, dbg);
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* dbg) override {
    const IOStatus status = FileSystemWrapper::LinkFile(from, to, options, dbg);
    if (status.ok()) disk_->created(to, disk_->extent_of(from));
    return status;
  }

 private:
  std::shared_ptr<Impl> disk_;
};

namespace {

/// RocksDB waits a second after each failure of a background job; a test need not.
class HastyClock final : public rocksdb::SystemClockWrapper {
 public:
  HastyClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "HastyClock"; }
  void SleepForMicroseconds(int) override { std::this_thread::yield(); }
};

class FaultyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultyEnv(std::shared_ptr<rocksdb::FileSystem> system)
      : FaultyEnv(rocksdb::NewCompositeEnv(std::move(system))) {}

 private:
  explicit FaultyEnv(std::unique_ptr<rocksdb::Env> env)
      : EnvWrapper(env.get()), env_(std::move(env)) {
    file_system_ = env_->GetFileSystem();
    system_clock_ = std::make_shared<HastyClock>();
  }
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace

FaultyDisk::FaultyDisk()
    : impl_(std::make_shared<Impl>()),
      env_(std::make_unique<FaultyEnv>(std::make_shared<System>(impl_))) {}

FaultyDisk::~FaultyDisk() = default;

rocksdb::Env* FaultyDisk::env() { return env_.get(); }

uint64_t FaultyDisk::changes() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->changes;
}

void FaultyDisk::lose_power_after(uint64_t changes) {
  const std::lock_guard lock(impl_->mutex);
  impl_->power_until = impl_->changes + changes;
}

void FaultyDisk::lose_power() {
  const std::lock_guard lock(impl_->mutex);
  impl_->power_until = 0;
}

bool FaultyDisk::power_lost() const {
  const std::lock_guard lock(impl_->mutex);
  return !impl_->has_power();
}

void FaultyDisk::cut_unsynced(uint64_t keep_seed) {
  const std::lock_guard lock(impl_->mutex);
  Prng random(keep_seed);
  std::error_code ignored;
  for (const std::string& path : impl_->never_happened) std::filesystem::remove(path, ignored);
  for (const auto& [path, extent] : impl_->files) {
    if (!std::filesystem::exists(path)) continue;
    const uint64_t kept =
        keep_seed == 0 ? extent.synced : random.between(extent.synced, extent.written);
    std::filesystem::resize_file(path, kept, ignored);
  }
}

void FaultyDisk::set_full(bool full) {
  const std::lock_guard lock(impl_->mutex);
  impl_->full = full;
}

void FaultyDisk::hold_tables(bool held) {
  const std::lock_guard lock(impl_->mutex);
  impl_->tables_held = held;
  impl_->released.notify_all();
}

void FaultyDisk::wait_for_held_table() {
  std::unique_lock lock(impl_->mutex);
  impl_->released.wait(lock, [this] { return impl_->waiting_for_tables > 0; });
}

}  // namespace multiraft::kv::testing
