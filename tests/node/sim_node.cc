#include "sim_node.h"

#include "base/assert.h"
#include "kv/command.h"
#include "state_dir/node_identity.h"

namespace multiraft::sim {
namespace {

constexpr int64_t kHeartbeatNs = 20 * env::kMillisecond;
constexpr int64_t kElectionNs = 200 * env::kMillisecond;
constexpr int64_t kRequestTimeoutNs = 2 * env::kSecond;
/// Small, so that logs roll over.
constexpr uint64_t kSegmentBytes = 256 * limits::kKiB;
constexpr const char* kStateDir = "state";

}  // namespace

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
  engine_ =
      std::make_unique<SimEngine>(env_.file_system(), std::string(kStateDir) + "/kv",
                                  settings_.machine, [this](GroupId group, const Command& command) {
                                    watch_.applied(settings_.id, group, command);
                                  });
  node_ = std::make_unique<node::Node>(env_, *this);
  MR_RETURN_IF_ERROR(node_->open(settings_.id, kStateDir, !settings_.join));
  if (node_->facts().phase == state_dir::NodePhase::kRemoved) {
    left_ = true;
    return Status(StatusCode::kConflict, "this node was removed from its cluster");
  }
  node::NodeOptions options;
  options.id = settings_.id;
  options.state_dir = kStateDir;
  options.cluster = controller_options();
  options.host = host_options();
  return node_->start(std::move(options));
}

cluster::ControllerOptions SimNode::controller_options() const {
  cluster::ControllerOptions options;
  const std::string name = host_name(settings_.id);
  options.raft_address = env::Address{name, kRaftPort}.to_string();
  options.api_address = env::Address{name, 8080}.to_string();
  if (settings_.join) options.join = {env::Address{host_name(*settings_.join), kRaftPort}};
  options.replaces_lost_disk = settings_.join.has_value();
  options.heartbeat_ns = kHeartbeatNs;
  options.election_ns = kElectionNs;
  return options;
}

void SimNode::on_ready() {
  say("ready");
  ready_ = true;
}

void SimNode::on_refused(const Status& status) { failure_ = "may not join: " + status.to_string(); }

/// Whatever a crash takes was never announced: nobody may say that this node is older than it was.
void SimNode::on_rollback_claimed(const transport::StateRollback& rollback) {
  failure_ = rollback.text;
}

void SimNode::on_fatal(const Status& status) {
  say(status.to_string());
  if (!env_.disk().crashed()) failure_ = status.to_string();
}

void SimNode::on_leadership(GroupId group, const raft::SoftState& state, Term term) {
  if (state.role == raft::Role::kLeader) watch_.leads(settings_.id, group, term);
}

host::HostOptions SimNode::host_options() {
  host::HostOptions options;
  options.listen = {"", kRaftPort};
  options.heartbeat_ns = kHeartbeatNs;
  options.election_ns = kElectionNs;
  options.request_timeout_ns = kRequestTimeoutNs;
  options.log_writer = log::WriterKind::kPwrite;
  options.log_segment_bytes = kSegmentBytes;
  options.compaction = settings_.compaction;
  options.engines = {engine_.get()};
  options.engine = [this](GroupId) -> StateMachineEngine& { return *engine_; };
  options.grows = [](GroupId, std::string_view command) { return kv::grows(command); };
  return options;
}

void SimNode::stop() {
  node_->stop();
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
  if (node_) node_->abandon();
  node_.reset();
  engine_.reset();
}

}  // namespace multiraft::sim
