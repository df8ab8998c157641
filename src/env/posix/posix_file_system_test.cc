#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "env/posix/posix_env.h"
#include "env/posix/posix_file_system.h"

namespace multiraft::env {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class PosixFileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "mr_files_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { ASSERT_TRUE(fs_.remove_all(directory_)); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::unique_ptr<File> open(const std::string& name, OpenMode mode = OpenMode::kCreate) {
    Result<std::unique_ptr<File>> file = fs_.open(path(name), mode);
    EXPECT_TRUE(file) << file.status().to_string();
    return std::move(*file);
  }
  static Status write(File& file, uint64_t offset, std::string_view bytes) {
    return file.write_at(offset, std::span(&bytes, 1));
  }

  const std::unique_ptr<Environment> env_ = make_posix_environment();
  FileSystem& fs_ = env_->file_system();
  std::string directory_;
};

TEST_F(PosixFileSystemTest, WriteOfManyParts_IsReadBackInOrder) {
  std::vector<std::string> parts;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    parts.push_back(i % 7 == 0 ? "" : std::to_string(i));
    expected += parts.back();
  }
  const std::vector<std::string_view> views(parts.begin(), parts.end());
  auto file = open("a");
  ASSERT_TRUE(file->write_at(3, views));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(file->sync_all());
  EXPECT_EQ(*file->size(), expected.size() + 3);
  EXPECT_EQ(*fs_.read_file(path("a")), std::string(3, '\0') + expected);
}

TEST_F(PosixFileSystemTest, ReadAtEnd_IsShort) {
  auto file = open("a");
  ASSERT_TRUE(write(*file, 0, "abc"));
  char buffer[8];
  EXPECT_EQ(*file->read_at(1, buffer), 2u);
  EXPECT_EQ(*file->read_at(3, buffer), 0u);
  EXPECT_EQ(*file->read_at(1000, buffer), 0u);
}

TEST_F(PosixFileSystemTest, Zero_OverwritesExactlyItsRange) {
  auto file = open("a");
  const uint64_t size = 3'000'000;
  ASSERT_TRUE(write(*file, 0, std::string(size, 'x')));
  ASSERT_TRUE(file->zero(1, size - 2));
  EXPECT_EQ(*fs_.read_file(path("a")), "x" + std::string(size - 2, '\0') + "x");
  ASSERT_TRUE(file->zero(size, 10));
  EXPECT_EQ(*file->size(), size + 10);
}

TEST_F(PosixFileSystemTest, Truncate_CutsAndGrows) {
  auto file = open("a");
  ASSERT_TRUE(write(*file, 0, "abcdef"));
  ASSERT_TRUE(file->truncate(2));
  ASSERT_TRUE(file->truncate(4));
  EXPECT_EQ(*fs_.read_file(path("a")), std::string("ab\0\0", 4));
}

TEST_F(PosixFileSystemTest, OpenModes_SayWhatIsMissingOrThere) {
  const Status missing = fs_.open(path("a"), OpenMode::kReadWrite).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), "open " + path("a") + ": No such file or directory");
  EXPECT_EQ(fs_.open(path("a"), OpenMode::kRead).status().code(), StatusCode::kNotFound);
  open("a", OpenMode::kCreateNew);
  EXPECT_EQ(fs_.open(path("a"), OpenMode::kCreateNew).status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(fs_.open(path("a"), OpenMode::kReadWrite));
  auto reader = open("a", OpenMode::kRead);
  EXPECT_EQ(write(*reader, 0, "x").code(), StatusCode::kIoError);
}

TEST_F(PosixFileSystemTest, WriteOnFullDevice_IsNoSpace_AndNamesFileOffsetAndReason) {
  auto file = std::move(*fs_.open("/dev/full", OpenMode::kReadWrite));
  const Status status = write(*file, 4096, "abc");
  EXPECT_EQ(status.code(), StatusCode::kNoSpace);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("/dev/full"), HasSubstr("offset 4096"),
                                      HasSubstr("3 bytes"), HasSubstr("No space left")));
}

// trap 30
TEST_F(PosixFileSystemTest, FailedSync_IsFinal) {
  auto file = std::move(*fs_.open("/dev/full", OpenMode::kReadWrite));
  EXPECT_EQ(file->sync_data().code(), StatusCode::kIoError);
  EXPECT_THAT(file->sync_data().message(), HasSubstr("earlier sync"));
  EXPECT_THAT(file->sync_all().message(), HasSubstr("earlier sync"));
  EXPECT_THAT(write(*file, 0, "x").message(), HasSubstr("earlier sync"));
  EXPECT_THAT(file->truncate(0).message(), HasSubstr("earlier sync"));
}

