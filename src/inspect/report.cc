#include "inspect/report.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "host/snapshot_file.h"
#include "inspect/to_json.h"
#include "kv/rocks_verify.h"
#include "kv/snapshot_format.h"
#include "log/recovery.h"
#include "raft/conf_change.h"

namespace multiraft::inspect {
namespace {

using boost::json::array;
using boost::json::object;

constexpr std::string_view kSegmentMagic = "mrlogseg";
constexpr std::string_view kSnapshotMagic = "RMFTSNAP";
constexpr std::string_view kNodeMagic = "RMFTNODE";
constexpr std::string_view kPeersMagic = "RMFTPEER";

Status damaged_or(Status status, const std::string& file, std::vector<Damage>& damages) {
  if (status.code() != StatusCode::kCorruption && status.code() != StatusCode::kNotFound) {
    return status;
  }
  damages.push_back({file, 0, status.message(), {}});
  return Status::ok();
}

/// Collects what a report on a whole directory consists of.
class Reporter {
 public:
  Reporter(env::FileSystem& files, Depth depth) : files_(files), depth_(depth) {}

  Status state_directory(const std::string& path);
  Status log_directory(const std::string& path);
  Status single_file(const std::string& path);
  Report finish();

 private:
  Status node_file(const std::string& path);
  Status peers_file(const std::string& path);
  Status snapshot_file(const std::string& path);
  Status engine(const std::string& directory);
  Status add_log(Result<LogReport> log, bool whole);
  Status recover(const std::string& directory, object& out);
  Status check_footers(const std::string& directory, const log::GroupMap& groups);
  void check_configurations(const std::string& directory, log::GroupState& group);

