#include "host/disk_guard.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "env/sim/sim_environment.h"

namespace multiraft::host {
namespace {

constexpr uint64_t kTotal = 48 * limits::kMiB;
constexpr uint64_t kSegment = 9 * limits::kMiB;

TEST(DiskThresholds, AnySize_KeepsTheirOrder) {
  for (uint64_t total = 16; total < uint64_t{1} << 50; total *= 3) {
    const DiskThresholds t = DiskThresholds::of(total, 64 * limits::kMiB);
    if (t.reserve_bytes < 4) continue;
    EXPECT_LT(t.reserve_bytes, t.critical_bytes);
    EXPECT_LT(t.critical_bytes, t.low_bytes);
    EXPECT_LT(t.low_bytes, t.ok_bytes);
    EXPECT_LT(t.ok_bytes + t.reserve_bytes, total / 2);
  }
}

TEST(DiskGauge, FallingAndRising_ChangesWithADistance) {
  const DiskThresholds t = DiskThresholds::of(kTotal, kSegment);
  DiskGauge gauge(t);
  EXPECT_EQ(gauge.update(t.low_bytes), DiskState::kOk);
  EXPECT_EQ(gauge.update(t.low_bytes - 1), DiskState::kLow);
  EXPECT_EQ(gauge.update(t.low_bytes + 1), DiskState::kLow);
  EXPECT_EQ(gauge.update(t.ok_bytes), DiskState::kOk);
  EXPECT_EQ(gauge.update(t.critical_bytes - 1), DiskState::kCritical);
  // The reserve that is given back does not end it.
  EXPECT_EQ(gauge.update(t.critical_bytes + t.reserve_bytes), DiskState::kCritical);
  EXPECT_EQ(gauge.update(t.ok_bytes + t.reserve_bytes), DiskState::kOk);
}

TEST(DiskGauge, FilesRunningOut_IsLowHoweverManyBytesAreLeft) {
  const DiskThresholds t = DiskThresholds::of(kTotal, kSegment, 1'000'000);
  DiskGauge gauge(t);
  EXPECT_EQ(gauge.update(kTotal, t.low_files), DiskState::kOk);
  EXPECT_EQ(gauge.update(kTotal, t.low_files - 1), DiskState::kLow);
  EXPECT_EQ(gauge.update(kTotal, t.ok_files - 1), DiskState::kLow);
  EXPECT_EQ(gauge.update(t.critical_bytes - 1, t.ok_files), DiskState::kCritical);
  EXPECT_EQ(gauge.update(kTotal, t.ok_files), DiskState::kOk);
}

TEST(DiskGauge, FileSystemWithoutALimitOfFiles_IsNeverLowOnThem) {
  DiskGauge gauge(DiskThresholds::of(kTotal, kSegment));
  EXPECT_EQ(gauge.update(kTotal), DiskState::kOk);
}

class DiskGuardTest : public ::testing::Test {
 protected:
  DiskGuardTest() {
    EXPECT_TRUE(fs().create_directories("state/log"));
    EXPECT_TRUE(fs().write_file_atomically("state/log/workers", "1\n"));
    env_.disk().set_space_limit(kTotal);
    env_.disk().report_free_files(1'000);
    DiskGuard::Hooks hooks;
    hooks.changed = [this](DiskState state, const std::string&) { states_.push_back(state); };
    hooks.reclaim = [this] { ++reclaims_; };
    hooks.lost = [this](const Status& status) { lost_ = status; };
    guard_ = std::make_unique<DiskGuard>(env_, "state", kSegment, NodeId(3), std::move(hooks));
    guard_->start();
    run();
  }
  env::FileSystem& fs() { return env_.file_system(); }
  void run() { env_.advance(10 * env::kSecond); }
  bool has_reserve() {
    auto found = fs().exists("state/reserve");
    return found && *found;
  }
  void fill(uint64_t bytes) {
    auto file = fs().open("filler", env::OpenMode::kCreate);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->zero(0, bytes));
  }

  env::SimEnvironment env_;
  std::vector<DiskState> states_;
  int reclaims_ = 0;
  Status lost_;
  std::unique_ptr<DiskGuard> guard_;
};

TEST_F(DiskGuardTest, Disk_FillsAndEmpties_RefusesAndHealsByItself) {
  EXPECT_TRUE(has_reserve());
  EXPECT_FALSE(guard_->low());
  const DiskThresholds t = DiskThresholds::of(kTotal, kSegment);
  fill(kTotal - t.reserve_bytes - t.low_bytes + limits::kMiB);
  run();
  EXPECT_EQ(guard_->state(), DiskState::kLow);
  EXPECT_TRUE(has_reserve());
  EXPECT_GT(reclaims_, 1);
  EXPECT_EQ(guard_->refusal().code(), StatusCode::kNoSpace);
  EXPECT_NE(guard_->refusal().message().find("node 3"), std::string::npos);
  ASSERT_TRUE(fs().remove("filler"));
  fill(kTotal - t.reserve_bytes - t.critical_bytes + limits::kMiB);
  run();
  EXPECT_EQ(guard_->state(), DiskState::kCritical);
  EXPECT_FALSE(has_reserve());
  ASSERT_TRUE(fs().remove("filler"));
  run();
  EXPECT_EQ(guard_->state(), DiskState::kOk);
  EXPECT_TRUE(has_reserve());
  EXPECT_EQ(states_, (std::vector{DiskState::kLow, DiskState::kCritical, DiskState::kOk}));
}

TEST_F(DiskGuardTest, Files_RunOut_RefusesAndHealsByItself) {
  EXPECT_EQ(guard_->state(), DiskState::kOk);
  env_.disk().report_free_files(3);
  run();
  EXPECT_EQ(guard_->state(), DiskState::kLow);
  EXPECT_EQ(guard_->free_files(), 3u);
  EXPECT_NE(guard_->refusal().message().find("3 more files (inodes)"), std::string::npos);
  EXPECT_EQ(guard_->spare_room().code(), StatusCode::kNoSpace);
  env_.disk().report_free_files(1'000);
  run();
  EXPECT_EQ(guard_->state(), DiskState::kOk);
  EXPECT_TRUE(guard_->spare_room().is_ok());
}

TEST_F(DiskGuardTest, StateDirectory_Vanishes_IsToldOnce) {
  EXPECT_TRUE(lost_);
  ASSERT_TRUE(fs().remove_all("state"));
  run();
  EXPECT_EQ(lost_.code(), StatusCode::kIoError);
  EXPECT_NE(lost_.message().find("vanished"), std::string::npos);
}

TEST_F(DiskGuardTest, SpareRoom_GoesBeforeTheLogsRoom) {
  const DiskThresholds t = DiskThresholds::of(kTotal, kSegment);
  EXPECT_TRUE(guard_->spare_room().is_ok());
  fill(kTotal - t.reserve_bytes - t.low_bytes + 4096);
  run();
  EXPECT_TRUE(guard_->low());
  EXPECT_TRUE(guard_->spare_room().is_ok()) << "what arrives may still make the state smaller";
  fill(kTotal - t.critical_bytes + 4096);
  run();
  EXPECT_EQ(guard_->spare_room().code(), StatusCode::kNoSpace);
}

}  // namespace
}  // namespace multiraft::host
