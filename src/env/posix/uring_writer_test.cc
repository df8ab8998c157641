#include "env/posix/uring_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <future>
#include <vector>

#include "env/posix/posix_env.h"

namespace multiraft::env {
namespace {

using testing::HasSubstr;

constexpr size_t kBlock = 4096;

struct Block {
  alignas(kBlock) char bytes[kBlock];
};

/// Skipped where the kernel or the temporary directory do not have what it takes.
class UringWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "mr_uring_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Status status;
    on_owner([&] {
      auto writer = env_->make_direct_writer(*owner_, directory_);
      status = writer.status();
      if (writer) writer_ = std::move(*writer);
    });
    if (!status) GTEST_SKIP() << status.to_string();
  }
  void TearDown() override {
    if (writer_) on_owner([&] { writer_.reset(); });
    ASSERT_TRUE(fs_.remove_all(directory_));
  }

  void on_owner(const std::function<void()>& what) {
    std::promise<void> done;
    owner_->post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }
  /// Submits on the owner's thread and waits for the outcome.
  Status write(std::vector<DirectWriter::Write> writes) {
    std::promise<Status> outcome;
    owner_->post([&] {
      bool within = true;
      writer_->submit(writes, [&](Status status) {
        EXPECT_FALSE(within) << "called from within submit()";
        EXPECT_TRUE(owner_->in_executor());
        outcome.set_value(std::move(status));
      });
      within = false;
    });
    return outcome.get_future().get();
  }
  std::unique_ptr<File> open(const std::string& path, OpenMode mode = OpenMode::kCreate) {
    Result<std::unique_ptr<File>> file = fs_.open(path, mode, true);
    EXPECT_TRUE(file) << file.status().to_string();
    return std::move(*file);
  }

  const std::unique_ptr<Environment> env_ = make_posix_environment();
  const std::unique_ptr<Executor> owner_ = env_->start_executor("owner");
  FileSystem& fs_ = env_->file_system();
  std::string directory_;
  std::unique_ptr<DirectWriter> writer_;
};

TEST_F(UringWriterTest, Create_LeavesItsProbeOnly) {
  EXPECT_EQ(*fs_.list(directory_), std::vector<std::string>{"uring-probe"});
}

TEST_F(UringWriterTest, ManyWritesToSeveralFiles_AllArrive) {
  auto a = open(directory_ + "/a");
  auto b = open(directory_ + "/b");
  // More than the ring has entries.
  std::vector<Block> blocks(150);
  std::vector<DirectWriter::Write> writes;
  std::string expected;
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::fill(std::begin(blocks[i].bytes), std::end(blocks[i].bytes), static_cast<char>(i));
    expected += std::string(kBlock, static_cast<char>(i));
    writes.push_back({(i % 2 == 0 ? a : b).get(), i / 2 * kBlock, blocks[i].bytes});
  }
  ASSERT_TRUE(write(writes));
  const std::string in_a = *fs_.read_file(directory_ + "/a");
  const std::string in_b = *fs_.read_file(directory_ + "/b");
  std::string both;
  for (size_t i = 0; i < blocks.size(); ++i) {
    both += (i % 2 == 0 ? in_a : in_b).substr(i / 2 * kBlock, kBlock);
  }
  EXPECT_TRUE(both == expected);
}

TEST_F(UringWriterTest, SeveralSubmissionsUnderWay_EachIsAnsweredOnce) {
  auto file = open(directory_ + "/a");
  std::vector<Block> blocks(20);
  std::promise<void> all;
  int answered = 0;
  owner_->post([&] {
    for (size_t i = 0; i < blocks.size(); ++i) {
      const DirectWriter::Write write{file.get(), i * kBlock, blocks[i].bytes};
      writer_->submit({&write, 1}, [&](Status status) {
        EXPECT_TRUE(status) << status.to_string();
        if (++answered == 20) all.set_value();
      });
    }
  });
  all.get_future().wait();
  on_owner([] {});
  EXPECT_EQ(answered, 20);
}

TEST_F(UringWriterTest, Drain_RunsTheCallbacks) {
  auto file = open(directory_ + "/a");
  std::vector<Block> blocks(8);
  on_owner([&] {
    int answered = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const DirectWriter::Write write{file.get(), i * kBlock, blocks[i].bytes};
      writer_->submit({&write, 1}, [&](Status status) {
        EXPECT_TRUE(status);
        ++answered;
      });
    }
    writer_->drain();
    EXPECT_EQ(answered, 8);
  });
}

TEST_F(UringWriterTest, ExecutorEndsFirst_OutcomesWaitForDrain) {
  auto file = open(directory_ + "/a");
  std::vector<Block> blocks(8);
  int answered = 0;
  owner_->post([&] {
    for (size_t i = 0; i < blocks.size(); ++i) {
      const DirectWriter::Write write{file.get(), i * kBlock, blocks[i].bytes};
      writer_->submit({&write, 1}, [&](Status status) {
        EXPECT_TRUE(status) << status.to_string();
        ++answered;
      });
    }
  });
  owner_->stop();
  writer_->drain();
  EXPECT_EQ(answered, 8);
  writer_.reset();
}

TEST_F(UringWriterTest, CallbackDestroysTheWriter_NothingHappensAfterwards) {
  auto file = open(directory_ + "/a");
  std::vector<Block> blocks(1);
  std::promise<void> gone;
  owner_->post([&] {
    const DirectWriter::Write write{file.get(), 0, blocks[0].bytes};
    writer_->submit({&write, 1}, [&](Status) {
      writer_.reset();
      gone.set_value();
    });
  });
  gone.get_future().wait();
  on_owner([&] { EXPECT_EQ(writer_, nullptr); });
}

TEST_F(UringWriterTest, FailedWrite_NamesFileAndOffset) {
  auto file = open(directory_ + "/a");
  auto reader = open(directory_ + "/a", OpenMode::kRead);
  std::vector<Block> blocks(1);
  const Status status = write({{reader.get(), 8192, blocks[0].bytes}});
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.message(), HasSubstr(directory_ + "/a at offset 8192"));
}

}  // namespace
}  // namespace multiraft::env
