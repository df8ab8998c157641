#include "host/snapshot_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "env/posix/posix_env.h"

namespace multiraft::host {
namespace {

class SnapshotFileTest : public ::testing::Test {
 protected:
  SnapshotFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mr_snapshot_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/snapshot";
  }
  ~SnapshotFileTest() override { std::filesystem::remove_all(directory_); }

  env::FileSystem& fs() { return env_->file_system(); }
  static SnapshotFileHeader header() {
    SnapshotFileHeader h;
    h.group = GroupId(7);
    h.replica = ReplicaId(2);
    h.snapshot.index = LogIndex(42);
    h.snapshot.term = Term(3);
    h.snapshot.conf_state.voters = {ReplicaId(1), ReplicaId(2)};
    return h;
  }
  void write(const std::vector<std::string>& chunks) {
    auto writer = SnapshotFileWriter::create(fs(), path_, header());
    ASSERT_TRUE(writer.is_ok()) << writer.status().to_string();
    for (const std::string& chunk : chunks) ASSERT_TRUE((*writer)->append(chunk).is_ok());
    ASSERT_TRUE((*writer)->finish().is_ok());
  }
  Result<std::vector<std::string>> read() {
    auto reader = SnapshotFileReader::open(fs(), path_);
    if (!reader) return reader.status();
    if ((*reader)->header().snapshot != header().snapshot ||
        (*reader)->header().group != header().group ||
        (*reader)->header().replica != header().replica) {
      return Status(StatusCode::kInternal, "the header came back changed");
    }
    std::vector<std::string> chunks;
    while (true) {
      std::string chunk;
      MR_RETURN_IF_ERROR((*reader)->next(chunk));
      if (chunk.empty()) return chunks;
      chunks.push_back(chunk);
    }
  }

  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
  std::string directory_;
  std::string path_;
};

TEST_F(SnapshotFileTest, RoundTrip_HeaderAndChunks_ComeBack) {
  const std::vector<std::string> chunks{"one", std::string(100'000, 'x'), "three"};
  write(chunks);
  auto got = read();
  ASSERT_TRUE(got.is_ok()) << got.status().to_string();
  EXPECT_EQ(*got, chunks);
}

TEST_F(SnapshotFileTest, Unfinished_LeavesNothing) {
  {
    auto writer = SnapshotFileWriter::create(fs(), path_, header());
    ASSERT_TRUE(writer.is_ok());
    ASSERT_TRUE((*writer)->append("chunk").is_ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(SnapshotFileTest, RemoveTemporary_LeftoverOfACrash_Goes) {
  write({"whole"});
  std::ofstream(directory_ + "/snapshot-2.tmp") << "half";
  ASSERT_TRUE(remove_temporary_snapshots(fs(), directory_).is_ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/snapshot-2.tmp"));
  EXPECT_TRUE(read().is_ok());
}

TEST_F(SnapshotFileTest, Damage_AnyByteFlippedOrCut_IsDetected) {
  write({"first chunk", "second chunk"});
  std::string whole;
  {
    std::ifstream in(path_, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_EQ(read().status().code(), StatusCode::kCorruption) << "byte " << at;
  }
  for (size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    EXPECT_EQ(read().status().code(), StatusCode::kCorruption) << "cut to " << length;
  }
}

TEST_F(SnapshotFileTest, Bytes_AreTheDocumentedOnes) {
  write({"first", "second one"});
  auto bytes = fs().read_file(path_);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, std::string("RMFTSNAP"
                                "\x02\0\0\0"
                                "\x39\0\0\0"
                                "\xbb\x09\x46\x43"
                                // Group, replica, position and configuration.
                                "\x07\0\0\0\0\0\0\0"
                                "\x02\0\0\0\0\0\0\0"
                                "\x2a\0\0\0\0\0\0\0"
                                "\x03\0\0\0\0\0\0\0"
                                "\x02\0\0\0\0\0\0\0\0"
                                "\x01\0\0\0\0\0\0\0"
                                "\x02\0\0\0\0\0\0\0"
                                // Two chunks.
                                "\x05\0\0\0"
                                "\x50\xa1\x3e\x8a"
                                "first"
                                "\x0a\0\0\0"
                                "\x39\xff\x54\x0f"
                                "second one"
                                // The end.
                                "\0\0\0\0"
                                "\x39\xf6\xe6\x1b"
                                "\x02\0\0\0\0\0\0\0"
                                "\x0f\0\0\0\0\0\0\0",
                                132));
}

TEST_F(SnapshotFileTest, FileOfANewerProgram_IsUnsupportedAndSaysSo) {
  write({"first"});
  std::string bytes = *fs().read_file(path_);
  bytes[8] = 3;
  const size_t header = 20 + static_cast<unsigned char>(bytes[12]);
  const uint32_t checksum =
      crc32c(bytes.substr(20, header - 20), crc32c(std::string_view(bytes).substr(0, 16)));
  std::string encoded;
  ByteWriter(encoded).u32(checksum);
  bytes.replace(16, 4, encoded);
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  const Status status = read().status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("a newer version of multiraft has written it"),
            std::string::npos);
}

TEST_F(SnapshotFileTest, BytesBehindTheEnd_AreCorruption) {
  write({"first"});
  std::ofstream(path_, std::ios::app) << "x";
  EXPECT_EQ(read().status().code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace multiraft::host
