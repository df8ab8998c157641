#pragma once
// One whole node on a simulated machine: a node::Node as the server runs it, with a key-value
// machine that works on a simulated disk, without HTTP and RocksDB.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/sim/sim_network.h"
#include "node/node.h"
#include "sim_machine.h"

namespace multiraft::sim {

inline constexpr uint16_t kRaftPort = 9000;

/// The command line of a node: it starts with the same one every time.
struct NodeSettings {
  NodeId id;
  std::optional<NodeId> join;
  MachineKind machine = MachineKind::kMemory;
  host::LogCutLimits compaction;
};

/// Who watches over the nodes of a simulation. Called from within their tasks.
struct NodeWatch {
  std::function<void(NodeId, GroupId, const Command&)> applied;
  std::function<void(NodeId, GroupId, Term)> leads;
  /// For whoever replays a failure.
  std::function<void(NodeId, std::string_view)> say;
};

/// A machine that outlives the processes on it. All calls from outside of the scheduler's tasks.
class SimNode final : public node::NodeListener {
 public:
  /// `network` and `watch` outlive it.
  SimNode(env::SimScheduler& scheduler, env::SimNetwork& network, NodeSettings settings,
          uint64_t seed, const NodeWatch& watch);
  ~SimNode() override;

  /// Starts the process. An error is what the program would end with. Ok where the disk reached its
  /// crash point meanwhile: see must_end().
  Status start();
  /// The process ends as it does on SIGTERM, but for the handing over of leaderships.
  void stop();
  /// Power is lost, whether the process runs or not: the next start finds what the mode keeps.
  void crash(env::CrashMode mode, uint64_t seed);
  /// Another disk, an empty one. The process is down.
  void wipe();

  bool running() const { return running_; }
  /// Requests may be made of it.
  bool serves() { return running_ && node_ && node_->started() && !env_.disk().crashed(); }
  /// Of the present process.
  bool ready() const { return running_ && ready_; }
  /// The node left its cluster: the process ends by itself.
  bool removed() const { return removed_; }
  /// Its state directory says that it left its cluster: it does not start any more.
  bool left() const { return left_; }
  /// The disk reached its crash point: the process must end now.
  bool must_end() { return running_ && env_.disk().crashed(); }
  /// Why the process ends by itself although its disk works; empty if it does not.
  const std::string& failure() const { return failure_; }
  const NodeSettings& settings() const { return settings_; }
  host::NodeHost& host() { return node_->host(); }
  cluster::Controller& controller() { return node_->controller(); }
  env::SimFileSystem& disk() { return env_.disk(); }

  static std::string host_name(NodeId id) { return "n" + to_string(id); }

 private:
  Status compose();
  void destroy();
  cluster::ControllerOptions controller_options() const;
  host::HostOptions host_options();

  // node::NodeListener
  void on_ready() override;
  void on_removed() override { removed_ = true; }
  void on_refused(const Status& status) override;
  void on_rollback_claimed(const transport::StateRollback& rollback) override;
  void on_fatal(const Status& status) override;
  void on_leadership(GroupId group, const raft::SoftState& state, Term term) override;
  void log(raft::LogLevel, std::string_view text) override { say(text); }
  void say(std::string_view text) const { watch_.say(settings_.id, text); }

  const NodeSettings settings_;
  const NodeWatch& watch_;
  env::SimEnvironment env_;
  std::unique_ptr<SimEngine> engine_;
  std::unique_ptr<node::Node> node_;
  bool running_ = false;
  bool ready_ = false;
  bool removed_ = false;
  bool left_ = false;
  std::string failure_;
};

}  // namespace multiraft::sim
