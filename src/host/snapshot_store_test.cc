#include "host/snapshot_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>

#include "env/posix/posix_env.h"
#include "env/sim/sim_file_system.h"

namespace multiraft::host {
namespace {

constexpr ReplicaId kReplica = ReplicaId::make(NodeId(2), 1);

/// Tasks that the test runs itself.
class ManualExecutor final : public env::Executor {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  void defer(Task task) override { post(std::move(task)); }
  env::TimerId run_at(env::MonotonicTime, Task) override { return 1; }
  void cancel(env::TimerId) override {}
  bool in_executor() const override { return true; }
  void stop() override {}
  void run() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

 private:
  std::deque<Task> tasks_;
};

/// What a state machine was given.
struct Taken {
  std::string bytes;
  int finished = 0;
  Status append_status;
  Status finish_status;
};

class RecordingWriter final : public SnapshotWriter {
 public:
  explicit RecordingWriter(Taken& taken) : taken_(taken) {}
  Status append(std::string_view chunk) override {
    taken_.bytes += chunk;
    return taken_.append_status;
  }
  Status finish() override {
    ++taken_.finished;
    return taken_.finish_status;
  }

 private:
  Taken& taken_;
};

class SnapshotStoreTest : public ::testing::Test {
 protected:
  SnapshotStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mr_snap_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    SnapshotStore::Hooks hooks;
    hooks.judge = [this](const wire::SnapshotHeader&, Callback<void(Status)> done) {
      done(verdict_);
    };
    hooks.writer_for = [this](const wire::SnapshotHeader&,
                              Callback<void(std::unique_ptr<SnapshotWriter>)> done) {
      done(wanted_ ? std::make_unique<RecordingWriter>(taken_) : nullptr);
    };
    hooks.arrived = [this](const wire::SnapshotHeader&, std::unique_ptr<SnapshotWriter> writer,
                           Callback<void(Status)> taken) {
      arrived_ = std::move(writer);
      taken(Status::ok());
    };
    hooks.room = [this] { return room_; };
    store_ = std::make_unique<SnapshotStore>(env_->file_system(), directory_, executor_,
                                             std::move(hooks));
    EXPECT_TRUE(store_->open().is_ok());
  }
  ~SnapshotStoreTest() override {
    executor_.run();
    std::filesystem::remove_all(directory_);
  }

