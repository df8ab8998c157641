#include "env/sim/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/prng.h"

namespace multiraft::env {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::unique_ptr<File> open_file(SimFileSystem& fs, const std::string& path,
                                OpenMode mode = OpenMode::kCreate) {
  Result<std::unique_ptr<File>> file = fs.open(path, mode);
  EXPECT_TRUE(file) << file.status().to_string();
  return std::move(*file);
}

Status write(File& file, uint64_t offset, std::string_view bytes) {
  return file.write_at(offset, std::span(&bytes, 1));
}

std::string content(SimFileSystem& fs, const std::string& path) {
  Result<std::string> bytes = fs.read_file(path);
  return bytes ? *bytes : bytes.status().to_string();
}

/// A durable, empty file.
std::unique_ptr<File> durable_file(SimFileSystem& fs, const std::string& path) {
  auto file = open_file(fs, path);
  EXPECT_TRUE(file->sync_all());
  EXPECT_TRUE(fs.sync_directory("/"));
  return file;
}

TEST(SimFileSystem, ReadAfterWrite_SeesUnsyncedBytes) {
  SimFileSystem fs;
  auto file = open_file(fs, "a");
  const std::string_view parts[] = {"one", "", "two"};
  ASSERT_TRUE(file->write_at(4094, parts));
  EXPECT_EQ(*file->size(), 4100u);
  char buffer[10];
  EXPECT_EQ(*file->read_at(4092, buffer), 8u);
  EXPECT_EQ(std::string_view(buffer, 8), std::string_view("\0\0onetwo", 8));
  EXPECT_EQ(*file->read_at(4100, buffer), 0u);
}

TEST(SimFileSystem, Truncate_CutsAndUncoversZeros) {
  SimFileSystem fs;
  auto file = open_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, std::string(10'000, 'x')));
  ASSERT_TRUE(file->truncate(5000));
  ASSERT_TRUE(file->truncate(9000));
  EXPECT_EQ(content(fs, "a"), std::string(5000, 'x') + std::string(4000, '\0'));
  ASSERT_TRUE(file->zero(10, 4980));
  EXPECT_EQ(content(fs, "a").substr(0, 5000),
            std::string(10, 'x') + std::string(4980, '\0') + std::string(10, 'x'));
}

TEST(SimFileSystem, Names_BehaveLikeATree) {
  SimFileSystem fs;
  EXPECT_EQ(fs.open("d/a", OpenMode::kCreate).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(fs.create_directories("/d/e/"));
  open_file(fs, "d/a");
  open_file(fs, "d/e/b");
  EXPECT_EQ(fs.open("d/a", OpenMode::kCreateNew).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(fs.open("d/x", OpenMode::kRead).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*fs.list("d"), UnorderedElementsAre("a", "e"));
  EXPECT_EQ(fs.list("x").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(fs.rename("d/a", "./d/../d/e/c"));
  EXPECT_THAT(*fs.list("/d/e"), UnorderedElementsAre("b", "c"));
  EXPECT_EQ(fs.remove("d/a").code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs.remove("d/e"));
  ASSERT_TRUE(fs.remove_all("d"));
  ASSERT_TRUE(fs.remove_all("d"));
  EXPECT_FALSE(*fs.exists("d"));
}

TEST(SimFileSystem, RemovedFile_LivesWhileItIsOpen) {
  SimFileSystem fs;
  auto file = open_file(fs, "a");
  ASSERT_TRUE(fs.remove("a"));
  ASSERT_TRUE(write(*file, 0, "x"));
  EXPECT_EQ(*file->size(), 1u);
}

TEST(SimFileSystem, DirectFile_RefusesUnalignedAccess) {
  SimFileSystem fs;
  auto file = std::move(*fs.open("a", OpenMode::kCreate, true));
  alignas(4096) char block[4096] = {};
  EXPECT_TRUE(write(*file, 512, {block, 512}));
  EXPECT_FALSE(write(*file, 100, {block, 512}));
  EXPECT_FALSE(write(*file, 512, {block, 100}));
  EXPECT_FALSE(write(*file, 512, {block + 1, 512}));
  EXPECT_FALSE(file->read_at(0, std::span(block + 1, 512)));
}

TEST(SimFileSystem, Lock_IsRefusedWhileHeld) {
  SimFileSystem fs;
  auto lock = fs.lock("LOCK");
  ASSERT_TRUE(lock);
  EXPECT_EQ(fs.lock("/LOCK").status().code(), StatusCode::kUnavailable);
  lock->reset();
  EXPECT_TRUE(fs.lock("LOCK"));
}

TEST(SimFileSystem, CrashImage_KeepsSyncedBytesInEveryMode) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  const std::string synced(5000, 's');
  ASSERT_TRUE(write(*file, 0, synced));
  ASSERT_TRUE(file->sync_data());
  for (const CrashMode mode : kAllCrashModes) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      EXPECT_EQ(content(*fs.crash_image(mode, seed), "a"), synced) << crash_mode_name(mode);
    }
  }
}

TEST(SimFileSystem, CrashImage_OfUnsyncedWrites_FollowsTheMode) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, std::string(4096, 's')));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(write(*file, 0, std::string(4096, 'u')));
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepAll, 1), "a"), std::string(4096, 'u'));
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepNone, 1), "a"), std::string(4096, 's'));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const std::string bytes = content(*fs.crash_image(CrashMode::kRandomSubset, seed), "a");
    ASSERT_EQ(bytes.size(), 4096u);
    for (size_t at = 0; at < bytes.size(); at += 512) {
      const std::string sector = bytes.substr(at, 512);
      ASSERT_TRUE(sector == std::string(512, 's') || sector == std::string(512, 'u'));
    }
    seen.insert(bytes);
  }
  EXPECT_GT(seen.size(), 50u) << "of 256 possible subsets";
}

