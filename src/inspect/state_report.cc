#include "inspect/state_report.h"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "host/snapshot_file.h"
#include "inspect/read_only_files.h"
#include "log/recovery.h"

namespace multiraft::inspect {
namespace {

namespace json = boost::json;

constexpr uint64_t kEverything = ~uint64_t{0};

/// Damage is noted and the examination goes on; anything else ends it.
Status note(const Status& status, StateReport& report) {
  if (status.code() != StatusCode::kCorruption) return status;
  report.damages.push_back(status.message());
  return Status::ok();
}

Status examine_node(env::FileSystem& files, const std::string& path, StateReport& report) {
  Result<std::string> bytes = files.read_file(path);
  if (!bytes) return bytes.status();
  Result<meta::NodeFacts> facts = meta::decode_facts(*bytes);
  if (!facts) {
    return note({facts.status().code(), path + ": " + facts.status().message()}, report);
  }
  report.node = *facts;
  return Status::ok();
}

GroupReport describe(const log::GroupState& group) {
  GroupReport out;
  out.group = group.group();
  out.replica = group.replica();
  out.hard_state = group.hard_state();
  out.mark_index = group.mark().index;
  out.mark_term = group.mark().term;
  out.first_index = group.first_index();
  out.last_index = group.last_index();
  out.bytes = group.bytes();
  if (auto announced = group.announced_install()) out.announced_install = announced->index;
  return out;
}

Status examine_log(env::FileSystem& files, const std::string& directory, StateReport& report) {
  LogReport& out = report.logs.emplace_back();
  out.directory = directory;
  log::GroupContext context;
  log::GroupMap groups;
  log::Recovery recovery(files, directory, kEverything, context, groups);
  Result<log::RecoveredLog> log = recovery.run();
  if (!context.segments.empty()) {
    out.first_segment = context.segments.first_id();
    out.last_segment = context.segments.last_id();
  }
  if (!log) {
    out.damaged = true;
    return note(log.status(), report);
  }
  out.log_id = log->log_id;
  out.last_sequence = log->chain.sequence;
  out.torn_bytes = log->torn_bytes;
  for (const auto& [id, group] : groups) out.groups.push_back(describe(*group));
  std::sort(out.groups.begin(), out.groups.end(),
            [](const GroupReport& a, const GroupReport& b) { return a.group < b.group; });
  return Status::ok();
}

Status examine_snapshot(env::FileSystem& files, const std::string& path, StateReport& report) {
  auto reader = host::SnapshotFileReader::open(files, path);
  if (!reader) return note(reader.status(), report);
  const host::SnapshotFileHeader& header = (*reader)->header();
  SnapshotReport out{path, header.group, header.snapshot.index, header.snapshot.term, 0};
  std::string chunk;
  do {
    Status status = (*reader)->next(chunk);
    if (!status) return note(status, report);
    out.bytes += chunk.size();
  } while (!chunk.empty());
  report.snapshots.push_back(std::move(out));
  return Status::ok();
}

/// The names in a directory in order; none where it does not exist.
Result<std::vector<std::string>> names_in(env::FileSystem& files, const std::string& directory) {
  Result<bool> exists = files.exists(directory);
  if (!exists) return exists.status();
  if (!*exists) return std::vector<std::string>();
  Result<std::vector<std::string>> names = files.list(directory);
  if (names) std::sort(names->begin(), names->end());
  return names;
}

bool is_number(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

json::object to_object(const GroupReport& group) {
  json::object out{{"group", group.group.value},
                   {"replica", group.replica.value},
                   {"term", group.hard_state.term.value},
                   {"vote", group.hard_state.vote.value},
                   {"commit", group.hard_state.commit.value},
                   {"mark_index", group.mark_index.value},
                   {"mark_term", group.mark_term.value},
                   {"first_index", group.first_index.value},
                   {"last_index", group.last_index.value},
                   {"bytes", group.bytes}};
  if (group.announced_install) out["announced_install"] = group.announced_install->value;
  return out;
}

json::object to_object(const LogReport& log) {
  json::array groups;
  for (const GroupReport& group : log.groups) groups.push_back(to_object(group));
  return {{"directory", log.directory},
          {"damaged", log.damaged},
          {"log_id", log.log_id},
          {"first_segment", log.first_segment},
          {"last_segment", log.last_segment},
          {"last_sequence", log.last_sequence},
          {"torn_bytes", log.torn_bytes},
          {"groups", std::move(groups)}};
}

std::string number(uint64_t value) { return std::to_string(value); }

std::string to_line(const GroupReport& group) {
  std::string line = "  group " + number(group.group.value) + ": replica " +
                     number(group.replica.value) + ", term " + number(group.hard_state.term.value) +
                     ", vote " + number(group.hard_state.vote.value) + ", commit " +
                     number(group.hard_state.commit.value) + ", snapshot at " +
                     number(group.mark_index.value);
  line += group.last_index < group.first_index ? ", no entries"
                                               : ", entries " + number(group.first_index.value) +
                                                     " to " + number(group.last_index.value);
  line += ", " + number(group.bytes) + " bytes";
  if (group.announced_install) {
    line += ", installs a snapshot at " + number(group.announced_install->value);
  }
  return line + "\n";
}

std::string to_lines(const LogReport& log) {
  std::string out = "log " + log.directory + ": ";
  if (log.first_segment == 0) {
    out += log.damaged ? "damaged\n" : "empty\n";
    return out;
  }
  out += "segments " + number(log.first_segment) + " to " + number(log.last_segment);
  out += log.damaged ? ", damaged\n" : ", last batch " + number(log.last_sequence) + "\n";
  if (log.torn_bytes > 0) {
    out += "  note: a torn tail of " + number(log.torn_bytes) +
           " bytes, never reported durable; the next start cuts it\n";
  }
  for (const GroupReport& group : log.groups) out += to_line(group);
  return out;
}

}  // namespace

Result<StateReport> examine(env::FileSystem& writable, const std::string& state_dir) {
  ReadOnlyFiles files(writable);
  const std::string node = state_dir + "/node";
  Result<bool> exists = files.exists(node);
  if (!exists) return exists.status();
  if (!*exists) {
    return Status(StatusCode::kNotFound,
                  state_dir + ": is not the state directory of a node: there is no file 'node'");
  }
  StateReport report;
  MR_RETURN_IF_ERROR(examine_node(files, node, report));
  auto logs = names_in(files, state_dir + "/log");
  if (!logs) return logs.status();
  for (const std::string& name : *logs) {
    if (is_number(name)) {
      MR_RETURN_IF_ERROR(examine_log(files, state_dir + "/log/" + name, report));
    }
  }
  auto snapshots = names_in(files, state_dir + "/snap");
  if (!snapshots) return snapshots.status();
  for (const std::string& name : *snapshots) {
    // What else lies there is removed at the next start, whole or not.
    if (!name.starts_with("state-") || name.ends_with(".tmp")) continue;
    MR_RETURN_IF_ERROR(examine_snapshot(files, state_dir + "/snap/" + name, report));
  }
  return report;
}

std::string to_text(const StateReport& report) {
  std::string out;
  if (report.node) {
    out += "node " + number(report.node->node.value) + " of cluster " +
           number(report.node->cluster.value) + ", serial floor " +
           number(report.node->serial_floor) + "\n";
  }
  for (const LogReport& log : report.logs) out += to_lines(log);
  for (const SnapshotReport& snapshot : report.snapshots) {
    out += "snapshot " + snapshot.path + ": group " + number(snapshot.group.value) + ", index " +
           number(snapshot.index.value) + ", term " + number(snapshot.term.value) + ", " +
           number(snapshot.bytes) + " bytes\n";
  }
  for (const std::string& damage : report.damages) out += "damage: " + damage + "\n";
  return out;
}

std::string to_json(const StateReport& report) {
  json::object out;
  if (report.node) {
    out["node"] = json::object{{"cluster", report.node->cluster.value},
                               {"id", report.node->node.value},
                               {"serial_floor", report.node->serial_floor},
                               {"phase", static_cast<unsigned>(report.node->phase)}};
  }
  json::array logs;
  for (const LogReport& log : report.logs) logs.push_back(to_object(log));
  out["logs"] = std::move(logs);
  json::array snapshots;
  for (const SnapshotReport& snapshot : report.snapshots) {
    snapshots.push_back(json::object{{"path", snapshot.path},
                                     {"group", snapshot.group.value},
                                     {"index", snapshot.index.value},
                                     {"term", snapshot.term.value},
                                     {"bytes", snapshot.bytes}});
  }
  out["snapshots"] = std::move(snapshots);
  out["damages"] = json::array(report.damages.begin(), report.damages.end());
  return json::serialize(out) + "\n";
}

}  // namespace multiraft::inspect