  env::FileSystem& files_;
  const Depth depth_;
  object out_;
  array logs_;
  array snapshots_;
  /// What each group's log holds, where it can be read.
  struct LogBounds {
    LogIndex first;
    LogIndex last;
    bool installing = false;
  };
  absl::flat_hash_map<GroupId, LogBounds> logs_of_groups_;
  std::vector<Damage> damages_;
  array notes_;
};

Status Reporter::node_file(const std::string& path) {
  auto bytes = files_.read_file(path);
  if (!bytes) return damaged_or(bytes.status(), path, damages_);
  auto facts = state_dir::decode_facts(*bytes);
  if (!facts) return damaged_or(facts.status(), path, damages_);
  out_["node"] = to_json(*facts);
  return Status::ok();
}

Status Reporter::peers_file(const std::string& path) {
  auto exists = files_.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return Status::ok();
  auto bytes = files_.read_file(path);
  if (!bytes) return bytes.status();
  auto book = state_dir::decode_known_nodes(*bytes);
  if (!book) return damaged_or(book.status(), path, damages_);
  out_["peers"] = to_json(*book);
  return Status::ok();
}

Status Reporter::snapshot_file(const std::string& path) {
  object out{{"file", path}};
  uint64_t bytes = 0;
  uint64_t chunks = 0;
  auto read = [&]() -> Status {
    auto reader = host::SnapshotFileReader::open(files_, path);
    if (!reader) return reader.status();
    const host::SnapshotFileHeader& header = (*reader)->header();
    out["group"] = header.group.value;
    out["replica"] = header.replica.value;
    out["index"] = header.snapshot.index.value;
    out["term"] = header.snapshot.term.value;
    out["configuration"] = to_json(header.snapshot.conf_state);
    if (depth_ == Depth::kSummary) return Status::ok();
    kv::SnapshotDecoder content(header.snapshot.index, header.snapshot.term);
    const bool key_values = header.group != GroupId{};
    std::string chunk;
    while (true) {
      MR_RETURN_IF_ERROR((*reader)->next(chunk));
      if (chunk.empty()) break;
      bytes += chunk.size();
      ++chunks;
      if (!key_values) continue;
      MR_RETURN_IF_ERROR(content.append(chunk, [](const kv::Record&) { return Status::ok(); }));
    }
    return key_values ? content.finish() : Status::ok();
  };
  const Status status = read();
  if (!status) MR_RETURN_IF_ERROR(damaged_or(status, path, damages_));
  if (depth_ == Depth::kVerify) {
    out["chunks"] = chunks;
    out["bytes"] = bytes;
    out["ok"] = status.is_ok();
  }
  snapshots_.push_back(std::move(out));
  return Status::ok();
}

/// The states of the groups, and whether each fits its log: a start goes on from the one with the
/// other.
Status Reporter::engine(const std::string& directory) {
  auto positions = kv::verify_rocks(directory, depth_ == Depth::kVerify);
  if (!positions) return damaged_or(positions.status(), directory, damages_);
  array states;
  for (const kv::StoredPosition& state : *positions) {
    states.push_back(object{
        {"group", state.group.value}, {"applied", state.index.value}, {"term", state.term.value}});
    const auto log = logs_of_groups_.find(state.group);
    // Without a log it is what a removed replica left: it goes when it is in the way.
    if (log == logs_of_groups_.end() || log->second.installing) continue;
    const LogBounds& bounds = log->second;
    if (state.index + 1 >= bounds.first && state.index <= bounds.last) continue;
    damages_.push_back({directory,
                        0,
                        "the state stands at index " + to_string(state.index) +
                            " but its log holds " + to_string(bounds.first) + ".." +
                            to_string(bounds.last),
                        {state.group}});
  }
  out_["states"] = std::move(states);
  return Status::ok();
}

/// A start reads old segments by their footers: it has to come to the same as reading all records.
Status Reporter::check_footers(const std::string& directory, const log::GroupMap& groups) {
  log::GroupContext context;
  log::GroupMap by_footers;
  log::Recovery recovery(files_, directory, 0, context, by_footers);
  auto recovered = recovery.run();
  if (!recovered) return damaged_or(recovered.status(), directory, damages_);
  const std::string what = log::difference(groups, by_footers);
  if (!what.empty()) {
    damages_.push_back({directory, 0, "footers and records disagree in " + what, {}});
  }
  by_footers.clear();
  return Status::ok();
}

/// A start decodes every configuration change that the log holds.
void Reporter::check_configurations(const std::string& directory, log::GroupState& group) {
  for (LogIndex index : group.conf_change_indexes(group.first_index(), group.last_index() + 1)) {
    auto read = group.entries(index, index + 1, 1);
    if (!read) {
      damages_.push_back({directory, 0, read.status().message(), {group.group()}});
      continue;
    }
    auto change = raft::decode_conf_change(read->front().type, read->front().data);
    if (change) continue;
    damages_.push_back({directory,
                        0,
                        "entry " + to_string(index) +
                            " is listed as a configuration change: " + change.status().message(),
                        {group.group()}});
  }
}

/// What a start would make of the log.
Status Reporter::recover(const std::string& directory, object& out) {
  log::GroupContext context;
  log::GroupMap groups;
  log::Recovery recovery(files_, directory, std::numeric_limits<uint64_t>::max(), context, groups);
  auto recovered = recovery.run();
  if (!recovered) {
    if (recovered.status().code() != StatusCode::kCorruption) return recovered.status();
    out["served"] = false;
    out["refusal"] = recovered.status().message();
    const bool known = std::any_of(damages_.begin(), damages_.end(), [&](const Damage& damage) {
      return damage.file.starts_with(directory);
    });
    if (!known) damages_.push_back({directory, 0, recovered.status().message(), {}});
    return Status::ok();
  }
  out["served"] = true;
  array list;
  std::vector<GroupId> ids;
  for (const auto& [id, group] : groups) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (GroupId id : ids) {
    log::GroupState& group = *groups.at(id);
    check_configurations(directory, group);
    object entry{{"group", id.value},
                 {"replica", to_string(group.replica())},
                 {"hard_state", to_json(group.hard_state())},
                 {"mark", to_json(group.mark())},
                 {"first_index", group.first_index().value},
                 {"last_index", group.last_index().value},
                 {"bytes", group.bytes()}};
    logs_of_groups_[id] = {group.first_index(), group.last_index(),
                           group.announced_install() != nullptr};
    if (auto announced = group.announced_install()) entry["announced"] = to_json(*announced);
    list.push_back(std::move(entry));
  }
  out["groups"] = std::move(list);
  MR_RETURN_IF_ERROR(check_footers(directory, groups));
  groups.clear();  // They give back what they hold in the segments.
  return Status::ok();
}

Status Reporter::add_log(Result<LogReport> log, bool whole) {
  if (!log) return log.status();
  object out{{"directory", log->directory}};
  array segments;
  for (const SegmentReport& segment : log->segments) segments.push_back(to_json(segment));
  out["segments"] = std::move(segments);
  out["spares"] = log->spares;
  out["unfinished"] = log->unfinished;
  out["last_sequence"] = log->last_sequence;
  for (Damage& damage : log->damages) damages_.push_back(std::move(damage));
  if (log->torn_tail) {
    out["torn_tail"] = to_json(*log->torn_tail);
    notes_.push_back(to_json(*log->torn_tail));
  }
  if (whole) MR_RETURN_IF_ERROR(recover(log->directory, out));
  logs_.push_back(std::move(out));
  return Status::ok();
}

Status Reporter::log_directory(const std::string& path) {
  return add_log(walk_log(files_, path, nullptr), true);
}

Status Reporter::state_directory(const std::string& path) {
  out_["state_dir"] = path;
  MR_RETURN_IF_ERROR(node_file(path + "/node"));
  MR_RETURN_IF_ERROR(peers_file(path + "/peers"));
  auto logs = files_.exists(path + "/log");
  if (!logs) return logs.status();
  if (*logs) {
    auto names = files_.list(path + "/log");
    if (!names) return names.status();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      MR_RETURN_IF_ERROR(log_directory(path + "/log/" + name));
    }
  }
  auto rocks = files_.exists(path + "/kv/CURRENT");
  if (!rocks) return rocks.status();
  if (*rocks) MR_RETURN_IF_ERROR(engine(path + "/kv"));
  auto snapshots = files_.exists(path + "/snap");
  if (!snapshots) return snapshots.status();
  if (!*snapshots) return Status::ok();
  auto names = files_.list(path + "/snap");
  if (!names) return names.status();
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    // What ends in .tmp or is on its way in is removed at the next start.
    if (name.starts_with("state-") && !name.ends_with(".tmp")) {
      MR_RETURN_IF_ERROR(snapshot_file(path + "/snap/" + name));
    }
  }
  return Status::ok();
}

