#include "server/options.h"

#include <absl/flags/declare.h>
#include <absl/flags/flag.h>
#include <absl/flags/reflection.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>

#include "base/limits.h"

ABSL_FLAG(std::string, state_dir, "",
          "directory of this node's state; created where it does not exist");
ABSL_FLAG(std::string, raft, ":8080", "address for other nodes, HOST:PORT or :PORT");
ABSL_FLAG(std::string, api, ":9090", "address for HTTP clients, HOST:PORT or :PORT");
ABSL_FLAG(std::string, advertise_raft, "", "how other nodes reach -raft; the same unless given");
ABSL_FLAG(std::string, advertise_api, "", "how clients reach -api; the same unless given");
ABSL_FLAG(uint64_t, id, 0, "this node's number, 1 to 4294967294; never two nodes with the same");
ABSL_FLAG(
    std::string, join, "",
    "raft addresses of nodes of the cluster, comma-separated: to join it, or to find its nodes "
    "again where they have moved");
ABSL_FLAG(bool, replace_lost_disk, false,
          "with -join and an empty state directory: take the place of the node with this id, whose "
          "disk is lost for good");
ABSL_FLAG(bool, force_new_registry, false,
          "this once, on the survivor with the longest log of group 0, when most of its voters are "
          "lost for good: make group 0 again on this node alone (docs/operations.md)");
ABSL_FLAG(
    bool, bootstrap, false,
    "make a new cluster on an empty state directory even if nodes of another cluster take this "
    "node for one of theirs");
ABSL_FLAG(uint64_t, initial_group_id, 1,
          "group to create in a new cluster, or to enter when joining");
ABSL_FLAG(bool, redirect, true, "answer 307 for groups of other nodes; false: 421");
ABSL_FLAG(uint32_t, workers, 0,
          "worker threads; 0: one per core. Fixed once the state directory exists");
ABSL_FLAG(std::string, engine, "rocksdb", "where values are kept: rocksdb or memory");
ABSL_FLAG(uint32_t, engine_jobs, 0,
          "threads that flush and compact RocksDB's files, 2 to 64; 0: by the number of cores");
ABSL_FLAG(std::string, log_format, "text", "log lines as text or json");
ABSL_FLAG(std::string, log_level, "info", "trace, debug, info, warn or error");
ABSL_FLAG(uint32_t, heartbeat_ms, 100, "time between two heartbeats of a leader");
ABSL_FLAG(uint32_t, election_ms, 1000,
          "silence after which a follower elects; a multiple of -heartbeat_ms");
ABSL_FLAG(std::string, read, "linearizable",
          "reads confirmed by a quorum (linearizable) or by the leader's lease (lease)");
ABSL_FLAG(std::string, log_writer, "auto", "how the log is written: auto, pwrite or uring");
ABSL_FLAG(uint32_t, snapshot_mb_per_s, 64,
          "MiB per second of all snapshots that leave this node; 0: no limit");
ABSL_FLAG(uint32_t, cache_mb, 0,
          "MiB of values kept in memory by the engine; 0: an eighth of the memory, 64 at least");
ABSL_FLAG(uint64_t, log_keep_entries, 1000,
          "entries of a group's log kept for members that lag, instead of a snapshot");
ABSL_FLAG(uint32_t, log_keep_mb, 0,
          "of these no more than so many MiB, for each group; 0: by the size of the disk");
ABSL_FLAG(uint32_t, log_segment_mb, 0,
          "size of the log's files in MiB, 9 to 1024; 0: by the size of the disk");
ABSL_FLAG(std::string, config, "", "file of `name = value` lines with any of these flags");
ABSL_FLAG(bool, check_config, false, "check flags and configuration, then exit");
ABSL_FLAG(bool, version, false, "print the version and exit");
ABSL_FLAG(bool, help, false, "print this text and exit");

