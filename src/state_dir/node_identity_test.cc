#include "state_dir/node_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "env/sim/sim_environment.h"

namespace multiraft::state_dir {
namespace {

using ::testing::HasSubstr;

class NodeIdentityTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<NodeIdentity>> open(uint64_t node, bool found = false) {
    return NodeIdentity::open(env_, "state", NodeId(node), found);
  }
  env::SimEnvironment env_;
};

TEST_F(NodeIdentityTest, NewDirectory_GetsAUuidThatStays) {
  StateDirId uuid;
  {
    auto identity = open(3);
    ASSERT_TRUE(identity) << identity.status().to_string();
    uuid = (*identity)->facts().uuid;
    EXPECT_FALSE(uuid.empty());
    EXPECT_EQ((*identity)->facts().phase, NodePhase::kJoining);
    EXPECT_EQ((*identity)->facts().cluster, ClusterId{});
  }
  auto again = open(3);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->facts().uuid, uuid);
}

TEST_F(NodeIdentityTest, EveryStart_IsALifeOfItsOwnThatSurvivesAPowerLoss) {
  for (uint64_t life = 1; life <= 5; ++life) {
    {
      auto identity = open(1, true);
      ASSERT_TRUE(identity);
      EXPECT_EQ((*identity)->facts().life, life);
    }
    if (life % 2 == 0) env_.set_disk(env_.disk().crash_image(env::CrashMode::kKeepNone, life));
  }
  auto again = open(2);
  EXPECT_FALSE(again);  // Whoever is refused has no life.
  EXPECT_EQ(decode_facts(*env_.file_system().read_file("state/node"))->life, 5u);
}

TEST_F(NodeIdentityTest, Founder_DrawsACluster) {
  ClusterId cluster;
  {
    auto identity = open(1, true);
    ASSERT_TRUE(identity);
    cluster = (*identity)->facts().cluster;
    EXPECT_TRUE(cluster);
    EXPECT_EQ((*identity)->facts().phase, NodePhase::kFounding);
  }
  auto again = open(1, false);  // -join is ignored from now on.
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->facts().cluster, cluster);
  EXPECT_EQ((*again)->facts().phase, NodePhase::kFounding);
}

TEST_F(NodeIdentityTest, JoinerWithoutAnAnswer_MayFoundInstead) {
  { ASSERT_TRUE(open(1)); }
  auto identity = open(1, true);
  ASSERT_TRUE(identity);
  EXPECT_EQ((*identity)->facts().phase, NodePhase::kFounding);
}

TEST_F(NodeIdentityTest, Saved_SurvivesAPowerLoss) {
  NodeFacts facts;
  {
    auto identity = open(2);
    ASSERT_TRUE(identity);
    facts = (*identity)->facts();
    facts.cluster = ClusterId(5);
    facts.serial_floor = 42;
    facts.phase = NodePhase::kMember;
    ASSERT_TRUE((*identity)->save(facts));
  }
  env_.set_disk(env_.disk().crash_image(env::CrashMode::kKeepNone, 1));
  auto again = open(2);
  ASSERT_TRUE(again) << again.status().to_string();
  ++facts.life;  // Of the process that reads it.
  EXPECT_EQ((*again)->facts(), facts);
}

TEST_F(NodeIdentityTest, NestedNewDirectory_SurvivesAPowerLoss) {
  StateDirId uuid;
  {
    auto identity = NodeIdentity::open(env_, "a/b/state/", NodeId(1), false);
    ASSERT_TRUE(identity) << identity.status().to_string();
    uuid = (*identity)->facts().uuid;
  }
  env_.set_disk(env_.disk().crash_image(env::CrashMode::kKeepNone, 1));
  auto again = NodeIdentity::open(env_, "a/b/state/", NodeId(1), false);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->facts().uuid, uuid);
}

TEST_F(NodeIdentityTest, DirectoryThatIsAFile_IsRefused) {
  ASSERT_TRUE(env_.file_system().write_file_atomically("state", "text"));
  EXPECT_FALSE(open(1));
}

TEST_F(NodeIdentityTest, CrashAnywhereInASave_LeavesOldOrNew) {
  for (uint64_t crash = 0;; ++crash) {
    env::SimEnvironment env(crash + 1);
    NodeFacts before;
    NodeFacts after;
    bool saved = false;
    {
      auto identity = NodeIdentity::open(env, "state", NodeId(1), true);
      ASSERT_TRUE(identity);
      before = after = (*identity)->facts();
      after.serial_floor = 9;
      env.disk().crash_after(env.disk().operation_count() + crash);
      saved = (*identity)->save(after).is_ok();
    }
    for (env::CrashMode mode : env::kAllCrashModes) {
      env::SimEnvironment restarted(1);
      restarted.set_disk(env.disk().crash_image(mode, crash));
      auto again = NodeIdentity::open(restarted, "state", NodeId(1), true);
      ASSERT_TRUE(again) << again.status().to_string();
      NodeFacts found = (*again)->facts();
      EXPECT_EQ(found.life, before.life + 1);
      found.life = before.life;
      EXPECT_TRUE(found == after || (!saved && found == before));
    }
    if (saved) break;
  }
}