TEST_F(PosixFileSystemTest, OffsetBeyondTheSystems_IsAnError) {
  auto file = open("a");
  char byte;
  const uint64_t huge = uint64_t{1} << 63;
  EXPECT_EQ(write(*file, huge, "x").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(file->read_at(huge, std::span(&byte, 1)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(file->truncate(huge).code(), StatusCode::kInvalidArgument);
}

TEST_F(PosixFileSystemTest, DirectFile_TakesAlignedBlocks) {
  Result<std::unique_ptr<File>> file = fs_.open(path("a"), OpenMode::kCreate, true);
  if (!file) GTEST_SKIP() << file.status().to_string();
  alignas(4096) char block[4096];
  std::fill(std::begin(block), std::end(block), 'x');
  ASSERT_TRUE(write(**file, 0, {block, sizeof block}));
  ASSERT_TRUE((*file)->zero(4096, 1 << 20));
  EXPECT_EQ(*(*file)->size(), (1u << 20) + 4096);
  EXPECT_EQ(*(*file)->read_at(0, block), sizeof block);
}

TEST_F(PosixFileSystemTest, Directories_ListRenameRemove) {
  ASSERT_TRUE(fs_.create_directories(path("d/e")));
  ASSERT_TRUE(fs_.create_directories(path("d/e")));
  open("d/a");
  ASSERT_TRUE(fs_.sync_directory(path("d")));
  EXPECT_THAT(*fs_.list(path("d")), UnorderedElementsAre("a", "e"));
  ASSERT_TRUE(fs_.rename(path("d/a"), path("d/e/b")));
  EXPECT_FALSE(*fs_.exists(path("d/a")));
  EXPECT_TRUE(*fs_.exists(path("d/e/b")));
  EXPECT_FALSE(*fs_.exists(path("d/e/b/c")));
  EXPECT_EQ(fs_.remove(path("d/a")).code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs_.remove(path("d")));
  ASSERT_TRUE(fs_.remove(path("d/e/b")));
  ASSERT_TRUE(fs_.remove_all(path("d")));
  ASSERT_TRUE(fs_.remove_all(path("d")));
  EXPECT_EQ(fs_.list(path("d")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs_.sync_directory(path("d")).code(), StatusCode::kNotFound);
  open("file");
  EXPECT_THAT(fs_.create_directories(path("file/d")).message(), HasSubstr("Not a directory"));
}

TEST_F(PosixFileSystemTest, WriteFileAtomically_ReplacesAndLeavesNothingBehind) {
  ASSERT_TRUE(write(*open("a.tmp"), 0, "left over from a crash"));
  ASSERT_TRUE(fs_.write_file_atomically(path("a"), "one"));
  EXPECT_EQ(*fs_.read_file(path("a")), "one");
  ASSERT_TRUE(fs_.write_file_atomically(path("a"), ""));
  EXPECT_EQ(*fs_.read_file(path("a")), "");
  EXPECT_THAT(*fs_.list(directory_), UnorderedElementsAre("a"));
  EXPECT_EQ(fs_.write_file_atomically(path("none/a"), "x").code(), StatusCode::kNotFound);
}

TEST_F(PosixFileSystemTest, ReadFile_ReadsFilesWithoutASize) {
  EXPECT_THAT(*fs_.read_file("/proc/self/status"), HasSubstr("Pid:"));
  EXPECT_EQ(fs_.read_file(path("none")).status().code(), StatusCode::kNotFound);
}

TEST_F(PosixFileSystemTest, Lock_RefusesASecondOpenInThisProcess) {
  auto lock = fs_.lock(path("LOCK"));
  ASSERT_TRUE(lock);
  const Status status = fs_.lock(path("LOCK")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_EQ(*fs_.read_file(path("LOCK")), std::to_string(::getpid()) + "\n");
  lock->reset();
  EXPECT_TRUE(fs_.lock(path("LOCK")));
}

/// Tries to take the lock in another process, which ends then.
StatusCode lock_in_another_process(FileSystem& fs, const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto lock = fs.lock(path);
    ::_exit(static_cast<int>(lock ? StatusCode::kOk : lock.status().code()));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return static_cast<StatusCode>(WEXITSTATUS(status));
}

TEST_F(PosixFileSystemTest, Lock_RefusesAnotherProcess_AndEndsWithIt) {
  auto lock = fs_.lock(path("LOCK"));
  EXPECT_EQ(lock_in_another_process(fs_, path("LOCK")), StatusCode::kUnavailable);
  lock->reset();
  EXPECT_EQ(lock_in_another_process(fs_, path("LOCK")), StatusCode::kOk);
  EXPECT_TRUE(fs_.lock(path("LOCK")));
}

TEST_F(PosixFileSystemTest, Space_IsPositive) {
  Result<SpaceInfo> space = fs_.space(directory_);
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0u);
  EXPECT_LE(space->free_bytes, space->total_bytes);
  EXPECT_EQ(fs_.space(path("none")).status().code(), StatusCode::kNotFound);
}

TEST(PosixEnvironment, Clock_DoesNotGoBack_AndRandomBitsDiffer) {
  const auto env = make_posix_environment();
  const MonotonicTime before = env->clock().now();
  EXPECT_LE(before, env->clock().now());
  EXPECT_GT(env->clock().wall_ns(), 1'600'000'000 * kSecond);
  EXPECT_NE(env->random_u64(), env->random_u64());
}

TEST_F(PosixFileSystemTest, DescriptorsUsedUp_FilesTakeReservedOnes_AndTheErrorIsNoDiskFailure) {
  ASSERT_TRUE(fs_.write_file_atomically(path("file"), "content"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit tight{256, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<UniqueFd> others;
  for (;;) {
    UniqueFd fd(::open("/", O_PATH));
    if (!fd) break;
    others.push_back(std::move(fd));
  }
  std::vector<std::unique_ptr<File>> opened;
  Status refused;
  while (opened.size() <= kReservedDescriptors) {
    auto file = fs_.open(path("file"), OpenMode::kRead);
    if (!file) {
      refused = file.status();
      break;
    }
    opened.push_back(std::move(*file));
  }
  EXPECT_EQ(opened.size(), kReservedDescriptors);
  EXPECT_EQ(refused.code(), StatusCode::kOverloaded) << refused.message();
  others.clear();
  EXPECT_TRUE(fs_.open(path("file"), OpenMode::kRead));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace multiraft::env
