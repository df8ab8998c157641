#include "env/posix/uring_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
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
    Result<std::unique_ptr<UringWriter>> writer = UringWriter::create(fs_, directory_);
    if (!writer) GTEST_SKIP() << writer.status().to_string();
    writer_ = std::move(*writer);
  }
  void TearDown() override { ASSERT_TRUE(fs_.remove_all(directory_)); }

  std::unique_ptr<File> open(const std::string& path, OpenMode mode = OpenMode::kCreate) {
    Result<std::unique_ptr<File>> file = fs_.open(path, mode, true);
    EXPECT_TRUE(file) << file.status().to_string();
    return std::move(*file);
  }

  const std::unique_ptr<Environment> env_ = make_posix_environment();
  FileSystem& fs_ = env_->file_system();
  std::string directory_;
  std::unique_ptr<UringWriter> writer_;
};

TEST_F(UringWriterTest, Create_LeavesNothingBehind) { EXPECT_TRUE(fs_.list(directory_)->empty()); }

TEST_F(UringWriterTest, ManyWritesToSeveralFiles_AllArrive) {
  auto a = open(directory_ + "/a");
  auto b = open(directory_ + "/b");
  // More than the ring has entries.
  std::vector<Block> blocks(50);
  std::vector<UringWriter::Write> writes;
  std::string expected;
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::fill(std::begin(blocks[i].bytes), std::end(blocks[i].bytes), static_cast<char>('A' + i));
    expected += std::string(kBlock, static_cast<char>('A' + i));
    writes.push_back({(i % 2 == 0 ? a : b).get(), i / 2 * kBlock, blocks[i].bytes});
  }
  ASSERT_TRUE(writer_->write(writes));
  const std::string in_a = *fs_.read_file(directory_ + "/a");
  const std::string in_b = *fs_.read_file(directory_ + "/b");
  std::string both;
  for (size_t i = 0; i < blocks.size(); ++i) {
    both += (i % 2 == 0 ? in_a : in_b).substr(i / 2 * kBlock, kBlock);
  }
  EXPECT_TRUE(both == expected);
  EXPECT_TRUE(writer_->write({}));
}

TEST_F(UringWriterTest, FailedWrite_NamesFileAndOffset) {
  auto file = open(directory_ + "/a");
  auto reader = open(directory_ + "/a", OpenMode::kRead);
  std::vector<Block> blocks(1);
  const UringWriter::Write write{reader.get(), 8192, blocks[0].bytes};
  const Status status = writer_->write({&write, 1});
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.message(), HasSubstr(directory_ + "/a at offset 8192"));
}

}  // namespace
}  // namespace multiraft::env
