#pragma once
// For tests: an environment whose process can be killed while its machine runs on. After kill()
// nothing reaches the disk any more, but what was written stays seen, and stays volatile.

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env/env.h"

namespace multiraft::log {

/// Counts what changes the disk and lets nothing through after the last permitted one.
struct KillSwitch {
  uint64_t operations = 0;
  uint64_t limit = std::numeric_limits<uint64_t>::max();

  Status pass() {
    if (operations >= limit) return {StatusCode::kIoError, "the process was killed"};
    ++operations;
    return Status::ok();
  }
};

class KillableFile final : public env::File {
 public:
  KillableFile(std::unique_ptr<env::File> file, std::shared_ptr<KillSwitch> kill)
      : file_(std::move(file)), kill_(std::move(kill)) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    return file_->read_at(offset, buffer);
  }
  Status write_at(uint64_t offset, std::span<const std::string_view> parts) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return file_->write_at(offset, parts);
  }
  Status sync_data() override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return file_->sync_data();
  }
  Status sync_all() override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return file_->sync_all();
  }
  Status truncate(uint64_t size) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return file_->truncate(size);
  }
  Status zero(uint64_t offset, uint64_t size) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return file_->zero(offset, size);
  }
  Result<uint64_t> size() override { return file_->size(); }
  const std::string& path() const override { return file_->path(); }
  int descriptor() const override { return file_->descriptor(); }

 private:
  std::unique_ptr<env::File> file_;
  std::shared_ptr<KillSwitch> kill_;
};

class KillableFileSystem final : public env::FileSystem {
 public:
  explicit KillableFileSystem(env::Environment& machine) : machine_(machine) {}

  KillSwitch& kill_switch() { return *kill_; }

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode,
                                          bool direct) override {
    if (mode != env::OpenMode::kRead) MR_RETURN_IF_ERROR(kill_->pass());
    auto file = disk().open(path, mode, direct);
    if (!file) return file.status();
    return std::unique_ptr<env::File>(std::make_unique<KillableFile>(std::move(*file), kill_));
  }
  Status create_directories(const std::string& path) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return disk().create_directories(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return disk().list(path);
  }
  Result<bool> exists(const std::string& path) override { return disk().exists(path); }
  Status rename(const std::string& from, const std::string& to) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return disk().rename(from, to);
  }
  Status remove(const std::string& path) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return disk().remove(path);
  }
  Status remove_all(const std::string& path) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return disk().remove_all(path);
  }
  Status sync_directory(const std::string& path) override {
    MR_RETURN_IF_ERROR(kill_->pass());
    return disk().sync_directory(path);
  }
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override {
    return disk().lock(path);
  }
  Result<env::SpaceInfo> space(const std::string& path) override { return disk().space(path); }

 private:
  env::FileSystem& disk() { return machine_.file_system(); }

  env::Environment& machine_;
  const std::shared_ptr<KillSwitch> kill_ = std::make_shared<KillSwitch>();
};

class KillableEnvironment final : public env::Environment {
 public:
  explicit KillableEnvironment(env::Environment& machine) : machine_(machine), files_(machine) {}

  KillSwitch& kill_switch() { return files_.kill_switch(); }

  env::Clock& clock() override { return machine_.clock(); }
  env::FileSystem& file_system() override { return files_; }
  env::Network& network() override { return machine_.network(); }
  uint64_t random_u64() override { return machine_.random_u64(); }
  std::unique_ptr<env::Executor> start_executor(const std::string& name) override {
    return machine_.start_executor(name);
  }
  std::unique_ptr<env::Executor> start_blocking_executor(const std::string& name) override {
    return machine_.start_blocking_executor(name);
  }
  /// Its writes go through the files, which know whether the process lives.
  Result<std::unique_ptr<env::DirectWriter>> make_direct_writer(
      env::Executor& owner, const std::string& directory) override {
    return machine_.make_direct_writer(owner, directory);
  }

 private:
  env::Environment& machine_;
  KillableFileSystem files_;
};

}  // namespace multiraft::log
