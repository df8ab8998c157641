#pragma once
// The command line, the environment and the configuration file: what the operator said, checked.
// Precedence: flag, then MULTIRAFT_NAME in the environment, then `name = value` in -config FILE,
// then the default (docs/operations.md, "Start").

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::server {

struct ServerOptions {
  std::string state_dir;
  env::Address raft;
  env::Address api;
  env::Address advertise_raft;  ///< What other nodes use; the listen address unless given.
  env::Address advertise_api;
  NodeId id;
  std::vector<env::Address> join;
  bool replace_lost_disk = false;
  bool force_new_registry = false;
  bool bootstrap = false;
  GroupId initial_group{1};
  bool redirect = true;
  uint32_t workers = 0;      ///< 0: one per core.
  uint32_t engine_jobs = 0;  ///< 0: by the number of cores.
  bool memory_engine = false;
  bool json_log = false;
  std::string log_level;
  int64_t heartbeat_ns = 0;
  int64_t election_ns = 0;
  bool lease_reads = false;
  uint64_t snapshot_bytes_per_second = 0;  ///< 0: no limit.
  uint64_t cache_bytes = 0;  ///< Of the engine's block cache. 0: by the size of the memory.
  uint64_t log_keep_entries = 0;
  uint64_t log_keep_bytes = 0;     ///< 0: by the size of the disk.
  uint64_t log_segment_bytes = 0;  ///< 0: by the size of the disk.
  std::string log_writer;          ///< auto, pwrite or uring.
};

/// What the command line asks for instead of, or besides, a server.
struct CommandLine {
  enum class Action : uint8_t { kServe, kHelp, kVersion, kCheckConfig };
  Action action = Action::kServe;
  ServerOptions options;
  /// In the environment with our prefix, but no settings: worth a warning.
  std::vector<std::string> unknown_variables;
};

/// kInvalidArgument with a text for the operator; the process then ends with status 2.
Result<CommandLine> parse_command_line(int argc, const char* const* argv, env::FileSystem& fs);
std::string help_text();
std::string version_text();

}  // namespace multiraft::server
