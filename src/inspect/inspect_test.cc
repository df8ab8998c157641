#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include <set>
#include <string>

#include "inspect/read_only_files.h"
#include "inspect/report.h"
#include "log/testing/simulated_log.h"

namespace multiraft::inspect {
namespace {

using log::LogHarness;

/// Several segments with two groups, closed in order.
class Inspect : public ::testing::Test {
 protected:
  void SetUp() override {
    h_.options.segment_bytes = 16 * 4096;
    ASSERT_TRUE(h_.open());
    h_.create(1);
    h_.create(2, 9);
    for (uint64_t i = 1; i <= 30; ++i) {
      h_.append(1, i, 1, 1, 3000);
      if (i % 10 == 0) h_.append(2, i / 10, 1, 2, 50);
      h_.flush_and_run();
    }
    h_.close();
  }

  env::FileSystem& files() { return h_.env().file_system(); }
  std::string file(size_t n) { return h_.options.directory + "/" + h_.segment_files()[n]; }

  void flip(const std::string& path, uint64_t offset) {
    ASSERT_TRUE(h_.env().disk().flip_bit(path, offset, 2));
  }

  Report verify() {
    ReadOnlyFiles only(files());
    auto report = report_on(only, h_.options.directory, Depth::kVerify);
    EXPECT_TRUE(report) << report.status().message();
    return report ? std::move(*report) : Report{};
  }

  LogHarness h_;
};

TEST_F(Inspect, ALogInOrder_IsReportedWithItsGroups) {
  const Report report = verify();
  EXPECT_EQ(report.damages, 0u);
  const auto& log = report.value.at("logs").as_array().at(0);
  EXPECT_TRUE(log.at("served").as_bool());
  const auto& groups = log.at("groups").as_array();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].at("group").to_number<uint64_t>(), 1u);
  EXPECT_EQ(groups[0].at("last_index").to_number<uint64_t>(), 30u);
  EXPECT_EQ(groups[1].at("replica").as_string(), "9");
  EXPECT_EQ(groups[1].at("last_index").to_number<uint64_t>(), 3u);
  EXPECT_GT(log.at("segments").as_array().size(), 2u);
}

TEST_F(Inspect, Dump_HasEveryEntryOnce) {
  std::set<uint64_t> seen;
  DumpFilter filter;
  filter.group = GroupId(1);
  filter.from = LogIndex(5);
  filter.to = LogIndex(20);
  ReadOnlyFiles only(files());
  auto damages = dump(only, h_.options.directory, filter, [&](const boost::json::value& line) {
    EXPECT_EQ(line.at("group").to_number<uint64_t>(), 1u);
    if (!line.as_object().contains("entries")) return;
    for (const auto& entry : line.at("entries").as_array()) {
      EXPECT_TRUE(seen.insert(entry.at("index").to_number<uint64_t>()).second);
      EXPECT_EQ(entry.at("bytes").to_number<uint64_t>(), 3000u);
    }
  });
  ASSERT_TRUE(damages);
  EXPECT_EQ(*damages, 0u);
  EXPECT_EQ(seen.size(), 16u);
  EXPECT_EQ(*seen.begin(), 5u);
}

TEST_F(Inspect, AFlippedBitInAnOldSegment_IsNamedWithFileOffsetAndGroup) {
  flip(file(0), 3 * 4096 + 200);
  const Report report = verify();
  ASSERT_EQ(report.damages, 1u) << to_text(report.value);
  const auto& damage = report.value.at("damage").as_array().at(0);
  EXPECT_EQ(damage.at("file").as_string(), file(0));
  EXPECT_EQ(damage.at("offset").to_number<uint64_t>(), 3u * 4096);
  EXPECT_NE(std::string(damage.at("what").as_string()).find("group 1"), std::string::npos)
      << to_text(report.value);
  EXPECT_FALSE(report.value.at("logs").at(0).at("served").as_bool());
  EXPECT_NE(to_text(report.value).find("repair"), std::string::npos);
}

