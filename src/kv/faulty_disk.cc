#include "kv/faulty_disk.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
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
  std::mutex mutex;
  std::condition_variable released;
  uint64_t changes = 0;
  uint64_t power_until = ~uint64_t{0};
  bool full = false;
  bool tables_held = false;
  std::map<std::string, uint64_t> synced_bytes;  ///< Of every file written here.

  /// One change is about to happen.
  IOStatus change(bool takes_space = false) {
    const std::lock_guard lock(mutex);
    if (++changes >= power_until) return IOStatus::IOError("power lost");
    if (full && takes_space) return IOStatus::NoSpace("full");
    return IOStatus::OK();
  }
  void synced(const std::string& path, uint64_t bytes) {
    const std::lock_guard lock(mutex);
    if (changes < power_until) synced_bytes[path] = bytes;
  }
  void wait_for_tables(const std::string& path) {
    std::unique_lock lock(mutex);
    if (path.ends_with(".sst")) released.wait(lock, [this] { return !tables_held; });
  }
};

class FaultyDisk::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(std::shared_ptr<Impl> disk, std::string path, std::unique_ptr<FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        disk_(std::move(disk)),
        path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    const IOStatus status = disk_->change(/*takes_space=*/true);
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, dbg) : status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = disk_->change();
    if (status.ok()) status = FSWritableFileOwnerWrapper::Sync(options, dbg);
    // Not what the file object counts: that starts at zero when a file is opened again.
    std::error_code ignored;
    if (status.ok()) disk_->synced(path_, std::filesystem::file_size(path_, ignored));
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return Sync(options, dbg);
  }

 private:
  std::shared_ptr<Impl> disk_;
  std::string path_;
};

class FaultyDisk::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(std::shared_ptr<Impl> disk, std::unique_ptr<FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), disk_(std::move(disk)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    const IOStatus status = disk_->change();
    return status.ok() ? FSDirectoryWrapper::Fsync(options, dbg) : status;
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, dbg);
  }

 private:
  std::shared_ptr<Impl> disk_;
};

class FaultyDisk::System final : public rocksdb::FileSystemWrapper {
 public:
  explicit System(std::shared_ptr<Impl> disk)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), disk_(std::move(disk)) {}

  const char* Name() const override { return "FaultyDisk"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* out, IODebugContext* dbg) override {
    disk_->wait_for_tables(path);
    IOStatus status = disk_->change(/*takes_space=*/true);
    if (status.ok()) status = FileSystemWrapper::NewWritableFile(path, options, out, dbg);
    if (!status.ok()) return status;
    disk_->synced(path, 0);
    *out = std::make_unique<File>(disk_, path, std::move(*out));
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* out, IODebugContext* dbg) override {
    IOStatus status = disk_->change();
    if (status.ok()) status = FileSystemWrapper::ReopenWritableFile(path, options, out, dbg);
    if (status.ok()) *out = std::make_unique<File>(disk_, path, std::move(*out));
    return status;
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* out, IODebugContext* dbg) override {
    const IOStatus status = FileSystemWrapper::NewDirectory(path, options, out, dbg);
    if (status.ok()) *out = std::make_unique<Directory>(disk_, std::move(*out));
    return status;
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* dbg) override {
    const IOStatus status = disk_->change();
    return status.ok() ? FileSystemWrapper::DeleteFile(path, options, dbg) : status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    IOStatus status = disk_->change();
    if (status.ok()) status = FileSystemWrapper::RenameFile(from, to, options, dbg);
    if (status.ok()) same_content(from, to);
    return status;
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* dbg) override {
    IOStatus status = disk_->change();
    if (status.ok()) status = FileSystemWrapper::LinkFile(from, to, options, dbg);
    if (status.ok()) same_content(from, to);
    return status;
  }

 private:
  void same_content(const std::string& from, const std::string& to) {
    const std::lock_guard lock(disk_->mutex);
    if (const auto it = disk_->synced_bytes.find(from); it != disk_->synced_bytes.end()) {
      disk_->synced_bytes[to] = it->second;
    }
  }

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
  return impl_->changes >= impl_->power_until;
}

void FaultyDisk::cut_unsynced(uint64_t keep_seed) {
  const std::lock_guard lock(impl_->mutex);
  Prng random(keep_seed);
  for (const auto& [path, synced] : impl_->synced_bytes) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(path, error);
    if (error || size <= synced) continue;
    const uint64_t kept = keep_seed == 0 ? synced : random.between(synced, size);
    std::filesystem::resize_file(path, kept, error);
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

}  // namespace multiraft::kv::testing