TEST(SimFileSystem, CrashImage_TornModes_CutAtTheirGranularity) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, std::string(20'000, 's')));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(write(*file, 100, std::string(10'000, 'u')));
  const std::pair<CrashMode, size_t> modes[] = {
      {CrashMode::kTornByte, 1}, {CrashMode::kTornSector, 512}, {CrashMode::kTornPage, 4096}};
  for (const auto& [mode, granularity] : modes) {
    std::set<size_t> ends;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::string bytes = content(*fs.crash_image(mode, seed), "a");
      const size_t end = bytes.find_last_of('u') + 1;
      ASSERT_TRUE(end % granularity == 0) << end;
      ASSERT_EQ(bytes, std::string(100, 's') + std::string(end - 100, 'u') +
                           std::string(20'000 - end, 's'));
      ends.insert(end);
    }
    EXPECT_GT(ends.size(), 1u);
  }
}

TEST(SimFileSystem, CrashImage_TornModes_KeepAPrefixOfTheOperations) {
  SimFileSystem fs;
  auto a = durable_file(fs, "a");
  auto b = durable_file(fs, "b");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(write(i % 2 == 0 ? *a : *b, static_cast<uint64_t>(i), "x"));
  }
  std::set<size_t> lengths;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    auto image = fs.crash_image(CrashMode::kTornByte, seed);
    const size_t in_a = content(*image, "a").size();
    const size_t in_b = content(*image, "b").size();
    // The last byte that arrived is at one of the two ends, and the other file is one behind.
    ASSERT_TRUE(in_a == in_b + 1 || in_b == in_a + 1) << in_a << " " << in_b;
    lengths.insert(std::max(in_a, in_b));
  }
  EXPECT_EQ(lengths.size(), 10u);
}

TEST(SimFileSystem, CrashImage_RandomSubset_LosesASizeWithoutItsBytes) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, std::string(512, 'x')));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    seen.insert(content(*fs.crash_image(CrashMode::kRandomSubset, seed), "a"));
  }
  EXPECT_THAT(seen, UnorderedElementsAre("", std::string(512, '\0'), std::string(512, 'x')));
}

TEST(SimFileSystem, Names_AreLostWithoutDirectorySync) {
  SimFileSystem fs;
  durable_file(fs, "old");
  auto file = open_file(fs, "new");
  ASSERT_TRUE(write(*file, 0, "x"));
  ASSERT_TRUE(file->sync_all());
  ASSERT_TRUE(fs.remove("old"));
  auto lost = fs.crash_image(CrashMode::kKeepNone, 1);
  EXPECT_THAT(*lost->list("/"), UnorderedElementsAre("old"));
  std::set<std::vector<std::string>> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    seen.insert(*fs.crash_image(CrashMode::kRandomSubset, seed)->list("/"));
  }
  EXPECT_EQ(seen.size(), 4u) << "each change is kept or lost by itself";
  ASSERT_TRUE(fs.sync_directory("/"));
  auto kept = fs.crash_image(CrashMode::kKeepNone, 1);
  EXPECT_THAT(*kept->list("/"), UnorderedElementsAre("new"));
  EXPECT_EQ(content(*kept, "new"), "x");
}

TEST(SimFileSystem, Rename_IsKeptOrLostAsAWhole) {
  SimFileSystem fs;
  ASSERT_TRUE(write(*durable_file(fs, "a"), 0, "unsynced"));
  ASSERT_TRUE(fs.rename("a", "b"));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    auto image = fs.crash_image(CrashMode::kRandomSubset, seed);
    EXPECT_EQ(image->list("/")->size(), 1u);
  }
}

