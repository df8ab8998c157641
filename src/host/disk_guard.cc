#include "host/disk_guard.h"

#include <algorithm>

#include "base/coverage.h"
#include "base/limits.h"

namespace multiraft::host {
namespace {

constexpr int64_t kPollNs = 250 * env::kMillisecond;
constexpr int64_t kPollNearNs = 20 * env::kMillisecond;  ///< When it may be low soon.
constexpr int64_t kReclaimEveryNs = 2 * env::kSecond;
/// A compaction of the engine and a snapshot that arrives may each create tens of files before they
/// remove others.
constexpr uint64_t kLowFilesMax = 256;
constexpr uint64_t kNoLimit = UINT64_MAX;

std::string mebibytes(uint64_t bytes) {
  const uint64_t tenths = bytes * 10 / limits::kMiB;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

}  // namespace

std::string_view disk_state_name(DiskState state) {
  switch (state) {
    case DiskState::kOk:
      return "ok";
    case DiskState::kLow:
      return "low";
    case DiskState::kCritical:
      return "critical";
  }
  return "unknown";
}

DiskThresholds DiskThresholds::of(uint64_t total_bytes, uint64_t segment_bytes,
                                  uint64_t total_files) {
  DiskThresholds t;
  t.reserve_bytes = std::min<uint64_t>(total_bytes / 16, limits::kDiskReserveBytesMax);
  t.critical_bytes = t.reserve_bytes + t.reserve_bytes / 4;
  t.low_bytes = std::max(3 * t.reserve_bytes, std::min(segment_bytes / 3 * 4, total_bytes / 4));
  t.ok_bytes = t.low_bytes + t.reserve_bytes;
  t.low_files = std::min(total_files / 16, kLowFilesMax);
  t.ok_files = t.low_files + t.low_files / 2;
  return t;
}

DiskState DiskGauge::state() const {
  return bytes_state_ == DiskState::kOk && files_low_ ? DiskState::kLow : bytes_state_;
}

DiskState DiskGauge::update(uint64_t free_bytes, uint64_t free_files) {
  files_low_ = free_files < (files_low_ ? thresholds_.ok_files : thresholds_.low_files);
  switch (bytes_state_) {
    case DiskState::kOk:
    case DiskState::kLow:
      if (free_bytes < thresholds_.critical_bytes) {
        bytes_state_ = DiskState::kCritical;
      } else if (free_bytes < thresholds_.low_bytes) {
        bytes_state_ = DiskState::kLow;
      } else if (free_bytes >= thresholds_.ok_bytes) {
        bytes_state_ = DiskState::kOk;
      }
      break;
    case DiskState::kCritical:
      // Room for the reserve, too, which is made again.
      if (free_bytes >= thresholds_.ok_bytes + thresholds_.reserve_bytes)
        bytes_state_ = DiskState::kOk;
      break;
  }
  return state();
}

DiskGuard::DiskGuard(env::Environment& env, std::string state_dir, uint64_t segment_bytes,
                     NodeId node, Hooks hooks)
    : env_(env),
      state_dir_(std::move(state_dir)),
      reserve_path_(state_dir_ + "/reserve"),
      segment_bytes_(segment_bytes),
      node_(node),
      hooks_(std::move(hooks)),
      marker_path_(state_dir_ + "/log/workers") {}

DiskGuard::~DiskGuard() { stop(); }

void DiskGuard::start() {
  if (auto space = env_.file_system().space(state_dir_)) {
    thresholds_ = DiskThresholds::of(space->total_bytes, segment_bytes_, space->total_files);
  }
  gauge_ = std::make_unique<DiskGauge>(thresholds_);
  auto held = env_.file_system().exists(reserve_path_);
  reserve_held_ = held && *held;
  thread_ = env_.start_executor("disk");
  reclaim_thread_ = env_.start_blocking_executor("reclaim");
  read();
  thread_->post([this] { poll(); });
}

void DiskGuard::stop() {
  stopped_ = true;
  if (thread_) thread_->stop();
  if (reclaim_thread_) reclaim_thread_->stop();
}

void DiskGuard::poll() {
  if (stopped_ || lost_) return;
  read();
  keep_reserve();
  if (low()) ask_to_reclaim();
  // Once it is low, nothing grows fast any more.
  const bool near = state_ == DiskState::kOk && free_bytes_ < 2 * thresholds_.ok_bytes;
  thread_->run_at(env_.clock().now() + (near ? kPollNearNs : kPollNs), [this] { poll(); });
}

void DiskGuard::read() {
  env::FileSystem& fs = env_.file_system();
  auto there = fs.exists(marker_path_);
  if (!there && there.status().code() == StatusCode::kOverloaded) return;
  if (!there || !*there) {
    MR_COVERAGE("host: the state directory vanished");
    lost_ = true;
    hooks_.lost(Status(StatusCode::kIoError,
                       marker_path_ + ": the state directory vanished or cannot be read any more" +
                           (there ? "" : ": " + there.status().message())));
    return;
  }
  auto space = fs.space(state_dir_);
  if (!space) return;
  free_bytes_ = space->free_bytes;
  const DiskState before = state_;
  const uint64_t files = space->total_files == 0 ? kNoLimit : space->free_files;
  free_files_ = files;
  const DiskState now = gauge_->update(space->free_bytes, files);
  files_low_ = gauge_->files_low();
  if (now == before) return;
  state_ = now;
  if (now == DiskState::kCritical) MR_COVERAGE("host: the disk's reserve was given back");
  hooks_.changed(now, describe());
}

void DiskGuard::keep_reserve() {
  env::FileSystem& fs = env_.file_system();
  if (state_ == DiskState::kCritical) {
    // Whether it was there or not: the room counts, not the file.
    (void)fs.remove(reserve_path_);
    reserve_held_ = false;
    return;
  }
  const uint64_t room = free_bytes_;
  if (reserve_held_ || state_ != DiskState::kOk || thresholds_.reserve_bytes == 0 ||
      room < thresholds_.ok_bytes + thresholds_.reserve_bytes) {
    return;
  }
  auto file = fs.open(reserve_path_, env::OpenMode::kCreate);
  // Zeros that are written, not merely promised: some file systems promise more than there is.
  reserve_held_ = file && (*file)->zero(0, thresholds_.reserve_bytes) && (*file)->sync_data();
  if (!reserve_held_) (void)fs.remove(reserve_path_);
}

void DiskGuard::ask_to_reclaim() {
  if (!hooks_.reclaim || reclaiming_ || env_.clock().now() - reclaim_asked_ < kReclaimEveryNs) {
    return;
  }
  reclaim_asked_ = env_.clock().now();
  reclaiming_ = true;
  reclaim_thread_->post([this] {
    if (!stopped_) hooks_.reclaim();
    reclaiming_ = false;
  });
}

std::optional<uint64_t> DiskGuard::free_files() const {
  const uint64_t files = free_files_.load(std::memory_order_relaxed);
  if (files == kNoLimit) return std::nullopt;
  return files;
}

std::string DiskGuard::describe() const {
  if (files_low_) {
    return "node " + to_string(node_) + " can create " + std::to_string(free_files_) +
           " more files (inodes) in " + state_dir_ + "; it refuses what grows its state below " +
           std::to_string(thresholds_.low_files) + " and takes it again from " +
           std::to_string(thresholds_.ok_files) + " on";
  }
  return "node " + to_string(node_) + " has " + mebibytes(free_bytes_) + " of disk left in " +
         state_dir_ + "; it refuses what grows its state below " +
         mebibytes(thresholds_.low_bytes) + " and takes it again from " +
         mebibytes(thresholds_.ok_bytes) + " on";
}

Status DiskGuard::spare_room() const {
  const auto space = env_.file_system().space(state_dir_);
  if (space && space->total_files > 0 && 2 * space->free_files < thresholds_.low_files) {
    return Status(StatusCode::kNoSpace,
                  "node " + to_string(node_) + " can create " + std::to_string(space->free_files) +
                      " more files (inodes) in " + state_dir_ + ", which its logs need");
  }
  if (!space || space->free_bytes >= thresholds_.critical_bytes) return Status::ok();
  return Status(StatusCode::kNoSpace, "node " + to_string(node_) + " has " +
                                          mebibytes(space->free_bytes) + " of disk left in " +
                                          state_dir_ + ", which its logs need");
}

Status DiskGuard::refusal() const {
  return Status(StatusCode::kNoSpace,
                describe() +
                    ". Delete keys, or make room on the disk: it goes on by itself. Reads, " +
                    "deletes and membership changes work");
}

}  // namespace multiraft::host