Status Reporter::single_file(const std::string& path) {
  auto file = files_.open(path, env::OpenMode::kRead);
  if (!file) return file.status();
  std::string magic(8, '\0');
  auto read = (*file)->read_at(0, magic);
  if (!read) return read.status();
  magic.resize(*read);
  if (magic == kSegmentMagic) return add_log(walk_segment(files_, path, nullptr), false);
  if (magic == kSnapshotMagic) return snapshot_file(path);
  if (magic == kNodeMagic) return node_file(path);
  if (magic == kPeersMagic) return peers_file(path);
  return {StatusCode::kInvalidArgument,
          path + ": neither a state directory, a log, nor a file of any known format"};
}

Report Reporter::finish() {
  Report report;
  if (!logs_.empty()) out_["logs"] = std::move(logs_);
  if (!snapshots_.empty()) out_["snapshots"] = std::move(snapshots_);
  if (!notes_.empty()) out_["notes"] = std::move(notes_);
  array damages;
  for (const Damage& damage : damages_) damages.push_back(to_json(damage));
  report.damages = damages_.size();
  out_["damage"] = std::move(damages);
  if (report.damages > 0) out_["how_to_heal"] = std::string(log::kHowToHeal);
  report.value = std::move(out_);
  return report;
}

enum class PathKind : uint8_t { kStateDirectory, kLogDirectory, kFile };

Result<PathKind> kind_of(env::FileSystem& files, const std::string& path) {
  auto exists = files.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return Status(StatusCode::kNotFound, path + ": there is no such file or directory");
  auto names = files.list(path);
  if (!names) return PathKind::kFile;
  for (const std::string& name : *names) {
    if (name == "node" || name == "log") return PathKind::kStateDirectory;
  }
  for (const std::string& name : *names) {
    if (log::parse_segment_file_name(name)) return PathKind::kLogDirectory;
  }
  return Status(StatusCode::kInvalidArgument,
                path + ": neither a node's state directory nor a log: it has neither a file " +
                    "\"node\", a folder \"log\", nor segments");
}

}  // namespace

Result<Report> report_on(env::FileSystem& files, const std::string& path, Depth depth) {
  auto kind = kind_of(files, path);
  if (!kind) return kind.status();
  Reporter reporter(files, depth);
  switch (*kind) {
    case PathKind::kStateDirectory:
      MR_RETURN_IF_ERROR(reporter.state_directory(path));
      break;
    case PathKind::kLogDirectory:
      MR_RETURN_IF_ERROR(reporter.log_directory(path));
      break;
    case PathKind::kFile:
      MR_RETURN_IF_ERROR(reporter.single_file(path));
      break;
  }
  return reporter.finish();
}

Result<uint64_t> dump(env::FileSystem& files, const std::string& path, const DumpFilter& filter,
                      const std::function<void(const boost::json::value&)>& line) {
  const RecordVisitor visit = [&](const WalkedRecord& walked) {
    const log::RecordView& record = walked.record;
    if (filter.group && record.group != *filter.group) return;
    if (filter.segment && walked.segment != *filter.segment) return;
    object out = to_json(walked);
    array entries;
    for (const log::EntryView& entry : record.entries) {
      if (entry.index < filter.from || entry.index > filter.to) continue;
      entries.push_back(to_json(record.group, entry));
    }
    if (entries.empty() && !record.entries.empty()) return;
    if (!entries.empty()) out["entries"] = std::move(entries);
    line(out);
  };
  auto kind = kind_of(files, path);
  if (!kind) return kind.status();
  std::vector<std::string> logs;
  if (*kind == PathKind::kStateDirectory) {
    auto names = files.list(path + "/log");
    if (!names) return names.status();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      if (name.find_first_not_of("0123456789") == std::string::npos) {
        logs.push_back(path + "/log/" + name);
      }
    }
  } else {
    logs.push_back(path);
  }
  uint64_t damages = 0;
  for (const std::string& each : logs) {
    auto walked =
        *kind == PathKind::kFile ? walk_segment(files, each, visit) : walk_log(files, each, visit);
    if (!walked) return walked.status();
    damages += walked->damages.size();
    for (const Damage& damage : walked->damages) line(object{{"damage", to_json(damage)}});
  }
  return damages;
}

}  // namespace multiraft::inspect
