#pragma once
// What the tests of this module share.

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kv/command.h"
#include "kv/kv_engine.h"
#include "kv/testing/faulty_disk.h"

namespace multiraft::kv::testing {

/// A directory that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = ::testing::TempDir() + "mr-kv-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

enum class EngineKind { kRocks, kMemory };

/// Small enough that a few hundred writes reach every part of the database.
inline RocksOptions small_rocks(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  options.block_cache_bytes = 1 * limits::kMiB;
  options.write_buffer_bytes = 256 * limits::kKiB;
  options.table_bytes_target = 16 * limits::kKiB;
  return options;
}

inline std::unique_ptr<KvEngine> make_engine(EngineKind kind, const std::string& directory,
                                             FaultyDisk& disk) {
  if (kind == EngineKind::kMemory) return make_memory_engine();
  RocksOptions options = small_rocks(directory);
  options.env = disk.env();
  auto engine = make_rocksdb_engine(options);
  EXPECT_TRUE(engine.is_ok()) << engine.status().to_string();
  return std::move(*engine);
}

inline std::unique_ptr<KvStateMachine> open_group(KvEngine& engine, uint64_t group = 1) {
  auto machine = engine.open_kv(GroupId(group));
  EXPECT_TRUE(machine.is_ok()) << machine.status().to_string();
  return std::move(*machine);
}

/// Applies payloads at the indexes that follow, in one call, and returns the codes.
inline std::vector<ResultCode> apply(StateMachine& machine,
                                     const std::vector<SharedBytes>& payloads,
                                     Term term = Term(1)) {
  std::vector<Command> commands;
  LogIndex index = machine.applied_index();
  for (const SharedBytes& payload : payloads) commands.push_back({++index, term, payload.view()});
  std::vector<ApplyResult> results(commands.size());
  const Status status = machine.apply(commands, index, term, results);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  std::vector<ResultCode> codes;
  for (const ApplyResult& result : results) codes.push_back(static_cast<ResultCode>(result.code));
  return codes;
}

/// Commits, waiting out write stalls.
inline Status commit(KvEngine& engine) {
  while (true) {
    Status status = engine.commit(0);
    if (status.code() != StatusCode::kOverloaded) return status;
    ::sched_yield();
  }
}

/// Applies and commits.
inline std::vector<ResultCode> run(KvEngine& engine, StateMachine& machine,
                                   const std::vector<SharedBytes>& payloads, Term term = Term(1)) {
  auto codes = apply(machine, payloads, term);
  const Status status = commit(engine);
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  return codes;
}

inline std::vector<std::string> chunks_of(SnapshotReader& reader, size_t bytes_target) {
  std::vector<std::string> chunks;
  std::string chunk;
  while (true) {
    const Status status = reader.next(bytes_target, chunk);
    EXPECT_TRUE(status.is_ok()) << status.to_string();
    if (!status || chunk.empty()) return chunks;
    chunks.push_back(chunk);
  }
}

struct Snapshot {
  LogIndex index;
  Term term;
  std::vector<std::string> chunks;
};

inline Snapshot take_snapshot(StateMachine& machine, size_t bytes_target = 256) {
  auto reader = machine.snapshot();
  EXPECT_TRUE(reader.is_ok()) << reader.status().to_string();
  return {(*reader)->applied_index(), (*reader)->applied_term(), chunks_of(**reader, bytes_target)};
}

inline Status restore(StateMachine& machine, const Snapshot& snapshot) {
  auto writer = machine.restore(snapshot.index, snapshot.term);
  if (!writer) return writer.status();
  for (const std::string& chunk : snapshot.chunks) MR_RETURN_IF_ERROR((*writer)->append(chunk));
  return (*writer)->finish();
}

/// Key -> (value, modified index).
using Contents = std::map<std::string, std::pair<std::string, uint64_t>>;

inline Contents contents_of(const KvStateMachine& machine) {
  Contents contents;
  ScanRequest request;
  request.items_max = 7;
  std::string start;
  while (true) {
    request.start = start;
    auto page = machine.scan(request);
    EXPECT_TRUE(page.is_ok()) << page.status().to_string();
    if (!page) return contents;
    for (const KvItem& item : page->items) {
      contents[item.key] = {std::string(item.value.view()), item.modified_index.value};
    }
    if (!page->next) return contents;
    start = *page->next;
  }
}

inline uint64_t hash_of(StateMachine& machine) {
  auto hash = machine.hash();
  EXPECT_TRUE(hash.is_ok()) << hash.status().to_string();
  return hash ? *hash : 0;
}

}  // namespace multiraft::kv::testing