TEST_F(NodeIdentityTest, WrongId_IsRefusedAndSaysWhose) {
  { ASSERT_TRUE(open(1)); }
  auto other = open(2);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.status().message(), HasSubstr("belongs to node 1, not to node 2"));
}

TEST_F(NodeIdentityTest, SecondProcess_IsRefused) {
  auto first = open(1);
  ASSERT_TRUE(first);
  auto second = open(1);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr("another process"));
}

TEST_F(NodeIdentityTest, LogsWithoutAnIdentity_AreRefused) {
  ASSERT_TRUE(env_.file_system().create_directories("state/log"));
  auto identity = open(1, true);
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.status().code(), StatusCode::kCorruption);
}

TEST_F(NodeIdentityTest, AnyDamagedByte_IsRefusedWithTheFilesName) {
  { ASSERT_TRUE(open(1, true)); }
  const uint64_t size = env_.file_system().read_file("state/node")->size();
  for (uint64_t at = 0; at < size; ++at) {
    ASSERT_TRUE(env_.disk().flip_bit("state/node", at, at % 8));
    auto damaged = open(1);
    ASSERT_FALSE(damaged) << "byte " << at;
    EXPECT_EQ(damaged.status().code(), StatusCode::kCorruption);
    EXPECT_THAT(damaged.status().message(), HasSubstr("state/node"));
    ASSERT_TRUE(env_.disk().flip_bit("state/node", at, at % 8));
  }
  EXPECT_TRUE(open(1));
}

TEST_F(NodeIdentityTest, CutFile_IsRefused) {
  { ASSERT_TRUE(open(1, true)); }
  const std::string bytes = *env_.file_system().read_file("state/node");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_facts(std::string_view(bytes).substr(0, size)));
  }
  EXPECT_FALSE(decode_facts(bytes + "x"));
}

TEST(NodeFactsCodec, Bytes_AreTheDocumentedOnes) {
  const NodeFacts facts{ClusterId(0x0102), NodeId(7), {0x11, 0x22}, 5, NodePhase::kMember, 9, 3, 6};
  const std::string bytes = encode_facts(facts);
  ASSERT_EQ(bytes.size(), 69u);
  EXPECT_EQ(bytes.substr(0, 8), "RMFTNODE");
  EXPECT_EQ(bytes.substr(8, 5), std::string("\3\0\0\0\2", 5));
  EXPECT_EQ(bytes.substr(13, 8), std::string("\2\1\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes[21], 7);
  EXPECT_EQ(bytes[29], 0x11);
  EXPECT_EQ(bytes[37], 0x22);
  EXPECT_EQ(bytes[45], 5);
  EXPECT_EQ(bytes.substr(49, 8), std::string("\11\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(57, 4), std::string("\3\0\0\0", 4));
  EXPECT_EQ(bytes.substr(61, 4), std::string("\6\0\0\0", 4));
  EXPECT_EQ(*decode_facts(bytes), facts);
}

TEST_F(NodeIdentityTest, FileOfANewerProgram_IsRefusedAsSuch) {
  { ASSERT_TRUE(open(1, true)); }
  std::string bytes = *env_.file_system().read_file("state/node");
  bytes.resize(bytes.size() - 4);
  bytes[8] = 9;
  bytes += "more";
  std::string checksum;
  ByteWriter(checksum).u32(crc32c(bytes));
  ASSERT_TRUE(env_.file_system().write_file_atomically("state/node", bytes + checksum));
  const Status status = open(1).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(),
              HasSubstr("state/node: offset 8: version 9 was written by a newer"));
}

TEST_F(NodeIdentityTest, ClusterWithAVersionThatIsNotSupported_IsRefused) {
  {
    auto identity = open(1, true);
    NodeFacts facts = (*identity)->facts();
    facts.cluster_version = 4;
    ASSERT_TRUE((*identity)->save(facts));
  }
  for (const VersionRange versions : {VersionRange{1, 3}, VersionRange{5, 6}}) {
    const Status status = NodeIdentity::open(env_, "state", NodeId(1), true, versions).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(), HasSubstr("the cluster works with version 4"));
  }
  EXPECT_TRUE(NodeIdentity::open(env_, "state", NodeId(1), true, {4, 4}));
}

}  // namespace
}  // namespace multiraft::state_dir