TEST(SimFileSystem, RenameBetweenDirectories_IsNotUndoneByALaterSyncOfTheSource) {
  SimFileSystem fs;
  ASSERT_TRUE(fs.create_directories("d"));
  ASSERT_TRUE(fs.create_directories("e"));
  ASSERT_TRUE(fs.sync_directory("/"));
  open_file(fs, "d/a");
  ASSERT_TRUE(fs.rename("d/a", "e/a"));
  ASSERT_TRUE(fs.sync_directory("e"));
  ASSERT_TRUE(fs.sync_directory("d"));
  auto image = fs.crash_image(CrashMode::kKeepNone, 1);
  EXPECT_TRUE(image->list("d")->empty());
  EXPECT_THAT(*image->list("e"), UnorderedElementsAre("a"));
}

TEST(SimFileSystem, WriteFileAtomically_LeavesOldOrNew_AtEveryCrash) {
  SimFileSystem reference;
  ASSERT_TRUE(reference.write_file_atomically("a", "old"));
  const uint64_t before = reference.operation_count();
  ASSERT_TRUE(reference.write_file_atomically("a", "new content"));
  const uint64_t after = reference.operation_count();
  std::set<std::string> seen;
  for (uint64_t k = before; k <= after; ++k) {
    for (const CrashMode mode : kAllCrashModes) {
      for (uint64_t seed = 0; seed < 4; ++seed) {
        SimFileSystem fs;
        ASSERT_TRUE(fs.write_file_atomically("a", "old"));
        fs.crash_after(k);
        EXPECT_EQ(fs.write_file_atomically("a", "new content").is_ok(), k == after);
        const std::string found = content(*fs.crash_image(mode, seed), "a");
        EXPECT_TRUE(found == "new content" || (found == "old" && k < after)) << found;
        seen.insert(found);
      }
    }
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(SimFileSystem, CrashAfter_FailsEverythingFromThenOn) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  fs.crash_after(fs.operation_count() + 1);
  EXPECT_TRUE(write(*file, 0, "x"));
  EXPECT_FALSE(fs.crashed());
  const Status status = write(*file, 1, "y");
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_THAT(status.message(), HasSubstr("write a at offset 1 (1 bytes): simulated crash"));
  EXPECT_TRUE(fs.crashed());
  char byte;
  EXPECT_FALSE(file->read_at(0, std::span(&byte, 1)));
  EXPECT_FALSE(fs.open("b", OpenMode::kCreate));
  EXPECT_FALSE(fs.sync_directory("/"));
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepAll, 1), "a"), "x");
}

// trap 30
TEST(SimFileSystem, FailedSync_DropsDirtyPages_AndTheNextOneSucceedsWithoutThem) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, "kept"));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(write(*file, 0, "lost"));
  fs.fail_sync(1);
  EXPECT_EQ(file->sync_data().code(), StatusCode::kIoError);
  EXPECT_TRUE(file->sync_data());
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepAll, 1), "a"), "kept");
}

TEST(SimFileSystem, InjectedFaults_HitTheirOperation) {
  SimFileSystem fs;
  auto file = open_file(fs, "a");
  fs.fail_operation(2, SimFault::kShortWrite);
  ASSERT_TRUE(write(*file, 0, "1234"));
  EXPECT_EQ(write(*file, 4, "5678").code(), StatusCode::kIoError);
  EXPECT_EQ(content(fs, "a"), "123456");
  fs.fail_operation(1, SimFault::kNoSpace);
  EXPECT_EQ(write(*file, 0, "abcd").code(), StatusCode::kNoSpace);
  EXPECT_EQ(content(fs, "a"), "ab3456");
  fs.fail_operation(1, SimFault::kIoError);
  EXPECT_EQ(write(*file, 0, "abcd").code(), StatusCode::kIoError);
  EXPECT_EQ(content(fs, "a"), "ab3456");
  fs.fail_read(1);
  char byte;
  EXPECT_FALSE(file->read_at(0, std::span(&byte, 1)));
  EXPECT_TRUE(file->read_at(0, std::span(&byte, 1)));
}

TEST(SimFileSystem, SpaceLimit_WritesWhatFits_AndHealsWithRelief) {
  SimFileSystem fs;
  auto file = open_file(fs, "a");
  ASSERT_TRUE(write(*open_file(fs, "b"), 0, std::string(60, 'b')));
  fs.set_space_limit(100);
  EXPECT_EQ(fs.space("/")->free_bytes, 40u);
  EXPECT_EQ(write(*file, 0, std::string(50, 'a')).code(), StatusCode::kNoSpace);
  EXPECT_EQ(*file->size(), 40u);
  EXPECT_TRUE(write(*file, 0, std::string(40, 'c'))) << "overwriting needs no space";
  EXPECT_EQ(file->truncate(1000).code(), StatusCode::kNoSpace);
  ASSERT_TRUE(fs.remove("b"));
  EXPECT_TRUE(write(*file, 0, std::string(100, 'a')));
  EXPECT_EQ(file->zero(100, 1).code(), StatusCode::kNoSpace);
  fs.set_space_limit(std::nullopt);
  EXPECT_TRUE(file->zero(100, 1));
}

