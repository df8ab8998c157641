#include "sim_node.h"

#include "kv/command.h"
#include "meta/node_files.h"
#include "meta/node_identity.h"
#include "meta/registry_machine.h"

namespace multiraft::sim {
namespace {

constexpr int64_t kHeartbeatNs = 20 * env::kMillisecond;
constexpr int64_t kElectionNs = 200 * env::kMillisecond;
constexpr int64_t kRequestTimeoutNs = 2 * env::kSecond;
/// Small, so that logs roll over.
constexpr uint64_t kSegmentBytes = 256 * limits::kKiB;
constexpr const char* kStateDir = "state";

}  // namespace

/// Hears what the controller hears.
class SimNode::Observer final : public host::HostObserver {
 public:
  Observer(const SimNode& node, meta::Controller& controller)
      : node_(node), controller_(controller) {}

  void on_leadership(GroupId group, const raft::SoftState& state, Term term) override {
    if (state.role == raft::Role::kLeader) node_.watch_.leads(node_.settings_.id, group, term);
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
  const SimNode& node_;
  meta::Controller& controller_;
};

SimNode::SimNode(env::SimScheduler& scheduler, env::SimNetwork& network, NodeSettings settings,
                 uint64_t seed, const NodeWatch& watch)
    : settings_(settings),
      watch_(watch),
      env_(scheduler, std::make_unique<env::SimFileSystem>(), seed,
           network.attach(host_name(settings.id))) {}

SimNode::~SimNode() {
  env_.kill();
  destroy();
}

Status SimNode::start() {
  ready_ = removed_ = false;
  failure_.clear();
  running_ = true;
  const Status status = compose();
  if (status.is_ok() || env_.disk().crashed()) return Status::ok();
  crash(env::CrashMode::kKeepAll, 0);
  return status;
}

Status SimNode::compose() {
  auto identity = meta::NodeIdentity::open(env_, kStateDir, settings_.id, !settings_.join);
  if (!identity) return identity.status();
  identity_ = std::move(*identity);
  if (identity_->facts().phase == meta::NodePhase::kRemoved) {
    left_ = true;
    return Status(StatusCode::kConflict, "this node was removed from its cluster");
  }
  registry_ = std::make_unique<meta::RegistryEngine>();
  engine_ =
      std::make_unique<SimEngine>(env_.file_system(), std::string(kStateDir) + "/kv",
                                  settings_.machine, [this](GroupId group, const Command& command) {
                                    watch_.applied(settings_.id, group, command);
                                  });
  controller_ = std::make_unique<meta::Controller>(*identity_, *registry_, env_,
                                                   controller_options(), controller_callbacks());
  observer_ = std::make_unique<Observer>(*this, *controller_);
  return start_host();
}

meta::ControllerOptions SimNode::controller_options() const {
  meta::ControllerOptions options;
  const std::string name = host_name(settings_.id);
  options.raft_address = env::Address{name, kRaftPort}.to_string();
  options.api_address = env::Address{name, 8080}.to_string();
  if (settings_.join) options.join = {env::Address{host_name(*settings_.join), kRaftPort}};
  options.replaces_lost_disk = settings_.join.has_value();
  options.heartbeat_ns = kHeartbeatNs;
  options.election_ns = kElectionNs;
  return options;
}

meta::ControllerCallbacks SimNode::controller_callbacks() {
  meta::ControllerCallbacks callbacks;
  callbacks.on_ready = [this] {
    say("ready");
    ready_ = true;
  };
  callbacks.on_removed = [this] { removed_ = true; };
  callbacks.on_refused = [this](const Status& status) {
    failure_ = "may not join: " + status.to_string();
  };
  callbacks.on_fatal = [this](const Status& status) {
    say(status.to_string());
    if (!env_.disk().crashed()) failure_ = status.to_string();
  };
  callbacks.log = [this](raft::LogLevel, std::string_view text) { say(text); };
  return callbacks;
}

Status SimNode::start_host() {
  host::HostOptions options;
  options.state_dir = kStateDir;
  const meta::NodeFacts& facts = identity_->facts();
  options.identity = {facts.cluster,
                      settings_.id,
                      env_.random_u64(),
                      {facts.uuid.high, facts.uuid.low},
                      facts.life};
  if (auto book = meta::read_addresses(env_.file_system(), kStateDir)) {
    options.lives = std::move(book->lives);
  }
  options.on_lives_changed = [this] { controller_->on_lives_changed(); };
  // Whatever a crash takes was never told: nobody may say that this node is older than it was.
  options.on_older_state = [this](const transport::OlderState& told) { failure_ = told.text; };
  options.listen = {"", kRaftPort};
  options.heartbeat_ns = kHeartbeatNs;
  options.election_ns = kElectionNs;
  options.request_timeout_ns = kRequestTimeoutNs;
  options.log_writer = log::WriterKind::kPwrite;
  options.log_segment_bytes = kSegmentBytes;
  options.log_cut = settings_.log_cut;
  options.engines = {registry_.get(), engine_.get()};
  options.engine = [this](GroupId group) -> StateMachineEngine& {
    if (group == meta::kRegistryGroup) return *registry_;
    return *engine_;
  };
  options.grows = [](GroupId, std::string_view command) { return kv::grows(command); };
  options.on_warning = [this](const std::string& text) { say(text); };
  auto started = host::NodeHost::start(std::move(options), env_, *observer_);
  if (!started) return started.status();
  host_ = std::move(*started);
  return controller_->attach(*host_);
}

void SimNode::stop() {
  controller_->stop();
  host_->stop();
  destroy();
}

void SimNode::crash(env::CrashMode mode, uint64_t seed) {
  env_.kill();
  destroy();
  env_.set_disk(env_.disk().crash_image(mode, seed));
}

void SimNode::wipe() {
  MR_ASSERT(!running_);
  env_.set_disk(std::make_unique<env::SimFileSystem>());
}

void SimNode::destroy() {
  running_ = false;
  if (controller_) controller_->stop();
  host_.reset();
  observer_.reset();
  controller_.reset();
  engine_.reset();
  registry_.reset();
  identity_.reset();
}

}  // namespace multiraft::sim
