// The commands of interaction files.

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "cluster.h"
#include "family.h"
#include "text.h"

namespace multiraft::conformance {
namespace {

using namespace multiraft::raft;  // The module under test.

/// Of nodes to add and of ticks: what is above it is a slip of the pen.
constexpr uint64_t kNumberMax = 1'000;

Status failure(std::string why) { return Status(StatusCode::kInvalidArgument, std::move(why)); }

std::optional<MessageType> parse_message_type(std::string_view name) {
  for (int value = 0; value < 64; ++value) {
    const auto type = static_cast<MessageType>(value);
    if (message_type_name(type) == name) return type;
  }
  return std::nullopt;
}

/// Bootstraps with these ids.
std::vector<ReplicaId> ids_of(const Argument* argument) {
  std::vector<ReplicaId> ids;
  if (argument == nullptr) return ids;
  for (const std::string& value : argument->values) {
    if (const auto number = parse_number(trim(value))) ids.emplace_back(*number);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

class Interaction final : public Family {
 public:
  explicit Interaction(uint64_t seed) : cluster_(seed) {}

  std::string run(const Directive& directive) override {
    out().take();
    d_ = &directive;
    const auto command = commands().find(directive.command);
    const Status status =
        command == commands().end() ? failure("unknown command") : (this->*command->second)();
    std::string shown = out().take();
    if (!status.is_ok()) {
      if (out().verbosity == Verbosity::kNone) return status.message();
      return shown + status.message();
    }
    return shown.empty() ? "ok" : shown;
  }

 private:
  using Command = Status (Interaction::*)();
  static const std::map<std::string, Command, std::less<>>& commands();

  Output& out() { return cluster_.out(); }
  std::vector<Node>& nodes() { return cluster_.nodes(); }

  /// The node that the bare argument at `position` names; null where there is none.
  Node* node(size_t position = 0) {
    const std::vector<std::string> bare = d_->bare();
    return position < bare.size() ? named(bare[position]) : nullptr;
  }
  Node* named(std::string_view text) {
    const auto id = parse_number(text);
    return id && *id >= 1 && *id <= nodes().size() ? &nodes()[*id - 1] : nullptr;
  }
  Node* node_of(std::string_view name) {
    const Argument* argument = d_->find(name);
    return argument != nullptr && !argument->values.empty() ? named(argument->values[0]) : nullptr;
  }
  static Status no_node() { return failure("no such node"); }
  std::optional<uint64_t> number_of(std::string_view name) const {
    const Argument* argument = d_->find(name);
    if (argument == nullptr || argument->values.empty()) return std::nullopt;
    return parse_number(argument->values[0]);
  }
  std::string text_of(std::string_view name) const {
    const Argument* argument = d_->find(name);
    return argument == nullptr || argument->values.empty() ? "" : argument->values[0];
  }
  Status on_node(const std::function<void(Raft&)>& action) {
    Node* target = node();
    if (target == nullptr) return no_node();
    action(*target->core);
    return Status::ok();
  }
  /// Runs `action` for each bare id, under a heading where there are several.
  Status for_each(const char* what, Status (Cluster::*action)(Node&));
  Status verbosity_of(const std::string& name, Verbosity& verbosity) const;

  Status log_level();
  Status add_nodes();
  Status campaign() {
    return on_node([](Raft& core) { core.campaign(); });
  }
  Status tick(uint32_t Config::*count);
  Status tick_heartbeat() { return tick(&Config::heartbeat_ticks); }
  Status tick_election() { return tick(&Config::election_ticks); }
  Status set_timeout();
  Status propose();
  Status propose_conf_change();
  Status process_ready() { return for_each("handling Ready", &Cluster::process_ready); }
  Status process_append_thread() {
    return for_each("processing append thread", &Cluster::process_append_work);
  }
  Status process_apply_thread() {
    return for_each("processing apply thread", &Cluster::process_apply_work);
  }
  Status deliver();
  Status stabilize();
  Status status();
  Status raft_state();
  Status raft_log();
  Status show_log(Node& shown);
  Status compact();
  Status transfer();
  Status forget_leader() {
    return on_node([](Raft& core) { core.forget_leader(); });
  }
  Status report_unreachable();
  Status report_snapshot();
  Status send_snapshot();
  Status read_index();
  Status restart();
  Status breakpoint() { return Status::ok(); }

  Cluster cluster_;
  const Directive* d_ = nullptr;
};

const std::map<std::string, Interaction::Command, std::less<>>& Interaction::commands() {
  static const std::map<std::string, Command, std::less<>> kCommands = {
      {"log-level", &Interaction::log_level},
      {"add-nodes", &Interaction::add_nodes},
      {"campaign", &Interaction::campaign},
      {"tick-heartbeat", &Interaction::tick_heartbeat},
      {"tick-election", &Interaction::tick_election},
      {"set-randomized-election-timeout", &Interaction::set_timeout},
      {"propose", &Interaction::propose},
      {"propose-conf-change", &Interaction::propose_conf_change},
      {"process-ready", &Interaction::process_ready},
      {"process-append-thread", &Interaction::process_append_thread},
      {"process-apply-thread", &Interaction::process_apply_thread},
      {"deliver-msgs", &Interaction::deliver},
      {"stabilize", &Interaction::stabilize},
      {"status", &Interaction::status},
      {"raft-state", &Interaction::raft_state},
      {"raft-log", &Interaction::raft_log},
      {"compact", &Interaction::compact},
      {"transfer-leadership", &Interaction::transfer},
      {"forget-leader", &Interaction::forget_leader},
      {"report-unreachable", &Interaction::report_unreachable},
      {"send-snapshot", &Interaction::send_snapshot},
      {"_breakpoint", &Interaction::breakpoint},
      // Beyond the upstream files, for scenarios of our own.
      {"report-snapshot", &Interaction::report_snapshot},
      {"read-index", &Interaction::read_index},
      {"restart", &Interaction::restart},
  };
  return kCommands;
}

Status Interaction::for_each(const char* what, Status (Cluster::*action)(Node&)) {
  const std::vector<std::string> ids = d_->bare();
  if (ids.size() == 1) {
    Node* target = named(ids[0]);
    return target == nullptr ? no_node() : (cluster_.*action)(*target);
  }
  for (const std::string& id : ids) {
    Node* target = named(id);
    if (target == nullptr) return no_node();
    out().line("> " + id + " " + what);
    Status status;
    out().indented([&] { status = (cluster_.*action)(*target); });
    if (!status.is_ok()) return status;
  }
  return Status::ok();
}

Status Interaction::verbosity_of(const std::string& name, Verbosity& verbosity) const {
  const auto parsed = parse_verbosity(name);
  if (!parsed) return failure("log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
  verbosity = *parsed;
  return Status::ok();
}

Status Interaction::log_level() {
  const std::vector<std::string> names = d_->bare();
  return verbosity_of(names.empty() ? "" : names[0], out().verbosity);
}

Status Interaction::add_nodes() {
  Config config;
  config.election_ticks = 3;
  config.heartbeat_ticks = 1;
  config.inflight_messages_max = (size_t{1} << 31) - 1;
  config.pre_vote = d_->flag("prevote");
  config.commit_in_rejections = false;  // The scenarios print answers without it.
  config.check_quorum = d_->flag("checkquorum");
  config.async_storage_writes = d_->flag("async-storage-writes");
  config.disable_conf_change_validation = d_->flag("disable-conf-change-validation");
  config.step_down_on_removal = d_->flag("step-down-on-removal");
  config.inflight_messages_max = number_of("inflight").value_or(config.inflight_messages_max);
  config.committed_bytes_per_ready_max =
      number_of("max-committed-size-per-ready").value_or(SIZE_MAX);
  // Beyond the upstream files.
  config.disable_proposal_forwarding = d_->flag("disable-proposal-forwarding");
  config.message_bytes_max = number_of("max-message-size").value_or(SIZE_MAX);
  config.inflight_bytes_max = number_of("inflight-bytes").value_or(SIZE_MAX);
  config.uncommitted_bytes_max = number_of("max-uncommitted-size").value_or(SIZE_MAX);

  const std::string read_only = text_of("read-only");
  if (read_only == "lease-based") {
    config.promise_ms = 1;  // All promise the same.
  } else if (!read_only.empty() && read_only != "safe") {
    return failure("invalid read-only option \"" + read_only + "\"");
  }

  Snapshot position;
  position.conf_state.voters = ids_of(d_->find("voters"));
  position.conf_state.learners = ids_of(d_->find("learners"));
  position.index = LogIndex(number_of("index").value_or(0));
  MachineSnapshot bootstrap;
  bootstrap.data = text_of("content");
  if (!position.conf_state.empty() || position.index || !bootstrap.data.empty()) {
    position.term = Term(1);
  }
  bootstrap.position = std::make_shared<const Snapshot>(std::move(position));
  const std::vector<std::string> bare = d_->bare();
  const auto count = bare.empty() ? std::nullopt : parse_number(bare[0]);
  if (!count || *count > kNumberMax) return failure("add-nodes needs a number");
  return cluster_.add_nodes(*count, config, bootstrap);
}

Status Interaction::tick(uint32_t Config::*count) {
  Node* target = node();
  if (target == nullptr) return no_node();
  for (uint32_t i = 0; i < target->config.*count; ++i) {
    if (target->lease) target->lease->tick();
    target->core->tick();
  }
  return Status::ok();
}

Status Interaction::set_timeout() {
  Node* target = node();
  const auto timeout = number_of("timeout");
  if (target == nullptr || !timeout || *timeout == 0 || *timeout > kNumberMax) {
    return failure("set-randomized-election-timeout needs a node and a number");
  }
  target->core->set_randomized_election_timeout(static_cast<uint32_t>(*timeout));
  return Status::ok();
}

Status Interaction::propose() {
  Node* target = node();
  if (target == nullptr || d_->arguments.size() < 2) return no_node();
  const std::string& data = d_->arguments[1].name;
  const auto position = target->core->propose({SharedBytes::copy_of(data)});
  return position.is_ok() ? Status::ok() : failure("raft proposal dropped");
}

Status Interaction::propose_conf_change() {
  Node* target = node();
  if (target == nullptr) return no_node();
  ConfChange change;
  change.v1 = d_->flag("v1");
  const std::string transition = text_of("transition");
  if (transition == "implicit") {
    change.transition = ConfChangeTransition::kJointImplicit;
  } else if (transition == "explicit") {
    change.transition = ConfChangeTransition::kJointExplicit;
  } else if (!transition.empty() && transition != "auto") {
    return failure("unknown transition " + transition);
  }
  std::string error;
  if (!parse_conf_ops(d_->input, change.changes, error)) return failure(error);
  if (change.v1 &&
      (change.changes.size() > 1 || change.transition != ConfChangeTransition::kAuto)) {
    return failure("v1 conf change can only have one operation and no transition");
  }
  if (change.v1 && change.changes.empty()) change.changes.emplace_back();
  const auto position = target->core->propose_conf_change(change);
  const bool proposed = position.is_ok() || position.status().code() == StatusCode::kConflict;
  return proposed ? Status::ok() : failure("raft proposal dropped");
}

Status Interaction::deliver() {
  std::vector<Recipient> recipients;
  std::optional<MessageType> type;
  for (const Argument& argument : d_->arguments) {
    if (argument.values.empty()) {
      const auto id = parse_number(argument.name);
      if (!id || *id == 0 || *id > nodes().size()) return no_node();
      recipients.push_back({ReplicaId(*id), false});
    } else if (argument.name == "type") {
      type = parse_message_type(argument.values[0]);
      if (!type) return failure("unknown message type " + argument.values[0]);
    } else if (argument.name == "drop") {
      for (const std::string& value : argument.values) {
        const auto id = parse_number(trim(value));
        if (!id) return no_node();
        const ReplicaId dropping(*id);
        for (const Recipient& known : recipients) {
          if (known.id == dropping && !known.drop) {
            return failure("can't both deliver and drop msgs to " + value);
          }
        }
        recipients.push_back({dropping, true});
      }
    }
  }
  if (cluster_.deliver(recipients, type) == 0) out().write("no messages");
  return Status::ok();
}

Status Interaction::stabilize() {
  std::vector<size_t> which;
  for (const std::string& id : d_->bare()) {
    Node* target = named(id);
    if (target == nullptr) return no_node();
    which.push_back(target->config.id.value - 1);
  }
  if (which.empty()) {
    for (size_t at = 0; at < nodes().size(); ++at) which.push_back(at);
  }
  const Verbosity before = out().verbosity;
  if (d_->find("log-level") != nullptr) {
    const Status parsed = verbosity_of(text_of("log-level"), out().verbosity);
    if (!parsed.is_ok()) return parsed;
  }
  const Status status = cluster_.stabilize(which);
  out().verbosity = before;
  return status;
}

Status Interaction::status() {
  Node* target = node();
  if (target == nullptr) return no_node();
  for (const MemberProgress& member : target->core->status().members) {
    out().line(to_string(member.id) + ": " + progress_text(member));
  }
  return Status::ok();
}

Status Interaction::raft_state() {
  for (const Node& shown : nodes()) {
    const Raft& core = *shown.core;
    const ConfState& conf = core.conf_state();
    const auto votes_in = [&](const std::vector<ReplicaId>& voters) {
      return std::find(voters.begin(), voters.end(), shown.config.id) != voters.end();
    };
    const bool voter = votes_in(conf.voters) || votes_in(conf.voters_outgoing);
    out().line(to_string(shown.config.id) + ": " + std::string(role_name(core.role())) +
               (voter ? " (Voter)" : " (Non-Voter)") + " Term:" + to_string(core.term()) +
               " Lead:" + to_string(core.leader()));
  }
  return Status::ok();
}

Status Interaction::show_log(Node& shown) {
  testing::MemoryStorage& storage = *shown.storage;
  const LogIndex first = storage.first_index();
  const LogIndex last = storage.last_index();
  if (last < first) {
    out().write("log is empty: first index=" + to_string(first) +
                ", last index=" + to_string(last));
    return Status::ok();
  }
  const auto entries = storage.entries(first, last + 1, SIZE_MAX);
  for (const Entry& entry : *entries) out().line(entry_text(entry));
  return Status::ok();
}

Status Interaction::raft_log() {
  Node* target = node();
  return target == nullptr ? no_node() : show_log(*target);
}

Status Interaction::compact() {
  Node* target = node();
  const std::vector<std::string> bare = d_->bare();
  const auto index = bare.size() < 2 ? std::nullopt : parse_number(bare[1]);
  if (target == nullptr || !index) return no_node();
  if (LogIndex(*index) > target->storage->last_index()) return failure("beyond the log");
  MR_RETURN_IF_ERROR(target->storage->compact(LogIndex(*index)));
  return show_log(*target);
}

Status Interaction::transfer() {
  Node* from = node_of("from");
  const auto to = number_of("to");
  if (from == nullptr || !to) return no_node();
  from->core->transfer_leadership(ReplicaId(*to));
  return Status::ok();
}

Status Interaction::report_unreachable() {
  const std::vector<std::string> bare = d_->bare();
  const auto member = bare.size() == 2 ? parse_number(bare[1]) : std::nullopt;
  if (node() == nullptr || !member) return no_node();
  node()->core->report_unreachable(ReplicaId(*member));
  return Status::ok();
}

Status Interaction::report_snapshot() {
  const std::vector<std::string> bare = d_->bare();
  const auto member = bare.size() >= 2 ? parse_number(bare[1]) : std::nullopt;
  if (node() == nullptr || !member) return no_node();
  node()->core->report_snapshot(ReplicaId(*member), text_of("ok") != "false");
  return Status::ok();
}

Status Interaction::send_snapshot() {
  Node* from = node(0);
  Node* to = node(1);
  if (from == nullptr || to == nullptr) return no_node();
  Message message;
  message.type = MessageType::kSnap;
  message.from = from->config.id;
  message.to = to->config.id;
  message.term = from->core->term();
  message.snapshot = from->history.back().position;
  out().line(message_text(message));
  cluster_.network().push_back(std::move(message));
  return Status::ok();
}

Status Interaction::read_index() {
  const std::vector<std::string> bare = d_->bare();
  const auto id = bare.size() == 2 ? parse_number(bare[1]) : std::nullopt;
  if (node() == nullptr || !id) return no_node();
  node()->core->read_index(ReadId(*id), node()->lease ? ReadMode::kLease : ReadMode::kConfirmed);
  return Status::ok();
}

Status Interaction::restart() {
  Node* target = node();
  return target == nullptr ? no_node() : cluster_.restart(*target);
}

}  // namespace

std::unique_ptr<Family> make_interaction(uint64_t seed) {
  return std::make_unique<Interaction>(seed);
}

}  // namespace multiraft::conformance