TEST(SimFileSystem, Damage_ChangesDurableAndVolatileBytes) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  ASSERT_TRUE(write(*file, 0, "abc"));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(write(*file, 3, "d"));
  ASSERT_TRUE(fs.flip_bit("a", 0, 1));
  ASSERT_TRUE(fs.overwrite("a", 3, "D"));
  EXPECT_EQ(content(fs, "a"), "cbcD");
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepNone, 1), "a"), "cbc");
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(content(*fs.crash_image(CrashMode::kKeepNone, 1), "a"), "cbcD");
  EXPECT_EQ(fs.flip_bit("a", 4, 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(fs.flip_bit("x", 0, 0).code(), StatusCode::kNotFound);
}

/// The sector of a file's content that begins at `at`, with zeros beyond the end.
std::string sector_of(const std::string& bytes, size_t at) {
  std::string sector = at < bytes.size() ? bytes.substr(at, 512) : "";
  sector.resize(512, '\0');
  return sector;
}

// A file as a plain string, with every state it had since its last sync.
TEST(SimFileSystem, RandomOperations_MatchAPlainString_AndCrashesKeepOnlyWhatWasThere) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Prng random(seed);
    SimFileSystem fs;
    auto file = durable_file(fs, "a");
    std::vector<std::string> states{""};
    const uint64_t steps = random.between(1, 25);
    for (uint64_t i = 0; i < steps; ++i) {
      std::string now = states.back();
      const uint64_t offset = random.below(12'000);
      const uint64_t size = random.chance(0.5) ? random.below(300) : random.below(9'000);
      const bool grows = size > 0 && offset + size > now.size();
      switch (random.below(5)) {
        case 0:
        case 1: {
          const std::string bytes(size, static_cast<char>('a' + random.below(26)));
          ASSERT_TRUE(write(*file, offset, bytes));
          if (grows) now.resize(offset + size, '\0');
          if (size > 0) now.replace(offset, size, bytes);
          break;
        }
        case 2:
          ASSERT_TRUE(file->zero(offset, size));
          if (grows) now.resize(offset + size, '\0');
          if (size > 0) now.replace(offset, size, std::string(size, '\0'));
          break;
        case 3:
          ASSERT_TRUE(file->truncate(offset));
          now.resize(offset, '\0');
          break;
        case 4:
          ASSERT_TRUE(file->sync_data());
          states.clear();
          break;
      }
      states.push_back(now);
    }
    ASSERT_EQ(content(fs, "a"), states.back()) << seed;
    ASSERT_EQ(content(*fs.crash_image(CrashMode::kKeepAll, 1), "a"), states.back()) << seed;
    ASSERT_EQ(content(*fs.crash_image(CrashMode::kKeepNone, 1), "a"), states.front()) << seed;
    for (uint64_t crash = 0; crash < 5; ++crash) {
      const std::string found = content(*fs.crash_image(CrashMode::kRandomSubset, crash), "a");
      const auto has_size = [&](const std::string& state) { return state.size() == found.size(); };
      ASSERT_TRUE(std::any_of(states.begin(), states.end(), has_size)) << seed;
      for (size_t at = 0; at < found.size(); at += 512) {
        const std::string sector = sector_of(found, at);
        // The end of the file cuts its last sector.
        const auto has_sector = [&](const std::string& state) {
          return sector_of(state.substr(0, found.size()), at) == sector;
        };
        ASSERT_TRUE(std::any_of(states.begin(), states.end(), has_sector)) << seed << " " << at;
      }
    }
    // A tear at a page's end is also one at a sector's: each sector is as it once was.
    const std::string torn = content(*fs.crash_image(CrashMode::kTornPage, 3), "a");
    for (size_t at = 0; at < torn.size(); at += 512) {
      const auto has_sector = [&](const std::string& state) {
        return sector_of(state, at) == sector_of(torn, at) ||
               sector_of(state.substr(0, torn.size()), at) == sector_of(torn, at);
      };
      ASSERT_TRUE(std::any_of(states.begin(), states.end(), has_sector)) << seed << " " << at;
    }
  }
}

TEST(SimFileSystem, CrashImage_WithTheSameSeed_IsTheSame) {
  SimFileSystem fs;
  auto file = durable_file(fs, "a");
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(write(*file, i * 700, std::string(900, static_cast<char>('a' + i))));
  }
  for (const CrashMode mode : kAllCrashModes) {
    EXPECT_EQ(content(*fs.crash_image(mode, 7), "a"), content(*fs.crash_image(mode, 7), "a"));
  }
}

}  // namespace
}  // namespace multiraft::env
