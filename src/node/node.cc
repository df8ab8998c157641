#include "node/node.h"

#include <utility>

#include "cluster/node_files.h"

namespace multiraft::node {

/// Passes what the host reports to the controller, and what a program may want to know to the
/// listener.
class Node::Observer final : public host::HostObserver {
 public:
  Observer(NodeListener& listener, cluster::Controller& controller)
      : listener_(listener), controller_(controller) {}

  void on_leadership(GroupId group, const raft::SoftState& state, Term term) override {
    listener_.on_leadership(group, state, term);
    controller_.on_leadership(group, state, term);
  }
  void on_conf_state(GroupId group, const raft::ConfState& state) override {
    controller_.on_conf_state(group, state);
  }
  void on_applied(GroupId group, LogIndex applied) override {
    controller_.on_applied(group, applied);
  }
  void on_stray_message(GroupId group, NodeId from_node, ReplicaId from, ReplicaId to) override {
    controller_.on_stray_message(group, from_node, from, to);
  }
  void on_request(NodeId from, wire::Request request,
                  Callback<void(StatusCode, SharedBytes)> respond) override {
    controller_.on_request(from, std::move(request), std::move(respond));
  }
  void on_node_down(NodeId down) override { controller_.on_node_down(down); }
  void on_fatal(const Status& status) override { controller_.on_fatal(status); }

 private:
  NodeListener& listener_;
  cluster::Controller& controller_;
};

Node::Node(env::Environment& env, NodeListener& listener) : env_(env), listener_(listener) {}

Node::~Node() {
  stop();
  abandon();
}

Status Node::open(NodeId id, const std::string& state_dir, bool founds_cluster) {
  auto identity = state_dir::NodeIdentity::open(env_, state_dir, id, founds_cluster);
  if (!identity) return identity.status();
  identity_ = std::move(*identity);
  return Status::ok();
}

Status Node::start(NodeOptions options) {
  start_controller(std::move(options.cluster));
  observer_ = std::make_unique<Observer>(listener_, *controller_);
  auto host = host::NodeHost::start(complete(options), env_, *observer_);
  if (!host) return host.status();
  host_ = std::move(*host);
  if (Status status = controller_->attach(*host_); !status) {
    return Status(StatusCode::kConflict, status.message());
  }
  return Status::ok();
}

void Node::start_controller(cluster::ControllerOptions options) {
  cluster::ControllerCallbacks callbacks;
  callbacks.on_ready = [this] { listener_.on_ready(); };
  callbacks.on_removed = [this] { listener_.on_removed(); };
  callbacks.on_replaced = [this](const Status& status) { listener_.on_replaced(status); };
  callbacks.on_other_cluster = [this](const Status& status) { listener_.on_other_cluster(status); };
  callbacks.on_unsupported = [this](const Status& status) { listener_.on_unsupported(status); };
  callbacks.on_force_refused = [this](const Status& status) { listener_.on_force_refused(status); };
  callbacks.on_refused = [this](const Status& status) { listener_.on_refused(status); };
  callbacks.on_state_rollback = [this](const Status& status) {
    listener_.on_state_rollback(status);
  };
  callbacks.on_fatal = [this](const Status& status) { listener_.on_fatal(status); };
  callbacks.on_node_down = [this](NodeId node) { listener_.on_node_down(node); };
  callbacks.log = [this](raft::LogLevel level, std::string_view text) {
    listener_.log(level, text);
  };
  controller_ = std::make_unique<cluster::Controller>(*identity_, registry_, env_,
                                                      std::move(options), std::move(callbacks));
}

host::HostOptions Node::complete(NodeOptions& options) {
  host::HostOptions host = std::move(options.host);
  const state_dir::NodeFacts& facts = identity_->facts();
  host.state_dir = options.state_dir;
  host.identity = {facts.cluster, options.id, env_.random_u64(), facts.uuid, facts.life};
  if (auto known = cluster::read_known_nodes(env_.file_system(), options.state_dir)) {
    host.boots = std::move(known->boots);
  }
  host.engine = [this, engine = std::move(host.engine)](GroupId group) -> StateMachineEngine& {
    if (group == registry::kRegistryGroup) return registry_;
    return engine(group);
  };
  host.engines.insert(host.engines.begin(), &registry_);
  if (host.grows) {
    host.grows = [grows = std::move(host.grows)](GroupId group, std::string_view command) {
      return group != registry::kRegistryGroup && grows(group, command);
    };
  }
  host.on_boots_changed = [this] { controller_->on_boots_changed(); };
  host.on_state_rollback = [this](const transport::StateRollback& rollback) {
    listener_.on_rollback_claimed(rollback);
    controller_->on_state_rollback(rollback);
  };
  host.on_address = [this](NodeId node, const env::Address& address) {
    controller_->on_address(node, address);
  };
  host.on_unknown_caller = [this](const transport::UnknownCaller& caller) {
    controller_->on_unknown_caller(caller);
  };
  host.on_disk_state = [this](host::DiskState state, const std::string& text) {
    listener_.on_disk_state(state, text);
  };
  host.on_core_log = [this](raft::LogLevel level, const std::string& line) {
    listener_.log(level, line);
  };
  host.on_warning = [this](const std::string& text) { listener_.log(raft::LogLevel::kWarn, text); };
  return host;
}

void Node::stop() {
  if (controller_) controller_->stop();
  if (host_) host_->stop();
}

void Node::abandon() {
  if (controller_) controller_->stop();
  host_.reset();
  observer_.reset();
  controller_.reset();
}

}  // namespace multiraft::node
