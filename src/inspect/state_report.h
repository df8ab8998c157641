#pragma once
// What a stopped node's state directory holds, and what in it is damaged. Every byte of the logs,
// the snapshot files and the identity is read, by the decoders that the node itself uses; nothing
// is written.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "env/file_system.h"
#include "meta/node_identity.h"
#include "raft/types.h"

namespace multiraft::inspect {

struct GroupReport {
  GroupId group;
  ReplicaId replica;
  raft::HardState hard_state;
  LogIndex mark_index;  ///< Of the snapshot that the log stands on.
  Term mark_term;
  LogIndex first_index;
  LogIndex last_index;  ///< Below first_index where there is no entry.
  uint64_t bytes = 0;   ///< Of the entries' data.
  std::optional<LogIndex> announced_install;
};

/// The log of one worker, read along its chain of batches. Without groups where it is damaged.
struct LogReport {
  std::string directory;
  uint64_t log_id = 0;
  uint64_t first_segment = 0;  ///< 0: there is no log yet.
  uint64_t last_segment = 0;
  uint64_t last_sequence = 0;
  uint64_t torn_bytes = 0;  ///< Behind the end of the chain; never reported durable.
  bool damaged = false;
  std::vector<GroupReport> groups;  ///< Ascending.
};

struct SnapshotReport {
  std::string path;
  GroupId group;
  LogIndex index;
  Term term;
  uint64_t bytes = 0;  ///< Of the content.
};

struct StateReport {
  std::optional<meta::NodeFacts> node;  ///< Empty where the identity is damaged.
  std::vector<LogReport> logs;
  std::vector<SnapshotReport> snapshots;  ///< Those that check.
  std::vector<std::string> damages;       ///< File, offset, group and how to heal, as far as known.
};

/// kNotFound where `state_dir` is not a node's; other errors are the disk's. Blocks. The caller
/// holds the directory's lock: the files of a running node change while they are read.
Result<StateReport> examine(env::FileSystem& files, const std::string& state_dir);

/// For people, some lines; and for programs, one JSON object. Both end with a line feed.
std::string to_text(const StateReport& report);
std::string to_json(const StateReport& report);

}  // namespace multiraft::inspect
