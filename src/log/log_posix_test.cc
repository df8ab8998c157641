// The log on a real disk with real threads, with both writers.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "env/posix/posix_env.h"
#include "log/log.h"
#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

/// Runs `what` on the executor's thread and waits for it.
void run_on(env::Executor& executor, std::function<void()> what) {
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  executor.post([&] {
    what();
    std::lock_guard lock(mutex);
    done = true;
    ended.notify_one();
  });
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return done; });
}

class LogPosix : public ::testing::TestWithParam<WriterKind> {
 protected:
  LogPosix() : env_(env::make_posix_environment()), owner_(env_->start_executor("owner")) {
    options_.directory =
        ::testing::TempDir() + "multiraft-log-" + std::to_string(env_->random_u64());
    options_.segment_bytes = 256 * limits::kKiB;
    options_.cache_bytes = 64 * limits::kKiB;
    options_.full_scan_bytes = 0;
    options_.writer = GetParam();
  }
  ~LogPosix() override {
    run_on(*owner_, [this] { log_.reset(); });
    EXPECT_TRUE(env_->file_system().remove_all(options_.directory).is_ok());
  }

  Status open() {
    Status status;
    run_on(*owner_, [&] {
      auto opened = Log::open(options_, *env_, *owner_,
                              [](Status fatal) { ADD_FAILURE() << fatal.to_string(); });
      if (opened) {
        log_ = std::move(*opened);
      } else {
        status = opened.status();
      }
    });
    return status;
  }
  void close() {
    run_on(*owner_, [this] {
      log_->close();
      log_.reset();
    });
  }
  /// On the owner's thread: `rounds` turns of one entry for every group, some compacted.
  void write_turn(uint64_t round, uint64_t rounds) {
    if (round == rounds) return finished();
    for (uint64_t g = 1; g <= kGroups; ++g) {
      GroupLog& group = *log_->group(GroupId(g));
      const uint64_t next = group.last_index().value + 1;
      const auto entries =
          sealed(GroupId(g), make_entries(next, 1 + g % 3, 1 + round / 50, 10 * g));
      const GroupAppend append{GroupId(g), raft::HardState{Term(1 + round / 50), ReplicaId(g), {}},
                               nullptr, entries, true};
      model_append(model_[g], append);
      const bool last = g == kGroups;
      log_->stage(append,
                  last ? Callback<void()>([this, round, rounds] { write_turn(round + 1, rounds); })
                       : nullptr);
      if (g % 2 == 0 && next > 40) compact(g, next - 20);
    }
    log_->flush();
  }
  void compact(uint64_t g, uint64_t index) {
    if (index <= log_->group(GroupId(g))->mark().index.value) return;
    const raft::Snapshot mark =
        snapshot_at(index, log_->group(GroupId(g))->term(LogIndex(index))->value);
    model_compact(model_[g], mark);
    log_->compact(GroupId(g), mark);
  }
  void finished() {
    std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_one();
  }
  void write(uint64_t rounds) {
    done_ = false;
    owner_->post([this, rounds] { write_turn(0, rounds); });
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
  }
  std::string check() {
    std::string wrong;
    run_on(*owner_, [&] {
      Result<Model> read = read_model(*log_);
      wrong = read ? difference(model_, *read) : read.status().to_string();
    });
    return wrong;
  }

  static constexpr uint64_t kGroups = 20;
  std::unique_ptr<env::Environment> env_;
  std::unique_ptr<env::Executor> owner_;
  LogOptions options_;
  std::unique_ptr<Log> log_;
  Model model_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
};

TEST_P(LogPosix, ManyTurnsAndRestarts_HoldWhatAMapHolds) {
  const Status opened = open();
  if (opened.code() == StatusCode::kUnavailable) GTEST_SKIP() << opened.message();
  ASSERT_TRUE(opened.is_ok()) << opened.to_string();
  run_on(*owner_, [this] {
    for (uint64_t g = 1; g <= kGroups; ++g) {
      ASSERT_TRUE(log_->create_group(GroupId(g), ReplicaId(g), {}).is_ok());
      model_[g].replica = ReplicaId(g);
    }
  });
  for (int life = 0; life < 3; ++life) {
    write(150);
    EXPECT_EQ(check(), "");
    close();
    ASSERT_TRUE(open().is_ok());
    EXPECT_EQ(check(), "");
  }
  run_on(*owner_, [this] {
    EXPECT_EQ(log_->stats().torn_bytes_cut, 0u);
    EXPECT_EQ(log_->stats().writer, GetParam());
  });
}

TEST_P(LogPosix, SegmentsAreRecycledWhileWritesGoOn) {
  const Status opened = open();
  if (opened.code() == StatusCode::kUnavailable) GTEST_SKIP() << opened.message();
  run_on(*owner_, [this] {
    for (uint64_t g = 1; g <= kGroups; ++g) {
      ASSERT_TRUE(log_->create_group(GroupId(g), ReplicaId(g), {}).is_ok());
      model_[g].replica = ReplicaId(g);
    }
  });
  for (int part = 0; part < 4; ++part) {
    write(150);
    run_on(*owner_, [this] {
      for (uint64_t g = 1; g <= kGroups; ++g) {
        compact(g, log_->group(GroupId(g))->last_index().value - 3);
      }
    });
  }
  EXPECT_EQ(check(), "");
  run_on(*owner_, [this] { EXPECT_GT(log_->stats().segments_recycled, 3u); });
}

INSTANTIATE_TEST_SUITE_P(Writers, LogPosix,
                         ::testing::Values(WriterKind::kPwrite, WriterKind::kUring),
                         [](const auto& writer) {
                           return writer.param == WriterKind::kUring ? "uring" : "pwrite";
                         });

}  // namespace
}  // namespace multiraft::log