TEST_F(Inspect, SeveralDamages_AreAllNamed) {
  flip(file(0), 3 * 4096 + 200);
  flip(file(1), 5 * 4096 + 200);
  flip(file(2), 10);
  const Report report = verify();
  EXPECT_GE(report.damages, 3u) << to_text(report.value);
  std::set<std::string> damaged;
  for (const auto& damage : report.value.at("damage").as_array()) {
    damaged.insert(std::string(damage.at("file").as_string()));
  }
  EXPECT_TRUE(damaged.contains(file(0)));
  EXPECT_TRUE(damaged.contains(file(1)));
  EXPECT_TRUE(damaged.contains(file(2)));
}

TEST_F(Inspect, AMissingSegment_IsDamage) {
  ASSERT_TRUE(files().remove(file(0)));
  const Report report = verify();
  EXPECT_GE(report.damages, 1u);
  EXPECT_NE(to_text(report.value).find("missing"), std::string::npos) << to_text(report.value);
}

/// Whatever single byte is hit: what recovery refuses is reported, with a file of this log.
TEST_F(Inspect, AMissingActiveSegment_IsDamageAndNotAnEmptyLog) {
  ASSERT_TRUE(h_.open());
  h_.env().run_until_idle();  // The next segment is prepared.
  h_.close();
  const auto files = h_.segment_files();
  ASSERT_TRUE(h_.env().disk().remove(file(files.size() - 2)));
  const Report report = verify();
  EXPECT_EQ(report.damages, 1u);
  EXPECT_NE(to_text(report.value).find(files[files.size() - 2]), std::string::npos)
      << to_text(report.value);
}

TEST_F(Inspect, AConfigurationChangeThatCannotBeDecoded_IsDamage) {
  ASSERT_TRUE(h_.open());
  const std::vector<raft::Entry> entries{
      {Term(2), LogIndex(31), raft::EntryType::kConfChange, SharedBytes::copy_of("?")}};
  h_.append(GroupId(1), log::GroupAppend{GroupId(1), {}, nullptr, entries, true});
  h_.flush_and_run();
  h_.close();
  const Report report = verify();
  EXPECT_EQ(report.damages, 1u);
  EXPECT_NE(to_text(report.value).find("entry 31"), std::string::npos) << to_text(report.value);
}

TEST_F(Inspect, AnyFlippedByte_IsReportedWhereRecoveryRefuses) {
  for (uint64_t offset = 0; offset < 16 * 4096; offset += 509) {
    flip(file(1), offset);
    const Report report = verify();
    const bool served = report.value.at("logs").at(0).at("served").as_bool();
    if (!served) {
      EXPECT_GE(report.damages, 1u) << "offset " << offset;
    }
    flip(file(1), offset);
  }
  EXPECT_EQ(verify().damages, 0u);
}

TEST(InspectPaths, WhatIsNoStateDirectory_IsRefusedWithAReason) {
  env::SimEnvironment env(1);
  ReadOnlyFiles only(env.file_system());
  EXPECT_EQ(report_on(only, "nowhere", Depth::kSummary).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(env.file_system().create_directories("empty"));
  EXPECT_EQ(report_on(only, "empty", Depth::kSummary).status().code(),
            StatusCode::kInvalidArgument);
  ASSERT_TRUE(env.file_system().write_file_atomically("empty/x", "some words"));
  EXPECT_EQ(report_on(only, "empty/x", Depth::kSummary).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(InspectFiles, ReadOnlyFiles_RefuseEveryChange) {
  env::SimEnvironment env(1);
  ASSERT_TRUE(env.file_system().write_file_atomically("f", "content"));
  ReadOnlyFiles only(env.file_system());
  EXPECT_FALSE(only.remove("f"));
  EXPECT_FALSE(only.remove_all("f"));
  EXPECT_FALSE(only.rename("f", "g"));
  EXPECT_FALSE(only.create_directories("d"));
  EXPECT_FALSE(only.sync_directory("."));
  EXPECT_FALSE(only.lock("f"));
  EXPECT_FALSE(only.write_file_atomically("f", "other"));
  EXPECT_EQ(*only.read_file("f"), "content");
}

}  // namespace
}  // namespace multiraft::inspect
