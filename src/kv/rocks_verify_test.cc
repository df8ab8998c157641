#include "kv/rocks_verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "kv/command.h"
#include "kv/kv_engine.h"

namespace multiraft::kv {
namespace {

class RocksVerify : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "mr_verify_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    RocksOptions options;
    options.directory = directory();
    auto engine = make_rocksdb_engine(options);
    ASSERT_TRUE(engine) << engine.status().to_string();
    for (const uint64_t group : {2, 300}) {
      auto machine = (*engine)->open(GroupId(group));
      ASSERT_TRUE(machine);
      const SharedBytes command = encode_put("key", std::string(5'000, 'v'));
      const Command commands[] = {{LogIndex(group), Term(1), command.view()}};
      ApplyResult results[1];
      ASSERT_TRUE((*machine)->apply(commands, LogIndex(group), Term(1), results));
      ASSERT_TRUE((*engine)->commit(0));
    }
    ASSERT_TRUE((*engine)->flush());
  }
  ~RocksVerify() override { std::filesystem::remove_all(folder_); }
  std::string directory() const { return folder_ + "/kv"; }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  std::string folder_;
};

TEST_F(RocksVerify, Intact_HasThePositionOfEachGroup_AndNothingIsWritten) {
  const std::set<std::string> before = files();
  const auto positions = verify_rocks(directory(), true);
  ASSERT_TRUE(positions) << positions.status().to_string();
  ASSERT_EQ(positions->size(), 2u);
  EXPECT_EQ((*positions)[0].group, GroupId(2));
  EXPECT_EQ((*positions)[0].index, LogIndex(2));
  EXPECT_EQ((*positions)[1].group, GroupId(300));
  EXPECT_EQ((*positions)[1].index, LogIndex(300));
  EXPECT_EQ(files(), before);
}

TEST_F(RocksVerify, DamagedTable_IsNamed) {
  std::string table;
  for (const std::string& name : files()) {
    if (name.ends_with(".sst")) table = name;
  }
  ASSERT_FALSE(table.empty());
  std::fstream file(directory() + "/" + table, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(20);
  file.put('\x7f');
  file.close();
  const auto positions = verify_rocks(directory(), true);
  ASSERT_FALSE(positions);
  EXPECT_EQ(positions.status().code(), StatusCode::kCorruption);
  EXPECT_THAT(positions.status().message(), ::testing::HasSubstr(table));
}

TEST_F(RocksVerify, NoDatabase_IsAnError) { EXPECT_FALSE(verify_rocks(folder_ + "/none", false)); }

}  // namespace
}  // namespace multiraft::kv