namespace multiraft::server {
namespace {

constexpr std::string_view kVariablePrefix = "MULTIRAFT_";

constexpr std::array kFlagNames = {"state_dir",
                                   "raft",
                                   "api",
                                   "advertise_raft",
                                   "advertise_api",
                                   "id",
                                   "join",
                                   "replace_lost_disk",
                                   "force_new_registry",
                                   "bootstrap",
                                   "initial_group_id",
                                   "redirect",
                                   "workers",
                                   "engine",
                                   "engine_jobs",
                                   "log_format",
                                   "log_level",
                                   "heartbeat_ms",
                                   "election_ms",
                                   "read",
                                   "log_writer",
                                   "config",
                                   "check_config",
                                   "version",
                                   "help",
                                   "snapshot_mb_per_s",
                                   "cache_mb",
                                   "log_keep_entries",
                                   "log_keep_mb",
                                   "log_segment_mb"};

Status usage(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

bool known(std::string_view name) {
  return std::find(kFlagNames.begin(), kFlagNames.end(), name) != kFlagNames.end();
}

absl::CommandLineFlag& flag(std::string_view name) {
  return *absl::FindCommandLineFlag(absl::string_view(name.data(), name.size()));
}

Status assign(const std::string& name, const std::string& value, const std::string& origin) {
  std::string error;
  if (flag(name).ParseFrom(value, &error)) return Status::ok();
  return usage(origin + ": \"" + value + "\" is no value for " + name + " (" +
               std::string(flag(name).Help()) + ")");
}

/// Single or double dash, `=` or blank; a boolean flag takes its value with `=` only.
Status read_arguments(int argc, const char* const* argv, std::set<std::string>& given) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t dashes = argument.starts_with("--") ? 2 : argument.starts_with("-") ? 1 : 0;
    if (dashes == 0 || argument.size() == dashes) {
      return usage("\"" + std::string(argument) + "\" is not a flag. See -help");
    }
    const std::string_view body = argument.substr(dashes);
    const size_t equals = body.find('=');
    const std::string name(body.substr(0, equals));
    if (!known(name)) return usage("unknown flag -" + name + ". See -help");
    std::string value;
    if (equals != std::string_view::npos) {
      value = body.substr(equals + 1);
    } else if (flag(name).IsOfType<bool>()) {
      value = "true";
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      return usage("-" + name + " needs a value (" + std::string(flag(name).Help()) + ")");
    }
    MR_RETURN_IF_ERROR(assign(name, value, "-" + name));
    given.insert(name);
  }
  return Status::ok();
}

/// Questions of one command line. Images set MULTIRAFT_VERSION for their own purposes.
bool is_setting(std::string_view name) {
  return name != "version" && name != "help" && name != "check_config";
}

std::string variable_of(std::string_view name) {
  std::string variable(kVariablePrefix);
  for (const char c : name) {
    variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return variable;
}

/// An empty variable is one that is not set, as compose files pass it.
Status read_environment(std::set<std::string>& given) {
  for (const std::string name : kFlagNames) {
    if (given.contains(name) || !is_setting(name)) continue;
    const std::string variable = variable_of(name);
    const char* value = std::getenv(variable.c_str());
    if (!value || *value == '\0') continue;
    MR_RETURN_IF_ERROR(assign(name, value, "environment variable " + variable));
    given.insert(name);
  }
  return Status::ok();
}

/// Variables that look like settings and are none: mistyped, perhaps.
std::vector<std::string> unknown_variables() {
  std::set<std::string> known_ones;
  for (const std::string_view name : kFlagNames) known_ones.insert(variable_of(name));
  std::vector<std::string> unknown;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with(kVariablePrefix)) continue;
    std::string name(text.substr(0, text.find('=')));
    if (!known_ones.contains(name)) unknown.push_back(std::move(name));
  }
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

Status read_file(const std::string& path, env::FileSystem& fs, std::set<std::string>& given) {
  auto content = fs.read_file(path);
  if (!content) return usage("-config: " + content.status().message());
  std::string_view rest = *content;
  for (int line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::string where = path + ":" + std::to_string(line_number);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return usage(where + ": expected name = value");
    const std::string name(trim(line.substr(0, equals)));
    if (!known(name) || name == "config")
      return usage(where + ": unknown setting \"" + name + "\"");
    if (given.contains(name)) continue;
    MR_RETURN_IF_ERROR(assign(name, std::string(trim(line.substr(equals + 1))), where));
  }
  return Status::ok();
}

Status read_address(const char* name, const std::string& text, env::Address& out) {
  auto address = env::Address::parse(text);
  if (!address) return usage("-" + std::string(name) + ": " + address.status().message());
  out = *address;
  return Status::ok();
}

Status one_of(const char* name, const std::string& value,
              std::initializer_list<const char*> words) {
  std::string list;
  for (const char* word : words) {
    if (value == word) return Status::ok();
    list += (list.empty() ? "" : ", ") + std::string(word);
  }
  return usage("-" + std::string(name) + ": \"" + value + "\" is none of " + list);
}

Status read_known_nodes(ServerOptions& o) {
  MR_RETURN_IF_ERROR(read_address("raft", absl::GetFlag(FLAGS_raft), o.raft));
  MR_RETURN_IF_ERROR(read_address("api", absl::GetFlag(FLAGS_api), o.api));
  o.advertise_raft = o.raft;
  o.advertise_api = o.api;
  if (const std::string text = absl::GetFlag(FLAGS_advertise_raft); !text.empty()) {
    MR_RETURN_IF_ERROR(read_address("advertise_raft", text, o.advertise_raft));
  }
  if (const std::string text = absl::GetFlag(FLAGS_advertise_api); !text.empty()) {
    MR_RETURN_IF_ERROR(read_address("advertise_api", text, o.advertise_api));
  }
  if (const std::string text = absl::GetFlag(FLAGS_join); !text.empty()) {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t comma = std::min(text.find(',', begin), text.size());
      MR_RETURN_IF_ERROR(
          read_address("join", text.substr(begin, comma - begin), o.join.emplace_back()));
      begin = comma + 1;
    }
  }
  o.replace_lost_disk = absl::GetFlag(FLAGS_replace_lost_disk);
  o.force_new_registry = absl::GetFlag(FLAGS_force_new_registry);
  o.bootstrap = absl::GetFlag(FLAGS_bootstrap);
  if (o.bootstrap && !o.join.empty()) return usage("-bootstrap and -join exclude each other");
  if (o.force_new_registry && (o.replace_lost_disk || o.bootstrap)) {
    return usage(
        "-force_new_registry is for a node with state: it excludes -replace_lost_disk and "
        "-bootstrap");
  }
  if (o.replace_lost_disk && o.join.empty()) return usage("-replace_lost_disk needs -join");
  return Status::ok();
}

