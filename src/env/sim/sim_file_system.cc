#include "env/sim/sim_file_system.h"

#include "base/assert.h"
#include "env/sim/sim_disk.h"

namespace multiraft::env {
namespace {

using Disk = SimFileSystem::Disk;

Status not_found(const std::string& what) {
  return {StatusCode::kNotFound, what + ": No such file or directory"};
}
Status no_space(const std::string& what) {
  return {StatusCode::kNoSpace, what + ": No space left on device"};
}
Status io_error(const std::string& what, const char* why) {
  return {StatusCode::kIoError, what + ": " + why};
}

std::string at(const char* call, const std::string& path, uint64_t offset, uint64_t size) {
  return std::string(call) + " " + path + " at offset " + std::to_string(offset) + " (" +
         std::to_string(size) + " bytes)";
}

bool aligned(uint64_t value) { return value % kSimSectorBytes == 0; }
bool aligned(const char* data) { return aligned(reinterpret_cast<uintptr_t>(data)); }

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<Disk> disk, SimNodeRef node, std::string path, bool writable, bool direct)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        direct_(direct) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    std::lock_guard lock(disk_->mutex);
    const std::string what = at("read", path_, offset, buffer.size());
    if (Status status = disk_->begin_read(what); !status.is_ok()) return status;
    if (direct_ && !(aligned(offset) && aligned(buffer.size()) && aligned(buffer.data()))) {
      return io_error(what, "Invalid argument");
    }
    return node_->content.current().read(offset, buffer);
  }

  Status write_at(uint64_t offset, std::span<const std::string_view> parts) override {
    std::lock_guard lock(disk_->mutex);
    std::string bytes;
    bool parts_aligned = true;
    for (const std::string_view part : parts) {
      bytes += part;
      parts_aligned = parts_aligned && aligned(part.size()) && aligned(part.data());
    }
    const std::string what = at("write", path_, offset, bytes.size());
    if (!writable_) return io_error(what, "Bad file descriptor");
    if (direct_ && !(aligned(offset) && parts_aligned)) return io_error(what, "Invalid argument");
    return change(what, offset, bytes.size(), [&](uint64_t operation, uint64_t fitting) {
      node_->content.write(operation, offset, std::string_view(bytes).substr(0, fitting));
    });
  }

  Status zero(uint64_t offset, uint64_t size) override {
    std::lock_guard lock(disk_->mutex);
    const std::string what = at("write", path_, offset, size);
    if (!writable_) return io_error(what, "Bad file descriptor");
    if (direct_ && !(aligned(offset) && aligned(size))) return io_error(what, "Invalid argument");
    return change(what, offset, size, [&](uint64_t operation, uint64_t fitting) {
      node_->content.zero(operation, offset, fitting);
    });
  }

  Status sync_data() override { return sync("fdatasync"); }
  Status sync_all() override { return sync("fsync"); }

  Status truncate(uint64_t size) override {
    std::lock_guard lock(disk_->mutex);
    const std::string what = "truncate " + path_ + " to " + std::to_string(size) + " bytes";
    if (!writable_) return io_error(what, "Invalid argument");
    const Disk::Attempt attempt = disk_->begin(Disk::Kind::kChange, what);
    MR_RETURN_IF_ERROR(attempt.status);
    const uint64_t before = node_->content.current().size;
    const uint64_t growth = size > before ? size - before : 0;
    if (disk_->grant(growth) < growth) return no_space(what);
    node_->content.truncate(attempt.number, size);
    return Status::ok();
  }

  Result<uint64_t> size() override {
    std::lock_guard lock(disk_->mutex);
    if (Status status = disk_->begin_read("stat " + path_); !status.is_ok()) return status;
    return node_->content.current().size;
  }

  const std::string& path() const override { return path_; }
  int descriptor() const override { return -1; }

 private:
  /// Makes as much of the change as faults and space permit: apply(operation, bytes).
  template <class Apply>
  Status change(const std::string& what, uint64_t offset, uint64_t size, Apply&& apply) {
    const Disk::Attempt attempt = disk_->begin(Disk::Kind::kChange, what);
    if (attempt.number == 0) return attempt.status;
    uint64_t fitting = size;
    if (attempt.fault) fitting = *attempt.fault == SimFault::kIoError ? 0 : size / 2;
    const uint64_t before = node_->content.current().size;
    const bool grows = fitting > 0 && offset + fitting > before;
    const uint64_t growth = grows ? offset + fitting - before : 0;
    const uint64_t missing = growth - disk_->grant(growth);
    fitting -= std::min(fitting, missing);
    if (fitting > 0) apply(attempt.number, fitting);
    if (attempt.fault) return attempt.status;
    return missing == 0 ? Status::ok() : no_space(what);
  }

  Status sync(const char* call) {
    std::lock_guard lock(disk_->mutex);
    const Disk::Attempt attempt = disk_->begin(Disk::Kind::kSync, std::string(call) + " " + path_);
    if (attempt.fault) node_->content.lose_unsynced();
    MR_RETURN_IF_ERROR(attempt.status);
    node_->content.sync();
    return Status::ok();
  }

  const std::shared_ptr<Disk> disk_;
  const SimNodeRef node_;
  const std::string path_;
  const bool writable_;
  const bool direct_;
};

