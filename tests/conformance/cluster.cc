#include "cluster.h"

#include <algorithm>
#include <utility>

#include "script.h"
#include "text.h"

namespace multiraft::conformance {

using namespace multiraft::raft;  // The module under test.

namespace {

constexpr std::string_view kLevels[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"};

bool is_local_thread(ReplicaId id) { return id == kLocalAppend || id == kLocalApply; }

bool is_local(const Message& message) {
  return message.from == message.to || is_local_thread(message.from) || is_local_thread(message.to);
}

/// The files show local work as messages to local threads.
Message append_message(const Node& node, const StorageAppend& append) {
  Message message;
  message.type = MessageType::kStorageAppend;
  message.from = node.config.id;
  message.to = kLocalAppend;
  if (append.hard_state) {
    message.term = append.hard_state->term;
    message.vote = append.hard_state->vote;
    message.commit = append.hard_state->commit;
  }
  message.snapshot = append.snapshot;
  message.entries = append.entries;
  message.responses = append.responses;
  return message;
}

Message apply_message(const Node& node, const StorageApply& apply) {
  Message message;
  message.type = MessageType::kStorageApply;
  message.from = node.config.id;
  message.to = kLocalApply;
  message.entries = apply.entries;
  message.responses = apply.responses;
  for (Message& response : message.responses) response.entries = apply.entries;
  return message;
}

}  // namespace

std::optional<Verbosity> parse_verbosity(std::string_view name) {
  const std::string wanted = upper(name);
  for (size_t i = 0; i < std::size(kLevels); ++i) {
    if (wanted == kLevels[i]) return static_cast<Verbosity>(i);
  }
  return std::nullopt;
}

void Output::indented(const std::function<void()>& body) {
  std::string outer = std::exchange(text_, {});
  body();
  const std::string inner = std::exchange(text_, std::move(outer));
  for (const std::string& inner_line : split_lines(inner)) line("  " + inner_line);
}

Verbosity Output::verbosity_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return Verbosity::kDebug;
    case LogLevel::kRoutine:
    case LogLevel::kInfo:
      return Verbosity::kInfo;
    case LogLevel::kWarn:
      return Verbosity::kWarn;
    case LogLevel::kError:
      return Verbosity::kError;
    case LogLevel::kFatal:
      return Verbosity::kFatal;
  }
  return Verbosity::kNone;
}

void Output::log(LogLevel level, std::string_view text) {
  write(kLevels[static_cast<size_t>(verbosity_of(level))]);
  write(" ");
  line(text);
}

Status Cluster::add_nodes(size_t count, const Config& config, const MachineSnapshot& bootstrap) {
  for (size_t i = 0; i < count; ++i) {
    Node node;
    node.config = config;
    node.config.id = ReplicaId(nodes_.size() + 1);
    node.config.random_seed = seed_ * 1000 + node.config.id.value;
    node.config.logger = &out_;
    node.storage = std::make_unique<testing::MemoryStorage>();
    const bool blank = bootstrap.position->empty() && bootstrap.data.empty() &&
                       bootstrap.position->conf_state.empty();
    if (!blank) {
      if (bootstrap.position->index <= LogIndex(1)) {
        return Status(StatusCode::kInvalidArgument,
                      "index must be specified as > 1 due to bootstrap");
      }
      MR_RETURN_IF_ERROR(node.storage->apply_snapshot(*bootstrap.position));
      node.config.applied = bootstrap.position->index;
    }
    node.history.push_back(bootstrap);
    nodes_.push_back(std::move(node));
    if (const Status started = start(nodes_.back()); !started.is_ok()) {
      nodes_.pop_back();
      return started;
    }
  }
  return Status::ok();
}

Status Cluster::start(Node& node) {
  const size_t at = node.config.id.value - 1;
  node.storage->set_snapshot_source([this, at]() -> Result<std::shared_ptr<const Snapshot>> {
    return nodes_[at].history.back().position;
  });
  MR_RETURN_IF_ERROR(Raft::check_start(node.config, *node.storage));
  if (node.config.promise_ms > 0) {
    node.lease = std::make_unique<raft::testing::TickLease>(node.config.election_ticks);
    node.config.lease = node.lease.get();
  }
  node.core = std::make_unique<Raft>(node.config, *node.storage);
  node.shown = node.core->status().hard_state;
  return Status::ok();
}

