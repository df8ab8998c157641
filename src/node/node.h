#pragma once
// A whole node without HTTP: state directory, registry, host and controller, composed once for the
// server, for simulated nodes and for programs that embed one.
//
//   open()   locks and reads the state directory          identity
//   start()  opens logs, engines and the raft port,       registry <- host <-> controller
//            recovers replicas, joins or founds the cluster
//   stop()   the controller first, then the host: nothing calls the listener afterwards

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/controller.h"
#include "env/env.h"
#include "host/node_host.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "registry/machine.h"
#include "state_dir/node_identity.h"

namespace multiraft::node {

/// Hears what happens in and to a node. Methods are called on any thread, some in the middle of a
/// replica's work: they must not block, and they must not call Node::stop(). Those that a program
/// does not care about do nothing.
class NodeListener {
 public:
  virtual ~NodeListener() = default;

  // -- The life of the node. Each comes at most once.
  /// The registry is here and contains this node, and the node's replicas exist.
  virtual void on_ready() {}
  /// The node is not part of the cluster any more, and its state directory says so.
  virtual void on_removed() {}
  /// As on_removed, but another state directory has taken over the node's id.
  virtual void on_replaced(const Status&) {}
  /// The node is in another cluster than it should be.
  virtual void on_other_cluster(const Status&) {}
  /// The cluster works with a version that this program does not support.
  virtual void on_unsupported(const Status&) {}
  /// The registry was not made again (ControllerOptions::force_new_registry), and why.
  virtual void on_force_refused(const Status&) {}
  /// The cluster refused to let the node join, for good.
  virtual void on_refused(const Status&) {}
  /// The state directory is an older copy, or its disk has lost writes, and the other members of
  /// its groups can do without it: its replicas are to be given up (state_dir/repair.h).
  virtual void on_state_rollback(const Status&) {}
  /// The disk failed: nothing more can be promised, and the process must end.
  virtual void on_fatal(const Status&) {}

  // -- What happens around it.
  /// Another node says that this node's state directory is older than what it knows of it. Comes
  /// before on_state_rollback, if that comes at all.
  virtual void on_rollback_claimed(const transport::StateRollback&) {}
  virtual void on_leadership(GroupId, const raft::SoftState&, Term) {}
  virtual void on_node_down(NodeId) {}
  virtual void on_disk_state(host::DiskState, const std::string&) {}
  /// A line for the log: an event of the cluster, of a group's core, or a warning.
  virtual void log(raft::LogLevel, std::string_view) {}
};

struct NodeOptions {
  NodeId id;
  std::string state_dir;
  cluster::ControllerOptions cluster;
  /// All but what the node fills in itself: state directory, identity, boot records, the registry's
  /// engine and callbacks. `host.engine` is asked for every group but group 0.
  host::HostOptions host;
};

/// Not thread-safe but for host() and controller(), whose calls say what they are.
class Node {
 public:
  /// Both outlive it.
  Node(env::Environment& env, NodeListener& listener);
  ~Node();

  /// Locks `state_dir`, which is made where there is none. `founds_cluster`: a new directory is
  /// that of a new cluster. Every error refuses the directory: in use, another id, corrupt.
  Status open(NodeId id, const std::string& state_dir, bool founds_cluster);
  /// After open(). The listener may be called before it returns.
  Status start(NodeOptions options);
  /// Ends all work; host() and its executors stay until abandon(). Not from a worker. Idempotent.
  void stop();
  /// Destroys host and controller; without stop() before it as if the process ended here, without a
  /// word to anybody. The state directory stays locked until the node is destroyed.
  void abandon();

  const state_dir::NodeFacts& facts() const { return identity_->facts(); }
  host::NodeHost& host() { return *host_; }
  cluster::Controller& controller() { return *controller_; }
  bool started() const { return host_ != nullptr; }

 private:
  class Observer;

  void start_controller(cluster::ControllerOptions options);
  host::HostOptions complete(NodeOptions& options);

  env::Environment& env_;
  NodeListener& listener_;
  registry::RegistryEngine registry_;
  std::unique_ptr<state_dir::NodeIdentity> identity_;
  std::unique_ptr<cluster::Controller> controller_;
  std::unique_ptr<Observer> observer_;
  std::unique_ptr<host::NodeHost> host_;
};

}  // namespace multiraft::node
