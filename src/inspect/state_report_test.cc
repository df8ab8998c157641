#include "inspect/state_report.h"

#include <gtest/gtest.h>

#include <string>

#include <boost/json/parse.hpp>

#include "host/snapshot_file.h"
#include "log/format.h"
#include "log/test_support.h"

namespace multiraft::inspect {
namespace {

using ::multiraft::log::LogHarness;
using ::multiraft::log::snapshot_at;

/// A node with one worker, three batches in its log and one kept snapshot, ended in good order.
class StateReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    h_.options.directory = "/node/log/0";
    h_.options.segment_bytes = 64 * 1024;
    ASSERT_TRUE(files().create_directories("/node/log/0"));
    ASSERT_TRUE(files().create_directories("/node/snap"));
    facts_ = {ClusterId(77), NodeId(3), {1, 2}, 9, meta::NodePhase::kMember};
    ASSERT_TRUE(files().write_file_atomically("/node/node", meta::encode_facts(facts_)));
    ASSERT_TRUE(h_.open());
    h_.create(1);
    h_.create(2, 5, snapshot_at(10, 2));
    h_.append(1, 1, 6, 1, 300);
    h_.settle();
    h_.save_state(1, {Term(4), ReplicaId(2), LogIndex(3)});
    h_.append(2, 11, 3, 2, 100);
    h_.settle();
    h_.announce(2, snapshot_at(20, 3));
    h_.settle();
    h_.close();
    auto writer = host::SnapshotFileWriter::create(files(), "/node/snap/state-1",
                                                   {GroupId(1), snapshot_at(3, 1)});
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->append("content"));
    ASSERT_TRUE((*writer)->finish());
  }
  env::FileSystem& files() { return h_.env().file_system(); }
  void flip(const std::string& path, uint64_t offset) {
    ASSERT_TRUE(h_.env().disk().flip_bit(path, offset, 0)) << path;
  }

  LogHarness h_;
  meta::NodeFacts facts_;
};

TEST_F(StateReportTest, Examine_StoppedNode_SaysWhatTheLogSaid) {
  auto report = examine(files(), "/node");
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->damages.empty());
  EXPECT_EQ(report->node, facts_);
  ASSERT_EQ(report->logs.size(), 1u);
  ASSERT_EQ(report->logs[0].groups.size(), 2u);
  const GroupReport& one = report->logs[0].groups[0];
  EXPECT_EQ(one.hard_state, (raft::HardState{Term(4), ReplicaId(2), LogIndex(3)}));
  EXPECT_EQ(one.first_index, LogIndex(1));
  EXPECT_EQ(one.last_index, LogIndex(6));
  const GroupReport& two = report->logs[0].groups[1];
  EXPECT_EQ(two.replica, ReplicaId(5));
  EXPECT_EQ(two.mark_index, LogIndex(10));
  EXPECT_EQ(two.last_index, LogIndex(13));
  EXPECT_EQ(two.announced_install, LogIndex(20));
  ASSERT_EQ(report->snapshots.size(), 1u);
  EXPECT_EQ(report->snapshots[0].bytes, 7u);
}

TEST_F(StateReportTest, Examine_FlippedBitBelowTheSyncedMark_NamesFileAndOffsetAndTheRest) {
  flip("/node/log/0/" + log::segment_file_name(1), 4096 + 200);
  auto report = examine(files(), "/node");
  ASSERT_TRUE(report) << report.status().to_string();
  ASSERT_EQ(report->damages.size(), 1u);
  EXPECT_NE(report->damages[0].find("0000000000000001.seg: damage at offset 4096"),
            std::string::npos)
      << report->damages[0];
  EXPECT_TRUE(report->logs[0].damaged);
  EXPECT_EQ(report->snapshots.size(), 1u);
}

TEST_F(StateReportTest, Examine_FlippedBitInSnapshotAndIdentity_ReportsBoth) {
  flip("/node/snap/state-1", 9);
  flip("/node/node", 20);
  auto report = examine(files(), "/node");
  ASSERT_TRUE(report) << report.status().to_string();
  ASSERT_EQ(report->damages.size(), 2u);
  EXPECT_NE(report->damages[0].find("/node/node: "), std::string::npos) << report->damages[0];
  EXPECT_NE(report->damages[1].find("/node/snap/state-1"), std::string::npos) << report->damages[1];
  EXPECT_FALSE(report->node);
}

TEST_F(StateReportTest, Examine_NotAStateDirectory_IsRefused) {
  auto report = examine(files(), "/node/log");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.status().code(), StatusCode::kNotFound);
}

TEST_F(StateReportTest, ToJson_StoppedNode_IsOneObjectWithTheSameNumbers) {
  auto report = examine(files(), "/node");
  ASSERT_TRUE(report) << report.status().to_string();
  const boost::json::value parsed = boost::json::parse(to_json(*report));
  const auto& group = parsed.at("logs").at(0).at("groups").at(1);
  EXPECT_EQ(parsed.at("node").at("id").to_number<uint64_t>(), 3u);
  EXPECT_EQ(group.at("last_index").to_number<uint64_t>(), 13u);
  EXPECT_EQ(parsed.at("snapshots").at(0).at("index").to_number<uint64_t>(), 3u);
  EXPECT_NE(to_text(*report).find("group 2: replica 5, "), std::string::npos);
}

}  // namespace
}  // namespace multiraft::inspect