Status Cluster::restart(Node& node) {
  node.core.reset();
  node.append_work.clear();
  node.apply_work.clear();
  const MachineSnapshot& state = node.history.back();
  const LogIndex mark = node.storage->first_index() - 1;
  node.config.applied = mark;
  if (state.position->index >= mark) {
    node.config.applied = state.position->index;
    node.storage->set_conf_state(state.position->conf_state);
  }
  return start(node);
}

void Cluster::show_ready(Node& node, const Ready& ready, const std::vector<Message>& messages) {
  const StorageAppend nothing;
  const StorageAppend& append = ready.append ? *ready.append : nothing;
  bool must_sync = !append.entries.empty();
  if (append.hard_state) {
    must_sync = must_sync || append.hard_state->term != node.shown.term ||
                append.hard_state->vote != node.shown.vote;
    node.shown = *append.hard_state;
  }
  const bool nothing_to_show = !ready.soft_state && !append.hard_state && !append.snapshot &&
                               append.entries.empty() && ready.read_states.empty() &&
                               !ready.apply && messages.empty();
  if (nothing_to_show) {
    out_.write("<empty Ready>");
    return;
  }
  out_.line(std::string("Ready MustSync=") + (must_sync ? "true" : "false") + ":");
  if (ready.soft_state) {
    out_.line("Lead:" + to_string(ready.soft_state->leader) +
              " State:" + std::string(role_name(ready.soft_state->role)));
  }
  if (append.hard_state) out_.line("HardState " + hard_state_text(*append.hard_state));
  if (!ready.read_states.empty()) {
    std::string reads = "ReadStates";
    for (const ReadState& read : ready.read_states) {
      reads += " " + to_string(read.id) + ":" +
               (read.failed ? std::string("failed") : to_string(read.index));
    }
    out_.line(reads);
  }
  if (!append.entries.empty()) out_.line("Entries:");
  for (const Entry& entry : append.entries) out_.line(entry_text(entry));
  if (append.snapshot) out_.line("Snapshot " + snapshot_text(*append.snapshot));
  if (ready.apply) {
    out_.line("CommittedEntries:");
    for (const Entry& entry : ready.apply->entries) out_.line(entry_text(entry));
  }
  if (!messages.empty()) out_.line("Messages:");
  for (const Message& message : messages) out_.line(message_text(message));
}

Status Cluster::process_ready(Node& node) {
  if (node.lease) node.lease->about_to_send(*node.core);
  const Ready ready = node.core->ready();
  const bool async = node.config.async_storage_writes;
  std::vector<Message> messages = ready.messages;
  if (async && ready.append) messages.push_back(append_message(node, *ready.append));
  if (async && ready.apply) messages.push_back(apply_message(node, *ready.apply));
  show_ready(node, ready, messages);

  if (!async && ready.append) {
    const HardState state = ready.append->hard_state.value_or(HardState{});
    MR_RETURN_IF_ERROR(persist(node, state, ready.append->snapshot, ready.append->entries));
  }
  if (!async && ready.apply) apply(node, ready.apply->entries);
  for (Message& message : messages) {
    auto& queue = message.to == kLocalAppend  ? node.append_work
                  : message.to == kLocalApply ? node.apply_work
                                              : network_;
    queue.push_back(std::move(message));
  }
  if (!async) node.core->advance();
  return Status::ok();
}

Status Cluster::persist(Node& node, const HardState& state,
                        const std::shared_ptr<const Snapshot>& snapshot,
                        const std::vector<Entry>& entries) {
  if (!state.empty()) node.storage->set_hard_state(state);
  if (snapshot && !entries.empty()) {
    return Status(StatusCode::kConflict, "can't apply snapshot and entries at the same time");
  }
  if (snapshot) return node.storage->apply_snapshot(*snapshot);
  node.storage->append(entries);
  return Status::ok();
}