class SimFileLock final : public FileLock {
 public:
  SimFileLock(std::shared_ptr<Disk> disk, std::string name)
      : disk_(std::move(disk)), name_(std::move(name)) {}
  ~SimFileLock() override {
    std::lock_guard lock(disk_->mutex);
    disk_->locks.erase(name_);
  }

 private:
  const std::shared_ptr<Disk> disk_;
  const std::string name_;
};

/// The file at `path`, created where `create` is set. The mutex is held.
Result<SimNodeRef> find_or_create(Disk& disk, const std::string& path, bool create,
                                  bool must_be_new) {
  const std::string what = "open " + path;
  MR_RETURN_IF_ERROR(disk.begin_read(what));
  if (SimNodeRef node = disk.find(path)) {
    if (must_be_new) return Status(StatusCode::kAlreadyExists, what + ": File exists");
    if (node->is_directory) return io_error(what, "Is a directory");
    return node;
  }
  const Disk::Place place = disk.locate(path);
  if (!create || !place.directory) return not_found(what);
  const Disk::Attempt attempt = disk.begin(Disk::Kind::kChange, what);
  MR_RETURN_IF_ERROR(attempt.status);
  auto node = std::make_shared<SimNode>();
  disk.link(attempt.number, place, node);
  return node;
}

}  // namespace

std::string_view crash_mode_name(CrashMode mode) {
  switch (mode) {
    case CrashMode::kKeepAll:
      return "keep all";
    case CrashMode::kKeepNone:
      return "keep none";
    case CrashMode::kRandomSubset:
      return "random subset";
    case CrashMode::kTornByte:
      return "torn at 1 B";
    case CrashMode::kTornSector:
      return "torn at 512 B";
    case CrashMode::kTornPage:
      return "torn at 4 KiB";
  }
  MR_UNREACHABLE("crash mode");
}