  static wire::SnapshotHeader header(uint64_t index, uint64_t term, uint64_t stream) {
    wire::SnapshotHeader header;
    header.group = GroupId(7);
    header.from = ReplicaId::make(NodeId(1), 1);
    header.to = kReplica;
    header.term = Term(term);
    header.stream = stream;
    header.snapshot.index = LogIndex(index);
    header.snapshot.term = Term(1);
    return header;
  }
  Result<std::unique_ptr<transport::ChunkSink>> begin(const wire::SnapshotHeader& header) {
    std::optional<Result<std::unique_ptr<transport::ChunkSink>>> answer;
    store_->on_snapshot(header.from.node(), header, [&](auto sink) { answer = std::move(sink); });
    executor_.run();
    return std::move(*answer);
  }
  Status finish(std::unique_ptr<transport::ChunkSink> sink) {
    Status answer(StatusCode::kInternal, "no answer");
    sink->finish([&](Status status) { answer = std::move(status); });
    sink.reset();
    executor_.run();
    return answer;
  }
  Status install(bool in_memory) {
    Status answer(StatusCode::kInternal, "no answer");
    store_->install_received(GroupId(7), kReplica, in_memory, std::move(arrived_),
                             [&](Status status) { answer = std::move(status); });
    executor_.run();
    return answer;
  }
  std::vector<std::string> files() { return *env_->file_system().list(directory_); }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  std::string directory_;
  ManualExecutor executor_;
  Status verdict_;
  Status room_;
  bool wanted_ = true;
  Taken taken_;
  std::unique_ptr<SnapshotWriter> arrived_;
  std::unique_ptr<SnapshotStore> store_;
};

TEST_F(SnapshotStoreTest, Arrived_Installed_LeavesNoFile) {
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE(sink.is_ok());
  for (int i = 0; i < 40; ++i) ASSERT_TRUE((*sink)->append("chunk").is_ok());
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  EXPECT_EQ(taken_.bytes.size(), 200u);
  EXPECT_EQ(taken_.finished, 0);
  ASSERT_TRUE(install(/*in_memory=*/false).is_ok());
  EXPECT_EQ(taken_.finished, 1);
  EXPECT_TRUE(files().empty());
}

TEST_F(SnapshotStoreTest, Arrived_OfAnInMemoryState_BecomesTheSavedState) {
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE((*sink)->append("chunk").is_ok());
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  ASSERT_TRUE(install(/*in_memory=*/true).is_ok());
  EXPECT_EQ(files(), std::vector<std::string>{"state-7-8589934593"});
}

TEST_F(SnapshotStoreTest, Unwanted_IsRefusedBeforeAnythingIsWritten) {
  verdict_ = Status(StatusCode::kAlreadyExists, "all of it is here");
  EXPECT_EQ(begin(header(10, 1, 1)).status(), verdict_);
  EXPECT_TRUE(files().empty());
}

TEST_F(SnapshotStoreTest, Newer_TakesThePlaceOfWhatStillArrives) {
  auto old = begin(header(10, 1, 1));
  ASSERT_TRUE((*old)->append("old").is_ok());
  auto newer = begin(header(20, 1, 2));
  ASSERT_TRUE(newer.is_ok());
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ((*old)->append("old").code(), StatusCode::kCancelled);
  EXPECT_EQ(finish(std::move(*old)).code(), StatusCode::kCancelled);
  ASSERT_TRUE((*newer)->append("new").is_ok());
  EXPECT_TRUE(finish(std::move(*newer)).is_ok());
  EXPECT_EQ(taken_.bytes, "new");
  EXPECT_TRUE(install(false).is_ok());
  EXPECT_TRUE(files().empty());
}

TEST_F(SnapshotStoreTest, OlderOrOfAnOlderLeader_IsRefusedWhileANewerArrives) {
  auto sink = begin(header(10, 2, 1));
  ASSERT_TRUE(sink.is_ok());
  EXPECT_EQ(begin(header(9, 2, 2)).status().code(), StatusCode::kConflict);
  EXPECT_EQ(begin(header(30, 1, 3)).status().code(), StatusCode::kConflict);
  EXPECT_TRUE((*sink)->append("goes on").is_ok());
  (*sink).reset();
  EXPECT_TRUE(files().empty());
  // Nothing is in the way afterwards.
  EXPECT_TRUE(begin(header(9, 2, 4)).is_ok());
}

TEST_F(SnapshotStoreTest, Any_IsRefusedWhileOneIsInstalled) {  // trap 42
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  EXPECT_EQ(begin(header(20, 2, 2)).status().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(install(false).is_ok());
  EXPECT_TRUE(begin(header(20, 2, 3)).is_ok());
}

TEST_F(SnapshotStoreTest, DiskFullWhileItIsReadIn_TheSenderIsToldAndNothingStays) {
  taken_.append_status = Status(StatusCode::kNoSpace, "no space");
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE((*sink)->append("chunk").is_ok());
  EXPECT_EQ(finish(std::move(*sink)).code(), StatusCode::kNoSpace);
  EXPECT_TRUE(files().empty());
  taken_.append_status = Status::ok();
  EXPECT_TRUE(begin(header(10, 1, 2)).is_ok());
}

TEST_F(SnapshotStoreTest, Installation_WithoutRoom_GivesBackWhatItTook) {
  taken_.finish_status = Status(StatusCode::kNoSpace, "no space");
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  EXPECT_EQ(install(false).code(), StatusCode::kNoSpace);
  EXPECT_TRUE(files().empty());
  EXPECT_TRUE(begin(header(20, 1, 2)).is_ok()) << "another one is taken";
}

TEST_F(SnapshotStoreTest, LittleRoomOnTheDisk_NothingIsTaken) {
  room_ = Status(StatusCode::kNoSpace, "the logs need the rest");
  EXPECT_EQ(begin(header(10, 1, 1)).status(), room_);
  EXPECT_TRUE(files().empty());
  room_ = Status::ok();
  auto sink = begin(header(10, 1, 2));
  ASSERT_TRUE((*sink)->append("chunk").is_ok());
  room_ = Status(StatusCode::kNoSpace, "the logs need the rest");
  EXPECT_EQ((*sink)->append("chunk"), room_);
  (*sink).reset();
  EXPECT_TRUE(files().empty()) << "what it took is given back";
  room_ = Status::ok();
  EXPECT_TRUE(begin(header(10, 1, 3)).is_ok());
}

TEST_F(SnapshotStoreTest, NotWantedAnyMore_OrForgotten_LeavesNothing) {
  wanted_ = false;
  auto sink = begin(header(10, 1, 1));
  EXPECT_EQ(finish(std::move(*sink)).code(), StatusCode::kConflict);
  EXPECT_TRUE(files().empty());
  // The replica goes away between its consent and the installation.
  wanted_ = true;
  sink = begin(header(10, 1, 2));
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  store_->forget(GroupId(7), kReplica);
  executor_.run();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(install(false).code(), StatusCode::kCancelled);
  EXPECT_TRUE(begin(header(10, 1, 3)).is_ok());
}

TEST_F(SnapshotStoreTest, Groups_BeyondTheLimit_WaitForTheirTurn) {
  std::vector<std::unique_ptr<transport::ChunkSink>> sinks;
  for (uint64_t group = 1; group <= limits::kSnapshotsReceivingMax; ++group) {
    wire::SnapshotHeader h = header(10, 1, group);
    h.group = GroupId(group + 100);
    auto sink = begin(h);
    ASSERT_TRUE(sink.is_ok());
    sinks.push_back(std::move(*sink));
  }
  // More groups than places, in the order in which they ask; one of them asks twice.
  std::vector<uint64_t> admitted;
  std::vector<StatusCode> refused;
  const auto ask = [&](uint64_t group, uint64_t stream) {
    wire::SnapshotHeader h = header(10, 1, stream);
    h.group = GroupId(group);
    store_->on_snapshot(h.from.node(), h, [&, group](auto sink) {
      if (!sink) return refused.push_back(sink.status().code());
      admitted.push_back(group);
      sinks.push_back(std::move(*sink));
    });
    executor_.run();
  };
  for (uint64_t group = 1; group <= 3; ++group) ask(group, 200 + group);
  ask(1, 300);
  EXPECT_TRUE(admitted.empty());
  EXPECT_EQ(refused, std::vector<StatusCode>{StatusCode::kConflict});
  for (int i = 0; i < 3; ++i) {
    sinks.erase(sinks.begin());
    executor_.run();
  }
  EXPECT_EQ(admitted, (std::vector<uint64_t>{2, 3, 1}));
  // What is not wanted any more by then does not hold up those behind it.
  ask(4, 400);
  verdict_ = Status(StatusCode::kAlreadyExists, "all of it is here");
  sinks.erase(sinks.begin());
  executor_.run();
  EXPECT_EQ(refused.back(), StatusCode::kAlreadyExists);
  verdict_ = Status::ok();
  ask(5, 500);
  EXPECT_EQ(admitted.back(), 5u);
}

TEST_F(SnapshotStoreTest, LineOfGroups_IsBounded) {
  // Those that wait are answered as late as when the store goes.
  struct Answers {
    std::vector<std::unique_ptr<transport::ChunkSink>> sinks;
    std::vector<StatusCode> refused;
  };
  const auto answers = std::make_shared<Answers>();
  const size_t most = limits::kSnapshotsReceivingMax + limits::kSnapshotStreamsMax;
  for (uint64_t group = 1; group <= most + 1; ++group) {
    wire::SnapshotHeader h = header(10, 1, group);
    h.group = GroupId(group);
    store_->on_snapshot(h.from.node(), h, [answers](auto sink) {
      if (sink) {
        answers->sinks.push_back(std::move(*sink));
      } else {
        answers->refused.push_back(sink.status().code());
      }
    });
  }
  executor_.run();
  EXPECT_EQ(answers->sinks.size(), limits::kSnapshotsReceivingMax);
  EXPECT_EQ(answers->refused, std::vector<StatusCode>{StatusCode::kOverloaded});
  // All come to their turn.
  for (size_t i = 0; i < most; ++i) {
    ASSERT_FALSE(answers->sinks.empty()) << i;
    answers->sinks.erase(answers->sinks.begin());
    executor_.run();
  }
  EXPECT_TRUE(answers->sinks.empty());
}

TEST_F(SnapshotStoreTest, Open_ClearsWhatACrashLeft) {
  auto sink = begin(header(10, 1, 1));
  ASSERT_TRUE(finish(std::move(*sink)).is_ok());
  ASSERT_EQ(files().size(), 1u);
  ASSERT_TRUE(store_->open().is_ok());
  EXPECT_TRUE(files().empty());
}

/// A store on a simulated disk.
class SnapshotStoreDiskTest : public ::testing::Test {
 protected:
  SnapshotStoreDiskTest() {
    SnapshotStore::Hooks hooks;
    hooks.judge = [](const wire::SnapshotHeader&, Callback<void(Status)> done) {
      done(Status::ok());
    };
    hooks.writer_for = [this](const wire::SnapshotHeader&,
                              Callback<void(std::unique_ptr<SnapshotWriter>)> done) {
      done(std::make_unique<RecordingWriter>(taken_));
    };
    hooks.arrived = [this](const wire::SnapshotHeader&, std::unique_ptr<SnapshotWriter> writer,
                           Callback<void(Status)> taken) {
      writer_ = std::move(writer);
      taken(Status::ok());
    };
    store_ = std::make_unique<SnapshotStore>(disk_, "snap", executor_, std::move(hooks));
    EXPECT_TRUE(store_->open());
  }
  /// Sends a snapshot of `chunks`, to its end or to the first error.
  Status send(int chunks, uint64_t stream) {
    std::optional<Result<std::unique_ptr<transport::ChunkSink>>> sink;
    wire::SnapshotHeader header;
    header.group = GroupId(7);
    header.to = kReplica;
    header.stream = stream;
    header.snapshot = {LogIndex(10), Term(1), {}};
    store_->on_snapshot(NodeId(1), header, [&](auto answer) { sink = std::move(answer); });
    executor_.run();
    MR_RETURN_IF_ERROR(sink->status());
    for (int i = 0; i < chunks; ++i) MR_RETURN_IF_ERROR((**sink)->append(std::string(1000, 'c')));
    Status answer(StatusCode::kInternal, "no answer");
    (**sink)->finish([&](Status status) { answer = std::move(status); });
    sink.reset();
    executor_.run();
    return answer;
  }

  env::SimFileSystem disk_;
  ManualExecutor executor_;
  Taken taken_;
  std::unique_ptr<SnapshotWriter> writer_;
  std::unique_ptr<SnapshotStore> store_;
};

TEST_F(SnapshotStoreDiskTest, StateInMemory_Installed_SurvivesALossOfPower) {
  ASSERT_TRUE(send(5, 1));
  Status installed(StatusCode::kInternal, "no answer");
  store_->install_received(GroupId(7), kReplica, /*in_memory=*/true, std::move(writer_),
                           [&](Status status) { installed = std::move(status); });
  executor_.run();
  ASSERT_TRUE(installed) << installed.to_string();
  auto after = disk_.crash_image(env::CrashMode::kKeepNone, 1);
  auto file = SnapshotFileReader::open(*after, "snap/state-7-8589934593");
  ASSERT_TRUE(file) << file.status().to_string();
  std::string chunk;
  for (int i = 0; i < 6; ++i) ASSERT_TRUE((*file)->next(chunk));
  EXPECT_TRUE(chunk.empty()) << "all five are there";
}

TEST_F(SnapshotStoreDiskTest, Snapshot_OfADurableEngine_WaitsForNoSync) {
  // Its file is read in at once, and the engine makes durable what it takes.
  disk_.fail_sync(1);
  ASSERT_TRUE(send(5, 1));
  Status installed(StatusCode::kInternal, "no answer");
  store_->install_received(GroupId(7), kReplica, /*in_memory=*/false, std::move(writer_),
                           [&](Status status) { installed = std::move(status); });
  executor_.run();
  EXPECT_TRUE(installed) << installed.to_string();
  EXPECT_TRUE(disk_.list("snap")->empty());
}

/// A view of so many chunks.
class FakeState final : public SnapshotReader {
 public:
  explicit FakeState(int left) : left_(left) {}
  LogIndex applied_index() const override { return LogIndex(10); }
  Term applied_term() const override { return Term(1); }
  Status next(size_t, std::string& chunk) override {
    chunk.assign(left_-- > 0 ? 1000 : 0, 's');
    return Status::ok();
  }

 private:
  int left_;
};

TEST_F(SnapshotStoreDiskTest, DiskFullWhileItArrives_TheSenderIsTold_AndTheRoomIsThereAgain) {
  disk_.set_space_limit(10'000);
  for (uint64_t stream = 1; stream <= 3; ++stream) {
    EXPECT_EQ(send(20, stream).code(), StatusCode::kNoSpace);
    EXPECT_EQ(disk_.used_bytes(), 0u);
  }
  EXPECT_TRUE(send(5, 4)) << "a smaller one is taken";
  disk_.set_space_limit(std::nullopt);
  store_->forget(GroupId(7), kReplica);
  executor_.run();
  EXPECT_TRUE(send(20, 5));
}

TEST_F(SnapshotStoreDiskTest, AnyOperationWithoutRoom_TheSenderIsToldAndNothingStays) {
  for (uint64_t nth = 1;; ++nth) {
    disk_.fail_operation(nth, env::SimFault::kNoSpace);
    const Status status = send(3, nth);
    if (status) {
      EXPECT_GE(nth, 8u);
      break;
    }
    EXPECT_EQ(writer_, nullptr);
    // A sync that fails says so in its own words; what matters is that nothing counts.
    EXPECT_TRUE(status.code() == StatusCode::kNoSpace || status.code() == StatusCode::kIoError)
        << nth << ": " << status.to_string();
    auto names = disk_.list("snap");
    ASSERT_TRUE(names);
    EXPECT_TRUE(names->empty()) << nth;
  }
}

TEST_F(SnapshotStoreDiskTest, StateInMemory_SavedWithoutRoom_TheFormerOneStays) {
  Status saved(StatusCode::kInternal, "no answer");
  const auto save = [&](int chunks) {
    store_->save_state(GroupId(7), kReplica, {LogIndex(10), Term(1), {}},
                       std::make_unique<FakeState>(chunks),
                       [&](Status status) { saved = std::move(status); });
    executor_.run();
  };
  save(3);
  ASSERT_TRUE(saved) << saved.to_string();
  const uint64_t used = disk_.used_bytes();
  disk_.set_space_limit(10'000);
  save(20);
  EXPECT_EQ(saved.code(), StatusCode::kNoSpace);
  EXPECT_EQ(disk_.used_bytes(), used);
  auto former = SnapshotFileReader::open(disk_, "snap/state-7-8589934593");
  ASSERT_TRUE(former);
  std::string chunk;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE((*former)->next(chunk));
  EXPECT_TRUE(chunk.empty());
}

}  // namespace
}  // namespace multiraft::host