void Cluster::apply(Node& node, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    const MachineSnapshot& previous = node.history.back();
    MachineSnapshot next;
    next.data = previous.data;
    ConfState conf = previous.position->conf_state;
    if (entry.type == EntryType::kNormal) {
      next.data += entry.data.view();
    } else {
      Result<ConfChange> change = decode_conf_change(entry.type, entry.data);
      next.data += change->context.view();
      conf = node.core->apply_conf_change(*change);
    }
    next.position =
        std::make_shared<const Snapshot>(Snapshot{entry.index, entry.term, std::move(conf)});
    node.history.push_back(std::move(next));
  }
}

Status Cluster::process_append_work(Node& node) {
  if (node.append_work.empty()) {
    out_.write("no append work to perform");
    return Status::ok();
  }
  Message work = std::move(node.append_work.front());
  node.append_work.erase(node.append_work.begin());
  std::vector<Message> responses = std::exchange(work.responses, {});
  out_.line("Processing:");
  out_.line(message_text(work));
  MR_RETURN_IF_ERROR(
      persist(node, {work.term, work.vote, work.commit}, work.snapshot, work.entries));
  out_.line("Responses:");
  for (Message& response : responses) {
    out_.line(message_text(response));
    network_.push_back(std::move(response));
  }
  return Status::ok();
}

Status Cluster::process_apply_work(Node& node) {
  if (node.apply_work.empty()) {
    out_.write("no apply work to perform");
    return Status::ok();
  }
  Message work = std::move(node.apply_work.front());
  node.apply_work.erase(node.apply_work.begin());
  std::vector<Message> responses = std::exchange(work.responses, {});
  out_.line("Processing:");
  out_.line(message_text(work));
  apply(node, work.entries);
  out_.line("Responses:");
  for (Message& response : responses) {
    out_.line(message_text(response));
    network_.push_back(std::move(response));
  }
  return Status::ok();
}

size_t Cluster::deliver(const std::vector<Recipient>& recipients, std::optional<MessageType> type) {
  size_t touched = 0;
  for (const Recipient& recipient : recipients) {
    std::vector<Message> taken;
    std::vector<Message> left;
    for (Message& message : network_) {
      const bool wanted = message.to == recipient.id && (!type || message.type == *type) &&
                          !(recipient.drop && is_local(message));
      (wanted ? taken : left).push_back(std::move(message));
    }
    network_ = std::move(left);
    touched += taken.size();
    for (Message& message : taken) {
      out_.line((recipient.drop ? "dropped: " : "") + message_text(message));
      if (recipient.drop) continue;
      const bool proposal = message.type == MessageType::kProp;
      const Status status = nodes_[recipient.id.value - 1].core->step(std::move(message));
      if (status.is_ok()) continue;
      out_.line(proposal ? "raft proposal dropped" : status.message());
    }
  }
  return touched;
}

bool Cluster::has_messages_for(ReplicaId id) const {
  return std::any_of(network_.begin(), network_.end(),
                     [&](const Message& message) { return message.to == id; });
}

Status Cluster::stabilize(const std::vector<size_t>& which) {
  Status status;
  const auto note = [&](const Status& result) {
    if (status.is_ok()) status = result;
  };
  const auto heading = [&](const Node& node, std::string_view what) {
    out_.line("> " + to_string(node.config.id) + " " + std::string(what));
  };
  for (bool done = false; !done && status.is_ok();) {
    done = true;
    for (size_t at : which) {
      Node& node = nodes_[at];
      if (!node.core->has_ready()) continue;
      done = false;
      heading(node, "handling Ready");
      out_.indented([&] { note(process_ready(node)); });
    }
    for (size_t at : which) {
      Node& node = nodes_[at];
      if (!has_messages_for(node.config.id)) continue;
      done = false;
      heading(node, "receiving messages");
      out_.indented([&] { deliver({{node.config.id, false}}); });
    }
    for (size_t at : which) {
      Node& node = nodes_[at];
      if (node.append_work.empty()) continue;
      done = false;
      heading(node, "processing append thread");
      while (!node.append_work.empty() && status.is_ok()) {
        out_.indented([&] { note(process_append_work(node)); });
      }
    }
    for (size_t at : which) {
      Node& node = nodes_[at];
      if (node.apply_work.empty()) continue;
      done = false;
      heading(node, "processing apply thread");
      while (!node.apply_work.empty() && status.is_ok()) {
        out_.indented([&] { note(process_apply_work(node)); });
      }
    }
  }
  return status;
}

}  // namespace multiraft::conformance