SimFileSystem::SimFileSystem() : SimFileSystem(std::make_shared<Disk>()) {}
SimFileSystem::SimFileSystem(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
SimFileSystem::~SimFileSystem() = default;

Result<std::unique_ptr<File>> SimFileSystem::open(const std::string& path, OpenMode mode,
                                                  bool direct) {
  std::lock_guard lock(disk_->mutex);
  const bool must_be_new = mode == OpenMode::kCreateNew;
  Result<SimNodeRef> node =
      find_or_create(*disk_, path, must_be_new || mode == OpenMode::kCreate, must_be_new);
  if (!node) return node.status();
  return std::unique_ptr<File>(
      std::make_unique<SimFile>(disk_, *node, path, mode != OpenMode::kRead, direct));
}

Status SimFileSystem::create_directories(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  const std::string what = "create directory " + path;
  const std::string normal = sim_normal_path(path) + "/";
  for (size_t slash = normal.find('/'); slash != std::string::npos;
       slash = normal.find('/', slash + 1)) {
    const std::string prefix = normal.substr(0, slash);
    if (const SimNodeRef node = disk_->find(prefix)) {
      if (!node->is_directory) return io_error(what, "Not a directory");
      continue;
    }
    const Disk::Attempt attempt = disk_->begin(Disk::Kind::kChange, what);
    MR_RETURN_IF_ERROR(attempt.status);
    auto node = std::make_shared<SimNode>();
    node->is_directory = true;
    disk_->link(attempt.number, disk_->locate(prefix), std::move(node));
  }
  return Status::ok();
}

Result<std::vector<std::string>> SimFileSystem::list(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  const std::string what = "list directory " + path;
  MR_RETURN_IF_ERROR(disk_->begin_read(what));
  const SimNodeRef node = disk_->find(path);
  if (!node) return not_found(what);
  if (!node->is_directory) return io_error(what, "Not a directory");
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

Result<bool> SimFileSystem::exists(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  MR_RETURN_IF_ERROR(disk_->begin_read("stat " + path));
  return disk_->find(path) != nullptr;
}

Status SimFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(disk_->mutex);
  const std::string what = "rename " + from + " to " + to;
  const SimNodeRef node = disk_->find(from);
  const Disk::Place place = disk_->locate(to);
  if (!node || !place.directory) return not_found(what);
  if (const SimNodeRef old = disk_->find(to)) {
    if (old == node) return Status::ok();
    if (old->is_directory != node->is_directory) return io_error(what, "Is a directory");
    if (old->is_directory && !old->names.empty()) return io_error(what, "Directory not empty");
  }
  const Disk::Attempt attempt = disk_->begin(Disk::Kind::kChange, what);
  MR_RETURN_IF_ERROR(attempt.status);
  disk_->rename(attempt.number, disk_->locate(from), place);
  return Status::ok();
}

Status SimFileSystem::remove(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  const std::string what = "remove " + path;
  const SimNodeRef node = disk_->find(path);
  if (!node) return not_found(what);
  if (node->is_directory) return io_error(what, "Is a directory");
  const Disk::Attempt attempt = disk_->begin(Disk::Kind::kChange, what);
  MR_RETURN_IF_ERROR(attempt.status);
  disk_->unlink(attempt.number, disk_->locate(path));
  return Status::ok();
}

Status SimFileSystem::remove_all(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  if (!disk_->find(path)) return Status::ok();
  const Disk::Place place = disk_->locate(path);
  if (place.name.empty()) return io_error("remove tree " + path, "Device or resource busy");
  return disk_->remove_tree(place, path);
}

Status SimFileSystem::sync_directory(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  const std::string what = "fsync directory " + path;
  const SimNodeRef node = disk_->find(path);
  if (!node) return not_found(what);
  if (!node->is_directory) return io_error(what, "Not a directory");
  const Disk::Attempt attempt = disk_->begin(Disk::Kind::kSync, what);
  MR_RETURN_IF_ERROR(attempt.status);
  disk_->sync_names(node);
  return Status::ok();
}

Result<std::unique_ptr<FileLock>> SimFileSystem::lock(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  Result<SimNodeRef> node = find_or_create(*disk_, path, true, false);
  if (!node) return node.status();
  std::string name = sim_normal_path(path);
  if (!disk_->locks.insert(name).second) {
    return Status(StatusCode::kUnavailable, "lock " + path + ": another process holds it");
  }
  return std::unique_ptr<FileLock>(std::make_unique<SimFileLock>(disk_, std::move(name)));
}

Result<SpaceInfo> SimFileSystem::space(const std::string& path) {
  std::lock_guard lock(disk_->mutex);
  MR_RETURN_IF_ERROR(disk_->begin_read("statvfs " + path));
  if (!disk_->find(path)) return not_found("statvfs " + path);
  constexpr uint64_t kUnlimited = uint64_t{1} << 50;
  constexpr uint64_t kFilesOfADisk = 1'000'000;
  const uint64_t total = disk_->space_limit.value_or(kUnlimited);
  const uint64_t used = disk_->used_bytes();
  SpaceInfo info{total > used ? total - used : 0, total};
  if (disk_->free_files_reported) {
    info.free_files = *disk_->free_files_reported;
    info.total_files = kFilesOfADisk;
  }
  return info;
}

uint64_t SimFileSystem::operation_count() const {
  std::lock_guard lock(disk_->mutex);
  return disk_->operations;
}

void SimFileSystem::crash_after(uint64_t operations) {
  std::lock_guard lock(disk_->mutex);
  disk_->crash_after = operations;
}

bool SimFileSystem::crashed() const {
  std::lock_guard lock(disk_->mutex);
  return disk_->crashed;
}

std::unique_ptr<SimFileSystem> SimFileSystem::crash_image(CrashMode mode, uint64_t seed) const {
  std::lock_guard lock(disk_->mutex);
  return std::unique_ptr<SimFileSystem>(new SimFileSystem(disk_->crash_image(mode, seed)));
}

void SimFileSystem::fail_operation(uint64_t nth, SimFault fault) {
  std::lock_guard lock(disk_->mutex);
  disk_->faults[disk_->operations + nth] = fault;
}

void SimFileSystem::fail_sync(uint64_t nth) {
  std::lock_guard lock(disk_->mutex);
  disk_->failing_syncs.insert(disk_->syncs + nth);
}

void SimFileSystem::fail_read(uint64_t nth) {
  std::lock_guard lock(disk_->mutex);
  disk_->failing_reads.insert(disk_->reads + nth);
}

void SimFileSystem::set_space_limit(std::optional<uint64_t> bytes) {
  std::lock_guard lock(disk_->mutex);
  disk_->space_limit = bytes;
}

void SimFileSystem::report_free_files(std::optional<uint64_t> files) {
  std::lock_guard lock(disk_->mutex);
  disk_->free_files_reported = files;
}

uint64_t SimFileSystem::used_bytes() const {
  std::lock_guard lock(disk_->mutex);
  return disk_->used_bytes();
}

Status SimFileSystem::flip_bit(const std::string& path, uint64_t offset, unsigned bit) {
  MR_ASSERT(bit < 8);
  char byte = 0;
  {
    std::lock_guard lock(disk_->mutex);
    const SimNodeRef node = disk_->find(path);
    if (!node || node->is_directory) return not_found("damage " + path);
    node->content.current().read(offset, std::span(&byte, 1));
  }
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1u << bit));
  return overwrite(path, offset, std::string_view(&byte, 1));
}

Status SimFileSystem::overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
  std::lock_guard lock(disk_->mutex);
  const SimNodeRef node = disk_->find(path);
  if (!node || node->is_directory) return not_found("damage " + path);
  const uint64_t size = node->content.current().size;
  if (offset > size || bytes.size() > size - offset) {
    return {StatusCode::kInvalidArgument, "damage " + path + " past its end"};
  }
  node->content.damage(offset, bytes);
  return Status::ok();
}

}  // namespace multiraft::env
