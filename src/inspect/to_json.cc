#include "inspect/to_json.h"

#include <boost/json/value_from.hpp>

#include <array>
#include <cstdio>

#include "kv/command.h"
#include "raft/conf_change.h"
#include "registry/command.h"

namespace multiraft::inspect {
namespace {

using boost::json::array;
using boost::json::object;

array ids(const std::vector<ReplicaId>& replicas) {
  array out;
  for (ReplicaId id : replicas) out.emplace_back(to_string(id));
  return out;
}

std::string hex(uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string_view phase_name(state_dir::NodePhase phase) {
  switch (phase) {
    case state_dir::NodePhase::kJoining:
      return "joining";
    case state_dir::NodePhase::kMember:
      return "member";
    case state_dir::NodePhase::kRemoved:
      return "removed";
    case state_dir::NodePhase::kFounding:
      return "founding";
  }
  return "unknown";
}

std::string_view entry_type_name(raft::EntryType type) {
  switch (type) {
    case raft::EntryType::kNormal:
      return "normal";
    case raft::EntryType::kConfChange:
      return "conf_change";
    case raft::EntryType::kConfChangeV2:
      return "conf_change_v2";
  }
  return "unknown";
}

constexpr std::array<std::string_view, std::variant_size_v<registry::RegistryCommand>>
    kRegistryCommands = {"Bootstrap",         "RegisterNode",  "CreateGroup",
                         "AddMember",         "RemoveMember",  "ReplicaRemoved",
                         "SetRole",           "UpdateNode",    "MarkNodeLeaving",
                         "SetRegistryVoters", "MemberSettled", "RaiseClusterVersion",
                         "RestoreRegistry"};

object registry_command(std::string_view data) {
  auto command = registry::decode_command(data);
  if (!command) return {{"error", command.status().message()}};
  return {{"registry", std::string(kRegistryCommands[command->index()])}};
}

object key_value_command(std::string_view data) {
  kv::CommandView command;
  const kv::ResultCode code = kv::decode_command(data, command);
  if (code != kv::ResultCode::kApplied) {
    return {{"error", std::string(kv::result_code_name(static_cast<uint64_t>(code)))}};
  }
  object out;
  const bool put = command.kind == kv::CommandKind::kPut;
  out[put ? "put" : "delete"] = printable(command.key);
  if (put) out["value_bytes"] = command.value.size();
  return out;
}

object conf_change(const log::EntryView& entry) {
  auto change = raft::decode_conf_change(entry.type, entry.data);
  if (!change) return {{"error", change.status().message()}};
  array operations;
  for (const raft::ConfChangeSingle& single : change->changes) {
    operations.push_back(object{{"operation", static_cast<uint64_t>(single.op)},
                                {"replica", to_string(single.replica)}});
  }
  return {{"changes", std::move(operations)},
          {"transition", static_cast<uint64_t>(change->transition)}};
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      out.push_back(c);
    } else {
      std::array<char, 5> text{};
      std::snprintf(text.data(), text.size(), "\\x%02x", static_cast<unsigned char>(c));
      out += text.data();
    }
  }
  return out;
}

object to_json(const raft::ConfState& conf) {
  object out{{"voters", ids(conf.voters)}};
  if (!conf.voters_outgoing.empty()) out["voters_outgoing"] = ids(conf.voters_outgoing);
  if (!conf.learners.empty()) out["learners"] = ids(conf.learners);
  if (!conf.learners_next.empty()) out["learners_next"] = ids(conf.learners_next);
  if (conf.auto_leave) out["auto_leave"] = true;
  return out;
}

object to_json(const raft::Snapshot& snapshot) {
  return {{"index", snapshot.index.value},
          {"term", snapshot.term.value},
          {"configuration", to_json(snapshot.conf_state)}};
}

object to_json(const raft::HardState& state) {
  return {
      {"term", state.term.value}, {"vote", to_string(state.vote)}, {"commit", state.commit.value}};
}

object to_json(const state_dir::NodeFacts& facts) {
  return {{"id", facts.node.value},
          {"cluster", hex(facts.cluster.value)},
          {"uuid", hex(facts.uuid.high) + hex(facts.uuid.low)},
          {"phase", std::string(phase_name(facts.phase))},
          {"serial_floor", facts.serial_floor},
          {"life", facts.life},
          {"cluster_version", facts.cluster_version},
          {"registry_floor", facts.registry_floor}};
}

array to_json(const state_dir::KnownNodes& book) {
  array out;
  for (const state_dir::NodeAddress& node : book.nodes) {
    out.push_back(object{{"id", node.node.value}, {"raft", node.raft_address}});
  }
  return out;
}

object to_json(const SegmentReport& segment) {
  object out{{"file", segment.file},
             {"id", segment.id},
             {"state", std::string(segment.state)},
             {"bytes", segment.bytes}};
  if (segment.bytes != segment.made_bytes) out["made_bytes"] = segment.made_bytes;
  if (segment.batches == 0) return out;
  out["batches"] = segment.batches;
  out["records"] = segment.records;
  out["entries"] = segment.entries;
  out["first_sequence"] = segment.first_sequence;
  out["last_sequence"] = segment.last_sequence;
  out["synced"] = segment.synced;
  out["footer"] = segment.footer;
  return out;
}

object to_json(const Damage& damage) {
  object out{{"file", damage.file}, {"offset", damage.offset}, {"what", damage.what}};
  if (!damage.groups.empty()) {
    array groups;
    for (GroupId group : damage.groups) groups.emplace_back(group.value);
    out["groups"] = std::move(groups);
  }
  return out;
}

object to_json(GroupId group, const log::EntryView& entry) {
  object out{{"index", entry.index.value},
             {"term", entry.term.value},
             {"type", std::string(entry_type_name(entry.type))},
             {"bytes", entry.data.size()}};
  if (entry.type != raft::EntryType::kNormal) {
    out["change"] = conf_change(entry);
  } else if (!entry.data.empty()) {
    out["command"] =
        group == GroupId{} ? registry_command(entry.data) : key_value_command(entry.data);
  }
  return out;
}

object to_json(const WalkedRecord& walked) {
  const log::RecordView& record = walked.record;
  object out{
      {"segment", walked.segment},   {"offset", walked.offset},
      {"sequence", walked.sequence}, {"record", std::string(log::record_type_name(record.type))},
      {"group", record.group.value}, {"replica", to_string(record.replica)}};
  if (record.hard_state) out["hard_state"] = to_json(*record.hard_state);
  if (record.mark) out["mark"] = to_json(*record.mark);
  if (record.announced) out["announced"] = to_json(*record.announced);
  return out;
}

}  // namespace multiraft::inspect