Status check(ServerOptions& o) {
  o.state_dir = absl::GetFlag(FLAGS_state_dir);
  if (o.state_dir.empty()) return usage("-state_dir is missing: where this node keeps its state");
  while (o.state_dir.size() > 1 && o.state_dir.back() == '/') o.state_dir.pop_back();
  const uint64_t id = absl::GetFlag(FLAGS_id);
  if (id == 0 || id > limits::kNodeIdMax) {
    return usage("-id is " + (id == 0 ? std::string("missing") : std::to_string(id)) +
                 ": a node needs a number from 1 to " + std::to_string(limits::kNodeIdMax));
  }
  o.id = NodeId(id);
  MR_RETURN_IF_ERROR(read_known_nodes(o));
  o.initial_group = GroupId(absl::GetFlag(FLAGS_initial_group_id));
  if (!o.initial_group) {
    return usage("-initial_group_id: group 0 is the cluster's own; user groups start at 1");
  }
  const uint32_t heartbeat_ms = absl::GetFlag(FLAGS_heartbeat_ms);
  const uint32_t election_ms = absl::GetFlag(FLAGS_election_ms);
  if (heartbeat_ms == 0 || heartbeat_ms > 60'000) {
    return usage("-heartbeat_ms must be from 1 to 60000");
  }
  if (election_ms % heartbeat_ms != 0 || election_ms / heartbeat_ms < 2 ||
      election_ms / heartbeat_ms > 1000) {
    return usage("-election_ms must be a multiple of -heartbeat_ms, 2 to 1000 times as long");
  }
  o.heartbeat_ns = heartbeat_ms * env::kMillisecond;
  o.election_ns = election_ms * env::kMillisecond;
  o.workers = absl::GetFlag(FLAGS_workers);
  o.engine_jobs = absl::GetFlag(FLAGS_engine_jobs);
  if (o.engine_jobs == 1 || o.engine_jobs > 64) {
    return usage("-engine_jobs must be 0, or from 2 to 64");
  }
  if (o.workers > 64) return usage("-workers must be from 0 to 64");
  o.redirect = absl::GetFlag(FLAGS_redirect);
  const std::string engine = absl::GetFlag(FLAGS_engine);
  MR_RETURN_IF_ERROR(one_of("engine", engine, {"rocksdb", "memory"}));
  o.memory_engine = engine == "memory";
  const std::string format = absl::GetFlag(FLAGS_log_format);
  MR_RETURN_IF_ERROR(one_of("log_format", format, {"text", "json"}));
  o.json_log = format == "json";
  o.log_level = absl::GetFlag(FLAGS_log_level);
  MR_RETURN_IF_ERROR(one_of("log_level", o.log_level, {"trace", "debug", "info", "warn", "error"}));
  const std::string read = absl::GetFlag(FLAGS_read);
  MR_RETURN_IF_ERROR(one_of("read", read, {"linearizable", "lease"}));
  o.lease_reads = read == "lease";
  o.snapshot_bytes_per_second = absl::GetFlag(FLAGS_snapshot_mb_per_s) * limits::kMiB;
  o.log_keep_entries = absl::GetFlag(FLAGS_log_keep_entries);
  const uint32_t cache_mb = absl::GetFlag(FLAGS_cache_mb);
  if (cache_mb != 0 && (cache_mb < 8 || cache_mb > 16 * 1024 * 1024)) {
    return usage("-cache_mb must be 0 or from 8 to 16777216");
  }
  o.cache_bytes = cache_mb * limits::kMiB;
  const uint32_t keep_mb = absl::GetFlag(FLAGS_log_keep_mb);
  if (keep_mb > 1024 * 1024) return usage("-log_keep_mb must be from 0 to 1048576");
  o.log_keep_bytes = keep_mb * limits::kMiB;
  const uint32_t segment_mb = absl::GetFlag(FLAGS_log_segment_mb);
  o.log_segment_bytes = segment_mb * limits::kMiB;
  if (segment_mb != 0 && (o.log_segment_bytes < limits::kLogSegmentBytesMin || segment_mb > 1024)) {
    return usage("-log_segment_mb must be 0, or from 9 to 1024");
  }
  o.log_writer = absl::GetFlag(FLAGS_log_writer);
  return one_of("log_writer", o.log_writer, {"auto", "pwrite", "uring"});
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, const char* const* argv, env::FileSystem& fs) {
  CommandLine line;
  std::set<std::string> given;
  MR_RETURN_IF_ERROR(read_arguments(argc, argv, given));
  if (absl::GetFlag(FLAGS_help)) {
    line.action = CommandLine::Action::kHelp;
    return line;
  }
  if (absl::GetFlag(FLAGS_version)) {
    line.action = CommandLine::Action::kVersion;
    return line;
  }
  MR_RETURN_IF_ERROR(read_environment(given));
  line.unknown_variables = unknown_variables();
  if (const std::string path = absl::GetFlag(FLAGS_config); !path.empty()) {
    MR_RETURN_IF_ERROR(read_file(path, fs, given));
  }
  MR_RETURN_IF_ERROR(check(line.options));
  if (absl::GetFlag(FLAGS_check_config)) line.action = CommandLine::Action::kCheckConfig;
  return line;
}

std::string help_text() {
  std::string text =
      "multiraft: a replicated key-value store of many Raft groups\n\n"
      "  multiraft -state_dir=DIR -id N [-raft :8080] [-api :9090] [-join HOST:PORT,...]\n\n"
      "Without -join and without state in DIR a new cluster is made.\n\n";
  for (const std::string name : kFlagNames) {
    const std::string value = flag(name).DefaultValue();
    text += "  -" + name + std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') +
            std::string(flag(name).Help()) + (value.empty() ? "" : " [" + value + "]") + "\n";
  }
  text +=
      "\nEvery flag but -help, -version and -check_config is also read from MULTIRAFT_NAME in the\n"
      "environment, where an empty value means not set, and from -config FILE.\n"
      "Exit status: 0 stopped or removed, 1 try again, 2 usage, 3 state directory refused,\n"
      "4 join refused, 5 disk failure.\n";
  return text;
}

std::string version_text() { return "multiraft " MULTIRAFT_VERSION "\n"; }

}  // namespace multiraft::server
