#pragma once
// One whole node on a simulated machine: identity, registry, controller, host, transport, log and
// the key-value machine, put together as the server does, without HTTP and RocksDB.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/sim/sim_network.h"
#include "host/node_host.h"
#include "meta/controller.h"
#include "sim_machine.h"

namespace multiraft::sim {

inline constexpr uint16_t kRaftPort = 9000;

/// The command line of a node: it starts with the same one every time.
struct NodeSettings {
  NodeId id;
  std::optional<NodeId> join;
  MachineKind machine = MachineKind::kMemory;
  host::LogCutLimits log_cut;
};

/// Who watches over the nodes of a simulation. Called from within their tasks.
struct NodeWatch {
  std::function<void(NodeId, GroupId, const Command&)> applied;
  std::function<void(NodeId, GroupId, Term)> leads;
  /// For people who replay a failure.
  std::function<void(NodeId, std::string_view)> say;
};

/// A machine that outlives the processes on it. All calls from outside of the scheduler's tasks.
class SimNode {
 public:
  /// `network` and `watch` outlive it.
  SimNode(env::SimScheduler& scheduler, env::SimNetwork& network, NodeSettings settings,
          uint64_t seed, const NodeWatch& watch);
  ~SimNode();

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
  bool serves() { return running_ && host_ && !env_.disk().crashed(); }
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
  host::NodeHost& host() { return *host_; }
  meta::Controller& controller() { return *controller_; }
  env::SimFileSystem& disk() { return env_.disk(); }

  static std::string host_name(NodeId id) { return "n" + to_string(id); }

 private:
  class Observer;

  Status compose();
  Status start_host();
  void destroy();
  meta::ControllerOptions controller_options() const;
  meta::ControllerCallbacks controller_callbacks();
  void say(std::string_view text) const { watch_.say(settings_.id, text); }

  const NodeSettings settings_;
  const NodeWatch& watch_;
  env::SimEnvironment env_;
  std::unique_ptr<meta::NodeIdentity> identity_;
  std::unique_ptr<meta::RegistryEngine> registry_;
  std::unique_ptr<SimEngine> engine_;
  std::unique_ptr<meta::Controller> controller_;
  std::unique_ptr<Observer> observer_;
  std::unique_ptr<host::NodeHost> host_;
  bool running_ = false;
  bool ready_ = false;
  bool removed_ = false;
  bool left_ = false;
  std::string failure_;
};

}  // namespace multiraft::sim
